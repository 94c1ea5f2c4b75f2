"""Least squares with an elastic-net penalty: data laid out for coordinate descent, and the descent along penalties.

Scikit-learn's conventions throughout: with weights of sum n the objective is

    |y - X w - b|^2 / (2 n) + alpha l1_ratio |w|_1 + alpha (1 - l1_ratio) / 2 |w|^2

and the kernel minimizes n times that, over centred columns and targets.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.sparsefuncs import mean_variance_axis

from fasttrain._core.blas import serial_blas
from fasttrain._core.checks import raise_for_status
from fasttrain._core.random_states import check_random_state
from fasttrain._core.slices import slices
from fasttrain._core.warned import warn
from fasttrain._kernels import coordinate, gram
from fasttrain._kernels.threads import get_num_threads
from fasttrain._tables.kinds import element_strided
from fasttrain._tables.moments import column_moments

# From where on the Gram matrix, of which a sweep reads only what has changed, is worth the pass that makes it.
GRAM_ROWS_PER_COLUMN = 2
GRAM_CELLS = 1 << 16
GRAM_COLUMNS = 1 << 12
# Sums of squares that cancel to less than this part of |y|^2 have no digits left; residuals have.
GRAM_TOL = 1e-9
# A design beyond the caches is read at half the bytes where that decides.
NARROW_BYTES = 1 << 20
# Values of a product that stands between two looks at whether to go on.
SLICE_VALUES = 1 << 22
SLICE_PRODUCTS = 1 << 28
# The seeds of random columns are drawn below this, as scikit-learn draws them.
SEED_END = 2147483647

# Why these models take no source of blocks, and what does.
NEEDS_COLUMNS = (
    "coordinate descent goes over whole columns, again and again; SGD* and Linear* with penalty='l1' take a source")


@dataclass
class Problem:
    """One set of rows as the kernel takes it.

    Attributes
    ----------
    n_samples : int
    dtype : dtype
        Of the coefficients.
    design : dict
        The design's arguments of :func:`fasttrain._kernels.coordinate.path`.
    y : array of shape (n_samples, n_targets), by columns
        Centred and weighted targets; with a Gram matrix their products with the columns.
    y_squares : array of shape (n_targets,)
    x_mean, y_mean : arrays of shapes (n_features,) and (n_targets,)
        What was subtracted.
    """

    n_samples: int
    dtype: np.dtype
    design: dict
    y: np.ndarray
    y_squares: np.ndarray
    x_mean: np.ndarray
    y_mean: np.ndarray

    @property
    def n_features(self):
        return len(self.x_mean)

    def intercepts(self, coefs):
        """For coefficients of shape (..., n_targets, n_features)."""
        return self.y_mean - coefs @ self.x_mean


@dataclass
class Descent:
    """How to descend: what ``enet_path`` takes beside data and penalties."""

    tol: float = 1e-4
    max_iter: int = 1000
    positive: bool = False
    selection: str = "cyclic"
    screening: bool = True
    random_state: object = None

    def seeds(self, n):
        """One a penalty, drawn as scikit-learn does it."""
        random_state = check_random_state(self.random_state)
        return np.array([random_state.randint(0, SEED_END) for _ in range(n)], dtype=np.uint32)


@dataclass
class Path:
    """What a descent along penalties found.

    Attributes
    ----------
    coefs : array of shape (n_alphas, n_features, n_tasks)
    gaps : array of shape (n_alphas,)
        In the objective's scale.
    bounds : array of shape (n_alphas,)
        What n times the gap had to be at most.
    n_iters : array of shape (n_alphas,)
    messages : list of str
        Of penalties for which the gap did not come down far enough.
    """

    coefs: np.ndarray
    gaps: np.ndarray
    bounds: np.ndarray
    n_iters: np.ndarray
    messages: list = field(default_factory=list)

    def warn(self):
        """A ConvergenceWarning for each message."""
        for message in self.messages:
            warn(message, ConvergenceWarning)


# ---- data ----


def rescaled(weights):
    """Weights of sum n."""
    return None if weights is None else weights * (len(weights) / np.sum(weights))


def prefers_gram(n_samples, n_features, tol):
    """Whether a descent on the Gram matrix is faster, and as exact as ``tol`` asks for."""
    return (
        n_samples >= GRAM_ROWS_PER_COLUMN * n_features and n_samples * n_features >= GRAM_CELLS
        and n_features <= GRAM_COLUMNS and tol >= GRAM_TOL
    )


def centred_targets(y, weights, centred):
    """Targets of shape (n, n_targets) less their mean, times the roots of the weights; their squares; the mean."""
    mean = np.zeros(y.shape[1])
    if centred:
        mean = np.average(y, axis=0, weights=weights).astype(np.float64)
        mean += np.average(y - mean, axis=0, weights=weights)
    rest = y - mean.astype(y.dtype)
    if weights is not None:
        rest *= np.sqrt(weights)[:, None]
    return np.asfortranarray(rest), np.einsum("ij,ij->j", rest, rest, dtype=np.float64), mean.astype(y.dtype)


def dense_problem(X, y, weights, *, rows=None, centred=True, narrow=False, stop=None):
    """Columns of dense X, centred and weighted; X itself where it is laid out so and nothing is to be done.

    Parameters
    ----------
    X : array of shape (n, n_features)
    y : array of shape (n_samples, n_targets) and X's dtype
    weights : array of shape (n_samples,) and sum n_samples, or None
    rows : intp array of shape (n_samples,), optional
        Those of X; all without.
    centred : bool
    narrow : bool
        Whether a descent of one target may read columns rounded to float first.
    stop : Stop, optional
    """
    n_samples, n_features = len(y), X.shape[1]
    x_mean = np.zeros(n_features, X.dtype)
    rounded = None
    if narrow and X.dtype == np.float64 and n_samples * n_features * X.itemsize >= NARROW_BYTES:
        rounded = np.empty((n_samples, n_features), np.float32, order="F")
    if rows is None and weights is None and not centred and X.flags.f_contiguous and X.flags.aligned:
        columns = X
        if rounded is not None:
            with np.errstate(over="ignore"):
                rounded[:] = X
    else:
        columns = np.empty((n_samples, n_features), X.dtype, order="F")
        root = None if weights is None else np.sqrt(weights)
        coordinate.centred_columns(element_strided(X), rows, weights, root, centred, columns, x_mean, rounded, stop)
    targets, y_squares, y_mean = centred_targets(y, weights, centred)
    design = {"X": columns}
    if rounded is not None and _has_float_range(columns):
        design["narrow"] = rounded
    return Problem(n_samples, X.dtype, design, targets, y_squares, x_mean, y_mean)


def _has_float_range(columns):
    """Whether rounding to float is off by 2^-24 of each column's norm at most."""
    largest = max(columns.max(), -columns.min())
    return 1e-15 < largest < 1e30


