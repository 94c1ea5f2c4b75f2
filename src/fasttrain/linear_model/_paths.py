"""lasso_path and enet_path: coefficients along a list of penalties."""

from __future__ import annotations

import sys
import warnings
from numbers import Integral
from typing import Any, Literal

import numpy as np
from scipy import sparse
from sklearn.utils import check_array

from fasttrain._core.checks import check_choice, check_flag, check_integer, check_real
from fasttrain._core.types import Array, ArrayLike, MatrixLike
from fasttrain.linear_model import _coordinate as coordinate

_OPTIONS = (
    "X_offset", "X_scale", "sample_weight", "tol", "max_iter", "random_state", "selection", "do_screening",
)


def lasso_path(X: MatrixLike, y: ArrayLike, *, eps: float = 1e-3, n_alphas: Literal["deprecated"] | int = "deprecated",
               alphas: Literal["warn"] | int | ArrayLike = "warn",
               precompute: Literal["auto"] | bool | ArrayLike = "auto", Xy: ArrayLike | None = None,
               copy_X: bool = True, coef_init: ArrayLike | None = None, verbose: bool | int = False,
               return_n_iter: bool = False, positive: bool = False, **params: Any) -> tuple[Array, ...]:
    """Coefficients of the Lasso along a list of penalties: :func:`enet_path` with ``l1_ratio=1``.

    Minimizes ``|y - X w|^2 / (2 n) + alpha |w|_1`` for each alpha, from the solution of the one before; for several
    targets ``|Y - X W|^2 / (2 n) + alpha sum_j |W_j|``, a row of W a feature. No intercept is fitted.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Not written to.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
    eps : float, default=1e-3
        The smallest alpha over the largest, where they are chosen here.
    n_alphas : int
        Deprecated as in scikit-learn: give ``alphas`` an int.
    alphas : int or array-like, default=100
        How many, from the smallest that leaves no coefficient down to ``eps`` times it, or their values.
    precompute : bool, 'auto' or array-like of shape (n_features, n_features), default='auto'
        The Gram matrix ``X' X``. Whether one is made is decided by the shape of X.
    Xy : array-like of shape (n_features,), default=None
        ``X' y``, with a Gram matrix.
    copy_X : bool, default=True
        X is never written to, whatever this says.
    coef_init : array-like of shape (n_features,) or (n_targets, n_features), default=None
        Where the first descent begins.
    verbose : bool or int, default=False
    return_n_iter : bool, default=False
    positive : bool, default=False
        No coefficient below 0; for one target.
    **params
        ``tol``, ``max_iter``, ``selection``, ``random_state`` as in :class:`Lasso`.

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        In descending order.
    coefs : ndarray of shape (n_features, n_alphas) or (n_targets, n_features, n_alphas)
    dual_gaps : ndarray of shape (n_alphas,)
    n_iters : list of int
        With ``return_n_iter``.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.linear_model import lasso_path
    >>> X = np.array([[1, 2, 3.1], [2.3, 5.4, 4.3]]).T
    >>> alphas, coefs, dual_gaps = lasso_path(X, [1, 2, 3.1], alphas=[5.0, 1.0, 0.5])
    >>> coefs.round(3)
    array([[0.   , 0.   , 0.469],
           [0.216, 0.443, 0.237]])
    """
    return enet_path(
        X, y, l1_ratio=1.0, eps=eps, alphas=_chosen_alphas(n_alphas, alphas), precompute=precompute, Xy=Xy,
        copy_X=copy_X, coef_init=coef_init, verbose=verbose, positive=positive, return_n_iter=return_n_iter, **params)


