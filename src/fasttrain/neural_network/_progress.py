"""scikit-learn's account of a perceptron's epochs, and its rules of stopping and of slowing down."""

import numpy as np

from fasttrain.schedules import Schedule
from fasttrain.training.engine import from_layers, restore, snapshot, to_layers

# What a fit notes of its epochs on the estimator.
_ACCOUNT = (
    "n_iter_", "t_", "loss_", "loss_curve_", "validation_loss_curve_", "validation_scores_", "best_validation_score_",
    "best_loss_", "_no_improvement_count",
)


class EpochRate(Schedule):
    """One rate for all steps of an epoch, changed between epochs by :class:`Progress`."""

    def __init__(self, rate):
        self.rate = rate

    def rates(self, base, first_step, count, steps_per_epoch, total_steps):
        return np.full(count, self.rate)


class Progress:
    """Attributes that scikit-learn changes with every epoch, kept on the estimator, and when to stop.

    The wait ends the training once it is longer than ``n_iter_no_change`` epochs; a score counts as better when it is
    at least ``tol`` above the best, a loss when it is at least ``tol`` below.

    Parameters
    ----------
    estimator : MultilayerPerceptron
    rate : float
        Of the first epoch.
    rate_rule : {'constant', 'invscaling', 'adaptive'}
        How it changes between epochs.
    n_samples : int
        Rows of an epoch.
    score : callable or None
        From the network to the validation score.
    restore : bool
        Whether the score decides on stopping, and the weights of the best one are put back.
    """

    def __init__(self, estimator, rate, rate_rule, n_samples, score, restore):
        self.estimator = estimator
        self.schedule = EpochRate(rate)
        self.rate_rule = rate_rule
        self.n_samples = n_samples
        self.score = score
        self.restore = restore
        self.best = None

    def start(self, network):
        if self.restore:
            self.best = snapshot(network)

    def epoch_end(self, network, loss, validation_loss):
        e = self.estimator
        e.n_iter_ += 1
        e.t_ += self.n_samples
        e.loss_ = loss
        e.loss_curve_.append(loss)
        if validation_loss is not None:
            e.validation_loss_curve_.append(validation_loss)
        if e.verbose:
            print(f"Iteration {e.n_iter_}, loss = {loss:.8f}")
        if self.score is not None:
            self._note_score(network)
        if not self.restore:
            e._no_improvement_count = e._no_improvement_count + 1 if loss > e.best_loss_ - e.tol else 0
            e.best_loss_ = min(e.best_loss_, loss)
        if self.rate_rule == "invscaling":
            self.schedule.rate = float(e.learning_rate_init) / (e.t_ + 1) ** e.power_t
        if e._no_improvement_count <= e.n_iter_no_change:
            return None
        what = "Validation score" if self.restore else "Training loss"
        message = f"{what} did not improve more than tol={e.tol:f} for {e.n_iter_no_change:d} consecutive epochs."
        return self._stop_or_slow_down(message)

    def _note_score(self, network):
        e = self.estimator
        score = self.score(network)
        e.validation_scores_.append(score)
        if e.verbose:
            print(f"Validation score: {score:f}")
        if self.restore:
            e._no_improvement_count = e._no_improvement_count + 1 if score < e.best_validation_score_ + e.tol else 0
        if score > e.best_validation_score_:
            e.best_validation_score_ = score
            if self.restore:
                self.best = snapshot(network)

    def _stop_or_slow_down(self, message):
        """With the adaptive rate the wait starts anew at a fifth of the rate, down to 1e-6."""
        e = self.estimator
        adaptive = self.rate_rule == "adaptive"
        if adaptive and self.schedule.rate > 1e-6:
            self.schedule.rate /= 5.0
            e._no_improvement_count = 0
            if e.verbose:
                print(f"{message} Setting learning rate to {self.schedule.rate:f}")
            return None
        if e.verbose:
            print(f"{message}{' Learning rate too small.' if adaptive else ''} Stopping.")
        return message

    def state_dict(self, network):
        return {
            "rate": self.schedule.rate, "best_parameters": None if self.best is None else to_layers(network, self.best),
            **{name: getattr(self.estimator, name) for name in _ACCOUNT},
        }

    def load_state_dict(self, network, state):
        for name in _ACCOUNT:
            setattr(self.estimator, name, state[name])
        self.schedule.rate, best = state["rate"], state["best_parameters"]
        self.best = None if best is None else from_layers(network, best)

    def finish(self, network):
        if self.best is not None:
            restore(network, self.best)
