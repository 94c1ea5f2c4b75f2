"""The fit loop: epochs, shuffling, schedules, stopping, callbacks, history. All training goes through here."""

import functools
import math
from dataclasses import dataclass, field

import numpy as np

from fasttrain import checkpoints, schedules
from fasttrain._files.plain import DECODING_ERRORS
from fasttrain._kernels.threads import thread_budget
from fasttrain._memory import from_layers, network_state, put_back, restore_network, take, to_layers
from fasttrain._running import Training
from fasttrain.callbacks import StopTraining, as_callbacks

__all__ = ["DivergenceError", "FitResult", "Reshuffling", "Stopping", "Training", "configure", "train", "train_lbfgs"]

# Longest stretch of compiled work between two looks for Ctrl-C.
SLICE_SECONDS = 0.05


class DivergenceError(ValueError):
    """The loss or the weights left the finite numbers; the message names the epoch and a remedy."""


@dataclass
class FitResult:
    """What a training leaves besides the parameters.

    Attributes
    ----------
    history : dict of lists
        One entry an epoch: ``loss``, ``learning_rate`` and, with validation data, ``validation_loss``.
    n_iter : int
        Epochs begun and finished (iterations of L-BFGS).
    n_steps : int
        Updates made (evaluations of the objective for L-BFGS), those of an interrupted epoch included.
    converged : bool
        Whether a stopping rule ended the training before the last epoch.
    interrupted : bool
        Whether Ctrl-C did.
    message : str
        Why it ended.
    schedule_state : dict or None
        What a schedule with a state remembers, for a training that goes on from this one.
    """

    history: dict = field(default_factory=lambda: {"loss": [], "learning_rate": []})
    n_iter: int = 0
    n_steps: int = 0
    converged: bool = False
    interrupted: bool = False
    message: str = ""
    schedule_state: dict | None = None


@dataclass
class Stopping:
    """When to stop before the last epoch.

    Parameters
    ----------
    tol : float or None
        An epoch counts as no improvement unless the monitored loss is below the best by more than this.
        None or -inf never stops.
    patience : int
        Epochs in a row without improvement that end the training.
    restore_best : bool
        With a validation loss: put back the parameters of the best epoch.
    """

    tol: float | None = 1e-4
    patience: int = 10
    restore_best: bool = False

    def start(self, network):
        """Before the first epoch."""
        self._best, self._best_parameters, self._waited = math.inf, None, 0

    def epoch_end(self, network, loss, validation_loss):
        """Take note of an epoch; a message when the training is to end with it, else None.

        ``validation_loss`` is None without validation data.
        """
        watched = loss if validation_loss is None else validation_loss
        if self.tol is not None:
            # the best moves with every improvement, the wait only ends with a large one
            self._waited = 0 if watched < self._best - self.tol else self._waited + 1
        if watched < self._best:
            self._best = watched
            if self.restore_best:
                self._best_parameters = take(network)
        if self.tol is None or self._waited < self.patience:
            return None
        return self.message(validation_loss is not None)

    def message(self, validated):
        """Why it ends the training."""
        what = "validation loss" if validated else "training loss"
        return f"{what} did not improve by more than tol={self.tol:g} for {self.patience} epochs"

    def state_dict(self, network):
        """What the rule remembers, as plain values for a checkpoint."""
        best = self._best_parameters
        return {
            "best": self._best, "waited": self._waited,
            "best_parameters": None if best is None else to_layers(network, best),
        }

    def load_state_dict(self, network, state):
        """Take over what :meth:`state_dict` gave."""
        self._best, self._waited, best = state["best"], state["waited"], state["best_parameters"]
        self._best_parameters = None if best is None else from_layers(network, best)

    def finish(self, network):
        """After the last epoch, also when Ctrl-C ended it."""
        if self._best_parameters is not None:
            put_back(network, self._best_parameters)


