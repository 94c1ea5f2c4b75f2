"""SGDRegressor, and the training of several of them over one row order."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from sklearn import linear_model
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from fasttrain._core.checks import check_real, row_weights
from fasttrain._core.random_states import check_random_state
from fasttrain._core.types import Array, ArrayLike, MatrixLike, RandomStateLike, Self
from fasttrain.data import Blocks
from fasttrain._estimators.blocks import ScoresBlocks, learns
from fasttrain._estimators.fitted import restored
from fasttrain._estimators.following import followed
from fasttrain._estimators.parameters import keep_parameters
from fasttrain.data._use import predicts
from fasttrain.linear_model import _descents
from fasttrain.linear_model._descents import Problem, candidate, rows_of, train
from fasttrain.linear_model._sgd_blocks import Model, checked_source, split_source, train_blocks
from fasttrain.linear_model._sgd_base import REGRESSION_LOSSES, StochasticLinear, held_out, raw_predictions, start_of


class SGDRegressor(ScoresBlocks, StochasticLinear, linear_model.SGDRegressor):
    """Linear regression by per-sample stochastic descent: scikit-learn's estimator, several times faster.

    Beyond scikit-learn: the losses 'quantile' and 'poisson', several outputs, validation data of one's own,
    the loss curve.

    Parameters
    ----------
    loss : {'squared_error', 'huber', 'epsilon_insensitive', 'squared_epsilon_insensitive', 'quantile', 'poisson'}, \