def sparse_problem(X, y, weights, *, centred=True, mean=None):
    """CSC columns, which the kernel centres, by ``mean`` where it is given; copied where they are weighted."""
    data, root = X.data, None
    x_mean = np.zeros(X.shape[1], X.dtype)
    if centred:
        x_mean = mean_variance_axis(X, axis=0, weights=weights)[0].astype(X.dtype)
    elif mean is not None:
        x_mean = np.ascontiguousarray(mean, dtype=X.dtype)
    if weights is not None:
        root = np.sqrt(weights)
        data = data * root[X.indices]
    targets, y_squares, y_mean = centred_targets(y, weights, centred)
    design = {
        "data": np.ascontiguousarray(data), "indices": X.indices.astype(np.int32, copy=False),
        "indptr": X.indptr.astype(np.int32, copy=False), "root": root,
        "mean": x_mean if x_mean.any() else None,
    }
    return Problem(X.shape[0], X.dtype, design, targets, y_squares, x_mean, y_mean)


def products(X, y, weights, rows, shift, *, stop=None):
    """Sums of w (x - shift, 1) (x - shift, 1, y) over rows, of shape (n_features + 1, n_features + 1 + n_targets).

    ``y`` and ``weights`` are those of all rows of X. With ``stop``, in a thread that another one waits for, this thread
    makes them alone.
    """
    n_features = X.shape[1]
    out = np.empty((n_features + 1, n_features + 1 + y.shape[1]))
    y = np.ascontiguousarray(y, dtype=np.float64)
    weights = None if weights is None else np.ascontiguousarray(weights, dtype=np.float64)
    if stop is None:
        raise_for_status(gram.products(element_strided(X), y, weights, rows, shift, None, out, get_num_threads()))
        return out
    total = np.zeros_like(out)
    for part in slices(len(rows), n_features * n_features, SLICE_PRODUCTS):
        if stop.is_set():
            raise coordinate.Stopped
        raise_for_status(gram.products(element_strided(X), y, weights, rows[part], shift, None, out, 1))
        total += out
    return total