def configure(network, loss, optimizer, penalty):
    """Tell the engine what to minimize and how; the specs are those of losses, optimizers and penalties."""
    network.set_loss(loss.name, loss.parameter)
    network.set_penalty(penalty.l1, penalty.l2)
    if optimizer.rule != "lbfgs":
        settings = optimizer.settings()
        if optimizer.clip_norm is not None:
            settings["clip_norm"] = optimizer.clip_norm
        network.set_optimizer(optimizer.rule, optimizer.slots, settings, optimizer.initial_state)


def _largest_weight(parameters):
    """Text on the largest weight, for messages; the one nearest to infinity among finite ones."""
    weights = np.abs(parameters)
    finite = weights[np.isfinite(weights)]
    largest = f"{finite.max():.3g}" if len(finite) else "none finite"
    return largest if len(finite) == len(weights) else f"{largest}, {len(weights) - len(finite)} not finite"


def diverged(epoch, rate, parameters):
    """The error of a loss or weights that left the finite numbers in this epoch."""
    return DivergenceError(
        f"training diverged in epoch {epoch}: the loss is no longer finite (largest weight: "
        f"{_largest_weight(parameters)}). Scale the features (StandardScaler), or lower the learning rate (now "
        f"{rate:g}), or clip gradients (clip_norm)."
    )


