"""The fit loop: epochs, shuffling, schedules, stopping, callbacks, history. All training by steps goes through here."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fasttrain import schedules
from fasttrain._files.plain import DECODING_ERRORS
from fasttrain._kernels.threads import thread_budget
from fasttrain.data import BlocksLost
from fasttrain.training import checkpoints
from fasttrain.training.engine import network_state, restore_network
from fasttrain.training.epoch import Epoch
from fasttrain.training.plan import Plan
from fasttrain.training.results import FitResult, diverged
from fasttrain.training.running import Training


def train(network: Any, plan: Plan, *, validation_loss: Callable[..., Any] | None = None,
          metrics: Callable[..., Any] | None = None, loss_constant: Callable[..., Any] | None = None,
          n_threads: int | None = None, catch_interrupt: bool = False) -> FitResult:
    """Run epochs of a bound and configured engine.

    Parameters
    ----------
    network : fasttrain._kernels.network.Network
        After ``bind`` and :func:`configure`; its parameters are trained in place.
    plan : Plan
        Epochs, batches, orders, rates, when to stop, callbacks, and what to go on from.
    validation_loss : callable, optional
        Without arguments: the loss on validation data at the current parameters. When given it is what
        ``plan.stopping`` and a plateau schedule watch, else the training loss.
    metrics : callable, optional
        Without arguments: a dict of more numbers for the logs and the history of an epoch.
    loss_constant : callable, optional
        From the order of an epoch's rows (or None) to a number that its reported loss gains: terms of y alone, which
        the engine leaves out.
    n_threads : int, optional
    catch_interrupt : bool
        Whether Ctrl-C ends the training with ``interrupted`` set, instead of raising.

    Returns
    -------
    FitResult

    Raises
    ------
    DivergenceError
        The engine is left as it was when the loss stopped being finite.
    ValueError
        When ``plan.resume`` is of another training.
    """
    result = FitResult()
    run = Training(network, plan, n_threads)
    callbacks, stopping, draw_order = plan.callbacks, plan.stopping, plan.draw_order
    batch_callbacks = [callback for callback in callbacks if callback.wants_batches]
    left = plan.n_epochs * run.steps_per_epoch if plan.max_steps is None else plan.max_steps
    if validation_loss is not None:
        result.history["validation_loss"] = []
    first_step = run.steps
    if stopping is not None:
        stopping.start(network)
    # whether somebody, or something drawn, comes between two epochs
    watched_closely = bool(callbacks) or any(
        part is not None for part in (plan.feed, draw_order, validation_loss, metrics))
    if plan.resume is not None or callbacks:
        remembered = _Remembered(run, result)
        facts = checkpoints.facts_of(network, plan.batch_size, plan.n_samples, plan.schedule, stopping, plan.feed)
    if plan.resume is not None:
        plan.resume.require(facts)
    try:
        run.begin()
        if plan.resume is not None:
            try:
                remembered.load_state_dict(plan.resume.state)
            except DECODING_ERRORS as error:
                raise ValueError(f"{plan.resume.path} does not fit this training: {error!r}") from error
            left -= result.n_steps
            first_step = run.steps - result.n_steps
        with thread_budget(n_threads) as threads:
            while result.n_iter < plan.n_epochs and not result.converged:
                number = run.epoch = plan.epochs_before + result.n_iter + 1
                for callback in callbacks:
                    callback.on_epoch_begin(number)
                count = min(run.steps_per_epoch, left)
                part = Epoch(run, batch_callbacks, count, threads)
                constant = 0.0
                if plan.feed is None:
                    n_epochs = 1 if watched_closely else _epochs_at_once(run, result, left)
                    try:
                        part.add(None if draw_order is None else draw_order(), plan.batch_size, count, n_epochs)
                    finally:
                        # Ctrl-C ends those to come
                        _note_epochs(part, run, result, loss_constant)
                    left -= len(part.losses) * count
                    number = run.epoch = plan.epochs_before + result.n_iter + 1
                else:
                    constant = plan.feed.run_epoch(part)
                left -= count
                result.n_steps = run.steps - first_step
                if network.diverged or not network.all_finite():
                    if any(callback.on_divergence(number) for callback in callbacks) and network.all_finite():
                        result.converged, result.message = True, f"the loss stopped being finite in epoch {number}"
                        break
                    raise diverged(number, part.rate, network.parameters)
                loss = part.loss + constant
                if loss_constant is not None:
                    loss += loss_constant(run.order)
                logs = {"loss": loss, "learning_rate": part.rate}
                watched = loss
                if validation_loss is not None:
                    watched = logs["validation_loss"] = validation_loss()
                if metrics is not None:
                    logs.update(metrics())
                for name, value in logs.items():
                    result.history.setdefault(name, []).append(value)
                result.n_iter += 1
                if run.plateau is not None:
                    run.plateau.update(watched)
                stop = None
                if stopping is not None:
                    stop = stopping.epoch_end(network, loss, logs.get("validation_loss"))
                if run.tell(number, logs) or part.ended:
                    stop = f"a callback ended the training after epoch {number}"
                if stop is not None:
                    result.converged, result.message = True, stop
                while run.pending:
                    checkpoints.save_checkpoint(run.pending.pop(), facts, remembered.state_dict())
                if result.converged or left <= 0:
                    break
            if not result.converged:
                result.message = f"stopped after n_epochs={plan.n_epochs}"
    except KeyboardInterrupt:
        if not catch_interrupt or not network.all_finite():
            raise
        result.n_steps = run.steps - first_step
        result.interrupted, result.message = True, f"interrupted in epoch {plan.epochs_before + result.n_iter + 1}"
    except BlocksLost as error:
        if not result.n_iter or not network.all_finite():
            raise
        result.n_steps = run.steps - first_step
        result.lost = error
        result.message = f"epoch {plan.epochs_before + result.n_iter + 1} was lost: {error}"
    finally:
        run.end(result.history)
    if stopping is not None:
        stopping.finish(network)
    if run.plateau is not None:
        result.schedule_state = run.plateau.state_dict()
    return result


def _epochs_at_once(run, result, left):
    """How many epochs, all of the same rows in the same order, the engine may make in one call: after each but the last
    nothing is decided.
    """
    plan = run.plan
    if not isinstance(run.schedule, schedules.Constant) or left < run.steps_per_epoch:
        return 1
    ahead = math.inf if plan.stopping is None else plan.stopping.epochs_ahead()
    return min(ahead, plan.n_epochs - result.n_iter, left // run.steps_per_epoch)


def _note_epochs(part, run, result, loss_constant):
    """Take note of the epochs of a call that are over and another has followed."""
    if not part.losses:
        return
    constant = loss_constant(run.order) if loss_constant is not None else 0.0
    losses, stopping, network = [loss + constant for loss in part.losses], run.plan.stopping, run.network
    result.history["loss"] += losses
    result.history["learning_rate"] += [part.rate] * len(losses)
    result.n_iter += len(losses)
    if stopping is not None:
        for loss in losses:
            stopping.epoch_end(network, loss, None)


class _Remembered:
    """All that a training remembers, to and from the plain values of a checkpoint."""

    def __init__(self, run, result):
        self.run = run
        self.result = result
        self.plan = run.plan
        self.start_random_state = self.plan.start_random_state
        if self.start_random_state is None:
            self.start_random_state = checkpoints.random_state_to(self.plan.random_state)
        self.draw_order = self.plan.draw_order if hasattr(self.plan.draw_order, "state_dict") else None

    def _named_callbacks(self):
        """Each callback by its class and its number among those of its class."""
        counts = {}
        for callback in self.plan.callbacks:
            name = type(callback).__name__
            counts[name] = counts.get(name, 0) + 1
            yield f"{name} {counts[name]}", callback

    def state_dict(self):
        result, network, stopping = self.result, self.run.network, self.plan.stopping
        return {
            "epoch": result.n_iter, "n_steps": result.n_steps, "history": result.history,
            "converged": result.converged, "message": result.message,
            "network": network_state(network), "learning_rate": self.run.state_dict(),
            "stopping": None if stopping is None else stopping.state_dict(network),
            "order": None if self.draw_order is None else self.draw_order.state_dict(),
            "random_state": checkpoints.random_state_to(self.plan.random_state),
            "start_random_state": self.start_random_state,
            "callbacks": {name: callback.state_dict() for name, callback in self._named_callbacks()},
        }

    def load_state_dict(self, state):
        result, network, stopping = self.result, self.run.network, self.plan.stopping
        result.n_iter, result.n_steps, result.history = state["epoch"], state["n_steps"], state["history"]
        result.converged, result.message = state["converged"], state["message"]
        restore_network(network, state["network"])
        self.run.epoch = self.plan.epochs_before + result.n_iter
        self.run.load_state_dict(state["learning_rate"])
        if stopping is not None:
            stopping.load_state_dict(network, state["stopping"])
        if self.draw_order is not None and state["order"] is not None:
            self.draw_order.load_state_dict(state["order"])
        if self.plan.random_state is not None:
            checkpoints.set_random_state(self.plan.random_state, state["random_state"])
        for name, callback in self._named_callbacks():
            if name in state["callbacks"]:
                callback.load_state_dict(state["callbacks"][name])
