"""Newton's method with a Cholesky factor of the Hessian, for smooth losses of few features."""

import warnings

import numpy as np
from scipy import linalg
from sklearn.exceptions import ConvergenceWarning

from fasttrain._core.blas import serial_blas
from fasttrain._core.warned import warn
from fasttrain.linear_model._row_sums import iterations_of, minimize_lbfgs

# Of the line search: how a step shrinks, which share of the decrease that the slope promises is enough, trials.
SHRINK = 0.5
SUFFICIENT = 2.0**-11
TRIALS = 21


def newton_cholesky(objective, start, *, max_iter, tol, verbose=0):
    """Minimize a convex objective by Newton steps with backtracking (Boyd and Vandenberghe, Convex Optimization, 9.5).

    It ends where no element of the gradient is above ``tol``, nor is half the squared Newton decrement. Where the
    Hessian is singular, or the step does not lead down, L-BFGS-B goes on from there.

    Parameters
    ----------
    objective : callable
        ``objective(w)`` gives the value and the gradient, ``objective.hessian(w)`` the Hessian at the last w that it
        was asked of, or None where too many rows curve downwards; ``objective.eps`` is the precision of the rows.
    start : array of shape (size,)

    Returns
    -------
    w : array of shape (size,), float64
    n_iter : int
        Newton steps, and iterations of L-BFGS-B.
    """
    w, n_iter = np.array(start, dtype=np.float64), 0
    value, gradient = objective(w)
    while n_iter < max_iter:
        if verbose:
            print(f"iteration {n_iter + 1}: objective {value:.10g}")
        step, hessian = _newton_step(objective, w, gradient, n_iter + 1)
        taken = step is not None and _line_search(objective, w, value, gradient, step, n_iter + 1)
        if not taken:
            return _by_lbfgs(objective, w, n_iter, max_iter, tol, verbose)
        w, value, gradient = taken
        n_iter += 1
        if np.abs(gradient).max() <= tol and step @ hessian @ step <= 2 * tol:
            return w, n_iter
    warn(f"Newton solver did not converge after {n_iter} iterations. Raise max_iter={max_iter}, or scale the "
         "features (StandardScaler).", ConvergenceWarning)
    return w, n_iter


def _newton_step(objective, w, gradient, number):
    """(step, Hessian), the step None where there is none that leads down."""
    hessian = objective.hessian(w)
    if hessian is None:
        warn(
            f"the loss of more than a quarter of the rows curves downwards in iteration {number} of Newton's method: "
            "lbfgs goes on from there.", ConvergenceWarning)
        return None, None
    try:
        with serial_blas(), warnings.catch_warnings():
            warnings.simplefilter("error", linalg.LinAlgWarning)
            step = linalg.solve(hessian, -gradient, check_finite=False, assume_a="sym")
    except (np.linalg.LinAlgError, linalg.LinAlgWarning) as error:
        warn(
            f"The inner solver of the Newton-Cholesky Solver stumbled upon a singular or very ill-conditioned Hessian "
            f"matrix in iteration {number}: lbfgs goes on from there. Leave out collinear features, or raise the "
            f"penalty. ({error})",
            linalg.LinAlgWarning)
        return None, None
    return (None, None) if gradient @ step > 0 else (step, hessian)


def _line_search(objective, w, value, gradient, step, number):
    """(w, value, gradient) after a step that is long enough and leads down; None without one."""
    promised, t = SUFFICIENT * (gradient @ step), 1.0
    tiny = abs(value) * 16 * objective.eps
    for _ in range(TRIALS):
        at = w + t * step
        new_value, new_gradient = objective(at)
        gain = new_value - value
        # where the values are the same but for rounding, the gradient says which is better
        if gain <= t * promised or (abs(gain) <= tiny and np.abs(new_gradient).sum() < np.abs(gradient).sum()):
            return at, new_value, new_gradient
        t *= SHRINK
    warn(
        f"the line search in iteration {number} of Newton's method did not converge: lbfgs goes on from there.",
        ConvergenceWarning)
    return None


def _by_lbfgs(objective, w, n_iter, max_iter, tol, verbose):
    left = max_iter - n_iter - 1
    found = minimize_lbfgs(
        objective, w, max_iter=left, tol=tol, verbose=verbose, maxls=50, ftol=64 * np.finfo(np.float64).eps)
    return found.x, n_iter + iterations_of(found, left)
