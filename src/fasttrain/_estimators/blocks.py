"""Sources of blocks in the place of X: their checks, what a first pass finds, and the methods that take them.

A block's way to the engine is ``check`` (as one array's: dtype, layout, finiteness, width), then ``code`` (targets as
the loss wants them, class weights in the weights). What is wrong with a block is said with the place where it lies.
"""

from __future__ import annotations

import inspect
from functools import wraps

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.sparsefuncs import mean_variance_axis, min_max_axis
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import column_or_1d

from fasttrain._core.checks import check_rows, check_weights
from fasttrain._core.types import Array, ArrayLike, MatrixLike
from fasttrain._estimators.data import dense, validated
from fasttrain._estimators.fitted import all_or_nothing
from fasttrain._tables.frames import named
from fasttrain._tables.moments import column_extremes, column_moments, merge_moments
from fasttrain.data import Blocks, from_dask
from fasttrain.data._blocks import MappedBlocks
from fasttrain.data._parts import Share
from fasttrain.data._dask import is_collection
from fasttrain.data._use import (
    BlockKind, at_block, at_cell, block_rows, blocks_with_rows, detached, first_block, lazily, predicts,
    refuse_beside_source, stream,
)
from fasttrain.training.sums import LossSums


# ---- blocks as arrays that have been checked ----


class CheckedBlocks:
    """The blocks of a source as (X, y, sample weights or None), checked as an estimator checks arrays.

    Parameters
    ----------
    estimator : estimator
        Told the width of X by the first block that has rows when ``reset``.
    source : Blocks
    dtype : dtype or list of dtypes
        What X is left in; of a list the first block's, if it is there, is that of all.
    reset : bool
    needs_y : bool, default=True
    one_output : bool, default=False
        Whether a y of several columns is refused.
    keep_column : bool, default=False
        Whether a y of shape (n_rows, 1) stays one of two axes.
    options
        Those of scikit-learn's ``validate_data``.

    Attributes
    ----------
    dtype, shape
        Of X; how many rows there are is not known here.
    sparse : bool
        Whether X is a CSR matrix.
    first : int
        Number of the first block that has a row.
    """

    def __init__(self, estimator, source, dtype, reset, needs_y=True, one_output=False, keep_column=False, **options):
        self.estimator = estimator
        self.source = source
        self.needs_y = needs_y
        self.one_output = one_output
        self.keep_column = keep_column
        self.options = options
        self.dtype = dtype
        self.first, block = first_block(source)
        self._kind = None
        checked = self._checked(self.first, block, reset)
        self._kind = BlockKind(source, self.first, checked)
        X = checked[0]
        self.dtype = X.dtype
        self.sparse = sparse.issparse(X)
        self.n_features = X.shape[1]
        self.shape = (None, self.n_features)

    def _checked(self, i, block, reset):
        X, y, weights = block
        with at_block(self.source, i, X, y, weights):
            if y is None and self.needs_y:
                raise ValueError("the block has no y; a source of features alone is for predict and transform")
            if y is None:
                y = np.zeros(X.shape[0])
            X, y = validated(self.estimator, X, y, reset=reset, dtype=self.dtype, **self.options)
            X = check_rows(X)
            y = dense(y)
            if y.ndim == 2 and (self.one_output or (y.shape[1] == 1 and not self.keep_column)):
                y = column_or_1d(y)
            if weights is not None:
                weights = check_weights(weights, X.shape[0], X.dtype, all_zero=True)
            if self._kind is not None:
                self._kind.require((X, y, weights))
        return X, y, weights

    def load(self, i, out=None):
        """Block ``i``, checked; X in ``out``, an array of its shape and type, where the source can write it there."""
        block = self.source.block(i) if out is None else self.source.block_into(i, out)
        return self._checked(i, block, False)

    def prepare(self, i, block):
        """Block ``i``, checked, from that of the source before any map."""
        return self._checked(i, self.source.applied(i, block), False)

    def __getstate__(self):
        return {**vars(self), "estimator": detached(self.estimator)}


