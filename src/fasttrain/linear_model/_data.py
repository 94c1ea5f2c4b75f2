"""What a linear model is fitted to, rows of an array or blocks of a source, behind one set of methods."""

import numpy as np

from fasttrain._estimators.blocks import MomentsOfBoth, PreparedBlocks, held_out_parts
from fasttrain._estimators.data import hold_out, weights_of
from fasttrain._estimators.rows import RowsOf, bind
from fasttrain.data._use import detached
from fasttrain.linear_model._scaled import (
    LossesOfBlocks, LossesOfRows, ScaledObjective, TargetUnits, columns_of, measured_steps, moments_of, units_of,
)
from fasttrain.training.engine import mean_loss
from fasttrain.training.feed import Feed, sums_over
from fasttrain.training.orders import permutations
from fasttrain.training.replicas import ReplicaFeed
from fasttrain.training.sums import objective_of


class ArrayRows:
    """Rows of an array.

    Parameters
    ----------
    estimator : LinearModel
    X : array or RowsOf
    y, weights : arrays
        Weights may be None.

    Attributes
    ----------
    shape, dtype
        Of X.
    target : array of shape (n_samples, n_columns)
        Once :meth:`encode` has been called.
    """

    def __init__(self, estimator, X, y, weights):
        self.estimator = estimator
        self.X, self.y, self.weights = X, y, weights
        self.dtype = X.dtype

    @classmethod
    def of(cls, estimator, X, y, sample_weight):
        """Checked rows with the weights that a caller gave, class weights in them."""
        return cls(estimator, X, y, weights_of(estimator, sample_weight, y, X.dtype))

    @property
    def shape(self):
        return self.X.shape

    def __len__(self):
        return self.X.shape[0]

    def hold_out(self, random_state):
        """(rows to train on, rows to validate with)."""
        e = self.estimator
        kept, held = hold_out(
            self.X, self.y, self.weights, fraction=e.validation_fraction, strata=e._strata(self.y),
            random_state=random_state)
        return ArrayRows(e, *kept), ArrayRows(e, *held)

    def encode(self, loss):
        """Note what the loss wants of y; the loss, with what y tells of it, and the number of outputs."""
        loss, self.target = self.estimator._target(loss, self.y, self.dtype)
        return loss, self.estimator._n_outputs(self.target)

    @property
    def n_columns(self):
        """Columns of the target."""
        return self.target.shape[1]

    def scaled_objective(self, network, loss, penalty, threads):
        """What L-BFGS minimizes."""
        X, weights, target = self.X.copied() if isinstance(self.X, RowsOf) else self.X, self.weights, self.target
        fit_intercept, n_outputs = bool(network.fit_intercept), network_outputs(network)
        units = TargetUnits.of(loss, target, weights, n_outputs, fit_intercept)
        total = float(X.shape[0]) if weights is None else float(weights.sum(dtype=np.float64))
        losses = LossesOfRows(
            X, loss, target if units.bound is None else units.bound, weights, total, fit_intercept, n_outputs)
        return ScaledObjective(
            network, penalty, units, columns_of(X, weights, fit_intercept), total, losses,
            lambda: mean_loss(network, loss, X, target, weights, threads))

    def measured_steps(self, network, loss, fresh):
        """See :func:`fasttrain.linear_model._scaled.measured_steps`."""
        X, weights = self.X, self.weights
        units = TargetUnits.of(loss, self.target, weights, self.n_columns, bool(network.fit_intercept))
        if isinstance(X, RowsOf):
            X, weights = X.matrix, X.spread(np.ones(len(self)) if weights is None else weights)
        return measured_steps(network, loss, units, *moments_of(X, weights), fresh)

    def steps(self, network, batch_size, shuffle, random_state, build):
        """Give the network the rows to make steps on; what the plan has of their order.

        ``build`` makes a network that is told the same as this one.
        """
        X, draw_order = self.X, None
        rows = X.numbers if isinstance(X, RowsOf) else len(self)
        if shuffle and batch_size < len(self):
            draw_order = permutations(rows, random_state)
        elif isinstance(X, RowsOf):
            def draw_order():
                return rows
        network.set_lanes(True)
        bind(network, X, self.target, self.weights)
        return {"draw_order": draw_order}

    def validation_loss(self, network, loss, threads):
        """From nothing to the network's mean loss on these rows."""
        X, target, weights = self.X, self.target, self.weights
        if weights is not None and not weights.any():
            raise ValueError("the validation data must have a row of weight > 0, got zeros only")
        return lambda: mean_loss(network, loss, X, target, weights, threads)


