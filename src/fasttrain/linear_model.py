"""Linear models: the dense engine with no hidden layer, as scikit-learn estimators."""

import math
import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from fasttrain import losses, optimizers, penalties, schedules
from fasttrain._kernels.losses import loss_and_gradient
from fasttrain._kernels.network import Network
from fasttrain._kernels.threads import get_num_threads
from fasttrain._spec import check_integer, check_real
from fasttrain._validation import check_batch_size, check_weights
from fasttrain.callbacks import ProgressBar, as_callbacks
from fasttrain.training import Stopping, configure, train, train_lbfgs

__all__ = ["LinearClassifier", "LinearRegressor"]


class _LinearModel(BaseEstimator):
    """What the classifier and the regressor share: everything but the meaning of y."""

    def __init__(self, loss, *, penalty=None, alpha=1e-4, l1_ratio=0.15, fit_intercept=True, optimizer="adam",
                 learning_rate=None, schedule="constant", batch_size="auto", max_iter=200, tol=1e-4,
                 n_iter_no_change=10, shuffle=True, random_state=None, early_stopping=False, validation_fraction=0.1,
                 warm_start=False, callbacks=None, n_threads=None, dtype=None, verbose=0):
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.shuffle = shuffle
        self.random_state = random_state
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.n_threads = n_threads
        self.dtype = dtype
        self.verbose = verbose

    # ---- parameters as specs ----

    def _penalty_spec(self):
        if isinstance(self.penalty, penalties.Penalty):
            return self.penalty
        alpha = check_real(self.alpha, "alpha", low=0)
        l1_ratio = check_real(self.l1_ratio, "l1_ratio", low=0, high=1)
        made = penalties.get(self.penalty)
        if isinstance(made, penalties.ElasticNet):
            return penalties.ElasticNet(alpha, l1_ratio)
        return type(made)(alpha) if isinstance(made, (penalties.L1, penalties.L2)) else made

    def _check_parameters(self):
        """The specs and numbers of this fit; everything that is wrong with a parameter is raised here."""
        penalty = self._penalty_spec()
        optimizer = optimizers.get(self.optimizer)
        if optimizer.rule == "lbfgs" and penalty.l1:
            raise ValueError(f"penalty must have no l1 part for the optimizer LBFGS, got {penalty!r}")
        if self.dtype is not None and np.dtype(self.dtype) not in (np.float32, np.float64):
            raise ValueError(f"dtype must be float32, float64 or None, got {self.dtype!r}")
        check_real(self.learning_rate, "learning_rate", low=0, open_low=True, optional=True)
        check_integer(self.max_iter, "max_iter", low=1)
        check_integer(self.n_iter_no_change, "n_iter_no_change", low=1)
        if self.tol is not None and self.tol != -math.inf:
            check_real(self.tol, "tol", low=0)
        check_real(self.validation_fraction, "validation_fraction", low=0, high=1, open_low=True, open_high=True)
        check_integer(self.n_threads, "n_threads", low=1, optional=True)
        as_callbacks(self.callbacks)
        return self._loss_spec(), optimizer, penalty, schedules.get(self.schedule)

    def _learning_rate(self, optimizer):
        by_name = isinstance(self.optimizer, str) and optimizer.rule in ("adam", "nadam", "rmsprop")
        return 0.01 if self.learning_rate is None and by_name else self.learning_rate

    # ---- data ----

    def _dtypes(self):
        return [np.float64, np.float32] if self.dtype is None else np.dtype(self.dtype)

    def _check_X(self, X):
        X = validate_data(self, X, reset=False, dtype=self._dtypes(), order="C")
        return np.ascontiguousarray(X, dtype=self.coef_.dtype)

    def _weights(self, sample_weight, y, dtype):
        """Sample weights with class weights in them, or None when all are 1."""
        weights = None if sample_weight is None else check_weights(sample_weight, len(y), dtype)
        by_class = self._class_weights(y)
        if by_class is not None:
            weights = by_class.astype(dtype) if weights is None else weights * by_class.astype(dtype)
        return weights

    def _class_weights(self, y):
        return None

    # ---- fitting ----

    def _network(self, n_features, n_outputs, dtype):
        return Network(n_features, n_outputs, dtype, self.fit_intercept)

    def _start(self, X, n_outputs, keep):
        """An engine for this fit: new, or with the parameters (and the optimizer's memory) of the last one."""
        network = None
        if keep and hasattr(self, "coef_"):
            coef = np.atleast_2d(self.coef_)
            if coef.shape != (n_outputs, X.shape[1]):
                raise ValueError(
                    f"a warm start needs the {coef.shape[0]} outputs and {coef.shape[1]} features of the last fit, "
                    f"got {n_outputs} and {X.shape[1]}"
                )
            network = getattr(self, "_engine", None)
            if network is None or network.dtype != X.dtype:
                network = self._network(X.shape[1], n_outputs, X.dtype)
            network.parameters[:] = network.pack(coef, np.atleast_1d(self.intercept_))
        return network or self._network(X.shape[1], n_outputs, X.dtype)

    def _validation_loss(self, network, loss, X, y, sample_weight, threads):
        total = float(len(X)) if sample_weight is None else float(sample_weight.sum(dtype=np.float64))

        def evaluate():
            raw = network.raw_predict(X, threads)
            target, weight = y, sample_weight
            if weight is not None and loss.targets != "classes" and raw.shape[1] > 1:
                weight = np.repeat(weight, raw.shape[1])
                target, raw = y.reshape(-1, 1), raw.reshape(-1, 1)
            return loss_and_gradient(loss.name, target, raw, weight, loss.parameter, None, True, threads) / total

        return evaluate

    def _fit(self, X, y, sample_weight, validation_data=None, one_epoch=False, keep=False):
        """Train on checked X and the target y as given; sets every fitted attribute at the end, none before."""
        loss, optimizer, penalty, schedule = self._check_parameters()
        random_state = check_random_state(self.random_state)
        if one_epoch and optimizer.rule == "lbfgs":
            raise ValueError("partial_fit needs an optimizer that makes steps, got LBFGS")
        weights = self._weights(sample_weight, y, X.dtype)
        validation = None
        if validation_data is not None:
            validation = self._check_validation_data(validation_data, X)
        elif self.early_stopping and not one_epoch:
            X, y, weights, validation = self._split(X, y, weights, random_state)
        loss, target = self._target(loss, y, X.dtype)
        batch_size = check_batch_size(self.batch_size, len(X))
        network = self._start(X, self._n_outputs(target), keep)
        configure(network, loss, optimizer, penalty)
        network.bind(X, target, weights)
        validation_loss = None
        if validation is not None:
            Xv, yv, wv = validation
            validation_loss = self._validation_loss(
                network, loss, Xv, self._target(loss, yv, X.dtype)[1], wv, get_num_threads(self.n_threads)
            )
        callbacks = as_callbacks(self.callbacks) + ([ProgressBar()] if self.verbose else [])
        common = {
            "validation_loss": validation_loss, "callbacks": callbacks, "n_threads": self.n_threads,
            "catch_interrupt": True,
        }
        if optimizer.rule == "lbfgs":
            result = train_lbfgs(network, optimizer, n_iter=self.max_iter, **common)
        else:
            stopping = None
            if not one_epoch and self.tol is not None:
                restore = self.early_stopping and validation is not None
                stopping = Stopping(self.tol, self.n_iter_no_change, restore)
            result = train(
                network, optimizer, n_epochs=1 if one_epoch else self.max_iter, batch_size=batch_size,
                n_samples=len(X), learning_rate=self._learning_rate(optimizer), schedule=schedule, shuffle=self.shuffle,
                random_state=random_state, stopping=stopping,
                first_step=getattr(self, "t_", 0) if keep else 0, **common,
            )
        self._set_fitted(network, result, keep)
        if result.interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=3)
        elif not one_epoch and not result.converged and self.tol is not None and self.tol != -math.inf:
            warnings.warn(
                f"max_iter={self.max_iter} was reached before the loss settled: {result.message}. "
                "Raise max_iter or the learning rate, or scale the features.",
                ConvergenceWarning, stacklevel=3,
            )
        return self

    def _split(self, X, y, weights, random_state):
        """Hold out ``validation_fraction`` of the rows; stratified for classes."""
        columns = [X, y] if weights is None else [X, y, weights]
        parts = train_test_split(
            *columns, test_size=self.validation_fraction, random_state=random_state, stratify=self._strata(y)
        )
        X_train, X_valid, y_train, y_valid = parts[:4]
        train_weights, valid_weights = parts[4:] if weights is not None else (None, None)
        return np.ascontiguousarray(X_train), y_train, train_weights, (
            np.ascontiguousarray(X_valid), y_valid, valid_weights
        )

    def _strata(self, y):
        return None

    def _check_validation_data(self, validation_data, X):
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
            raise ValueError(
                "validation_data must be (X, y) or (X, y, sample_weight), got "
                + (f"{len(validation_data)} items" if isinstance(validation_data, (tuple, list))
                   else type(validation_data).__name__)
            )
        Xv, yv = validate_data(
            self, validation_data[0], validation_data[1], reset=False, dtype=X.dtype, order="C", multi_output=True,
            y_numeric=self._y_numeric,
        )
        weights = validation_data[2] if len(validation_data) == 3 else None
        return Xv, self._check_y(yv), None if weights is None else check_weights(weights, len(yv), X.dtype)

    def _set_fitted(self, network, result, keep):
        coef, intercept = network.unpack(network.parameters)
        before = keep and hasattr(self, "n_iter_")
        # a partial fit goes on where the last one stopped, moments included
        self._engine = network
        self.n_iter_ = result.n_iter + (self.n_iter_ if before and keep == "partial" else 0)
        self.t_ = result.n_steps + (self.t_ if before else 0)
        history = {name: list(values) for name, values in result.history.items()}
        if before:
            for name, values in self.history_.items():
                history[name] = values + history.get(name, [])
        self.history_ = history
        self.loss_curve_ = history["loss"]
        self.validation_loss_curve_ = history.get("validation_loss")
        self.loss_ = history["loss"][-1] if history["loss"] else math.nan
        self.best_loss_ = min(self.loss_curve_) if self.loss_curve_ else math.nan
        self.converged_ = result.converged
        self._set_coef(coef, intercept)

    def _set_coef(self, coef, intercept):
        self.coef_ = coef
        self.intercept_ = intercept

    def __getstate__(self):
        # the engine holds addresses; what it knows beyond coef_ is the optimizer's memory of a partial fit
        state = dict(super().__getstate__())
        network = state.pop("_engine", None)
        if network is not None:
            state["_memory"] = (
                {slot: network.unpack(array) for slot, array in network.state.items()}, network.counters
            )
        return state

    def __setstate__(self, state):
        memory = state.pop("_memory", None)
        super().__setstate__(state)
        if memory is not None and hasattr(self, "coef_"):
            slots, counters = memory
            coef = np.atleast_2d(self.coef_)
            network = self._network(coef.shape[1], coef.shape[0], coef.dtype)
            optimizer = optimizers.get(self.optimizer)
            if optimizer.rule != "lbfgs":
                network.set_optimizer(optimizer.rule, optimizer.slots, optimizer.settings(), optimizer.initial_state)
                for slot, (weights, biases) in slots.items():
                    if slot in network.state:
                        network.state[slot][:] = network.pack(weights, biases)
                network.counters = counters
            self._engine = network

    def _raw_predict(self, X):
        check_is_fitted(self)
        X = self._check_X(X)
        coef = np.atleast_2d(self.coef_)
        network = self._network(coef.shape[1], coef.shape[0], coef.dtype)
        network.parameters[:] = network.pack(coef, np.atleast_1d(self.intercept_))
        return network.raw_predict(X, get_num_threads(self.n_threads))