class PreparedBlocks:
    """Blocks as the engine takes them: (X, target, weights or None) and whatever else ``code`` adds.

    Parameters
    ----------
    checked : CheckedBlocks
    code : callable
        From y and weights of checked rows to (target, weights), or more.
    part : Share, optional
        Only rows that are held out, or only the others.

    Attributes
    ----------
    rows : list of int
        Of each block.
    shape, dtype
        Of X of all blocks.
    """

    def __init__(self, checked, code, part=None):
        self.checked = checked
        self.source = checked.source
        self.code = code
        self.part = part
        self.dtype = checked.dtype
        whole = block_rows(checked.source)
        self.rows = whole if part is None else [part.count(n, i) for i, n in enumerate(whole)]
        self.shape = (sum(self.rows), checked.n_features)
        if not self.shape[0]:
            raise ValueError(
                f"validation_fraction={part.share} of the rows of each block, {sum(whole)} in all, leaves none to "
                f"{'validate with' if part.held else 'train on'}")

    def __len__(self):
        return self.shape[0]

    @property
    def like(self):
        """(columns, type) of X where a block's may be written elsewhere as it is read; None where not."""
        whole = self.part is None and not self.checked.sparse
        return (self.shape[1], self.dtype) if whole else None

    def load(self, i, out=None):
        """Block ``i``; X in ``out`` where that is possible, see :attr:`like`."""
        return self._coded(i, *self.checked.load(i, out))

    def prepare(self, i, block):
        """Block ``i`` from that of the source before any map."""
        return self._coded(i, *self.checked.prepare(i, block))

    def sum_of(self, function, tell=None):
        """The sum of a function of each block that has a row; ``tell`` is called with the number of rows done."""
        done = 0

        def tell_rows(i):
            nonlocal done
            done += self.rows[i]
            tell(done)

        numbers = [i for i, n in enumerate(self.rows) if n]
        return self.source.sum_of(self, function, numbers, None if tell is None else tell_rows)

    def _coded(self, i, X, y, weights):
        if self.part is not None:
            taken = self.part.rows(X.shape[0], i)
            X, y, weights = X[taken], y[taken], None if weights is None else weights[taken]
        with at_block(self.source, i):
            return (X, *self.code(y, weights))

    def stream(self):
        """All blocks that have a row, in their order."""
        return stream(self.source, self.load, [i for i, n in enumerate(self.rows) if n])

    def mean_loss(self, network, loss, threads):
        """Weighted mean over all rows of the network's loss, its outputs' losses added up."""
        value, total = self.sum_of(LossSums(network, threads, loss))
        if total <= 0:
            raise ValueError("sample_weight must have at least one number > 0, got zeros only")
        return float(value / total)


def held_out_parts(fraction, random_state):
    """The ``part`` of rows to train on and that of rows to validate with."""
    seed = int(random_state.randint(np.iinfo(np.int32).max))
    return Share(fraction, seed, False), Share(fraction, seed, True)


# ---- what a first pass finds ----


class Labels:
    """Distinct labels, or distinct rows of labels' columns, with how many rows have each."""

    def __init__(self, values, counts):
        self.values = values
        self.counts = counts

    @classmethod
    def of(cls, y):
        return cls(*np.unique(y, return_counts=True))

    def __add__(self, other):
        values, places = np.unique(np.concatenate([self.values, other.values]), return_inverse=True)
        counts = np.zeros(len(values), dtype=np.int64)
        np.add.at(counts, places, np.concatenate([self.counts, other.counts]))
        return Labels(values, counts)


class Moments:
    """Weight, mean, variance and extremes of columns; with ``+`` those of both sets of rows.

    Extremes are those of rows of weight > 0.
    """

    def __init__(self, weight, mean, variance, low, high):
        self.weight = weight
        self.mean = mean
        self.variance = variance
        self.low = low
        self.high = high

    @classmethod
    def of(cls, X, weights):
        given = None if weights is None else np.ascontiguousarray(weights, dtype=np.float64)
        present = X if weights is None or weights.all() else X[weights > 0]
        if sparse.issparse(X):
            # what a CSR matrix does not hold is 0
            mean, variance, weight = mean_variance_axis(X.astype(np.float64), 0, given, return_sum_weights=True)
            weight = np.broadcast_to(weight, mean.shape)
            low, high = min_max_axis(present, axis=0) if present.shape[0] else np.full((2, len(mean)), np.nan)
            return cls(weight, mean, variance, low.astype(np.float64), high.astype(np.float64))
        weight, mean, squares = column_moments(X, given)
        low, high = column_extremes(present)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return cls(weight, mean, squares / weight, low.astype(np.float64), high.astype(np.float64))

    def __add__(self, other):
        with np.errstate(over="ignore", invalid="ignore"):
            moments = merge_moments(
                self.weight, self.mean, self.variance, other.weight, other.mean, other.variance * other.weight)
        return Moments(*moments, np.fmin(self.low, other.low), np.fmax(self.high, other.high))


