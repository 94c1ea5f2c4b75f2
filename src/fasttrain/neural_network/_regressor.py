"""MLPRegressor: the dense engine with hidden layers, for regression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from scipy.special import xlogy
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import column_or_1d

from fasttrain import losses
from fasttrain._core.types import (
    ActivationName, Array, ArrayLike, LossName, MatrixLike, OptimizerName, PathLike, PenaltyName, RandomStateLike,
    ScheduleName, Self,
)
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._estimators.rows import RowsOf
from fasttrain.activations import Activation
from fasttrain.callbacks import Callback
from fasttrain.losses import Loss
from fasttrain.neural_network._base import MultilayerPerceptron
from fasttrain.neural_network._docs import document
from fasttrain.optimizers import Optimizer
from fasttrain.penalties import Penalty
from fasttrain.schedules import Schedule


@document(score="R^2")
class MLPRegressor(RegressorMixin, MultilayerPerceptron):
    """Multi-layer perceptron for regression, with scikit-learn's parameters and answers.

    The objective of a batch is::

        (sum_i w_i loss(y_i, z_i) + alpha / 2 * sum |W|^2) / sum_i w_i

    over the rows i, their weights w_i and raw outputs z_i, and the weights W of all layers; biases are not penalized.
    For the same float64 data, parameters and ``random_state`` the weights and losses are scikit-learn's to rounding.
    All parameters after ``max_fun``, and the losses that scikit-learn does not have, change nothing by default.

    Parameters
    ----------
    loss : str or fasttrain.losses.Loss, default='squared_error'
        'squared_error': half the squared error, ``(z - y)^2 / 2``, of which the mean over the outputs is reported, as
        in scikit-learn. 'poisson': half the Poisson deviance, ``y log(y / m) - y + m`` with predictions ``m =
        exp(z)``; y >= 0. Besides 'absolute_error', 'huber', 'quantile', 'epsilon_insensitive' and
        'squared_epsilon_insensitive', or a regression loss of :mod:`fasttrain.losses` as a spec, such as
        ``Quantile(0.9)``; their outputs' losses are added up.
    {parameters}

    Attributes
    ----------
    {attributes}
    out_activation_ : {'identity', 'exp'}
        What makes predictions of raw outputs.

    Notes
    -----
    Divergence and Ctrl-C as for :class:`MLPClassifier`.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.neural_network import MLPRegressor
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> y = np.sin(3 * X[:, 0])
    >>> model = MLPRegressor(hidden_layer_sizes=(20,), activation="tanh", solver="lbfgs", random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.99)
    True

    The ninth decile in place of the mean:

    >>> from fasttrain.losses import Quantile
    >>> noisy = y + np.random.default_rng(0).normal(size=200)
    >>> model = MLPRegressor(Quantile(0.9), (20,), solver="lbfgs", random_state=0).fit(X, noisy)
    >>> bool(abs((noisy <= model.predict(X)).mean() - 0.9) < 0.05)
    True
    """

    _y_numeric = True

    def __init__(self, loss: LossName | Loss = "squared_error",
                 hidden_layer_sizes: int | Sequence[int] | Array = (100,),
                 activation: ActivationName | Activation | Sequence[ActivationName | Activation] = "relu", *,
                 solver: Literal["lbfgs", "sgd", "adam"] = "adam", alpha: float = 0.0001,
                 batch_size: Literal["auto"] | int = "auto",
                 learning_rate: Literal["constant", "invscaling", "adaptive"] = "constant",
                 learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200, shuffle: bool = True,
                 random_state: RandomStateLike = None, tol: float = 1e-4, verbose: bool | int = False,
                 warm_start: bool = False, momentum: float = 0.9, nesterovs_momentum: bool = True,
                 early_stopping: bool = False, validation_fraction: float = 0.1, beta_1: float = 0.9,
                 beta_2: float = 0.999, epsilon: float = 1e-8, n_iter_no_change: float = 10, max_fun: int = 15000,
                 optimizer: OptimizerName | Optimizer | None = None, schedule: ScheduleName | Schedule | None = None,
                 penalties: PenaltyName | Penalty | Sequence[PenaltyName | Penalty | None] | None = None,
                 dropout: float | Sequence[float] = 0.0, input_dropout: float = 0.0, noise: float = 0.0,
                 mixup: float = 0.0, max_norm: float | Sequence[float | None] | None = None,
                 averaging: Literal["ema", "swa"] | None = None, averaging_decay: float = 0.999,
                 averaging_start: int = 1,
                 batch_norm: Literal["before", "after"] | Sequence[Literal["before", "after"] | None] | None = None,
                 batch_norm_momentum: float = 0.99,
                 callbacks: Callback | Callable[..., Any] | Sequence[Callback | Callable[..., Any]] | None = None,
                 progress: bool = False, n_threads: int | None = None, dtype: Any = None) -> None:
        keep_parameters(self, locals())

    def _loss_spec(self):
        loss = losses.HalfSquaredError() if isinstance(self.loss, str) and self.loss == "squared_error" else (
            losses.get(self.loss))
        if not loss.is_regression:
            raise ValueError(f"loss of MLPRegressor must be a regression loss, got {self.loss!r}")
        return loss

    def _prepare_target(self, y, incremental):
        return self._known_target(y)

    def _known_target(self, y):
        return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _encode(self, y, dtype):
        target = np.ascontiguousarray(y, dtype=dtype).reshape(len(y), -1)
        loss = self._loss_spec()
        loss.check_targets(target)
        return target

    def _loss_and_target(self, y, dtype):
        loss = self._loss_spec()
        self.out_activation_ = "exp" if loss.inverse_link == "exponential" else "identity"
        target = self._encode(y, dtype)
        self.n_outputs_ = target.shape[1]
        return loss, target

    def _value_scale(self):
        return 1.0 / self.n_outputs_ if isinstance(self.loss, str) and self.loss == "squared_error" else 1.0

    def _loss_constant(self, X, target, weights, batch_size):
        """What half the Poisson deviance has beyond the engine's loss, ``y log y - y``, averaged as the loss is."""
        if self._loss_spec().name != "poisson":
            return None
        own = (xlogy(target, target) - target).sum(axis=1, dtype=np.float64)
        if weights is None:
            mean = own.mean()
            return lambda order: mean
        own *= weights
        n_samples = len(own)
        starts = np.arange(0, n_samples, batch_size)
        rows = np.diff(np.append(starts, n_samples))
        if isinstance(X, RowsOf):
            own, weights = X.spread(own), X.spread(weights)

        def constant(order):
            taken = slice(None) if order is None else order
            total = np.add.reduceat(weights[taken].astype(np.float64), starts)
            sums = np.add.reduceat(own[taken], starts)
            return float(np.sum(rows * np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)) / n_samples)

        return constant

    def _score_raw(self, raw, target, weights):
        """R^2; NaN where a prediction is not finite."""
        prediction = self._loss_spec().predict(raw)
        if not np.isfinite(prediction).all():
            return np.nan
        return r2_score(target, prediction, sample_weight=weights)

    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None,
            validation_data: tuple[Any, ...] | None = None, resume_from: PathLike | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite. float32 and float64 in C order are not copied; CSR is trained on as it is, other sparse formats are
            made CSR.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0.
        validation_data : (X, y) or (X, y, sample_weight), default=None
            Its loss and score are recorded after each epoch; with early stopping it is used in place of held-out rows.
        resume_from : path, default=None
            A checkpoint of :class:`fasttrain.callbacks.ModelCheckpoint`: with the data and parameters of the fit that
            wrote it, the result is to the byte that of a fit that ran through.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad data or parameters; nothing is changed.
        DivergenceError
            When the loss stops being finite; the model is as it was before.
        """
        return self._fit(X, y, sample_weight, validation_data, resume_from=resume_from)

    @available_if(lambda self: self._check_solver())
    def partial_fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """One epoch on this data, going on from the last call, the optimizer's memory included.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The features of the first call.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The outputs of the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0, not all 0; None for 1.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: MatrixLike) -> Array:
        """Predictions, in the dtype of the weights.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_outputs)
        """
        prediction = self._loss_spec().predict(self._raw_predict(X))
        return prediction[:, 0] if prediction.shape[1] == 1 else prediction
