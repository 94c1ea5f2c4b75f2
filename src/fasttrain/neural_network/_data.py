"""What a perceptron is fitted to, rows of an array or blocks of a source, behind one set of methods."""

import numpy as np

from fasttrain._estimators.blocks import PreparedBlocks, held_out_parts
from fasttrain._estimators.data import hold_out
from fasttrain._estimators.rows import RowsOf, bind
from fasttrain.data._use import detached
from fasttrain.training import Reshuffling, permutations
from fasttrain.training.engine import mean_loss, raw_predict
from fasttrain.training.feed import Feed, sums_over
from fasttrain.training.lbfgs import Objective
from fasttrain.training.replicas import ReplicaFeed
from fasttrain.training.sums import objective_of


class ArrayRows:
    """Rows of an array.

    Parameters
    ----------
    estimator : MultilayerPerceptron
    X : array, CSR matrix or RowsOf
    target : array
        As the engine has it.
    weights : array or None
    """

    def __init__(self, estimator, X, target, weights):
        self.estimator = estimator
        self.X, self.target, self.weights = X, target, weights
        self.n_samples, self.n_features = X.shape
        self.dtype = X.dtype

    def hold_out(self, random_state):
        """(rows to train on, rows to validate with)."""
        e = self.estimator
        kept, held = hold_out(
            self.X, self.target, self.weights, fraction=e.validation_fraction, strata=e._strata(self.target),
            random_state=random_state)
        return ArrayRows(e, *kept), ArrayRows(e, *held)

    def objective(self, network):
        """(what L-BFGS minimizes, None for the network's own; a number that the loss gains)."""
        X = self.X.copied() if isinstance(self.X, RowsOf) else self.X
        bind(network, X, self.target, self.weights)
        constant = self.estimator._loss_constant(X, self.target, self.weights, self.n_samples)
        return None, 0.0 if constant is None else constant(None)

    def steps(self, network, batch_size, shuffle, random_state, builder, afresh=False, alone=False):
        """Give the network the rows to make steps on; what the plan has of their order, and the loss's constant.

        ``builder`` gives what makes a network that is told the same as this one; ``afresh`` says that an order is drawn
        from the rows as they stand, and not from the last one, ``alone`` that the generator is seen by nobody else.
        """
        X = self.X
        bind(network, X, self.target, self.weights)
        rows = X.numbers if isinstance(X, RowsOf) else self.n_samples
        draw_order = (permutations if afresh else Reshuffling)(rows, random_state, alone) if shuffle else None
        if not shuffle and isinstance(X, RowsOf):
            def draw_order():
                return rows
        return {"draw_order": draw_order}, self.estimator._loss_constant(X, self.target, self.weights, batch_size)

    def mean_loss(self, network, loss, threads):
        """The network's weighted mean loss on these rows."""
        return mean_loss(network, loss, self.X, self.target, self.weights, threads)

    def raw(self, network, threads):
        """(raw predictions, targets, weights) of these rows."""
        return raw_predict(network, self.X, threads), self.target, self.weights


class BlockRows:
    """Blocks of a source, with the methods and attributes of :class:`ArrayRows`.

    Parameters
    ----------
    estimator : MultilayerPerceptron
    checked : CheckedBlocks
    code : callable
        From y and weights to the engine's target and weights.
    part : tuple, optional
        As :class:`PreparedBlocks` takes it.
    """

    def __init__(self, estimator, checked, code, part=None):
        self.estimator = estimator
        self.checked, self.code = checked, code
        self.blocks = PreparedBlocks(checked, code, part)
        self.n_samples, self.n_features = self.blocks.shape
        self.dtype = checked.dtype

    def hold_out(self, random_state):
        parts = held_out_parts(self.estimator.validation_fraction, random_state)
        return tuple(BlockRows(self.estimator, self.checked, self.code, part) for part in parts)

    def objective(self, network):
        constant, e = 0.0, detached(self.estimator)

        def constants(block):
            _, target, weights = block
            total = float(len(target)) if weights is None else float(weights.sum(dtype=np.float64))
            return np.array([e._loss_constant(None, target, weights, len(target))(None) * total, total])

        if e._loss_constant(None, np.ones((1, 1)), None, 1) is not None:
            value, total = self.blocks.sum_of(constants)
            constant = float(value / total)
        return BlockObjective(network, self.blocks), constant

    def steps(self, network, batch_size, shuffle, random_state, builder, afresh=False, alone=False):
        e = detached(self.estimator)

        def constant(arrays, order):
            taken = slice(None) if order is None else order
            weights = None if arrays[2] is None else arrays[2][taken]
            return e._loss_constant(None, arrays[1][taken], weights, batch_size)(None)

        has_constant = e._loss_constant(None, np.ones((1, 1)), None, 1) is not None
        constant = constant if has_constant else None
        if self.blocks.source.replicas is not None and batch_size < self.n_samples:
            feed = ReplicaFeed(self.blocks, batch_size, bool(shuffle), random_state, builder(), constant)
        else:
            feed = Feed(self.blocks, batch_size, bool(shuffle), random_state, loss_constant=constant)
        return {"feed": feed}, None

    def mean_loss(self, network, loss, threads):
        return self.blocks.mean_loss(network, loss, threads)

    def raw(self, network, threads):
        raw, targets, weights = [], [], []
        for X, target, weight in self.blocks.stream():
            raw.append(raw_predict(network, X, threads))
            targets.append(target)
            weights.append(weight)
        return (
            np.concatenate(raw), np.concatenate(targets), None if weights[0] is None else np.concatenate(weights))


class BlockObjective(Objective):
    """A network's mean loss plus penalty over the blocks of a source."""

    def __init__(self, network, blocks):
        super().__init__(network)
        self.blocks = blocks

    def value_and_gradient(self, x, threads):
        self.put(x)
        return objective_of(self.network, sums_over(self.blocks, self.network, threads))


__all__ = ["ArrayRows", "BlockRows"]
