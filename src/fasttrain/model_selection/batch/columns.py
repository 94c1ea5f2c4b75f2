"""The part of a batch that is full-batch linear: folds and candidates are columns of one matrix product."""

import time
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sklearn.base import clone

from fasttrain._core.checks import check_batch_size
from fasttrain._kernels import stacked
from fasttrain._kernels.network import Network
from fasttrain._kernels.threads import thread_budget
from fasttrain.linear_model import LinearClassifier, LinearRegressor
from fasttrain.linear_model._base import LinearModel
from fasttrain.model_selection.batch.folds import gathered, sites_of, transformed
from fasttrain.schedules import ReduceOnPlateau
from fasttrain.training import FitResult, Stopping, configure
from fasttrain.training.results import diverged


# Outputs of a stack: enough of them to be worth laying X out, few enough that their predictions stay in cache.
STACK_OUTPUTS = 64
# X is laid out once for all steps where that takes no more than this.
PACKED_BYTES = 1 << 22


@dataclass(eq=False)
class _Fit:
    """A job with its specs and what the kernel is told about it."""

    job: object
    loss: object
    optimizer: object
    penalty: object
    given: dict


class _Data:
    """X and y as the kernel takes them, checked once for all folds."""

    def __init__(self, batch, model, X):
        self.lead = clone(model)
        self.X, self.y = self.lead._check_Xy(X, batch.y, None)
        self.classifier = isinstance(model, LinearClassifier)
        if self.classifier:
            self.lead._set_classes(self.y)
            self.lead._check_y(self.y)
            self.codes = None if self.y.ndim == 2 else np.searchsorted(self.lead.classes_, self.y)
        self.packed = {}

    def has_all_classes(self, train):
        """Whether the fold's model has the classes of all rows."""
        if not self.classifier:
            return True
        if self.codes is None:
            return False
        return (np.bincount(self.codes[train], minlength=len(self.lead.classes_)) > 0).all()

    def packing(self, fit_intercept):
        bytes_needed = 2 * self.X.nbytes * (1 + 16 / self.X.shape[1])
        if bytes_needed > PACKED_BYTES:
            return None
        if fit_intercept not in self.packed:
            self.packed[fit_intercept] = stacked.pack(self.X, fit_intercept)
        return self.packed[fit_intercept]


def run(batch, jobs):
    """Fit and score the full-batch linear models among ``jobs``; the others are returned."""
    left, able = [], []
    for job in jobs:
        (able if _is_able(batch, job) else left).append(job)
    plain, changed = sites_of(able)
    found = {}
    for site in plain:
        for job in site.jobs:
            found.setdefault(repr(job.model.dtype), []).append(job)
    for group in found.values():
        left += _run_jobs(batch, group, batch.X)
    for site in changed:
        try:
            X = transformed(batch, site, merged=True)
        except Exception:
            # a fold's own fit meets it again, or does not, where only held-out rows are at fault
            left += site.jobs
            continue
        for job in site.jobs:
            job.steps = site.fitted
        rest = _run_jobs(batch, site.jobs, X)
        for job in rest:
            job.steps = []
        left += rest
    return left


def _is_able(batch, job):
    model = job.model
    if type(model) not in (LinearClassifier, LinearRegressor) or model.verbose or model.callbacks is not None:
        return False
    if getattr(model, "class_weight", None) == "balanced" or model.early_stopping is not False:
        return False
    try:
        _, optimizer, _, schedule = job.spec("parameters", LinearModel._check_parameters)
        train = batch.folds[job.fold][0]
        whole = check_batch_size(model.batch_size, len(train)) == len(train)
    except (ValueError, TypeError):
        return False
    return whole and optimizer.rule != "lbfgs" and not isinstance(schedule, ReduceOnPlateau)


def _run_jobs(batch, jobs, X):
    """Jobs over the same rows; those that cannot be stacked are returned."""
    try:
        data = _Data(batch, jobs[0].model, X)
    except (ValueError, TypeError):
        # whichever fold it is that the data are wrong in, its own fit says so
        return jobs
    left, groups = [], {}
    held, able = {}, {}
    for job in jobs:
        if job.fold not in held:
            held[job.fold], able[job.fold] = _held_out(batch.folds[job.fold][0], data)
        if not able[job.fold]:
            left.append(job)
            continue
        model = job.model
        key = (repr(model.loss), repr(getattr(model, "class_weight", None)), bool(model.fit_intercept))
        groups.setdefault(key, []).append(job)
    for group in groups.values():
        left += _run_group(batch, group, data, held)
    return left


def _held_out(train, data):
    """The rows that a fold does not see, and whether it can be stacked: each row once, all classes there."""
    counts = np.bincount(train, minlength=len(data.X))
    return np.flatnonzero(counts == 0).astype(np.int64), bool(counts.max() == 1 and data.has_all_classes(train))


