"""The folds of a cross-validation as (train, test) numbers of rows."""

import numpy as np


def share_out(folds, n_rows):
    """Whether every row is held out by one fold, (train, test), and trained on once by all others."""
    held = np.zeros(n_rows, np.intp)
    for train, test in folds:
        held[test] += 1
        if len(train) + len(test) != n_rows:
            return False
    if not (held == 1).all():
        return False
    seen = np.zeros(n_rows, bool)
    for train, test in folds:
        seen[:] = False
        seen[train] = True
        if seen[test].any() or np.count_nonzero(seen) != len(train):
            return False
    return True


def check_fold_weights(folds, weights, scored=True):
    """Raise where all rows that a fold is fitted to, or ``scored`` on, have the weight 0."""
    for number, (train, test) in enumerate(folds):
        for name, rows in (("training", train), ("test", test))[:1 + scored]:
            if not np.any(weights[rows]):
                raise ValueError(
                    "sample_weight must have a number that is not 0 among the rows that each fold is fitted to and "
                    f"scored on, got zeros only for the {name} rows of fold {number}")


__all__ = ["check_fold_weights", "share_out"]
