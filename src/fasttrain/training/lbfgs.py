"""L-BFGS over all rows, on the engine's objective and gradient or on another of the same model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fasttrain._core.blas import serial_blas
from fasttrain._kernels.minimizer import MEMORY, REASONS, Minimizer
from fasttrain._kernels.threads import thread_budget
from fasttrain.callbacks import Callback
from fasttrain.data import BlocksLost
from fasttrain.training.engine import SLICE_SECONDS
from fasttrain.training.plan import Plan
from fasttrain.training.results import DivergenceError, FitResult, largest_weight
from fasttrain.training.running import Training

# Evaluations of a line search, as SciPy has them.
_MAX_LINE_SEARCH = 20
# SciPy's status of a minimization that its callback ended.
_STOPPED = 99


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
        """What is told of unknowns at which what is minimized is ``value``; the network's parameters may change."""
        return float(value)


@dataclass
class _End:
    """Where a minimization ended: the point, the objective there, the largest element of its gradient, the reason as
    ``_kernels.lbfgs.REASONS`` has it, or 'asked' where a callback ended it.
    """

    x: Any
    value: float
    gradient: float
    reason: str


def _minimize(function, start, iterate, *, gtol, ftol, optimizer, n_iter):
    """By the compiled L-BFGS, which makes the iterates of SciPy's to rounding."""
    minimizer = Minimizer(start, gtol, ftol, n_iter, optimizer.max_fun, _MAX_LINE_SEARCH)
    reason, asked, done = 0, False, 0
    while not reason and not asked:
        value, minimizer.gradient[:] = function(minimizer.x)
        reason = minimizer.advance(value)
        if minimizer.n_iter > done:
            done = minimizer.n_iter
            asked = iterate(*minimizer.iterate[:2])
    x, value, gradient = minimizer.iterate
    return _End(x, value, float(np.abs(gradient).max(initial=0.0)), "asked" if asked else REASONS[reason])


def _minimize_by_scipy(function, start, iterate, *, gtol, ftol, optimizer, n_iter, bounds):
    """By SciPy's L-BFGS-B, which takes any bounds and any length of the memory."""
    from scipy.optimize import minimize

    def told(intermediate_result):
        if iterate(intermediate_result.x, intermediate_result.fun):
            raise StopIteration

    options = {
        "maxiter": n_iter, "maxfun": optimizer.max_fun, "maxcor": optimizer.history, "gtol": gtol, "ftol": ftol,
        "maxls": _MAX_LINE_SEARCH}
    with serial_blas():
        found = minimize(
            function, start, jac=True, method="L-BFGS-B", bounds=bounds, callback=told, options=options)
    gradient = found.jac
    if bounds is not None:
        low = np.array([-np.inf if low is None else low for low, _ in bounds])
        gradient = found.x - np.maximum(found.x - gradient, low)
    largest = float(np.abs(gradient).max(initial=0.0))
    if found.status == _STOPPED:
        reason = "asked"
    elif found.success:
        reason = "gradient" if largest <= gtol else "value"
    elif found.nit >= n_iter:
        reason = "iterations"
    else:
        reason = "evaluations" if found.nfev > optimizer.max_fun else "abnormal"
    return _End(found.x, float(found.fun), largest, reason)


def _message(end, tol, n_iter, max_fun):
    """Why a minimization ended that no callback ended."""
    if end.reason == "gradient":
        return f"no element of the gradient is above tol={tol:g}"
    if end.reason == "value":
        return "the loss no longer moves in its last digits"
    limits = {"iterations": f"{n_iter} iterations", "evaluations": f"max_fun={max_fun} evaluations"}
    if end.reason in limits:
        return (f"stopped after {limits[end.reason]} where an element of the gradient is {end.gradient:.2g}, above "
                f"tol={tol:g}")
    return f"the line search found no lower loss where an element of the gradient is {end.gradient:.2g}"


