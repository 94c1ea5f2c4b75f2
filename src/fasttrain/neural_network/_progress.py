"""scikit-learn's account of a perceptron's epochs, and its rules of stopping and of slowing down."""

import math

import numpy as np

from fasttrain._core.checks import are_numbers, check_real, is_number
from fasttrain.schedules import Schedule
from fasttrain.training.engine import from_layers, restore, snapshot, to_layers

# Attributes that are in a checkpoint.
_NOTED = (
    "n_iter_", "t_", "loss_", "loss_curve_", "validation_loss_curve_", "validation_scores_", "best_validation_score_",
    "best_loss_", "_no_improvement_count",
)
_CURVES = ("loss_curve_", "validation_loss_curve_", "validation_scores_")
_ALWAYS = ("n_iter_", "t_", "loss_curve_", "_no_improvement_count")


class Account:
    """What scikit-learn notes of a perceptron's epochs, under the names of the attributes that it becomes.

    Parameters
    ----------
    estimator : MultilayerPerceptron or None
        The last fit, for one that goes on.
    scored : bool
        Whether a score on held-out rows is watched instead of the loss.
    number : type
        Of the losses: float64, or float32 where scikit-learn computes them so.
    """

    def __init__(self, estimator, scored, number=np.float64):
        self.n_iter_ = self.t_ = self._no_improvement_count = 0
        self.loss_curve_ = []
        self.validation_loss_curve_ = self.validation_scores_ = self.best_validation_score_ = None
        self.best_loss_ = None if scored else math.inf
        if estimator is not None:
            vars(self).update({name: getattr(estimator, name) for name in _NOTED if hasattr(estimator, name)})
        self.number = number
        # what a fit that goes on needs beside it
        self.kept = {}

    def start(self, early_stopping, scored, watch_loss):
        """Before the first epoch of a fit in steps: lists of its own."""
        self.n_iter_ = 0
        self.loss_curve_ = list(self.loss_curve_)
        if scored:
            self.validation_scores_ = list(self.validation_scores_ or [])
            if self.best_validation_score_ is None:
                self.best_validation_score_ = -math.inf
        if watch_loss:
            self.validation_loss_curve_ = list(self.validation_loss_curve_ or [])
        if not early_stopping and self.best_loss_ is None:
            self.best_loss_ = math.inf

    def attributes(self):
        """All of it, by attribute."""
        noted = {name: value for name, value in vars(self).items() if name not in ("kept", "number")}
        return {**noted, **self.kept}


class EpochRate(Schedule):
    """One rate for all steps of an epoch, changed between epochs by :class:`Progress`."""

    def __init__(self, rate):
        self.rate = rate

    def rates(self, base, first_step, count, steps_per_epoch, total_steps):
        return np.full(count, self.rate)


class Progress:
    """scikit-learn's account of the epochs, and its rule when to stop: what a training takes as its ``stopping``.

    The wait ends the training once it is longer than ``n_iter_no_change`` epochs; a score counts as better when it is
    at least ``tol`` above the best, a loss when it is at least ``tol`` below.

    Parameters
    ----------
    estimator : MultilayerPerceptron
        For its parameters.
    account : Account
    rate : float
        Of the first epoch.
    solver : Solver
        For the rule by which the rate changes between epochs.
    n_samples : int
        Rows of an epoch.
    score : callable or None
        From the network to the validation score.
    restore : bool
        Whether the score decides on stopping, and the weights of the best one are put back.
    first : bool
        Whether the weights of the start count as the best until a score is better. In a fit that goes on from another
        they do not: scikit-learn trains on in the very arrays that it keeps as the best ones.
    ends : bool
        Whether the training ends when the rule says so.
    """

    def __init__(self, estimator, account, rate, solver, n_samples, score, restore, first=True, ends=True):
        self.estimator = estimator
        self.account = account
        self.schedule = EpochRate(rate)
        self.solver = solver
        self.n_samples = n_samples
        self.score = score
        self.restore = restore
        self.first = first
        self.ends = ends
        self.best = None

    def start(self, network):
        if self.restore and self.first:
            self.best = snapshot(network)

    def epochs_ahead(self):
        return 1

    def epoch_end(self, network, loss, validation_loss):
        e, a = self.estimator, self.account
        loss = a.number(loss)
        a.n_iter_ += 1
        a.t_ += self.n_samples
        a.loss_ = loss
        a.loss_curve_.append(loss)
        if validation_loss is not None:
            a.validation_loss_curve_.append(validation_loss)
        if e.verbose:
            print(f"Iteration {a.n_iter_}, loss = {loss:.8f}")
        if self.score is not None:
            self._note_score(network)
        if not self.restore:
            a._no_improvement_count = a._no_improvement_count + 1 if loss > a.best_loss_ - e.tol else 0
            a.best_loss_ = min(a.best_loss_, loss)
        if self.solver.rate_rule == "invscaling":
            self.schedule.rate = self.solver.rate / (a.t_ + 1) ** self.solver.power_t
        if a._no_improvement_count <= e.n_iter_no_change:
            return None
        what = "Validation score" if self.restore else "Training loss"
        message = f"{what} did not improve more than tol={e.tol:f} for {e.n_iter_no_change:d} consecutive epochs."
        return self._stop_or_slow_down(message)

    def _note_score(self, network):
        e, a = self.estimator, self.account
        score = self.score(network)
        a.validation_scores_.append(score)
        if e.verbose:
            print(f"Validation score: {score:f}")
        if self.restore:
            a._no_improvement_count = a._no_improvement_count + 1 if score < a.best_validation_score_ + e.tol else 0
        if score > a.best_validation_score_:
            a.best_validation_score_ = score
            if self.restore:
                self.best = snapshot(network)

    def _stop_or_slow_down(self, message):
        """With the adaptive rate the wait starts anew at a fifth of the rate, down to 1e-6."""
        e, a = self.estimator, self.account
        adaptive = self.solver.rate_rule == "adaptive"
        if adaptive and self.schedule.rate > 1e-6:
            self.schedule.rate /= 5.0
            a._no_improvement_count = 0
            if e.verbose:
                print(f"{message} Setting learning rate to {self.schedule.rate:f}")
            return None
        if e.verbose:
            print(f"{message}{' Learning rate too small.' if adaptive else ''} Stopping.")
        return message if self.ends else None

    def state_dict(self, network):
        return {
            "rate": self.schedule.rate, "best_parameters": None if self.best is None else to_layers(network, self.best),
            **{name: getattr(self.account, name) for name in _NOTED},
        }

    def load_state_dict(self, network, state):
        needed = {*_ALWAYS, *(() if self.restore else ["best_loss_"]),
                  *(() if self.score is None else ["validation_scores_", "best_validation_score_"])}
        for name in _NOTED:
            value = state[name]
            good = are_numbers(value) if name in _CURVES else is_number(value)
            if not good and (value is not None or name in needed):
                raise ValueError(f"{name} must be numbers, got {value!r}")
            setattr(self.account, name, value)
        self.schedule.rate, best = check_real(state["rate"], "rate", low=0), state["best_parameters"]
        self.best = None if best is None else from_layers(network, best)

    def finish(self, network):
        if self.best is not None:
            restore(network, self.best)
