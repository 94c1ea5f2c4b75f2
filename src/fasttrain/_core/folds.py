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


__all__ = ["share_out"]
