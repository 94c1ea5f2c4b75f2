"""Parameters of estimators: kept as they were given, and what several of them mean."""

import numpy as np


def keep_parameters(estimator, given):
    """Keep parameters as they were given: ``locals()`` of ``__init__``, which must name every one of them."""
    vars(estimator).update({name: value for name, value in given.items() if name not in ("self", "__class__")})


def dtypes_of(dtype):
    """What scikit-learn's ``validate_data`` may leave X in, for the parameter ``dtype``."""
    if dtype is None:
        return [np.float64, np.float32]
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32, float64 or None, got {dtype!r}")
    return found