default='squared_error'
        'squared_error' is ``(p - y)^2 / 2``. 'quantile' makes predictions that the share ``quantile`` of targets is
        below. 'poisson' is ``e^p - y p``, for counts and rates; :meth:`predict` gives ``e^p``.
    penalty : {'l2', 'l1', 'elasticnet', None}, default='l2'
        ``alpha`` times ``w . w / 2``, ``|w|``, their mixture, or nothing. The L1 part is the cumulative
        truncated gradient [2]_: weights reach exact zeros.
    alpha : float, default=0.0001
        Strength of the penalty, >= 0; also in the 'optimal' schedule, where it must be > 0.
    l1_ratio : float or None, default=0.15
        Share of L1 in 'elasticnet', in [0, 1].
    fit_intercept : bool, default=True
    max_iter : int, default=1000
        Most epochs of :meth:`fit`.
    tol : float or None, default=1e-3
        Training ends when the objective (or under ``early_stopping`` the validation score) got no better
        than its best by ``tol`` in ``n_iter_no_change`` epochs running. None: always ``max_iter`` epochs.
    shuffle : bool, default=True
        A new order of the rows for each epoch.
    verbose : int, default=0
        Above 0, prints each epoch.
    epsilon : float, default=0.1
        Of the losses 'huber', 'epsilon_insensitive' and 'squared_epsilon_insensitive'.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffles and of the validation split, drawn as scikit-learn draws them.
    learning_rate : {'constant', 'optimal', 'invscaling', 'adaptive', 'pa1', 'pa2'}, default='invscaling'
        Step size at step t: ``eta0``; ``1 / (alpha (t0 + t - 1))`` with Bottou's ``t0`` [1]_; ``eta0 /
        t**power_t``; ``eta0``, divided by 5 where 'constant' would stop; and the two passive-aggressive
        rules [3]_, for 'epsilon_insensitive' only.
    eta0 : float, default=0.01
        > 0. For 'pa1' the largest step, for 'pa2' the softness of the rule.
    power_t : float, default=0.25
    early_stopping : bool, default=False
        Hold out ``validation_fraction`` of the rows and stop on their score.
    validation_fraction : float, default=0.1
    n_iter_no_change : int, default=5
    warm_start : bool, default=False
        :meth:`fit` begins at the last solution.
    average : bool or int, default=False
        ``coef_`` is the mean of the weights of all steps, or of those from step ``average`` on.
    quantile : float, default=0.5
        Of the quantile loss, in (0, 1).

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        In the dtype of X.
    intercept_ : ndarray of shape (1,) or (n_outputs,)
    n_iter_ : int
        Epochs of the longest model.
    t_ : float
        ``1 + n_iter_ * n_samples``, and on from there in ``partial_fit``.
    loss_curve_ : list of float, or list of such lists
        The objective (mean loss plus penalty) of each epoch; one list a model when there are several.
    validation_scores_ : list of float, list of such lists, or None
        R^2 of each epoch, when there is validation data.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    Notes
    -----
    A step on row x with target y, with scikit-learn's arithmetic::

        w <- max(0, 1 - (1 - l1_ratio) eta alpha) w - eta weight loss'(y, w . x + b) x
        b <- b - eta weight loss'(y, w . x + b)

    On sparse rows b moves a hundredth as far, and the L1 cut is made to the weights of the row's values only.
    Deviations of scikit-learn's own that are kept, because its answers are the contract: under
    ``early_stopping`` the score is taken from weights without their scale.
    Validation data of one's own is scored with the weights as they are.
    Results do not depend on the number of threads.

    References
    ----------
    .. [1] Bottou, "Stochastic Gradient Descent Tricks", Neural Networks: Tricks of the Trade, 2012.
    .. [2] Tsuruoka, Tsujii, Ananiadou, "Stochastic Gradient Descent Training for L1-regularized Log-linear
       Models with Cumulative Penalty", ACL 2009.
    .. [3] Crammer, Dekel, Keshet, Shalev-Shwartz, Singer, "Online Passive-Aggressive Algorithms", JMLR 7, 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.linear_model import SGDRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((1000, 3))
    >>> y = X @ [1.0, 2.0, -1.0] + 0.5
    >>> model = SGDRegressor(random_state=0).fit(X, y)
    >>> model.coef_.round(1)
    array([ 1.,  2., -1.])
    """

    quantile: float
    loss_curve_: list[float]
    validation_scores_: Any

    _losses = (*REGRESSION_LOSSES, "quantile", "poisson")
    _aggressive_loss = "epsilon_insensitive"
    _is_flat = True

    def __init__(
            self,
            loss: Literal["squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive", "quantile",
                          "poisson"] = "squared_error",
            *, penalty: Literal["l2", "l1", "elasticnet"] | None = "l2", alpha: float = 0.0001,
            l1_ratio: float | None = 0.15, fit_intercept: bool = True, max_iter: int = 1000, tol: float | None = 1e-3,
            shuffle: bool = True, verbose: int = 0, epsilon: float = 0.1, random_state: RandomStateLike = None,
            learning_rate: Literal["constant", "optimal", "invscaling", "adaptive", "pa1", "pa2"] = "invscaling",
            eta0: float = 0.01, power_t: float = 0.25, early_stopping: bool = False, validation_fraction: float = 0.1,
            n_iter_no_change: int = 5, warm_start: bool = False, average: bool | int = False,
            quantile: float = 0.5) -> None:
        keep_parameters(self, locals())

    def _check_parameters(self, for_partial_fit=False):
        super()._check_parameters(for_partial_fit)
        check_real(self.quantile, "quantile", low=0, high=1, open_low=True, open_high=True)

    @followed(epochs=lambda self: None)
    @learns
    @restored
    def fit(self, X: MatrixLike | Blocks, y: ArrayLike | None = None, coef_init: ArrayLike | None = None,
            intercept_init: ArrayLike | None = None, sample_weight: ArrayLike | float | None = None, *,
            X_val: MatrixLike | None = None, y_val: MatrixLike | None = None) -> Self:
        """Fit from scratch, or from the last solution under ``warm_start``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks
            float32 and float64 are taken as they are, other dtypes as float64. Sparse formats other than
            CSR are converted. A source of :mod:`fasttrain.data` has y and the weights, which then are left out; its
            epochs are passes in orders of blocks and rows, each part of which is a call of :meth:`partial_fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; >= 0 for the Poisson loss. One model an output, all of them on the same row order.
        coef_init : array-like of shape (n_features,) or (n_outputs, n_features), default=None
            Where the weights begin. Not written to.
        intercept_init : array-like of shape (1,) or (n_outputs,), default=None
        sample_weight : array-like of shape (n_samples,) or float, default=None
        X_val, y_val : array-likes of shapes (n_val, n_features) and (n_val,) or (n_val, n_outputs),
        default=None
            Validation data of one's own; of a fit on a source X_val may be a source as well. Every epoch is
            scored on it (``validation_scores_``, R^2), and
            ``early_stopping`` looks at it instead of holding out a part of X.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For a wrong parameter or wrong data, by the argument's name.
        ValueError
            When the weights leave the finite numbers.
        KeyboardInterrupt
            Within 100 ms of Ctrl-C; the estimator then has the weights it had before.
        """
        self._check_parameters()
        warm = self.warm_start and getattr(self, "coef_", None) is not None
        X, y = self.check_rows(
            X, y, reset=not warm, dtype=self.coef_.dtype if warm else None, multi_output=True, y_numeric=True
        )
        y = self._check_targets(y, X.dtype)
        weight = row_weights(sample_weight, X.shape[0], X.dtype)
        # As in scikit-learn: under warm_start a fitted regressor goes on from where it is.
        start = self._going_on(y) if warm else self._fresh(n_regressors(y), X, coef_init, intercept_init)
        validation = self._check_validation(X_val, y_val, X.dtype, multi_output=True, y_numeric=True)
        if validation is not None:
            validation = validation[0], self._check_targets(validation[1], X.dtype, "y_val")
            if validation[1].shape[:-1] != y.shape[:-1]:
                raise ValueError(f"y_val must have as many outputs as y, got {n_regressors(validation[1])}")
        fit_regressors([self], X, y, weight, self.max_iter, start, 1.0, validation=validation)
        self.warn_at_end(self.n_iter_)
        return self

    @followed(epochs=lambda self: None)
    @learns
    @restored
    def partial_fit(self, X: MatrixLike | Blocks, y: ArrayLike | None = None,
                    sample_weight: ArrayLike | float | None = None) -> Self:
        """Train one epoch on these samples, from where the last call ended.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,) or float, default=None

        Returns
        -------
        self
        """
        trained = getattr(self, "coef_", None) is not None
        if not trained:
            self._check_parameters(for_partial_fit=True)
        X, y = self.check_rows(
            X, y, reset=not trained, dtype=self.coef_.dtype if trained else None, multi_output=True, y_numeric=True
        )
        y = self._check_targets(y, X.dtype)
        weight = row_weights(sample_weight, X.shape[0], X.dtype)
        start = self._going_on(y) if trained else self._fresh(n_regressors(y), X)
        fit_regressors([self], X, y, weight, 1, start, getattr(self, "t_", 1.0))
        return self

    def _fit_blocks(self, source, name, coef_init=None, intercept_init=None, X_val=None, y_val=None):
        """Train on a source of several blocks, by the method of this name."""
        partial = name == "partial_fit"
        trained = getattr(self, "coef_", None) is not None
        if not partial or not trained:
            self._check_parameters(for_partial_fit=partial)
        warm = trained and (partial or self.warm_start)
        checked = checked_source(self, source, reset=not warm, y_numeric=True)

        def code(y, weights):
            # one row of the buffer a row of the table
            target = self._check_targets(y, checked.dtype)
            return target if target.ndim == 1 else np.ascontiguousarray(target.T), weights

        random_state = check_random_state(self.random_state)
        blocks, validation = split_source(self, checked, code, X_val, y_val, random_state, partial)
        y = checked.load(checked.first)[1]
        n_models = y.shape[1] if y.ndim == 2 else 1
        if warm:
            start = self._going_on(y.T)
        else:
            start = self._fresh(n_models, checked, coef_init, intercept_init)
        models = [
            Model(self, start_of(start, i), lambda y, i=i: y if y.ndim == 1 else y[:, i], (1.0, 1.0))
            for i in range(n_models)
        ]
        t = getattr(self, "t_", 1.0) if partial else 1.0
        results = train_blocks(
            self, blocks, models, 1 if partial else self.max_iter, t, None, validation, self._r2_scores, random_state)
        self._adopt(results, start, t, len(blocks))
        if not partial:
            self.warn_at_end(self.n_iter_)
        return self

    def _r2_scores(self, models, validation):
        """R^2 of each model, every row counted once."""
        sums = np.zeros((len(models), 4))
        for X, target, *_ in validation.stream():
            for k, model in enumerate(models):
                y = model.target(target).astype(np.float64)
                raw = raw_predictions(X, model.start[0][np.newaxis], model.start[1])
                prediction = np.exp(raw) if self.loss == "poisson" else raw
                sums[k] += len(y), y.sum(), (y**2).sum(), ((y - prediction) ** 2).sum()
        n, total, squares, residual = sums.T
        spread = squares - total**2 / n
        return np.where(spread > 0, 1 - residual / np.where(spread > 0, spread, 1.0), residual == 0)

    def _check_targets(self, y, dtype, name="y"):
        """Targets in the kernels' form: (n_samples,), or (n_outputs, n_samples) for several outputs."""
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if self.loss == "poisson" and (y < 0).any():
            raise ValueError(f"{name} must be >= 0 for loss='poisson', got {y.min()}")
        with np.errstate(over="ignore"):
            y = np.ascontiguousarray(y.T if y.ndim == 2 else y, dtype=dtype)
        if not np.isfinite(y).all():
            raise ValueError(f"{name} must stay finite as {np.dtype(dtype).name}, the dtype of X")
        return y

    def _going_on(self, y):
        """Starting weights of a fit that goes on, for as many outputs as the last one had."""
        start = self._state()
        if n_regressors(y) != len(start[0]):
            raise ValueError(f"y must have {len(start[0])} outputs as in the last call, got {n_regressors(y)}")
        return start

    @predicts
    def predict(self, X: MatrixLike | Blocks) -> Array:
        """Predictions: ``w . x + b``, and its exponential for the Poisson loss.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        _descents.check_prediction_rows(X)
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False)
        raw = raw_predictions(X, self.coef_, self.intercept_)
        return np.exp(raw) if self.loss == "poisson" else raw


def n_regressors(y):
    """One model an output, of targets in the kernels' form."""
    return len(y) if y.ndim == 2 else 1


def fit_regressors(group, X, y, weight, max_iter, start, t, validation=None, rows=None):
    """Train estimators that share SHARED on the same rows, one model an output, and hand each its own."""
    problem = regressor_problem(group, X, y, weight, max_iter, start, t, validation, rows)
    [results] = train([problem], None, group[0].verbose, tasks=group[0].tasks(X.dtype))
    n_samples = X.shape[0] if rows is None else len(rows)
    for e, estimator in enumerate(group):
        estimator._adopt(results[e :: len(group)], start, t, n_samples)


def regressor_problem(group, X, y, weight, max_iter, start, t, validation=None, rows=None, X_rows=None):
    """The problem of :func:`fit_regressors`, all outputs in one; ``X_rows`` are the kernel's rows of X, if made
    before."""
    lead = group[0]
    n_samples = X.shape[0] if rows is None else len(rows)
    outputs = y.reshape(-1, X.shape[0])
    held = mask = None
    kind = "r2_exponential" if lead.loss == "poisson" else "r2"
    weight_held = None
    if lead.early_stopping and validation is None:
        mask, held = held_out(lead, np.empty(n_samples), False, X, weight, rows)
        validation = X[held], outputs[:, held]
        weight_held = None if weight is None else np.ascontiguousarray(weight[held])
    seed = _descents.shuffle_seed(check_random_state(lead.random_state), dataset_first=False)
    options = lead.descent_options(X, t, validation is not None, held is None)
    models, starts, targets, y_score = [], [], [], []
    for i, target in enumerate(outputs):
        for estimator in group:
            models.append(candidate(estimator, max_iter or estimator.max_iter))
            starts.append(start_of(start, i))
            targets.append(target)
            if validation is not None:
                y_score.append(validation[1].reshape(len(outputs), -1)[i])
    score = None
    if validation is not None:
        y_score = np.stack(y_score)
        totals = _descents.score_totals(y_score, weight_held, kind)
        score = rows_of(validation[0], "X_val"), y_score, weight_held, totals, kind
    y_models = outputs[0] if len(outputs) == 1 else np.stack(targets)
    X_rows = rows_of(X) if X_rows is None else X_rows
    return Problem(X_rows, y_models, lead.loss, seed, models, starts, weight, mask, rows, score, options)
