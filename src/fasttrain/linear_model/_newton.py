"""Newton's method for smooth convex losses, with backtracking (Boyd and Vandenberghe, Convex Optimization, 9.5)."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import linalg
from sklearn.exceptions import ConvergenceWarning

from fasttrain._core.blas import serial_blas
from fasttrain._core.warned import warn
from fasttrain.training.results import DivergenceError

# Of the line search: how a step shrinks, which share of the decrease that the slope promises is enough, trials.
SHRINK = 0.5
SUFFICIENT = 2.0**-11
TRIALS = 21


class NoStep(Exception):
    """There is no Newton step: why, and of which category the warning is, None for none."""

    def __init__(self, text, category, detail=""):
        super().__init__(text)
        self.category, self.detail = category, detail


@dataclass
class NewtonEnd:
    """Where Newton's method ended.

    Attributes
    ----------
    w : array of shape (size,), float64
    n_iter : int
        Steps taken.
    reason : {'gradient', 'iterations', 'stuck', 'told'}
        With 'stuck' another method is to go on from ``w``; 'told' where it was told to end.
    gradient : float
        Largest element of the gradient.
    """

    w: np.ndarray
    n_iter: int
    reason: str
    gradient: float


def newton(objective, start, *, max_iter, tol, verbose=0, tell=None):
    """Minimize a convex objective by Newton steps.

    It ends where no element of the gradient is above ``tol``, nor is half the squared Newton decrement, and where no
    step leads down.

    Parameters
    ----------
    objective : callable
        ``objective(w)`` gives the value and the gradient; ``objective.newton_step(w, gradient)`` the step at the last w
        that it was asked of and the step's product with the Hessian and itself, or it raises :class:`NoStep`;
        ``objective.eps`` is the precision of the rows.
    start : array of shape (size,)
    tell : callable, default=None
        Told of w after each step; it ends there where that is true.

    Returns
    -------
    NewtonEnd

    Raises
    ------
    DivergenceError
        Where the objective is not finite at ``start``.
    """
    w, n_iter, reason = np.array(start, dtype=np.float64), 0, "iterations"
    with serial_blas():
        value, gradient = objective(w)
        if not np.isfinite(value):
            raise DivergenceError(
                f"training diverged before the first step of Newton's method: the objective is {value}. Scale the "
                "features (StandardScaler), or start from smaller coefficients.")
        while n_iter < max_iter:
            if verbose:
                print(f"iteration {n_iter + 1}: objective {value:.10g}")
            try:
                step, curvature = objective.newton_step(w, gradient)
                w, value, gradient = _line_search(objective, w, value, gradient, step)
            except NoStep as error:
                if error.category is not None:
                    warn(
                        f"{error} in iteration {n_iter + 1} of Newton's method: lbfgs goes on from there."
                        f"{error.detail}", error.category)
                reason = "stuck"
                break
            n_iter += 1
            ended = tell is not None and tell(w)
            if np.abs(gradient).max() <= tol and 0.5 * curvature <= tol:
                reason = "gradient"
                break
            if ended:
                reason = "told"
                break
    return NewtonEnd(w, n_iter, reason, float(np.abs(gradient).max()))


def solved_step(hessian, gradient, assume_a):
    """(step, its product with the Hessian and itself), the step from a factor of the Hessian.

    ``assume_a``: what the matrix is, as :func:`scipy.linalg.solve` says it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", linalg.LinAlgWarning)
            step = linalg.solve(hessian, -gradient, check_finite=False, assume_a=assume_a)
    except (np.linalg.LinAlgError, linalg.LinAlgWarning) as error:
        raise NoStep(
            "The inner solver of the Newton-Cholesky Solver stumbled upon a singular or very ill-conditioned Hessian "
            "matrix", linalg.LinAlgWarning,
            f" Leave out collinear features, or raise the penalty. ({error})") from None
    return step, float(step @ hessian @ step)


def _line_search(objective, w, value, gradient, step):
    """(w, value, gradient) after a step that is long enough and leads down."""
    slope, t = float(gradient @ step), 1.0
    if slope > 0:
        raise NoStep("the step leads up", None)
    tiny = abs(value) * 16 * objective.eps
    for _ in range(TRIALS):
        at = w + t * step
        new_value, new_gradient = objective(at)
        gain = new_value - value
        # where the values are the same but for rounding, the gradient says which is better
        if gain <= t * SUFFICIENT * slope or (
                abs(gain) <= tiny and np.abs(new_gradient).sum() < np.abs(gradient).sum()):
            return at, new_value, new_gradient
        t *= SHRINK
    raise NoStep("the line search did not converge", ConvergenceWarning)


__all__ = ["NewtonEnd", "NoStep", "newton", "solved_step"]