def train(network, optimizer, *, n_epochs, batch_size, n_samples, learning_rate=None, schedule=None, shuffle=False,
          random_state=None, stopping=None, validation_loss=None, metrics=None, callbacks=None, n_threads=None,
          first_step=0, schedule_epochs=None, schedule_state=None, max_steps=None, catch_interrupt=False,
          draw_order=None, loss_constant=None, start_random_state=None, resume=None):
    """Run epochs of a bound and configured engine.

    Parameters
    ----------
    network : fasttrain._kernels.network.Network
        After ``bind`` and :func:`configure`; its parameters are trained in place.
    optimizer : fasttrain.optimizers.StepOptimizer
        For its learning rate and for messages.
    n_epochs, batch_size, n_samples : int
        ``batch_size`` from 1 to ``n_samples``.
    learning_rate : float, optional
        In place of the optimizer's.
    schedule : fasttrain.schedules.Schedule, optional
    shuffle : bool
        A new order of rows each epoch, when there is more than one batch.
    random_state : numpy.random.RandomState or Generator
        Draws the orders (``permutation``); its state goes into checkpoints.
    stopping : Stopping, optional
        Or any object with its methods.
    validation_loss : callable, optional
        Without arguments: the loss on validation data at the current parameters. When given it is what
        ``stopping`` and a plateau schedule watch, else the training loss.
    metrics : callable, optional
        Without arguments: a dict of more numbers for the logs and the history of an epoch.
    callbacks : optional
        See :func:`fasttrain.callbacks.as_callbacks`.
    n_threads : int, optional
    first_step : int
        Steps made before, for the schedule.
    schedule_epochs : int, optional
        Epochs that the schedule is laid out for; ``n_epochs`` when None.
    schedule_state : dict, optional
        ``schedule_state`` of the result of a training that this one goes on from.
    max_steps : int, optional
        Steps after which the training ends, in the middle of an epoch if need be.
    catch_interrupt : bool
        Whether Ctrl-C ends the training with ``interrupted`` set, instead of raising.
    draw_order : callable, optional
        Without arguments: the order of an epoch's rows, an intp array; in place of ``shuffle``. One that remembers
        something has ``state_dict()`` and ``load_state_dict(state)``, as :class:`Reshuffling`.
    loss_constant : callable, optional
        From the order of an epoch's rows (or None) to a number that its reported loss gains: terms of y alone, which
        the engine leaves out.
    start_random_state : dict, optional
        What :func:`fasttrain.checkpoints.random_state_to` gave before the fit drew anything; goes into checkpoints.
    resume : fasttrain.checkpoints.Checkpoint, optional
        To go on from. Everything else must be as it was for the training that wrote it; ``random_state`` is put into
        the state that it had.

    Returns
    -------
    FitResult

    Raises
    ------
    DivergenceError
        The engine is left as it was when the loss stopped being finite.
    ValueError
        When ``resume`` is of another training.
    """
    result = FitResult()
    base = optimizer.learning_rate if learning_rate is None else learning_rate
    if draw_order is None and shuffle and batch_size < n_samples:
        draw_order = permutations(n_samples, random_state)
    run = Training(
        network, n_epochs, schedule=schedules.get(schedule), base=base, schedule_state=schedule_state,
        first_step=first_step, n_samples=n_samples, batch_size=batch_size, schedule_epochs=schedule_epochs,
        draw_order=draw_order, n_threads=n_threads,
    )
    per_epoch = run.steps_per_epoch
    left = n_epochs * per_epoch if max_steps is None else max_steps
    callbacks = as_callbacks(callbacks)
    if callbacks and start_random_state is None:
        start_random_state = checkpoints.random_state_to(random_state)
    if validation_loss is not None:
        result.history["validation_loss"] = []
    before = network.counters["t"]
    if stopping is not None:
        stopping.start(network)
    if resume is not None or callbacks:
        memory = _Memory(run, result, stopping, callbacks, draw_order, random_state, start_random_state)
        facts = checkpoints.facts_of(network, batch_size, n_samples, run.schedule, stopping)
    if resume is not None:
        resume.require(facts)
    try:
        _begin(callbacks, run)
        if resume is not None:
            try:
                memory.load_state_dict(resume.state)
            except DECODING_ERRORS as error:
                raise ValueError(f"{resume.path} does not fit this training: {error!r}") from error
            left -= result.n_steps
            before = network.counters["t"] - result.n_steps
        with thread_budget(n_threads) as threads:
            for epoch in range(result.n_iter + 1, n_epochs + 1):
                if result.converged:
                    break
                run.epoch = epoch
                for callback in callbacks:
                    callback.on_epoch_begin(epoch)
                order = None if draw_order is None else draw_order()
                count = min(per_epoch, left)
                rates = run.rates(count)
                network.start_epoch(order, batch_size, rates, threads)
                while not network.run(SLICE_SECONDS):
                    pass
                left -= count
                result.n_steps = int(network.counters["t"] - before)
                run.steps = first_step + result.n_steps
                if network.diverged or not network.all_finite():
                    if any(callback.on_divergence(epoch) for callback in callbacks) and network.all_finite():
                        result.converged, result.message = True, f"the loss stopped being finite in epoch {epoch}"
                        break
                    raise diverged(epoch, rates[-1], network.parameters)
                loss = network.epoch_loss
                if loss_constant is not None:
                    loss += loss_constant(order)
                logs = {"loss": loss, "learning_rate": float(rates[-1])}
                watched = loss
                if validation_loss is not None:
                    watched = logs["validation_loss"] = validation_loss()
                if metrics is not None:
                    logs.update(metrics())
                for name, value in logs.items():
                    result.history.setdefault(name, []).append(value)
                result.n_iter = epoch
                if run.plateau is not None:
                    run.plateau.update(watched)
                stop = None
                if stopping is not None:
                    stop = stopping.epoch_end(network, loss, logs.get("validation_loss"))
                if _tell(callbacks, epoch, logs):
                    stop = f"a callback ended the training after epoch {epoch}"
                if stop is not None:
                    result.converged, result.message = True, stop
                while run.pending:
                    checkpoints.save_checkpoint(run.pending.pop(), facts, memory.state_dict())
                if result.converged or left <= 0:
                    break
            if not result.converged:
                result.message = f"stopped after n_epochs={n_epochs}"
    except KeyboardInterrupt:
        if not catch_interrupt or not network.all_finite():
            raise
        result.n_steps = int(network.counters["t"] - before)
        result.interrupted, result.message = True, f"interrupted in epoch {result.n_iter + 1}"
    finally:
        _end(callbacks, result.history)
    if stopping is not None:
        stopping.finish(network)
    if run.plateau is not None:
        result.schedule_state = run.plateau.state_dict()
    return result


