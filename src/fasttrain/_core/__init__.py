"""What every floor above the kernels may use.

``specs`` has the frozen, self-checking values of which losses, optimizers, penalties and schedules are made,
``registry`` finds them, and Keras's objects, by name; ``checks`` has every check of what callers pass and the messages
about it. ``public`` gives a package's classes the package as their ``__module__``. Nothing here knows an estimator, a
file or a training.
"""
