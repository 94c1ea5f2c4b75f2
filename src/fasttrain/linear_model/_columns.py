"""Full-batch linear fits as columns of one matrix product: what estimators give the kernel and take from it."""

import time
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sklearn.base import clone, is_classifier

from fasttrain._core.checks import check_batch_size
from fasttrain._estimators.data import weights_of
from fasttrain._kernels import stacked
from fasttrain._kernels.network import Network
from fasttrain.linear_model._automatic import measures_steps
from fasttrain.linear_model._base import LinearModel
from fasttrain.schedules import ReduceOnPlateau
from fasttrain.training import DivergenceError, FitResult, Stopping, configure
from fasttrain.training.results import diverged

# X is laid out once for all steps where that takes no more than this.
PACKED_BYTES = 1 << 22
# Outputs of a stack: enough of them to be worth laying X out, few enough that their predictions stay in cache.
STACK_OUTPUTS = 64
# What a fit notes of its classes and its features.
_NOTED = ("classes_", "_multilabel", "n_features_in_", "feature_names_in_")


class ColumnsData:
    """X and y as the kernel takes them, checked once for all folds.

    Parameters
    ----------
    model : LinearClassifier or LinearRegressor
        Any of those to be fitted.
    X, y : array-likes
    """

    def __init__(self, model, X, y):
        self.lead = clone(model)
        self.X, self.y = self.lead._check_Xy(X, y, None)
        self.codes = None
        self.classifier = is_classifier(model)
        if self.classifier:
            self.lead._set_classes(self.y)
            self.y = self.lead._check_y(self.y)
            self.codes = None if self.y.ndim == 2 else self.y
        self._packed = {}

    @staticmethod
    def is_able(job, n_rows):
        """Whether a job's fit on so many rows is a column: full-batch steps at rates that are known before."""
        model = job.model
        if model.verbose or model.callbacks is not None:
            return False
        if getattr(model, "class_weight", None) == "balanced" or model.early_stopping is not False:
            return False
        try:
            _, optimizer, _, schedule = job.spec("parameters", LinearModel._check_parameters)
            whole = check_batch_size(model.batch_size, n_rows) == n_rows
        except (ValueError, TypeError):
            return False
        if optimizer.rule == "lbfgs" or measures_steps(model, optimizer) or optimizer.clip_each_norm is not None:
            return False
        return whole and not isinstance(schedule, ReduceOnPlateau)

    @staticmethod
    def data_of(model):
        """What models over one look at X and y have in common."""
        return repr(model.dtype)

    @staticmethod
    def group_of(model):
        """What models in one product have in common."""
        return repr(model.loss), repr(getattr(model, "class_weight", None)), bool(model.fit_intercept)

    def has_all_classes(self, train):
        """Whether the fold's model has the classes of all rows."""
        if not self.classifier:
            return True
        if self.codes is None:
            return False
        return (np.bincount(self.codes[train], minlength=len(self.lead.classes_)) > 0).all()

    def packing(self, fit_intercept):
        """X as the kernel reads it, laid out once for all products; None where that is too large."""
        bytes_needed = 2 * self.X.nbytes * (1 + 16 / self.X.shape[1])
        if bytes_needed > PACKED_BYTES:
            return None
        if fit_intercept not in self._packed:
            self._packed[fit_intercept] = stacked.pack(self.X, fit_intercept)
        return self._packed[fit_intercept]

    def target(self, model, sample_weight):
        """The :class:`ColumnsTarget` of models of one group; ValueError or TypeError where it is refused."""
        lead = clone(model)
        _note(lead, self.lead)
        loss, target = lead._target(lead._loss_spec(), self.y, self.X.dtype)
        weights = weights_of(lead, sample_weight, self.y, self.X.dtype)
        n_outputs, target = lead._n_outputs(target), np.ascontiguousarray(target.T)
        return ColumnsTarget(self, lead, loss, target, weights, n_outputs, bool(lead.fit_intercept))