def enet_path(X: MatrixLike, y: ArrayLike, *, l1_ratio: float = 0.5, eps: float = 1e-3,
              n_alphas: Literal["deprecated"] | int = "deprecated", alphas: Literal["warn"] | int | ArrayLike = "warn",
              precompute: Literal["auto"] | bool | ArrayLike = "auto", Xy: ArrayLike | None = None, copy_X: bool = True,
              coef_init: ArrayLike | None = None, verbose: bool | int = False, return_n_iter: bool = False,
              positive: bool = False, check_input: bool = True, **params: Any) -> tuple[Array, ...]:
    """Coefficients of the elastic net along a list of penalties, all of them in one compiled call.

    Minimizes ``|y - X w|^2 / (2 n) + alpha l1_ratio |w|_1 + alpha (1 - l1_ratio) |w|^2 / 2`` for each alpha, from the
    solution of the one before; with several targets ``|w|_1`` is the sum of the norms of the rows of W. No intercept is
    fitted.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Not written to.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
    l1_ratio : float, default=0.5
        In [0, 1]; above 0 where the alphas are chosen here.
    eps : float, default=1e-3
        The smallest alpha over the largest, where they are chosen here.
    n_alphas : int
        Deprecated as in scikit-learn: give ``alphas`` an int.
    alphas : int or array-like, default=100
        How many, from the smallest that leaves no coefficient down to ``eps`` times it, or their values.
    precompute : bool, 'auto' or array-like of shape (n_features, n_features), default='auto'
        The Gram matrix ``X' X``. Whether one is made is decided by the shape of X.
    Xy : array-like of shape (n_features,), default=None
        ``X' y``, with a Gram matrix.
    copy_X : bool, default=True
        X is never written to, whatever this says.
    coef_init : array-like of shape (n_features,) or (n_targets, n_features), default=None
        Where the first descent begins.
    verbose : bool or int, default=False
    return_n_iter : bool, default=False
    positive : bool, default=False
        No coefficient below 0; for one target.
    check_input : bool, default=True
        Whether X and y are checked; without, they must be arrays of one floating type.
    **params
        ``tol``, ``max_iter``, ``selection``, ``random_state`` as in :class:`ElasticNet`; ``do_screening``; for sparse X
        ``X_offset`` and ``X_scale``, whose quotient is subtracted from its columns, and ``sample_weight``.

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        In descending order.
    coefs : ndarray of shape (n_features, n_alphas) or (n_targets, n_features, n_alphas)
    dual_gaps : ndarray of shape (n_alphas,)
    n_iters : list of int
        With ``return_n_iter``.

    Raises
    ------
    ValueError, TypeError
        For wrong parameters or data, by the argument's name.

    Warns
    -----
    ConvergenceWarning
        For each alpha for which ``max_iter`` sweeps were not enough.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from fasttrain.linear_model import enet_path
    >>> X, y = make_regression(n_samples=100, n_features=5, n_informative=2, random_state=0)
    >>> alphas, coefs, dual_gaps = enet_path(X, y, alphas=3)
    >>> coefs.shape, (coefs != 0).sum(axis=0)
    ((5, 3), array([0, 5, 5]))
    """
    alphas = _chosen_alphas(n_alphas, alphas)
    if not isinstance(alphas, Integral):
        alphas = np.asarray(alphas, dtype=np.float64)
        alphas = np.sort(alphas)[::-1] if len(alphas) > 1 else alphas
        if alphas.ndim != 1 or not len(alphas) or not np.isfinite(alphas).all() or alphas.min() < 0:
            raise ValueError(f"alphas must be an integer >= 1 or hold finite numbers >= 0, got {alphas!r}")
    else:
        check_integer(alphas, "alphas", low=1)
    l1_ratio = check_real(l1_ratio, "l1_ratio", low=0, high=1)
    if eps is not None:
        check_real(eps, "eps", low=0, open_low=True)
    check_flag(copy_X, "copy_X")
    check_flag(positive, "positive")
    unknown = set(params) - set(_OPTIONS)
    if unknown:
        raise ValueError(
            f"Unexpected parameters in params: {', '.join(sorted(unknown))}; accepted are {', '.join(_OPTIONS)}")
    descent = coordinate.Descent(
        tol=check_real(params.get("tol", 1e-4), "tol", low=0),
        max_iter=check_integer(params.get("max_iter", 1000), "max_iter", low=1), positive=bool(positive),
        selection=check_choice(params.get("selection", "cyclic"), "selection", ("cyclic", "random")),
        screening=bool(params.get("do_screening", True)), random_state=params.get("random_state"))
    if check_input:
        X = check_array(X, accept_sparse="csc", dtype=[np.float64, np.float32], accept_large_sparse=False)
        y = check_array(y, dtype=X.dtype.type, ensure_2d=False)
        if Xy is not None:
            Xy = check_array(Xy, dtype=X.dtype.type, ensure_2d=False)
    if y.ndim > 1 and positive:
        raise ValueError("positive=True is not allowed with several targets (y.ndim != 1)")
    if X.shape[0] != y.shape[0]:
        raise ValueError(f"y must have as many rows as X: X has {X.shape[0]}, y has {y.shape[0]}")
    targets = y.reshape(len(y), -1)
    problem = _problem(X, targets, y.ndim == 1, precompute, Xy, check_input, descent.tol, params)
    if isinstance(alphas, Integral):
        if l1_ratio == 0:
            raise ValueError(NO_GRID)
        moments = problem.y if "gram" in problem.design else None
        largest = coordinate.largest_alpha(
            X, targets, None, l1_ratio=l1_ratio, centred=False, positive=positive, moments=moments)
        alphas = coordinate.alpha_grid(largest, eps, int(alphas))
    start = None
    if coef_init is not None:
        start = np.asarray(coef_init, dtype=X.dtype).reshape(-1, X.shape[1]).T
    path = coordinate.descend(
        problem, alphas, l1_ratio, descent, target=0 if y.ndim == 1 else None, start=start)
    path.warn(stacklevel=2)
    _tell(verbose, len(alphas))
    coefs = path.coefs[:, :, 0].T if y.ndim == 1 else path.coefs.transpose(2, 1, 0)
    found = alphas, np.ascontiguousarray(coefs), path.gaps
    return (*found, path.n_iters.tolist()) if return_n_iter else found


