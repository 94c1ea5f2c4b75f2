"""The commands of :mod:`fasttrain.cli`, one a file.

Each has ``add_options(parser)``, ``run(options, interrupts)``, and ``NEEDED``: packages beyond fasttrain's own
dependencies. The first line of its docstring is its line in the help.
"""