class BlockRows:
    """Blocks of a source, with the methods and attributes of :class:`ArrayRows`.

    Parameters
    ----------
    estimator : LinearModel
    checked : CheckedBlocks
    factors : array of shape (n_classes,) or None
        Class weights.
    part : tuple, optional
        As :class:`PreparedBlocks` takes it.
    """

    def __init__(self, estimator, checked, factors=None, part=None):
        self.estimator = estimator
        self.checked = checked
        self.factors = factors
        self.part = part
        self.dtype = checked.dtype
        self.blocks = PreparedBlocks(checked, lambda y, weights: (y, weights), part)
        self.shape = self.blocks.shape

    def __len__(self):
        return self.shape[0]

    def hold_out(self, random_state):
        parts = held_out_parts(self.estimator.validation_fraction, random_state)
        return tuple(BlockRows(self.estimator, self.checked, self.factors, part) for part in parts)

    def _prepared(self, loss, rescaled=None):
        """The blocks with targets as the loss wants them; ``rescaled`` changes the targets once more."""
        e, dtype, factors = detached(self.estimator), self.dtype, self.factors

        def code(y, weights):
            y = e._check_y(y)
            target = e._target(loss, y, dtype)[1]
            if factors is not None:
                by_class = factors[y].astype(dtype)
                weights = by_class if weights is None else weights * by_class
            return target if rescaled is None else rescaled(target), weights

        return PreparedBlocks(self.checked, code, self.part)

    def encode(self, loss):
        _, y, _ = self.checked.load(self.checked.first)
        y = self.estimator._check_y(y)
        self._loss = loss
        self.blocks = self._prepared(loss)
        loss, target = self.estimator._target(loss, y, self.dtype)
        self.n_columns = target.shape[1]
        return loss, self.estimator._n_outputs(target)

    def _moments(self):
        """:class:`MomentsOfBoth`, found once for each source, dtype and whatever codes the target."""
        facts = self.checked.source.facts
        factors = None if self.factors is None else self.factors.tobytes()
        key = ("moments", str(self.dtype), self.part, factors, repr(self._loss))
        if key not in facts:
            facts[key] = self.blocks.sum_of(MomentsOfBoth.of)
            if not facts[key].features.weight.any():
                raise ValueError("sample_weight must have at least one number > 0, got zeros only")
        return facts[key]

    def _units(self, loss, network):
        found = self._moments().target
        fit_intercept = bool(network.fit_intercept)
        if not loss.is_regression:
            return TargetUnits.of(loss, None, None, network_outputs(network), fit_intercept)
        return TargetUnits.of_moments(loss, found.mean, found.variance, fit_intercept)

    def scaled_objective(self, network, loss, penalty, threads):
        found, units = self._moments().features, self._units(loss, network)
        columns = units_of(found.mean, found.variance, found.low, found.high, bool(network.fit_intercept))
        blocks = self._prepared(self._loss, units.rescaled) if units.rescales else self.blocks

        losses = LossesOfBlocks(network, lambda threads: objective_of(network, sums_over(blocks, network, threads)))
        return ScaledObjective(
            network, penalty, units, columns, float(found.weight.max()), losses,
            lambda: self.blocks.mean_loss(network, loss, threads))

    def measured_steps(self, network, loss, fresh):
        found = self._moments().features
        return measured_steps(network, loss, self._units(loss, network), found.mean, found.variance, fresh)

    def steps(self, network, batch_size, shuffle, random_state, build):
        full = batch_size >= len(self)
        if not full and self.blocks.source.replicas is not None:
            return {"feed": ReplicaFeed(self.blocks, batch_size, shuffle, random_state, build)}
        return {"feed": Feed(self.blocks, batch_size, shuffle, random_state, full=full)}

    def validation_loss(self, network, loss, threads):
        return lambda: self.blocks.mean_loss(network, loss, threads)


def network_outputs(network):
    """Outputs of a linear model's network."""
    return len(network.unpack(network.parameters)[1])


__all__ = ["ArrayRows", "BlockRows"]