def gram_problem(X, y, weights, *, rows=None, centred=True, stop=None):
    """The Gram matrix of centred, weighted columns, from one reading of X."""
    shift = shift_of(X, 0 if rows is None else rows[0], centred)
    targets, all_weights = y - y[:1] if centred else y, weights
    if rows is not None:
        targets = spread(targets, rows, X.shape[0])
        all_weights = None if weights is None else spread(weights, rows, X.shape[0])
    sums = products(X, targets, all_weights, rows, shift, stop=stop)
    return problem_of_sums(sums, X.dtype, y, weights, shift, centred)


def spread(values, rows, n):
    """Values of some rows at their places among n."""
    out = np.zeros((n, *values.shape[1:]), dtype=values.dtype)
    out[rows] = values
    return out


def shift_of(X, row, centred):
    """What columns are summed about: a row of theirs, so that what is constant is 0."""
    return X[row].astype(np.float64) if centred else np.zeros(X.shape[1])


def problem_of_sums(sums, dtype, y, weights, shift, centred):
    """A problem from the sums of :func:`products` about ``shift``."""
    n_features = len(shift)
    matrix, moments = sums[:-1, :n_features], sums[:-1, n_features + 1:]
    targets, y_squares, y_mean = centred_targets(y, weights, centred)
    x_mean = shift
    if centred:
        total = sums[-1, n_features]
        about, y_about = sums[-1, :n_features] / total, sums[-1, n_features + 1:] / total
        matrix = matrix - total * np.outer(about, about)
        moments = moments - total * np.outer(about, y_about)
        x_mean = shift + about
    return Problem(
        len(y), dtype, {"gram": np.ascontiguousarray(matrix)}, np.asfortranarray(moments), y_squares, x_mean, y_mean)


def given_gram_problem(X, y, weights, given, *, centred=True, checked=True, moments=None):
    """A problem with a caller's Gram matrix; None, after a warning, where centring X has made it another's.

    Raises
    ------
    ValueError
        With ``checked``, when the matrix does not belong to X.
    """
    problem = dense_problem(X, y, weights, centred=centred)
    columns = problem.design["X"]
    if np.shape(given) != (X.shape[1], X.shape[1]):
        raise ValueError(f"precompute must have shape {(X.shape[1], X.shape[1])}, got {np.shape(given)}")
    if centred and not np.allclose(problem.x_mean, 0):
        warn(
            "Gram matrix was provided but X was centered to fit intercept: recomputing Gram matrix.", UserWarning)
        return None
    if checked:
        first = X.shape[1] // 2
        second = min(first + 1, X.shape[1] - 1)
        expected, found = columns[:, first] @ columns[:, second], np.asarray(given)[first, second]
        single = np.float32 in (np.asarray(given).dtype, columns.dtype)
        if not np.isclose(expected, found, rtol=1e-4 if single else 1e-7, atol=1e-5):
            raise ValueError(
                f"Gram matrix given as precompute did not pass validation: its element ({first}, {second}) is "
                f"{found}, that of X is {expected}")
    if moments is None:
        with serial_blas():
            moments = columns.T @ problem.y
    problem.design = {"gram": np.ascontiguousarray(given, dtype=X.dtype)}
    problem.y = np.asfortranarray(np.reshape(moments, (X.shape[1], -1)), dtype=X.dtype)
    return problem


