"""How far a kernel may be from its twin, in one place. A test that needs another number adds a name here,
with its reason."""

import numpy as np

# A formula of a few operations, each rounded once, in the precision of its arrays.
FORMULA = {
    np.dtype(np.float32): {"rtol": 2e-6, "atol": 2e-7},
    np.dtype(np.float64): {"rtol": 2e-15, "atol": 4e-16},
}

# exp, tanh and log1p are series of the kernels' own, and formulas over them cancel a little.
TRANSCENDENTAL = {
    np.dtype(np.float32): {"rtol": 4e-6, "atol": 4e-7},
    np.dtype(np.float64): {"rtol": 8e-15, "atol": 8e-16},
}

# Sums of n terms, against a sum in higher precision: relative to the sum of the absolute terms.
SUM = {np.dtype(np.float32): 4e-7, np.dtype(np.float64): 1e-15}

# Many optimizer steps: roundings of a step are carried on by its state.
STEPS = {
    np.dtype(np.float32): {"rtol": 2e-4, "atol": 2e-5},
    np.dtype(np.float64): {"rtol": 1e-11, "atol": 1e-13},
}

# Fourth-order differences with h = 1e-3 on functions whose fifth derivative is of order one: h^4 and eps / h.
DIFFERENCE = 1e-9


def of(table, dtype):
    return table[np.dtype(dtype)]
