"""Per-sample descent over the blocks of a source: an epoch is a pass in an order of blocks, and of rows among some."""

import math
import time

import numpy as np
from fasttrain._estimators.blocks import CheckedBlocks, PreparedBlocks, held_out_parts
from fasttrain.data import Blocks
from fasttrain.linear_model._descents import Problem, Trained, candidate, rows_of, train
from fasttrain.training.feed import Feed


class Model:
    """One of the models of a fit, between the parts of its epochs.

    Parameters
    ----------
    start : tuple
        ``(coef, intercept, average_coef, average_intercept)``.
    target : callable
        From what the blocks have as target to this model's, in the kernels' form.
    weights : tuple of float
        Factors of the steps on rows of target 1 and of the others.
    """

    def __init__(self, estimator, start, target, weights):
        self.start = start
        self.target = target
        self.weights = weights
        self.eta = float(estimator.eta0)
        self.curve, self.scores = [], []
        self.objective, self.best, self.waited = 0.0, None, 0
        self.converged = False

    def candidate(self, estimator):
        found = candidate(estimator, 1, *self.weights)
        # the epochs are counted here, and a rule of stopping would see a part of one
        return found | {"eta0": self.eta, "tol": -math.inf}

    def end_epoch(self, estimator, on_score):
        """Note whether the model has converged, and slow it down where it should be, by the kernel's rules."""
        value = self.scores[-1] if on_score else -self.curve[-1]
        best = -math.inf if self.best is None else self.best
        worse = estimator.tol is not None and value < best + float(estimator.tol)
        self.best = max(best, value)
        self.waited = self.waited + 1 if worse else 0
        if self.waited >= estimator.n_iter_no_change:
            self.waited = 0
            if estimator.learning_rate != "adaptive" or self.eta <= 1e-6:
                self.converged = True
            else:
                self.eta /= 5

    def trained(self):
        coef, intercept, average_coef, average_intercept = self.start
        return Trained(coef, intercept, average_coef, average_intercept, len(self.curve), self.curve, self.scores)


def train_blocks(estimator, blocks, models, max_iter, t, n_threads, validation, score, random_state):
    """Train models on blocks that give (X, target, weights).

    Parameters
    ----------
    estimator : StochasticLinear
    blocks : PreparedBlocks
    models : list of Model
    max_iter : int
        Epochs at most.
    t : float
        Number of the first step.
    n_threads : int or None
    validation : iterable over blocks as ``blocks`` gives them, or None
        Its ``stream`` is read after each epoch.
    score : callable
        From (models, validation) to the score of each model.
    random_state : RandomState

    Returns
    -------
    list of Trained
    """
    if blocks.source.replicas is not None:
        kind = type(estimator).__name__
        raise ValueError(
            f"n_replicas must be None for {kind}, whose steps are of single rows: take "
            f"{kind.replace('SGD', 'Linear')} with optimizer='sgd', or strategy='sequential'; got "
            f"{blocks.source.replicas.n}")
    feed = Feed(blocks, 1, bool(estimator.shuffle), random_state)
    on_score = bool(estimator.early_stopping) and validation is not None
    began = time.perf_counter()
    for epoch in range(max_iter):
        active = [model for model in models if not model.converged]
        done = 0
        stream = feed.parts()
        try:
            for rows in stream:
                _train_part(estimator, rows, active, t + epoch * len(blocks) + done, n_threads)
                done += rows.n_rows
        finally:
            stream.close()
        for model in active:
            model.curve.append(model.objective / done)
            model.objective = 0.0
        if validation is not None:
            for model, value in zip(active, score(active, validation)):
                model.scores.append(float(value))
        if estimator.verbose > 0:
            seconds = time.perf_counter() - began
            print(f"-- Epoch {epoch + 1}\nObjective: {np.mean([model.curve[-1] for model in active]):f}, "
                  f"{done * (epoch + 1) / seconds:.3g} rows a second, {seconds:.2f} seconds.")
        for model in active:
            model.end_epoch(estimator, on_score)
        if all(model.converged for model in active):
            break
    return [model.trained() for model in models]


def _train_part(estimator, rows, models, t, n_threads):
    """One pass over some rows, from where the models are."""
    X, target, weights = rows.arrays
    order = np.arange(rows.n_rows) if rows.order is None else rows.order
    order = order.astype(np.int32)
    kernel_rows = rows_of(X)
    options = estimator.descent_options(X, t) | {"shuffle": False, "pause_each_epoch": False}
    problems = [
        Problem(
            kernel_rows, np.ascontiguousarray(model.target(target)), estimator.loss, 1, [model.candidate(estimator)],
            [model.start], weights, rows=order, options=options)
        for model in models
    ]
    for model, [found] in zip(models, train(problems, n_threads)):
        average = model.start[2:] if found.average_coef is None else (found.average_coef, found.average_intercept)
        model.start = found.coef, found.intercept, *average
        model.objective += found.loss_curve[0] * rows.n_rows


def checked_source(estimator, source, reset, y_numeric):
    """The blocks of a source as the kernels take them."""
    trained = getattr(estimator, "coef_", None)
    dtype = [np.float64, np.float32] if reset or trained is None else trained.dtype
    return CheckedBlocks(
        estimator, source, dtype, reset, y_numeric=y_numeric, accept_sparse="csr", accept_large_sparse=True)


def split_source(estimator, checked, code, X_val, y_val, random_state, partial):
    """(blocks to train on, rows to validate with or None)."""
    if isinstance(X_val, Blocks):
        if y_val is not None:
            raise ValueError("y_val must be left out where X_val is a source of blocks, which has its own")
        own = CheckedBlocks(estimator, X_val, checked.dtype, False, **checked.options)
        return PreparedBlocks(checked, code), PreparedBlocks(own, code)
    if X_val is not None or y_val is not None:
        validation = estimator._check_validation(X_val, y_val, checked.dtype, y_numeric=checked.options["y_numeric"])
        return PreparedBlocks(checked, code), _Array(validation[0], code(validation[1], None)[0])
    if estimator.early_stopping and not partial:
        kept, held = held_out_parts(estimator.validation_fraction, random_state)
        return PreparedBlocks(checked, code, kept), PreparedBlocks(checked, code, held)
    return PreparedBlocks(checked, code), None


class _Array:
    """Validation rows of an array, as blocks."""

    def __init__(self, X, target):
        self.block = X, target, None

    def stream(self):
        return iter([self.block])


__all__ = ["Model", "checked_source", "split_source", "train_blocks"]
