"""``fasttrain bench``: what fasttrain and its peers need for the same work on this machine, from the installed wheel.

``_workloads`` are the pieces of work, ``_peers`` how other libraries do them, ``_measure`` times them in turn and says
what machine it is, ``_child`` runs in a process of its own, ``_results`` shows and compares, ``_scripts`` runs a user's
script stock and patched.
"""
