"""All fits of a cross-validation or search at once.

``planner`` groups the fits of all candidates over all folds and hands them on: to ``lockstep``, where per-sample
descents walk one row order together, to ``columns``, where full-batch linear fits are columns of one matrix product, to
``sums``, where least squares is solved from what one reading of X leaves, or one to a thread. ``folds`` is where each
finds its rows, ``scores`` the metrics; ``answers`` lets scikit-learn's own functions look up what came of it.
``search``, ``validation``, ``curves`` and ``racing`` come here.
"""
