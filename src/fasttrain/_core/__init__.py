"""What every floor above the kernels may use.

``specs`` has the frozen, self-checking values of which losses, optimizers, penalties and schedules are made, and the
registries that find them by name; ``checks`` has every check of what callers pass and the messages about it. Nothing
here knows an estimator, a file or a training.
"""
