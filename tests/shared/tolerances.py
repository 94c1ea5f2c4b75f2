"""How far a kernel may be from its twin, in one place. A test that needs another number adds a name here,
with its reason."""

import numpy as np

# A formula of a few operations, exp and log1p among them: units in the last place, relative to the formula's
# largest part where parts cancel.
FORMULA = 6


def formula(dtype, scale):
    return FORMULA * np.finfo(dtype).eps * scale


# Many optimizer steps: roundings of a step are carried on by its state.
STEPS = {
    np.dtype(np.float32): {"rtol": 2e-4, "atol": 2e-5},
    np.dtype(np.float64): {"rtol": 1e-11, "atol": 1e-13},
}

# Fourth-order differences with h = 1e-3: h^4 / 30 of a fifth derivative, and rounding over h.
DIFFERENCE = {"rtol": 1e-9, "atol": 1e-10}


def of(table, dtype):
    return table[np.dtype(dtype)]


def sum_bound(n, terms, dtype):
    """What n additions of rounded products may lose, n eps sum|terms| (Higham, Accuracy and Stability, 3.1)."""
    return (n + 2) * np.finfo(dtype).eps * terms + np.finfo(dtype).tiny