def train_lbfgs(network: Any, optimizer: Any, *, n_iter: int,
                callbacks: Callback | Callable[..., Any] | Sequence[Callback | Callable[..., Any]] | None = None,
                n_threads: int | None = None, validation_loss: Callable[..., Any] | None = None,
                metrics: Callable[..., Any] | None = None, tol: float = 1e-4, ftol: float | None = None,
                loss_constant: float = 0.0, objective: Any = None) -> FitResult:
    """Minimize an objective over all bound rows by L-BFGS.

    The arguments and the result are those of :func:`train`; ``n_iter`` is the most iterations and ``tol`` the largest
    element of a gradient at rest where the optimizer's own ``max_iter`` and ``tol`` are None. One history entry an
    iteration, the objective after it; when the start is the optimum, one entry with its objective. ``ftol`` is SciPy's
    (None: as small as the dtype lets it be); ``loss_constant`` is added to the objective. ``objective`` is an
    :class:`Objective`, the network's own when None.
    """
    result = FitResult()
    if validation_loss is not None:
        result.history["validation_loss"] = []
    objective = Objective(network) if objective is None else objective
    start = objective.start()
    last = None
    n_iter = optimizer.max_iter or n_iter
    run = Training(network, Plan(n_epochs=n_iter, schedule=None, callbacks=callbacks), n_threads)
    watched = bool(run.plan.callbacks) or validation_loss is not None or metrics is not None

    def record(x, value):
        if watched:
            objective.put(x)
        logs = {"loss": objective.loss(x, value), "learning_rate": math.nan}
        if validation_loss is not None:
            logs["validation_loss"] = validation_loss()
        if metrics is not None:
            logs.update(metrics())
        for name, number in logs.items():
            result.history.setdefault(name, []).append(number)
        return logs

    def iterate(x, value):
        nonlocal last
        logs = record(x, value)
        last = x.copy()
        result.n_iter = run.epoch = result.n_iter + 1
        return run.tell(result.n_iter, logs)

    try:
        run.begin()
        with thread_budget(n_threads) as threads:

            def function(x):
                value, gradient = objective.value_and_gradient(x, threads)
                result.n_steps += 1
                if result.n_steps == 1 and not math.isfinite(value):
                    raise DivergenceError(
                        f"the loss at the starting point is {value}, not a finite number. Scale the features "
                        "(StandardScaler) or start from smaller weights."
                    )
                return value + loss_constant, gradient

            if ftol is None:
                # an objective that no longer moves in its last digits cannot be told from its minimum
                ftol = 64 * np.finfo(np.float64).eps if network.dtype == np.float64 else np.finfo(np.float32).eps
            tol = tol if optimizer.tol is None else optimizer.tol
            settings = {"gtol": tol, "ftol": ftol, "optimizer": optimizer, "n_iter": n_iter}
            try:
                if objective.bounds is None and optimizer.history == MEMORY:
                    end = _minimize(function, start, iterate, **settings)
                else:
                    end = _minimize_by_scipy(function, start, iterate, bounds=objective.bounds, **settings)
            except BlocksLost as error:
                if last is None:
                    raise
                objective.put(last)
                result.lost, result.message = error, f"iteration {result.n_iter + 1} was lost: {error}"
                return result
        if not result.history["loss"]:
            record(end.x, end.value)
        objective.put(end.x)
        result.gradient = end.gradient
        if not math.isfinite(end.value) or not network.all_finite():
            raise DivergenceError(
                f"training diverged in iteration {result.n_iter + 1} of L-BFGS: the loss is no longer finite (largest "
                f"weight: {largest_weight(network.parameters)}). Scale the features (StandardScaler) or add an l2 "
                "penalty."
            )
    finally:
        run.end(result.history)
    result.converged = end.reason in ("asked", "gradient", "value")
    if end.reason == "asked":
        result.message = f"a callback ended the training after iteration {result.n_iter}"
    else:
        result.message = _message(end, tol, n_iter, optimizer.max_fun)
    return result