NO_GRID = (
    "Automatic alpha grid generation is not supported for l1_ratio=0. Please supply a grid by providing your estimator "
    "with the appropriate `alphas=` argument."
)


def _chosen_alphas(n_alphas, alphas):
    """Their number or values, with scikit-learn's deprecations."""
    chosen = 100
    if not (isinstance(n_alphas, str) and n_alphas == "deprecated"):
        warnings.warn(
            "'n_alphas' was deprecated in 1.9 and will be removed in 1.11. Give their number as 'alphas'.",
            FutureWarning, stacklevel=3)
        chosen = check_integer(n_alphas, "n_alphas", low=1)
    if alphas is None:
        warnings.warn(
            "'alphas=None' is deprecated and will be removed in 1.11. Set 'alphas=100' to silence this warning.",
            FutureWarning, stacklevel=3)
    elif not (isinstance(alphas, str) and alphas == "warn"):
        chosen = alphas
    return chosen


def _problem(X, targets, single, precompute, Xy, checked, tol, params):
    """What is descended on, of X that is not to be centred."""
    if sparse.issparse(X):
        offset = params.get("X_offset")
        if offset is not None:
            offset = np.asarray(offset) / params.get("X_scale", 1.0)
        weights = params.get("sample_weight")
        weights = None if weights is None else np.asarray(weights, dtype=X.dtype)
        return coordinate.sparse_problem(X, targets, weights, centred=False, mean=offset)
    if isinstance(precompute, str):
        check_choice(precompute, "precompute", ("auto",))
    elif not isinstance(precompute, (bool, np.bool_)) and single:
        return coordinate.given_gram_problem(
            X, targets, None, precompute, centred=False, checked=checked, moments=Xy)
    by_gram = single and coordinate.prefers_gram(*X.shape, tol)
    return coordinate.problem_of(X, targets, None, centred=False, by_gram=by_gram, narrow=single)


def _tell(verbose, n_alphas):
    """What scikit-learn prints a penalty."""
    for i in range(n_alphas if verbose else 0):
        if verbose > 1:
            print(f"Path: {i:03} out of {n_alphas:03}")
        else:
            sys.stderr.write(".")