def _run_group(batch, jobs, data, held):
    """Jobs with the same loss, weights and intercept."""
    lead = clone(jobs[0].model)
    for name in ("classes_", "_multilabel", "n_features_in_", "feature_names_in_"):
        if hasattr(data.lead, name):
            setattr(lead, name, getattr(data.lead, name))
    try:
        loss, target = lead._target(lead._loss_spec(), data.y, data.X.dtype)
        weights = lead._weights(batch.weights, data.y, data.X.dtype)
    except (ValueError, TypeError):
        return jobs
    if weights is not None and any(not np.delete(weights, held[job.fold]).any() for job in jobs):
        # a fold without weight is for its own fit to refuse
        return jobs
    n_outputs = lead._n_outputs(target)
    total = float(len(data.X)) if weights is None else float(weights.sum(dtype=np.float64))
    fits = [_fit_of(job, data, weights, total, held[job.fold]) for job in jobs]
    target = np.ascontiguousarray(target.T)
    fit_intercept = bool(lead.fit_intercept)
    size = max(1, STACK_OUTPUTS // n_outputs)
    n_stacks = -(-len(fits) // size)
    n_stacks = min(len(fits), -(-n_stacks // batch.n_threads) * batch.n_threads)
    edges = [len(fits) * i // n_stacks for i in range(n_stacks + 1)]
    parts = [fits[first:last] for first, last in pairwise(edges)]
    for first in range(0, len(parts), 4 * batch.n_threads):
        start = time.perf_counter()
        wave = parts[first:first + 4 * batch.n_threads]
        stacks = [
            stacked.Stack(data.X, target, weights, loss.name, loss.parameter, n_outputs, fit_intercept,
                          [fit.given for fit in part], data.packing(fit_intercept))
            for part in wave
        ]
        with thread_budget(batch.n_threads) as n_threads:
            stacked.run(stacks, n_threads, batch.tell)
        done = [fit for part in wave for fit in part]
        for stack, part in zip(stacks, wave):
            for i, fit in enumerate(part):
                _adopt(fit, stack, i, data, lead, loss, n_outputs)
        share = (time.perf_counter() - start) / len(done)
        rows = gathered(data.X)
        for fit in sorted(done, key=lambda fit: fit.job.fold):
            fit.job.outcome.fit_time = share
            if not fit.job.done:
                batch.score(fit.job, rows)
        batch.tell()
    return []


def _fit_of(job, data, weights, total, held):
    model = job.model
    loss, optimizer, penalty, schedule = job.spec("parameters", LinearModel._check_parameters)
    rates = job.spec("rates", lambda model: _rates(model, optimizer, schedule))
    seen = total - (len(held) if weights is None else float(weights[held].sum(dtype=np.float64)))
    return _Fit(job, loss, optimizer, penalty, {
        "rule": optimizer.rule, "slots": optimizer.slots, "settings": optimizer.settings(),
        "initial_state": optimizer.initial_state, "l1": penalty.l1, "l2": penalty.l2,
        "rates": rates, "held": held,
        "tol": -np.inf if model.tol is None else float(model.tol), "patience": int(model.n_iter_no_change),
        "scale": 1.0 / seen if seen > 0 else 0.0,
    })


def _rates(model, optimizer, schedule):
    """The learning rate of each epoch, which is one step."""
    base = model._learning_rate(optimizer)
    if base is None:
        base = optimizer.learning_rate
    return np.ascontiguousarray(schedule.rates(base, 0, model.max_iter, 1, model.max_iter), dtype=np.float64)


def _adopt(fit, stack, i, data, lead, loss, n_outputs):
    """A job's estimator as its own fit would leave it."""
    job, model, rates = fit.job, fit.job.model, fit.given["rates"]
    n_iter, status = stack.n_iter(i), stack.status(i)
    if status == stacked.DIVERGED:
        at = min(n_iter, len(rates) - 1)
        job.finish(diverged(at + 1, rates[at], stack.weights[i]))
        return
    for name in ("classes_", "_multilabel", "n_features_in_", "feature_names_in_"):
        if hasattr(lead, name):
            setattr(model, name, getattr(lead, name))
    network = Network(data.X.shape[1], n_outputs, data.X.dtype, bool(model.fit_intercept))
    configure(network, loss, fit.optimizer, fit.penalty)
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
    model._set_fitted(network, result, False)
    model._warn_unless_settled(result, stacklevel=2)


def _packed(network, values):
    """Rows of a stack, the intercepts last, in the engine's layout."""
    if network.fit_intercept:
        return network.pack(values[:, :-1], values[:, -1])
    return network.pack(values, np.zeros(len(values), values.dtype))