class MomentsOfBoth:
    """:class:`Moments` of the columns of X and of those of the target."""

    def __init__(self, features, target):
        self.features = features
        self.target = target

    @classmethod
    def of(cls, block):
        X, target, weights = block
        return cls(Moments.of(X, weights), Moments.of(target, weights))

    def __add__(self, other):
        return MomentsOfBoth(self.features + other.features, self.target + other.target)


def labels_of(checked):
    """:class:`Labels` of the y of all blocks, found once for each source."""
    source = target_source(checked.source)
    if "labels" not in source.facts:
        def labels(i, y):
            if y is None:
                raise ValueError(f"{source.where(i)}: the block has no y")
            y = np.asarray(y)
            if y.ndim != 1 and not (y.ndim == 2 and y.shape[1] == 1):
                raise ValueError(f"{source.where_of('y', i)}: y must hold one class a row, got shape {y.shape}")
            if y.dtype.kind == "f" and not (np.isfinite(y).all() and (y == np.round(y)).all()):
                bad = int(np.flatnonzero(~(np.isfinite(y) & (y == np.round(y))).ravel())[0])
                raise ValueError(f"{source.where_of('y', i, bad)}: y must hold classes, got {y.ravel()[bad]}")
            return Labels.of(y.astype(str) if y.dtype.kind == "O" else y)

        source.facts["labels"] = source.sum_of_targets(labels)
    return source.facts["labels"]


def target_source(source):
    """The source whose y this one has: classes are those of its file whatever is done to X."""
    while isinstance(source, MappedBlocks) and source.y_function is None:
        source = source.source
    return source


def class_weight_factors(class_weight, labels):
    """Factor of the weights of each class's rows, as scikit-learn's ``compute_class_weight`` has them."""
    if isinstance(class_weight, str) and class_weight == "balanced":
        return labels.counts.sum() / (len(labels.values) * labels.counts)
    factors = compute_class_weight(class_weight, classes=labels.values, y=labels.values)
    if (factors < 0).any() or not factors.any():
        raise ValueError(f"class_weight must hold numbers >= 0 that leave a row of weight > 0, got {class_weight!r}")
    return factors


# ---- methods that take a source ----


def learns(method):
    """Method decorator for ``fit`` and ``partial_fit``: a source in the place of X, and then no y and no weights.

    A source of one block is what its arrays are. Of several, ``_fit_blocks(source, name, **arguments)`` of the
    estimator is told the method's name and the arguments that are left.
    """
    signature = inspect.signature(method)

    @wraps(method)
    def taking(self, X, y=None, *args, **kwargs):
        if isinstance(X, Blocks) or is_collection(X):
            return _learn(self, method, signature, X, y, args, kwargs)
        return method(self, X, y, *args, **kwargs)

    return taking


def restored_learns(method):
    """:func:`learns` of a :func:`fasttrain._estimators.fitted.restored` method, in one."""
    signature = inspect.signature(method)

    @wraps(method)
    def taking(self, X, y=None, *args, **kwargs):
        with all_or_nothing(self):
            if isinstance(X, Blocks) or is_collection(X):
                return _learn(self, method, signature, X, y, args, kwargs)
            return method(self, X, y, *args, **kwargs)

    return taking


def restored_rows(why):
    """Method decorator: :func:`fasttrain._estimators.fitted.restored`, and of a source of blocks a refusal that says
    why and what to do."""

    def decorator(method):
        @wraps(method)
        def whole(self, X, *args, **kwargs):
            if isinstance(X, Blocks):
                raise TypeError(
                    f"X must be an array for {type(self).__name__}, got a source of blocks: {why}, or put its blocks "
                    "together with numpy.concatenate([b.X for b in source])")
            if is_collection(X):
                raise TypeError(
                    f"X must be an array for {type(self).__name__}, got a Dask collection: {why}, or take its rows "
                    "together with X.compute()")
            with all_or_nothing(self):
                return method(self, X, *args, **kwargs)

        return whole

    return decorator