def permutations(rows, random_state):
    """Orders of which each is new, of so many rows or of rows with these numbers."""
    if isinstance(rows, np.ndarray):
        return lambda: rows[random_state.permutation(len(rows))]
    return lambda: np.ascontiguousarray(random_state.permutation(rows), dtype=np.intp)


class Reshuffling:
    """Orders of rows of which each is a permutation of the last, as scikit-learn's networks take them.

    Parameters
    ----------
    rows : int or intp array
        How many, or their numbers.
    random_state : numpy.random.RandomState
    """

    def __init__(self, rows, random_state):
        self.order = rows if isinstance(rows, np.ndarray) else np.arange(rows, dtype=np.intp)
        self.random_state = random_state

    def __call__(self):
        self.order = np.ascontiguousarray(self.order[self.random_state.permutation(len(self.order))])
        return self.order

    def state_dict(self):
        """The last order; the random state is not part of it."""
        return {"order": self.order.astype(np.int64)}

    def load_state_dict(self, state):
        """Take over what :meth:`state_dict` gave."""
        order = state["order"]
        if not np.array_equal(np.sort(order), np.sort(self.order)):
            raise ValueError(f"order must be a permutation of the {len(self.order)} rows of this training")
        self.order = order.astype(np.intp)


class _Memory:
    """All that a training remembers, to and from the plain values of a checkpoint."""

    def __init__(self, run, result, stopping, callbacks, draw_order, random_state, start_random_state):
        self.run = run
        self.result = result
        self.stopping = stopping
        self.callbacks = callbacks
        self.draw_order = draw_order if hasattr(draw_order, "state_dict") else None
        self.random_state = random_state
        self.start_random_state = start_random_state

    def _named_callbacks(self):
        """Each callback by its class and its number among those of its class."""
        counts = {}
        for callback in self.callbacks:
            name = type(callback).__name__
            counts[name] = counts.get(name, 0) + 1
            yield f"{name} {counts[name]}", callback

    def state_dict(self):
        result, network = self.result, self.run.network
        return {
            "epoch": result.n_iter, "n_steps": result.n_steps, "history": result.history,
            "converged": result.converged, "message": result.message,
            "network": network_state(network), "learning_rate": self.run.state_dict(),
            "stopping": None if self.stopping is None else self.stopping.state_dict(network),
            "order": None if self.draw_order is None else self.draw_order.state_dict(),
            "random_state": checkpoints.random_state_to(self.random_state),
            "start_random_state": self.start_random_state,
            "callbacks": {name: callback.state_dict() for name, callback in self._named_callbacks()},
        }

    def load_state_dict(self, state):
        result, network = self.result, self.run.network
        result.n_iter, result.n_steps, result.history = state["epoch"], state["n_steps"], state["history"]
        result.converged, result.message = state["converged"], state["message"]
        restore_network(network, state["network"])
        self.run.epoch = result.n_iter
        self.run.load_state_dict(state["learning_rate"])
        if self.stopping is not None:
            self.stopping.load_state_dict(network, state["stopping"])
        if self.draw_order is not None and state["order"] is not None:
            self.draw_order.load_state_dict(state["order"])
        if self.random_state is not None:
            checkpoints.set_random_state(self.random_state, state["random_state"])
        for name, callback in self._named_callbacks():
            if name in state["callbacks"]:
                callback.load_state_dict(state["callbacks"][name])


def _begin(callbacks, run):
    for callback in callbacks:
        callback.training = run
    for callback in callbacks:
        callback.on_train_begin(run.n_epochs)


def _end(callbacks, history):
    try:
        for callback in callbacks:
            callback.on_train_end(history)
    finally:
        for callback in callbacks:
            callback.training = None


def _tell(callbacks, epoch, logs):
    """Call every callback; whether one asked to stop."""
    asked = False
    for callback in callbacks:
        try:
            asked = bool(callback.on_epoch_end(epoch, dict(logs))) or asked
        except StopTraining:
            asked = True
    return asked or (bool(callbacks) and callbacks[0].training.stop)


