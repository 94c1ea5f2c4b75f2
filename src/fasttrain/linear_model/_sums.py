"""The sums of least squares over rows of X, and what one reading of X leaves to be solved."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils import assert_all_finite

from fasttrain._core.checks import raise_for_status
from fasttrain._core.folds import share_out
from fasttrain._kernels import gram
from fasttrain._kernels.threads import get_num_threads
from fasttrain._tables.kinds import element_strided

# Rows, spread over X, whose mean is what values are told from.
SAMPLE_ROWS = 64
# Where the mean lies so many times farther from the origin than values from the mean (squared), X is read again.
WORST_ORIGIN = 1e4
# A sparse X has its means taken off by subtraction: it may cost so much of the sums, the square of what X loses.
WORST_SPARSE = 1e6
_EPS = np.finfo(np.float64).eps


@dataclass
class NormalEquations:
    """``gram`` w = ``moments``: of X and y about their means, or about zero without an intercept.

    Attributes
    ----------
    gram : array of shape (n_features, n_features)
        X^T X.
    moments : array of shape (n_features, n_targets)
        X^T y.
    x_mean, y_mean : arrays of shape (n_features,) and (n_targets,)
        What X and y are told from.
    """

    gram: np.ndarray
    moments: np.ndarray
    x_mean: np.ndarray
    y_mean: np.ndarray


@dataclass
class Sums:
    """Weighted sums over rows, of ``products`` (x - origin, 1)^T (x - origin, 1, y - y_origin).

    Those of different rows with the same origins are added.
    """

    products: np.ndarray
    origin: np.ndarray
    y_origin: np.ndarray

    def __add__(self, other):
        return Sums(self.products + other.products, self.origin, self.y_origin)

    def about_zero(self):
        """The equations of a model without an intercept; the origins are 0."""
        p = len(self.origin)
        return NormalEquations(
            self.products[:p, :p].copy(), self.products[:p, p + 1:].copy(), np.zeros(p), np.zeros_like(self.y_origin))

    def about_mean(self):
        """(equations about the means, what the change of origin has cost): the latter is the largest sum of squares
        before it over that after it, without columns that are constant to rounding, whose sums are made 0.
        """
        p = len(self.origin)
        sums, weight = self.products[:p, p], self.products[p, p]
        squares = self.products.diagonal()[:p]
        step = sums / weight
        y_step = self.products[p, p + 1:] / weight
        matrix = self.products[:p, :p] - sums[:, None] * step
        moments = self.products[:p, p + 1:] - sums[:, None] * y_step
        own = matrix.diagonal()
        constant = squares <= weight * (4 * _EPS * np.abs(self.origin)) ** 2
        cost = 1.0
        if constant.any():
            matrix[constant], matrix[:, constant], moments[constant] = 0.0, 0.0, 0.0
            squares, own = squares[~constant], own[~constant]
        if len(own):
            cost = (squares / own).max() if own.min() > 0.0 else np.inf
        return NormalEquations(matrix, moments, self.origin + step, self.y_origin + y_step), cost


def origin_of(X, weights=None):
    """A value near each column's mean: the mean of some rows of positive weight where there are any."""
    step = max(1, X.shape[0] // SAMPLE_ROWS)
    # in one order whatever X's layout is, for the same bytes
    rows, weights = X[::step].astype(np.float64, order="C"), None if weights is None else weights[::step]
    return _mean(rows, weights if weights is not None and weights.any() else None)


def _mean(rows, weights):
    """Of each column, weighted; ``numpy.average``, whose checks take longer than the sums of a small table."""
    if weights is None:
        return np.add.reduce(rows, axis=0) / len(rows)
    return np.average(rows, axis=0, weights=weights)


def sums_of(X, targets, weights, origin, y_origin, rows=None, n_threads=None):
    """:class:`Sums` over all rows of X or those with these numbers.

    Parameters
    ----------
    X : array of any layout, or CSR matrix as :func:`fasttrain._core.checks.check_rows` leaves it
        float32 or float64.
    targets : C-contiguous array of shape (n_samples, n_targets), float64, or None
        y - y_origin; None where there is none.
    weights : array of shape (n_samples,), float64, or None
    origin : array of shape (n_features,) or None
        Zeros, or None, for a sparse X.
    rows : array of int, optional
    n_threads : int, optional
    """
    p = X.shape[1]
    products = np.empty((p + 1, p + 1 + (0 if targets is None else targets.shape[1])))
    n_threads = get_num_threads() if n_threads is None else n_threads
    rows = None if rows is None else np.ascontiguousarray(rows, dtype=np.intp)
    if isinstance(X, np.ndarray):
        status = gram.products(
            element_strided(X), targets, weights, rows, origin, None, products, n_threads)
    else:
        status = gram.products_sparse(*csr_of_kernel(X), targets, weights, rows, p, products, n_threads)
    raise_for_status(status)
    return Sums(products, origin, y_origin)


def csr_of_kernel(X):
    """(data, indices, indptr) of a CSR matrix as :func:`fasttrain._kernels.gram.products_sparse` takes them."""
    indices, indptr = X.indices, X.indptr
    if indices.dtype != indptr.dtype or indices.itemsize not in (4, 8):
        indices, indptr = indices.astype(np.int64), indptr.astype(np.int64)
    return X.data, indices, indptr


def products_of_rows(X, x_mean):
    """(X - x_mean) (X - x_mean)^T of a dense X, from one reading."""
    n = X.shape[0]
    products = np.empty((n + 1, n + 1))
    raise_for_status(gram.products(
        element_strided(X).T, None, None, None, None, np.ascontiguousarray(x_mean, dtype=np.float64), products,
        get_num_threads()))
    return products[:n, :n]


def check_finite(X, sums, estimator):
    """Raise where ``sums`` of X are not finite: for NaN and infinities in X as scikit-learn does, else for overflow."""
    if np.isfinite(sums).all():
        return
    assert_all_finite(X, estimator_name=type(estimator).__name__, input_name="X")
    raise ValueError(
        "X and y must hold numbers whose squares can be summed: scale them, for instance with StandardScaler")


def sparse_mean(X, weights):
    """The mean of each column of a sparse X, in double."""
    n = X.shape[0]
    return X.T @ (np.full(n, 1.0 / n) if weights is None else weights / weights.sum())


def targets_of(y, dtype, weights, fit_intercept):
    """(y - its mean as float64 of shape (n_samples, n_targets), its mean); y has first the precision of ``dtype``."""
    targets = y.reshape(len(y), -1).astype(dtype, copy=False).astype(np.float64, order="C")
    if not fit_intercept:
        return targets, np.zeros(targets.shape[1])
    mean = _mean(targets, weights)
    targets -= mean
    return targets, mean


def normal_equations(X, targets, y_mean, weights, fit_intercept, estimator, worst=WORST_SPARSE):
    """:class:`NormalEquations` of all rows; None where those of a sparse X lose more than ``worst`` with its means."""
    p = X.shape[1]
    dense = isinstance(X, np.ndarray)
    origin = origin_of(X, weights) if fit_intercept and dense else np.zeros(p)
    if not np.isfinite(origin).all():
        check_finite(X, origin, estimator)
    sums = sums_of(X, targets, weights, origin, y_mean)
    check_finite(X, sums.products, estimator)
    if not fit_intercept:
        return sums.about_zero()
    equations, cost = sums.about_mean()
    if dense and not cost <= WORST_ORIGIN:
        equations, _ = sums_of(X, targets, weights, equations.x_mean, y_mean).about_mean()
    elif cost > worst and not dense:
        return None
    return equations


def centred_rows(X, x_mean, roots):
    """A function from slices to rows of (X - x_mean) times ``roots``, as float64."""

    def rows_of(rows):
        part = X[rows]
        part = part.astype(np.float64, order="C") if isinstance(part, np.ndarray) else part.toarray().astype(np.float64)
        part -= x_mean
        if roots is not None:
            part *= roots[rows, None]
        return part

    return rows_of


class FoldSums:
    """Equations of every fold's training rows from one reading of a dense X.

    Where the test parts share out the rows and each training part is the rest, the sums of the test parts are taken
    once, about one origin, and a fold's are those of the parts before and after its own: nothing is subtracted, so
    nothing cancels. Other folds are read one by one.

    Parameters
    ----------
    X : dense array
    targets : array of shape (n_samples, n_targets), float64
        About their mean where there is an intercept.
    y_mean : array of shape (n_targets,)
    weights : array of shape (n_samples,), float64, or None
    folds : list of (train, test)
        Row numbers.
    fit_intercept : bool
    """

    def __init__(self, X, targets, y_mean, weights, folds, fit_intercept):
        self.X, self.targets, self.y_mean, self.weights, self.folds = X, targets, y_mean, weights, folds
        self.fit_intercept = fit_intercept
        self.origin = origin_of(X, weights) if fit_intercept else np.zeros(X.shape[1])
        self.parts = self.training = None
        if share_out(folds, len(X)):
            self.parts = [self._read(test) for _, test in folds]
            before, after = [None], [None]
            for part in self.parts[:-1]:
                before.append(_together(before[-1], part))
            for part in self.parts[:0:-1]:
                after.append(_together(after[-1], part))
            self.training = [_together(*both) for both in zip(before, after[::-1])]

    def _read(self, rows, origin=None):
        return sums_of(self.X, self.targets, self.weights, self.origin if origin is None else origin, self.y_mean, rows)

    def equations(self, fold):
        """:class:`NormalEquations` of a fold's training rows."""
        train = self.folds[fold][0]
        return self._equations(self.training[fold] if self.training is not None else self._read(train), train)

    def whole(self):
        """:class:`NormalEquations` of all rows."""
        sums = _together(self.training[0], self.parts[0]) if self.training is not None else self._read(None)
        return self._equations(sums, None)

    def _equations(self, sums, rows):
        if not self.fit_intercept:
            return sums.about_zero()
        equations, cost = sums.about_mean()
        if not cost <= WORST_ORIGIN:
            equations, _ = self._read(rows, equations.x_mean).about_mean()
        return equations


def _together(a, b):
    return b if a is None else a if b is None else a + b