def _learn(estimator, method, signature, source, y, args, kwargs):
    given = signature.bind(estimator, source, y, *args, **kwargs).arguments
    rest = {name: value for name, value in list(given.items())[1:] if name not in ("X", "y")}
    if is_collection(source):
        source, y = from_dask(source, y, rest.pop("sample_weight", None)), None
    _collections_to_sources(rest)
    refuse_beside_source(method.__name__, y, rest.pop("sample_weight", None))
    validation = [rest.get(name) for name in ("validation_data", "X_val")]
    if source.n_blocks == 1 and not any(isinstance(value, Blocks) and value.n_blocks > 1 for value in validation):
        X, y, sample_weight = source.block(0)
        if "sample_weight" in signature.parameters:
            rest["sample_weight"] = sample_weight
        for name, value in (("validation_data", validation[0]), ("X_val", validation[1])):
            if isinstance(value, Blocks):
                parts = value.block(0)
                rest |= {name: parts[:2]} if name == "validation_data" and parts[2] is None else (
                    {name: tuple(parts)} if name == "validation_data" else {"X_val": parts[0], "y_val": parts[1]})
        with at_cell(source, 0, X, y, sample_weight):
            return method(estimator, X, y, **rest)
    with all_or_nothing(estimator):
        return estimator._fit_blocks(source, method.__name__, **rest)


def learns_columns(method):
    """Method decorator for ``fit`` and ``partial_fit`` of what looks at columns alone: a source in the place of X.

    A source of one block is what its X is. Of several, ``_fit_blocks(source, name)`` of the estimator is told the
    method's name. The weights of a source are for models and not looked at.
    """
    @wraps(method)
    def taking(self, X, y=None, *args, **kwargs):
        if is_collection(X):
            # of columns alone, so that y and weights are of no use
            X, y = from_dask(X), None
        if not isinstance(X, Blocks):
            return method(self, X, y, *args, **kwargs)
        refuse_beside_source(method.__name__, y, *args, **kwargs)
        if X.n_blocks == 1:
            only = named(X.block(0).X)
            with at_cell(X, 0, only):
                return method(self, only)
        with all_or_nothing(self):
            return self._fit_blocks(X, method.__name__)

    return taking


def _collections_to_sources(arguments):
    """Make sources of validation data that are Dask collections, in a dict of a method's arguments."""
    validation = arguments.get("validation_data")
    if isinstance(validation, tuple) and validation and is_collection(validation[0]):
        arguments["validation_data"] = from_dask(*validation)
    if is_collection(arguments.get("X_val")):
        arguments["X_val"] = from_dask(arguments["X_val"], arguments.pop("y_val", None))


def transforms(method):
    """Method decorator: of a source, another whose X is the method's answer, made whenever a block is asked for."""

    @wraps(method)
    def transforming(self, X, *args, **kwargs):
        if is_collection(X):
            return lazily(self, method, X, *args, **kwargs)
        if not isinstance(X, Blocks):
            return method(self, X, *args, **kwargs)
        return X.map(lambda part: method(self, named(part), *args, **kwargs))

    return transforming


def answers_and_targets(method, X, y=None, sample_weight=None):
    """(``method(X)``, y, weights or None); of a source, or a Dask collection, of all its blocks."""
    if is_collection(X):
        X, y, sample_weight = from_dask(X, y, sample_weight), None, None
    if not isinstance(X, Blocks):
        return method(X), y, sample_weight
    refuse_beside_source("score", y, sample_weight)
    answers, wanted, weights = [], [], []
    for i, (features, own, weight) in blocks_with_rows(X):
        if own is None:
            raise ValueError(f"{X.where(i)}: the block has no y to score by")
        answers.append(method(features))
        wanted.append(np.asarray(own))
        weights.append(weight)
    weights = None if weights[0] is None else np.concatenate(weights)
    return np.concatenate(answers), np.concatenate(wanted), weights


class ScoresBlocks:
    """Mixin of estimators, before scikit-learn's own: ``score`` of a source."""

    def score(self, X: MatrixLike | Blocks, y: ArrayLike | None = None,
              sample_weight: ArrayLike | None = None) -> float:
        """Accuracy of a classifier, R^2 of a regressor.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or a source of blocks
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            None with a source, which has its own, and its weights.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        if not (isinstance(X, Blocks) or is_collection(X)):
            return super().score(X, y, sample_weight)
        answers, wanted, weights = answers_and_targets(self.predict, X, y, sample_weight)
        score = accuracy_score if is_classifier(self) else r2_score
        return float(score(wanted, answers, sample_weight=weights))


class ClassifiesBlocks(ScoresBlocks):
    """Mixin of classifiers, before scikit-learn's own: their answers for a source, or a Dask collection."""

    @predicts
    def decision_function(self, X: MatrixLike | Blocks) -> Array:
        """Raw predictions: above 0 for the second of two classes, the largest for one of more.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_classes)
        """
        return super().decision_function(X)

    @predicts
    def predict(self, X: MatrixLike | Blocks) -> Array:
        """Predicted classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks

        Returns
        -------
        array of shape (n_samples,)
        """
        return super().predict(X)