def objective_and_gradient(network, parameters, threads):
    """Mean loss plus penalty at ``parameters`` over all bound rows, and its gradient, both in the engine's layout."""
    network.parameters[:] = parameters
    network.start_gradient(threads)
    while not network.run_gradient(SLICE_SECONDS):
        pass
    gradient = np.empty_like(network.parameters)
    return network.finish_gradient(gradient), gradient


@functools.cache
def _blas_controller():
    """SciPy's L-BFGS works on vectors too short for threaded BLAS, whose barriers cost far more than they save."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def train_lbfgs(network, optimizer, *, n_iter, callbacks=None, n_threads=None, validation_loss=None, metrics=None,
                catch_interrupt=False, ftol=None, loss_constant=0.0):
    """Minimize the engine's objective over all bound rows with SciPy's L-BFGS-B.

    The arguments and the result are those of :func:`train`; ``n_iter`` is the most iterations when the optimizer's
    own ``max_iter`` is None. One history entry an iteration, the objective after it; when the start is the optimum,
    one entry with its objective. ``ftol`` is SciPy's (None: as small as the dtype lets it be); ``loss_constant`` is
    added to the objective.
    """
    from scipy.optimize import minimize

    result = FitResult()
    callbacks = as_callbacks(callbacks)
    if validation_loss is not None:
        result.history["validation_loss"] = []
    start = network.parameters.astype(np.float64)
    latest = start.copy()
    asked = False
    run = Training(network, optimizer.max_iter or n_iter)

    def record(x, value):
        logs = {"loss": float(value), "learning_rate": math.nan}
        network.parameters[:] = x
        if validation_loss is not None:
            logs["validation_loss"] = validation_loss()
        if metrics is not None:
            logs.update(metrics())
        for name, number in logs.items():
            result.history.setdefault(name, []).append(number)
        return logs

    def iterate(intermediate_result):
        nonlocal asked
        latest[:] = intermediate_result.x
        logs = record(latest, intermediate_result.fun)
        result.n_iter = run.epoch = result.n_iter + 1
        asked = _tell(callbacks, result.n_iter, logs)
        if asked:
            raise StopIteration

    try:
        _begin(callbacks, run)
        with thread_budget(n_threads) as threads:

            def function(x):
                value, gradient = objective_and_gradient(network, x, threads)
                result.n_steps += 1
                return value + loss_constant, gradient.astype(np.float64, copy=False)

            value = function(start)[0]
            if not math.isfinite(value):
                raise DivergenceError(
                    f"the loss at the starting point is {value}, not a finite number. Scale the features "
                    "(StandardScaler) or start from smaller weights."
                )
            if ftol is None:
                # an objective that no longer moves in its last digits cannot be told from its minimum
                ftol = 64 * np.finfo(np.float64).eps if network.dtype == np.float64 else np.finfo(np.float32).eps
            options = {
                "maxiter": optimizer.max_iter or n_iter, "maxfun": optimizer.max_fun, "maxcor": optimizer.history,
                "gtol": optimizer.tol, "ftol": ftol,
            }
            with _blas_controller().limit(limits=1, user_api="blas"):
                found = minimize(function, start, jac=True, method="L-BFGS-B", callback=iterate, options=options)
        if not result.history["loss"]:
            record(found.x, found.fun)
        network.parameters[:] = found.x
        if not math.isfinite(found.fun) or not network.all_finite():
            raise DivergenceError(
                f"training diverged in iteration {result.n_iter + 1} of L-BFGS: the loss is no longer finite (largest "
                f"weight: {_largest_weight(network.parameters)}). Scale the features (StandardScaler) or add an l2 "
                "penalty."
            )
    except KeyboardInterrupt:
        if not catch_interrupt:
            raise
        network.parameters[:] = latest
        result.interrupted, result.message = True, f"interrupted in iteration {result.n_iter + 1}"
        return result
    finally:
        _end(callbacks, result.history)
    if asked:
        result.converged, result.message = True, f"a callback ended the training after iteration {result.n_iter}"
    else:
        result.converged, result.message = bool(found.success), str(found.message)
    return result
