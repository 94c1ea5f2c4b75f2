"""SciPy's L-BFGS-B for objectives that are functions of Python: sums over blocks, and fits that are followed.

Where neither is asked for, :mod:`fasttrain._kernels.lbfgs` makes the same iterates, to rounding.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from fasttrain._core.blas import serial_blas
from fasttrain.data import BlocksLost

# A share of the objective, a little above its precision, which it cannot fall below.
FTOL = 64 * np.finfo(np.float64).eps


@dataclass
class LbfgsEnd:
    """Where a minimization ended.

    Attributes
    ----------
    x : float64 array
        Of the shape that was asked for.
    value : float
    n_iter : int
    reason : str
        'gradient' or 'value' at a minimum or where it was told to end, else what stopped it: 'iterations', 'abnormal',
        'not_finite', 'lost'.
    gradient : float
        Its largest element.
    message : str
        Of the minimizer.
    lost : BlocksLost or None
        What ended it before its time; x is the last iterate.
    """

    x: np.ndarray
    value: float
    n_iter: int
    reason: str
    gradient: float
    message: str
    lost: BlocksLost | None = None

    @property
    def failure(self):
        """Why x is no minimum; None where it is one."""
        return None if self.reason in ("gradient", "value") else self.message


def minimize_lbfgs(
        objective, start, shape, *, max_iter, tol, ftol=FTOL, bounds=None, tell=None, maxls=50, verbose=False):
    """Minimize ``objective(x)``, a value and a gradient, from ``start`` until no element of the gradient is above tol.

    BLAS runs on one thread meanwhile, so that the steps do not depend on how many there are.

    Parameters
    ----------
    objective : callable
        Of x of shape (size,).
    start : array
    shape : tuple of int
        Of x in the answer.
    max_iter : int
    tol : float
    ftol : float, default=FTOL
    bounds : list of pairs, default=None
        As SciPy has them; the gradient that counts is then that of what may still go down.
    tell : callable, default=None
        Told of x after each iteration; it ends there where that is true.
    maxls : int, default=50
        Evaluations of a line search.
    verbose : bool, default=False
        Whether each iteration prints a line.

    Returns
    -------
    LbfgsEnd
    """
    last, value, n_iter = None, np.nan, 0

    def iterate(intermediate_result):
        nonlocal last, value, n_iter
        last, value, n_iter = intermediate_result.x.copy(), intermediate_result.fun, n_iter + 1
        if verbose:
            print(f"iteration {n_iter}: objective {value:.10g}")
        if tell is not None and tell(last.reshape(shape)):
            raise StopIteration

    try:
        with serial_blas():
            found = optimize.minimize(
                objective, np.array(start, dtype=np.float64).ravel(), jac=True, method="L-BFGS-B", callback=iterate,
                bounds=bounds, options={"maxiter": max_iter, "maxls": maxls, "gtol": tol, "ftol": ftol})
    except BlocksLost as error:
        if last is None:
            raise
        return LbfgsEnd(last.reshape(shape), value, n_iter, "lost", np.nan, str(error), error)
    gradient = found.jac
    if bounds is not None:
        low, high = np.array([[-np.inf if a is None else a, np.inf if b is None else b] for a, b in bounds]).T
        gradient = found.x - np.clip(found.x - gradient, low, high)
    largest = float(np.abs(gradient).max(initial=0.0))
    # 99: a callback ended it
    reason = "gradient" if largest <= tol else "iterations" if found.status == 1 else (
        "value" if found.success or found.status == 99 else "abnormal")
    if not np.isfinite(found.fun) or not np.isfinite(found.x).all():
        reason = "not_finite"
    return LbfgsEnd(
        found.x.reshape(shape), float(found.fun), min(found.nit, max_iter), reason, largest, found.message)


__all__ = ["FTOL", "LbfgsEnd", "minimize_lbfgs"]