@dataclass(eq=False)
class ColumnsTarget:
    """y and weights as the kernel takes them, for models with the same loss, class weights and intercept."""

    data: ColumnsData
    lead: LinearModel
    loss: object
    target: np.ndarray
    weights: np.ndarray | None
    n_outputs: int
    fit_intercept: bool

    def __post_init__(self):
        weights = self.weights
        self.total = float(len(self.data.X)) if weights is None else float(weights.sum(dtype=np.float64))

    def train(self, jobs, held, n_threads, tell):
        """Train jobs, ``held`` their folds' held-out rows, some at a time; yields (jobs done, seconds that they took).

        A job whose fit went wrong has ended with its error.
        """
        fits = [(job, self.given(job, held[job.fold])) for job in jobs]
        size = max(1, STACK_OUTPUTS // self.n_outputs)
        n_stacks = -(-len(fits) // size)
        n_stacks = min(len(fits), -(-n_stacks // n_threads) * n_threads)
        edges = [len(fits) * i // n_stacks for i in range(n_stacks + 1)]
        parts = [fits[first:last] for first, last in pairwise(edges)]
        for first in range(0, len(parts), 4 * n_threads):
            start = time.perf_counter()
            wave = parts[first:first + 4 * n_threads]
            stacks = [self.stack([given for _, given in part]) for part in wave]
            stacked.run(stacks, n_threads, tell)
            for stack, part in zip(stacks, wave):
                for i, (job, given) in enumerate(part):
                    self.adopt(job, given, stack, i)
            yield [job for part in wave for job, _ in part], time.perf_counter() - start

    def stack(self, given):
        """The kernel's stack of several fits, each as :meth:`given` tells of it."""
        return stacked.Stack(
            self.data.X, self.target, self.weights, self.loss.name, self.loss.parameter, self.n_outputs,
            self.fit_intercept, given, self.data.packing(self.fit_intercept))

    def given(self, job, held):
        """What the kernel is told of a job that does not see the rows ``held``."""
        model, weights = job.model, self.weights
        _, optimizer, penalty, schedule = job.spec("parameters", LinearModel._check_parameters)
        rates = job.spec("rates", lambda model: _rates(model, optimizer, schedule))
        seen = self.total - (len(held) if weights is None else float(weights[held].sum(dtype=np.float64)))
        return {
            "rule": optimizer.rule, "slots": optimizer.slots, "settings": optimizer.settings(),
            "initial_state": optimizer.initial_state, "l1": penalty.l1, "l2": penalty.l2,
            "rates": rates, "held": held,
            "tol": -np.inf if model.tol is None else float(model.tol), "patience": int(model.n_iter_no_change),
            "scale": 1.0 / seen if seen > 0 else 0.0,
        }

    def adopt(self, job, given, stack, i):
        """Make a job's estimator what its own fit would make it; ends the job where that would have failed."""
        model, rates = job.model, given["rates"]
        n_iter, status = stack.n_iter(i), stack.status(i)
        if status == stacked.DIVERGED:
            at = min(n_iter, len(rates) - 1)
            job.finish(diverged(at + 1, rates[at], stack.weights[i]))
            return
        _note(model, self.lead)
        _, optimizer, penalty, schedule = job.spec("parameters", LinearModel._check_parameters)
        X = self.data.X
        network = Network(X.shape[1], self.n_outputs, X.dtype, bool(model.fit_intercept))
        configure(network, self.loss, optimizer, penalty)
        network.parameters[:] = _packed(network, stack.weights[i])
        for slot, values in stack.states[i].items():
            network.state[slot][:] = _packed(network, values)
        network.counters = {"t": float(n_iter), "carried": stack.carried(i)}
        settled = status == stacked.SETTLED
        message = f"stopped after n_epochs={model.max_iter}"
        if settled:
            message = Stopping(model.tol, model.n_iter_no_change).message(validated=False)
        result = FitResult(
            {"loss": stack.histories[i][:n_iter].tolist(), "learning_rate": rates[:n_iter].tolist()}, n_iter, n_iter,
            settled, False, message,
        )
        try:
            model._set_fitted(network, result, False, model._advice(optimizer, schedule, result))
        except DivergenceError as error:
            job.finish(error)
            return
        model._warn_unless_settled()


def _note(model, lead):
    for name in _NOTED:
        if hasattr(lead, name):
            setattr(model, name, getattr(lead, name))


def _rates(model, optimizer, schedule):
    """The learning rate of each epoch, which is one step."""
    base = model._learning_rate(optimizer)
    if base is None:
        base = optimizer.learning_rate
    return np.ascontiguousarray(schedule.rates(base, 0, model.max_iter, 1, model.max_iter), dtype=np.float64)


def _packed(network, values):
    """Rows of a stack, the intercepts last, in the engine's layout."""
    if network.fit_intercept:
        return network.pack(values[:, :-1], values[:, -1])
    return network.pack(values, np.zeros(len(values), values.dtype))