class LinearRegressor(RegressorMixin, _LinearModel):
    """Linear regression by gradient descent, with any regression loss, optimizer and penalty.

    Minimizes ``mean_i w_i loss(y_i, x_i . coef + intercept) + alpha * penalty(coef)``; the intercept is not penalized.
    With several outputs the losses of a row's outputs are added up.

    Parameters
    ----------
    loss : str or fasttrain.losses.Loss, default='half_squared_error'
        Any loss of :mod:`fasttrain.losses` with ``is_regression``. 'poisson' predicts ``exp(raw)``.
    penalty : {'l1', 'l2', 'elasticnet'}, fasttrain.penalties.Penalty or None, default=None
        A spec brings its own ``alpha`` and ``l1_ratio``.
    alpha : float, default=1e-4
        Strength of a penalty given by name.
    l1_ratio : float, default=0.15
        Share of the L1 norm in 'elasticnet', from 0 to 1.
    fit_intercept : bool, default=True
    optimizer : str or fasttrain.optimizers.Optimizer, default='adam'
        'lbfgs' takes full batches and no L1.
    learning_rate : float, default=None
        None takes the optimizer's own; for Adam, AdamW, NAdam and RMSprop given by name 0.01, since their default of
        0.001 is meant for networks.
    schedule : str or fasttrain.schedules.Schedule, default='constant'
    batch_size : int, 'auto' or 'full', default='auto'
        'auto' is ``min(200, n_samples)``.
    max_iter : int, default=200
        Epochs at most (iterations for L-BFGS).
    tol : float or None, default=1e-4
        Training ends when the watched loss has not improved by more than this for ``n_iter_no_change`` epochs;
        None goes on to ``max_iter``.
    n_iter_no_change : int, default=10
    shuffle : bool, default=True
        A new order of rows each epoch.
    random_state : int, RandomState instance or None, default=None
        Draws the held-out rows and the orders.
    early_stopping : bool, default=False
        Watch the loss on held-out rows instead of the training loss, and keep the best epoch's coefficients.
    validation_fraction : float, default=0.1
        Rows held out when ``early_stopping`` and no ``validation_data``.
    warm_start : bool, default=False
        Start from the coefficients of the last fit.
    callbacks : callable, fasttrain.callbacks.Callback or list of them, default=None
    n_threads : int, default=None
        Threads at most; None takes what :func:`fasttrain.set_num_threads` and the machine allow. The result does not
        depend on it.
    dtype : {'float32', 'float64'} or None, default=None
        Of the computation; None keeps float32 data in float32 and takes float64 else.
    verbose : int, default=0
        Not 0 shows a progress bar.

    Attributes
    ----------
    coef_ : array of shape (n_features,) or (n_outputs, n_features)
    intercept_ : float or array of shape (n_outputs,)
    n_iter_ : int
        Epochs done.
    t_ : int
        Updates done.
    loss_, best_loss_ : float
        Last and smallest training loss, penalty included.
    loss_curve_ : list of float
        Of each epoch; the mean of its batches, each before its update.
    validation_loss_curve_ : list of float or None
    history_ : dict of lists
    converged_ : bool
    n_features_in_ : int
    feature_names_in_ : array of str
        When X had column names.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.linear_model import LinearRegressor
    >>> X = np.arange(20.0).reshape(10, 2) / 10
    >>> y = X @ [1.0, 2.0] + 3.0
    >>> model = LinearRegressor(optimizer="lbfgs").fit(X, y)
    >>> model.predict([[0.0, 0.1]]).round(2)
    array([3.2])
    """

    _y_numeric = True

    def __init__(self, loss="half_squared_error", *, penalty=None, alpha=1e-4, l1_ratio=0.15, fit_intercept=True,
                 optimizer="adam", learning_rate=None, schedule="constant", batch_size="auto", max_iter=200, tol=1e-4,
                 n_iter_no_change=10, shuffle=True, random_state=None, early_stopping=False, validation_fraction=0.1,
                 warm_start=False, callbacks=None, n_threads=None, dtype=None, verbose=0):
        super().__init__(
            loss, penalty=penalty, alpha=alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept, optimizer=optimizer,
            learning_rate=learning_rate, schedule=schedule, batch_size=batch_size, max_iter=max_iter, tol=tol,
            n_iter_no_change=n_iter_no_change, shuffle=shuffle, random_state=random_state,
            early_stopping=early_stopping, validation_fraction=validation_fraction, warm_start=warm_start,
            callbacks=callbacks, n_threads=n_threads, dtype=dtype, verbose=verbose,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _loss_spec(self):
        loss = losses.get(self.loss)
        if not loss.is_regression:
            raise ValueError(f"loss of LinearRegressor must be a regression loss, got {self.loss!r}")
        return loss

    def _check_y(self, y):
        return y if y.ndim == 2 and y.shape[1] > 1 else column_or_1d(y, warn=False)

    def _target(self, loss, y, dtype):
        target = np.ascontiguousarray(y, dtype=dtype)
        if loss.targets == "non_negative" and (target < 0).any():
            raise ValueError(f"y must hold numbers >= 0 for the loss {loss.name}, got {target.min():g}")
        return loss, target.reshape(len(y), -1)

    def _n_outputs(self, target):
        return target.shape[1]

    def _check_Xy(self, X, y, reset):
        X, y = validate_data(
            self, X, y, reset=reset, dtype=self._dtypes(), order="C", multi_output=True, y_numeric=True
        )
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def fit(self, X, y, sample_weight=None, validation_data=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite; float32 and float64 in C order are not copied.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0.
        validation_data : (X, y) or (X, y, sample_weight), default=None
            Its loss is recorded after each epoch and watched in place of the training loss.

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
        keep = self.warm_start and hasattr(self, "coef_")
        X, y = self._check_Xy(X, y, reset=not keep)
        return self._fit(X, y, sample_weight, validation_data, keep=keep)

    def partial_fit(self, X, y, sample_weight=None):
        """One epoch on this data, going on from the last call, the optimizer's memory included.

        Parameters are those of :meth:`fit`. Returns self.
        """
        first = not hasattr(self, "coef_")
        X, y = self._check_Xy(X, y, reset=first)
        return self._fit(X, y, sample_weight, one_epoch=True, keep="partial" if not first else False)

    def _set_coef(self, coef, intercept):
        self.coef_ = coef[0] if len(coef) == 1 else coef
        self.intercept_ = intercept[0] if len(coef) == 1 else intercept

    def predict(self, X):
        """Predictions of shape (n_samples,) or (n_samples, n_outputs), in the dtype of the fit."""
        raw = losses.get(self.loss).predict(self._raw_predict(X))
        return raw[:, 0] if np.ndim(self.coef_) == 1 else raw


class LinearClassifier(ClassifierMixin, _LinearModel):
    """Linear classification by gradient descent, with any classification loss, optimizer and penalty.

    Two classes share one output; more have one each, coupled by the softmax for 'log_loss' and one against the rest
    for the margin losses. A two-dimensional 0/1 ``y`` is multilabel: independent columns.

    Parameters
    ----------
    loss : str or fasttrain.losses.Loss, default='log_loss'
        'log_loss' (binary or softmax cross-entropy from logits), 'hinge', 'squared_hinge', 'modified_huber' or a spec.
    class_weight : dict, 'balanced' or None, default=None
        Factors of the sample weights by class, as in scikit-learn.
    penalty, alpha, l1_ratio, fit_intercept, optimizer, learning_rate, schedule, batch_size, max_iter, tol, \
n_iter_no_change, shuffle, random_state, early_stopping, validation_fraction, warm_start, callbacks, n_threads, dtype, \
verbose
        As for :class:`LinearRegressor`; held-out rows are stratified.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    coef_ : array of shape (1, n_features) for two classes, else (n_classes, n_features)
    intercept_ : array of shape (1,) or (n_classes,)
    n_iter_, t_, loss_, best_loss_, loss_curve_, validation_loss_curve_, history_, converged_, n_features_in_, \
feature_names_in_
        As for :class:`LinearRegressor`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fasttrain.linear_model import LinearClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LinearClassifier(optimizer="lbfgs", penalty="l2", alpha=1e-3, max_iter=500).fit(X, y)
    >>> bool(model.score(X, y) > 0.97)
    True
    """

    _y_numeric = False

    def __init__(self, loss="log_loss", *, penalty=None, alpha=1e-4, l1_ratio=0.15, fit_intercept=True,
                 optimizer="adam", learning_rate=None, schedule="constant", batch_size="auto", max_iter=200, tol=1e-4,
                 n_iter_no_change=10, shuffle=True, random_state=None, early_stopping=False, validation_fraction=0.1,
                 class_weight=None, warm_start=False, callbacks=None, n_threads=None, dtype=None, verbose=0):
        super().__init__(
            loss, penalty=penalty, alpha=alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept, optimizer=optimizer,
            learning_rate=learning_rate, schedule=schedule, batch_size=batch_size, max_iter=max_iter, tol=tol,
            n_iter_no_change=n_iter_no_change, shuffle=shuffle, random_state=random_state,
            early_stopping=early_stopping, validation_fraction=validation_fraction, warm_start=warm_start,
            callbacks=callbacks, n_threads=n_threads, dtype=dtype, verbose=verbose,
        )
        self.class_weight = class_weight

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags

    def _loss_spec(self):
        loss = losses.get(self.loss)
        if loss.is_regression:
            raise ValueError(f"loss of LinearClassifier must be a classification loss, got {self.loss!r}")
        return loss

    def _class_weights(self, y):
        return None if self.class_weight is None else compute_sample_weight(self.class_weight, y)

    def _strata(self, y):
        return None if y.ndim == 2 else y

    def _check_y(self, y):
        y = column_or_1d(y, warn=True) if y.ndim == 1 or y.shape[1] == 1 else y
        unknown = [] if y.ndim == 2 else np.setdiff1d(y, self.classes_).tolist()
        if unknown:
            raise ValueError(f"y must hold classes of the fit, {self.classes_.tolist()}, got {unknown}")
        return y

    def _target(self, loss, y, dtype):
        if y.ndim == 2:
            target = np.ascontiguousarray(y, dtype=dtype)
            if loss.targets == "classes":
                raise ValueError("loss must be 'log_loss' or a margin loss for multilabel y, got softmax_crossentropy")
        else:
            target = np.searchsorted(self.classes_, y).astype(dtype).reshape(-1, 1)
            if len(self.classes_) == 2 and loss.targets == "classes":
                loss = losses.BinaryCrossentropy()
            elif len(self.classes_) > 2 and loss.targets == "probability":
                loss = losses.SoftmaxCrossentropy()
            elif len(self.classes_) > 2 and loss.targets == "margin":
                target = LabelBinarizer().fit(self.classes_).transform(y).astype(dtype)
        return loss, 2 * target - 1 if loss.targets == "margin" else target

    def _n_outputs(self, target):
        if self._multilabel:
            return target.shape[1]
        return 1 if len(self.classes_) == 2 else len(self.classes_)

    def _check_Xy(self, X, y, reset):
        X, y = validate_data(
            self, X, y, reset=reset, dtype=self._dtypes(), order="C", multi_output=True, ensure_min_samples=1
        )
        check_classification_targets(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        kind = type_of_target(y, input_name="y")
        if kind.startswith("multiclass-multioutput"):
            raise ValueError("y must hold one class a row, or 0 and 1 in columns (multilabel), got columns of classes")
        return X, y

    def fit(self, X, y, sample_weight=None, validation_data=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite; float32 and float64 in C order are not copied.
        y : array-like of shape (n_samples,), or (n_samples, n_labels) of 0 and 1
            At least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
        validation_data : (X, y) or (X, y, sample_weight), default=None
            Its loss is recorded after each epoch and watched in place of the training loss.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad data or parameters; nothing is changed.
        DivergenceError
            When the loss stops being finite; the coefficients are as they were before.
        """
        keep = self.warm_start and hasattr(self, "coef_")
        X, y = self._check_Xy(X, y, reset=not keep)
        if keep:
            self._check_y(y)
        else:
            self._set_classes(y)
        return self._fit(X, y, sample_weight, validation_data, keep=keep)

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """One epoch on this data, going on from the last call, the optimizer's memory included.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`; y need not hold every class.
        classes : array-like of shape (n_classes,)
            All classes; needed in the first call.

        Returns
        -------
        self
        """
        first = not hasattr(self, "coef_")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is not None and not first and not np.array_equal(unique_labels(classes), self.classes_):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )
        X, y = self._check_Xy(X, y, reset=first)
        if first:
            self._set_classes(y if y.ndim == 2 else unique_labels(classes))
        self._check_y(y)
        return self._fit(X, y, sample_weight, one_epoch=True, keep="partial" if not first else False)

    def _set_classes(self, y):
        self._multilabel = y.ndim == 2
        self.classes_ = np.arange(y.shape[1]) if self._multilabel else np.unique(y)
        if len(self.classes_) < 2 and not self._multilabel:
            raise ValueError(f"y must hold at least 2 classes, got 1 class: {self.classes_[0]!r}")

    def decision_function(self, X):
        """Raw predictions of shape (n_samples,) for two classes, else (n_samples, n_classes)."""
        raw = self._raw_predict(X)
        return raw[:, 0] if raw.shape[1] == 1 and not self._multilabel else raw

    def predict(self, X):
        """Classes of shape (n_samples,), or 0 and 1 of shape (n_samples, n_labels)."""
        raw = self._raw_predict(X)
        if self._multilabel:
            return (raw > 0).astype(np.intp)
        if raw.shape[1] == 1:
            return self.classes_[(raw[:, 0] > 0).astype(np.intp)]
        return self.classes_[raw.argmax(axis=1)]

    def predict_proba(self, X):
        """Probabilities of shape (n_samples, n_classes); of each label being 1 for multilabel y.

        From the cross-entropies only; a margin loss has none and raises AttributeError.
        """
        raw = self._raw_predict(X)
        if losses.get(self.loss).targets not in ("probability", "classes"):
            raise AttributeError(f"predict_proba needs the loss 'log_loss', got {self.loss!r}")
        if self._multilabel:
            return losses.BinaryCrossentropy().predict(raw)
        if raw.shape[1] == 1:
            positive = losses.BinaryCrossentropy().predict(raw)
            return np.hstack([1 - positive, positive])
        return losses.SoftmaxCrossentropy().predict(raw)

    def predict_log_proba(self, X):
        """Logarithm of :meth:`predict_proba`."""
        return np.log(self.predict_proba(X))