def problem_of(X, y, weights, *, rows=None, centred=True, by_gram=False, narrow=True, stop=None):
    """The problem of some rows, in the layout that suits them; with ``by_gram`` by their Gram matrix."""
    if sparse.issparse(X):
        X = X if rows is None else X[rows].tocsc()
        return sparse_problem(X, y, weights, centred=centred)
    if by_gram:
        return gram_problem(X, y, weights, rows=rows, centred=centred, stop=stop)
    return dense_problem(X, y, weights, rows=rows, centred=centred, narrow=narrow, stop=stop)


# ---- descent ----


def descend(problem, alphas, l1_ratio, descent, *, target=None, start=None, seeds=None, stop=None):
    """Minimize for one alpha after the other, each from the solution of the last.

    Parameters
    ----------
    problem : Problem
    alphas : float64 array of shape (n_alphas,)
    l1_ratio : float
    descent : Descent
    target : int, optional
        Of which targets to find the coefficients; all of them without, as tasks with a norm of rows.
    start : array of shape (n_features, n_tasks), optional
        Where to begin; zeros without.
    seeds : uint32 array of shape (n_alphas,), optional
        Where ``descent`` is not to draw them.
    stop : Stop, optional

    Returns
    -------
    Path
    """
    y = problem.y if target is None else problem.y[:, target:target + 1]
    y_squares = problem.y_squares.sum() if target is None else problem.y_squares[target]
    dtype, n_tasks = y.dtype, y.shape[1]
    w = np.zeros((problem.n_features, n_tasks), dtype) if start is None else np.array(start, dtype, order="C")
    coefs = np.empty((len(alphas), *w.shape), dtype)
    design = problem.design if n_tasks == 1 else {**problem.design, "narrow": None}
    scaled = np.asarray(alphas, dtype=np.float64) * problem.n_samples
    l1, l2 = scaled * l1_ratio, scaled * (1.0 - l1_ratio)
    seeds = descent.seeds(len(l1)) if seeds is None else seeds
    gaps, bounds, n_iters, converged = coordinate.path(
        w, y, l1, l2, seeds, coefs, **design, y_squares=float(y_squares), tol=descent.tol,
        max_iter=descent.max_iter, positive=descent.positive, random=descent.selection == "random",
        screening=descent.screening, stop=stop)
    path = Path(coefs.astype(problem.dtype, copy=False), gaps / problem.n_samples, bounds, n_iters)
    for i in np.flatnonzero(converged == 0):
        path.messages.append(
            "Objective did not converge. You might want to increase the number of iterations, scale the features or "
            f"penalize more. Duality gap: {gaps[i]:.6e}, tolerance: {bounds[i]:.3e}"
            + (". Without an L1 penalty Ridge is faster" if l1[i] < np.finfo(np.float64).eps else ""))
    return path


def largest_alpha(X, y, weights, *, l1_ratio, centred, positive, moments=None):
    """The smallest alpha of which all coefficients are 0.

    X has any layout and is not copied; ``moments`` is ``X' y`` where it is known.
    """
    if moments is None:
        rest = y - np.average(y, axis=0, weights=weights) if centred else y
        rest = rest if weights is None else rest * weights[:, None]
        moments = products_with(X, rest)
        if centred:
            mean = mean_variance_axis(X, axis=0, weights=weights)[0] if sparse.issparse(X) else (
                column_moments(X, None if weights is None else weights.astype(np.float64))[1])
            moments = moments - np.outer(mean, rest.sum(axis=0))
    total = X.shape[0] if weights is None else weights.sum()
    if positive:
        return max(0.0, float(np.max(moments))) / (total * l1_ratio)
    return float(np.sqrt(np.max(np.sum(moments.reshape(len(moments), -1) ** 2, axis=1)))) / (total * l1_ratio)


def products_with(X, y):
    """``X' y`` by slices of rows, in an order that the layout of X does not change."""
    with serial_blas():
        if sparse.issparse(X):
            return X.T @ y
        return sum(np.ascontiguousarray(X[rows]).T @ y[rows] for rows in slices(*X.shape, SLICE_VALUES))


def alpha_grid(largest, eps, n_alphas):
    """``n_alphas`` from ``largest`` down to ``eps`` times it, evenly on the logarithm's scale."""
    resolution = np.finfo(np.float64).resolution
    if largest <= resolution:
        return np.full(n_alphas, resolution)
    return np.geomspace(largest, largest * eps, num=n_alphas)
