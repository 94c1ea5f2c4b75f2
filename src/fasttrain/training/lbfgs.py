"""L-BFGS over all rows: SciPy's minimizer on the engine's objective and gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fasttrain._core.blas import serial_blas
from fasttrain._kernels.threads import thread_budget
from fasttrain.callbacks import Callback
from fasttrain.training.engine import SLICE_SECONDS
from fasttrain.training.plan import Plan
from fasttrain.training.results import DivergenceError, FitResult, largest_weight
from fasttrain.training.running import Training


def objective_and_gradient(network, parameters, threads):
    """Mean loss plus penalty at ``parameters`` over all bound rows, and its gradient, both in the engine's layout."""
    network.parameters[:] = parameters
    network.start_gradient(threads)
    while not network.run_gradient(SLICE_SECONDS):
        pass
    gradient = np.empty_like(network.parameters)
    return network.finish_gradient(gradient), gradient


class Objective:
    """What L-BFGS minimizes: here a network's mean loss plus penalty over its bound rows, by its own parameters.

    Attributes
    ----------
    bounds : list of (float or None, None) or None
        Lowest value of each unknown, None where there is no bound.
    """

    bounds = None

    def __init__(self, network):
        self.network = network

    def start(self):
        """The unknowns at the network's parameters, float64."""
        return self.network.parameters.astype(np.float64)

    def put(self, x):
        """Make the unknowns the network's parameters, with which it predicts."""
        self.network.parameters[:] = x

    def value_and_gradient(self, x, threads):
        """What is minimized, and its float64 gradient."""
        value, gradient = objective_and_gradient(self.network, x, threads)
        return value, gradient.astype(np.float64, copy=False)

    def loss(self, x, value):
        """What is told of unknowns that were :meth:`put`, where ``value`` is what is minimized."""
        return float(value)


def _projected_gradient(found, bounds):
    """The largest element of a gradient at rest, what pushes against a bound left out; NaN where there is none."""
    gradient = found.get("jac")
    if gradient is None:
        return math.nan
    if bounds is not None:
        low = np.array([-np.inf if low is None else low for low, _ in bounds])
        gradient = found.x - np.maximum(found.x - gradient, low)
    return float(np.abs(gradient).max(initial=0.0))


def _reason(found, result, n_iter, max_fun, tol):
    """Why SciPy's minimizer ended."""
    if found.success:
        if result.gradient <= tol:
            return f"no element of the gradient is above tol={tol:g}"
        return "the loss no longer moves in its last digits"
    if result.n_iter >= n_iter:
        limit = f"{n_iter} iterations"
    elif result.n_steps >= max_fun:
        limit = f"max_fun={max_fun} evaluations"
    else:
        return f"the line search found no lower loss where an element of the gradient is {result.gradient:.2g}"
    return f"stopped after {limit} where an element of the gradient is {result.gradient:.2g}, above tol={tol:g}"


def train_lbfgs(network: Any, optimizer: Any, *, n_iter: int,
                callbacks: Callback | Callable[..., Any] | Sequence[Callback | Callable[..., Any]] | None = None,
                n_threads: int | None = None, validation_loss: Callable[..., Any] | None = None,
                metrics: Callable[..., Any] | None = None, tol: float = 1e-4, ftol: float | None = None,
                loss_constant: float = 0.0, objective: Any = None) -> FitResult:
    """Minimize an objective over all bound rows with SciPy's L-BFGS-B.

    The arguments and the result are those of :func:`train`; ``n_iter`` is the most iterations and ``tol`` the largest
    element of a gradient at rest where the optimizer's own ``max_iter`` and ``tol`` are None. One history entry an
    iteration, the objective after it; when the start is the optimum, one entry with its objective. ``ftol`` is SciPy's
    (None: as small as the dtype lets it be); ``loss_constant`` is added to the objective. ``objective`` is an
    :class:`Objective`, the network's own when None.
    """
    from scipy.optimize import minimize

    result = FitResult()
    if validation_loss is not None:
        result.history["validation_loss"] = []
    objective = Objective(network) if objective is None else objective
    start = objective.start()
    asked = False
    n_iter = optimizer.max_iter or n_iter
    run = Training(network, Plan(n_epochs=n_iter, schedule=None, callbacks=callbacks), n_threads)

    def record(x, value):
        objective.put(x)
        logs = {"loss": objective.loss(x, value), "learning_rate": math.nan}
        if validation_loss is not None:
            logs["validation_loss"] = validation_loss()
        if metrics is not None:
            logs.update(metrics())
        for name, number in logs.items():
            result.history.setdefault(name, []).append(number)
        return logs

    def iterate(intermediate_result):
        nonlocal asked
        logs = record(intermediate_result.x, intermediate_result.fun)
        result.n_iter = run.epoch = result.n_iter + 1
        asked = run.tell(result.n_iter, logs)
        if asked:
            raise StopIteration

    try:
        run.begin()
        with thread_budget(n_threads) as threads:

            def function(x):
                value, gradient = objective.value_and_gradient(x, threads)
                result.n_steps += 1
                return value + loss_constant, gradient

            value = function(start)[0]
            if not math.isfinite(value):
                raise DivergenceError(
                    f"the loss at the starting point is {value}, not a finite number. Scale the features "
                    "(StandardScaler) or start from smaller weights."
                )
            if ftol is None:
                # an objective that no longer moves in its last digits cannot be told from its minimum
                ftol = 64 * np.finfo(np.float64).eps if network.dtype == np.float64 else np.finfo(np.float32).eps
            tol = tol if optimizer.tol is None else optimizer.tol
            options = {
                "maxiter": n_iter, "maxfun": optimizer.max_fun, "maxcor": optimizer.history, "gtol": tol, "ftol": ftol,
            }
            with serial_blas():
                found = minimize(
                    function, start, jac=True, method="L-BFGS-B", bounds=objective.bounds, callback=iterate,
                    options=options)
        if not result.history["loss"]:
            record(found.x, found.fun)
        objective.put(found.x)
        result.gradient = _projected_gradient(found, objective.bounds)
        if not math.isfinite(found.fun) or not network.all_finite():
            raise DivergenceError(
                f"training diverged in iteration {result.n_iter + 1} of L-BFGS: the loss is no longer finite (largest "
                f"weight: {largest_weight(network.parameters)}). Scale the features (StandardScaler) or add an l2 "
                "penalty."
            )
    finally:
        run.end(result.history)
    if asked:
        result.converged, result.message = True, f"a callback ended the training after iteration {result.n_iter}"
    else:
        result.converged, result.message = bool(found.success), _reason(found, result, n_iter, optimizer.max_fun, tol)
    return result
