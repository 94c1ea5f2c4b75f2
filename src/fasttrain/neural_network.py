"""Multi-layer perceptrons: the dense engine with hidden layers, with scikit-learn's parameters and answers."""

import numpy as np
from scipy.special import xlogy
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

from fasttrain import losses
from fasttrain._network_base import MultilayerPerceptron

__all__ = ["MLPClassifier", "MLPRegressor"]


class MLPClassifier(ClassifierMixin, MultilayerPerceptron):
    """Multi-layer perceptron that minimizes the cross-entropy, with scikit-learn's parameters and answers.

    The objective of a batch is ``(sum_i w_i crossentropy_i + alpha / 2 * sum |W|^2) / sum_i w_i``; biases are not
    penalized. For the same float64 data, parameters and ``random_state`` the weights and losses are scikit-learn's to
    rounding. The cross-entropy is computed from logits and no probability is clipped.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int or int, default=(100,)
        Units of each hidden layer; empty for a linear model.
    activation : str, fasttrain.activations.Activation or sequence of them, default='relu'
        'identity', 'logistic', 'tanh', 'relu' as scikit-learn, and every elementwise one of
        :mod:`fasttrain.activations`. A sequence has one for each hidden layer.
    solver : {'lbfgs', 'sgd', 'adam'}, default='adam'
        'lbfgs' takes all rows at once and computes in float64.
    alpha : float, default=0.0001
        Strength of the L2 penalty.
    batch_size : int or 'auto', default='auto'
        'auto' is ``min(200, n_samples)``.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        For 'sgd'. 'invscaling': ``learning_rate_init / (t_ + 1) ** power_t`` after each epoch; 'adaptive': a fifth
        whenever training would stop, until 1e-6.
    learning_rate_init : float, default=0.001
    power_t : float, default=0.5
    max_iter : int, default=200
        Epochs, or iterations of 'lbfgs'.
    shuffle : bool, default=True
    random_state : int, RandomState instance or None, default=None
        Draws initial weights, the validation split and the order of the rows.
    tol : float, default=1e-4
    verbose : bool, default=False
        Prints the loss of each epoch.
    warm_start : bool, default=False
        Start from the last fit's weights.
    momentum : float, default=0.9
        Of 'sgd', from 0 to 1.
    nesterovs_momentum : bool, default=True
    early_stopping : bool, default=False
        Hold rows out, stop when their score does not improve, keep the weights of the best score.
    validation_fraction : float, default=0.1
    beta_1, beta_2, epsilon : float, default=0.9, 0.999 and 1e-8
        Of 'adam'.
    n_iter_no_change : int, default=10
        Epochs without an improvement by ``tol`` that are borne.
    max_fun : int, default=15000
        Evaluations of the loss by 'lbfgs'.
    class_weight : dict, 'balanced' or None, default=None
        Factors of the sample weights by class.
    callbacks : see :func:`fasttrain.callbacks.as_callbacks`, default=None
    n_threads : int, default=None
        Most threads to use; the model does not depend on it.
    dtype : {'float32', 'float64'} or None, default=None
        To compute in; None takes that of X when it is one of these, else float64.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    coefs_ : list of arrays of shape (n_in, n_out)
    intercepts_ : list of arrays of shape (n_out,)
    loss_, best_loss_ : float
        ``best_loss_`` is None with early stopping.
    loss_curve_ : list of float
        Objective of each epoch; of each iteration for 'lbfgs'.
    validation_scores_ : list of float or None
        Accuracy on held-out rows, or on ``validation_data``.
    best_validation_score_ : float or None
    validation_loss_curve_ : list of float or None
        Loss on ``validation_data``, without penalty.
    n_iter_, t_, n_layers_, n_outputs_, n_features_in_ : int
        Epochs of the last fit, rows seen by all, layers with input and output, outputs, features.
    feature_names_in_ : array of str
        When X had column names.
    out_activation_ : {'logistic', 'softmax'}

    Notes
    -----
    Sparse X is made dense as a whole, with the memory that this takes. When the loss or the weights leave the finite
    numbers, fit raises
    :class:`fasttrain.training.DivergenceError` (a ValueError) and the model is as it was before.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fasttrain.neural_network import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((20,), solver="lbfgs", random_state=0, max_iter=1000).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    """

    _y_numeric = False

    def __init__(self, hidden_layer_sizes=(100,), activation="relu", *, solver="adam", alpha=0.0001,
                 batch_size="auto", learning_rate="constant", learning_rate_init=0.001, power_t=0.5, max_iter=200,
                 shuffle=True, random_state=None, tol=1e-4, verbose=False, warm_start=False, momentum=0.9,
                 nesterovs_momentum=True, early_stopping=False, validation_fraction=0.1, beta_1=0.9, beta_2=0.999,
                 epsilon=1e-8, n_iter_no_change=10, max_fun=15000, class_weight=None, callbacks=None, n_threads=None,
                 dtype=None):
        super().__init__(
            hidden_layer_sizes, activation, solver=solver, alpha=alpha, batch_size=batch_size,
            learning_rate=learning_rate, learning_rate_init=learning_rate_init, power_t=power_t, max_iter=max_iter,
            shuffle=shuffle, random_state=random_state, tol=tol, verbose=verbose, warm_start=warm_start,
            momentum=momentum, nesterovs_momentum=nesterovs_momentum, early_stopping=early_stopping,
            validation_fraction=validation_fraction, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon,
            n_iter_no_change=n_iter_no_change, max_fun=max_fun, callbacks=callbacks, n_threads=n_threads, dtype=dtype,
        )
        self.class_weight = class_weight

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _class_weights(self, y):
        if self.class_weight is None:
            return None
        if isinstance(self.class_weight, dict) and y.ndim == 1:
            absent = [c for c in self.class_weight if c not in self.classes_]
            if absent:
                raise ValueError(f"class_weight must hold classes of y, {self.classes_.tolist()}, got {absent}")
        return compute_sample_weight(self.class_weight, y)

    def _prepare_target(self, y, incremental):
        """y in one or two axes, and ``classes_`` from it or checked against it."""
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            classes = unique_labels(y)
            if self.warm_start and set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {classes}"
                )
            unknown = np.setdiff1d(classes, self.classes_)
            if len(unknown):
                raise ValueError(
                    f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
                )
        self._check_kind(y)
        return y

    def _known_target(self, y):
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._check_kind(y)
        unknown = np.setdiff1d(unique_labels(y), self.classes_).tolist()
        if unknown:
            raise ValueError(f"y of validation_data must hold classes of y, {self.classes_.tolist()}, got {unknown}")
        return y

    def _multilabel(self):
        return self._label_binarizer.y_type_.startswith("multilabel")

    def _check_kind(self, y):
        """Labels go on with labels of as many columns, classes with classes."""
        if self._multilabel() != (y.ndim == 2) or (y.ndim == 2 and y.shape[1] != len(self.classes_)):
            wanted = f"{len(self.classes_)} columns of labels" if self._multilabel() else "one class a row"
            raise ValueError(f"y must hold {wanted}, got shape {y.shape}")

    def _encode(self, y, dtype):
        """Engine targets: 0 and 1 in columns, or class codes for the softmax."""
        if y.ndim == 2:
            return np.ascontiguousarray(y != 0, dtype=dtype)
        return np.searchsorted(self.classes_, y).astype(dtype).reshape(-1, 1)

    def _loss_and_target(self, y, dtype):
        kind = self._label_binarizer.y_type_
        self.out_activation_ = "softmax" if kind == "multiclass" else "logistic"
        loss = losses.SoftmaxCrossentropy() if kind == "multiclass" else losses.BinaryCrossentropy()
        n_outputs = y.shape[1] if y.ndim == 2 else len(self.classes_) if kind == "multiclass" else 1
        return loss, self._encode(y, dtype), n_outputs

    def _value_scale(self):
        return 1.0

    def _strata(self, target):
        return target[:, 0] if self.n_outputs_ == 1 else None

    def _score_raw(self, raw, target, weights):
        """Accuracy; NaN where a prediction is not finite."""
        if not np.isfinite(raw).all():
            return np.nan
        if self.out_activation_ == "softmax":
            right = raw.argmax(axis=1) == target[:, 0]
        else:
            right = ((raw > 0) == (target > 0.5)).all(axis=1)
        return float(np.average(right, weights=weights))

    def fit(self, X, y, sample_weight=None, validation_data=None, resume_from=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite; float32 and float64 in C order are not copied, sparse X is made dense.
        y : array-like of shape (n_samples,), or (n_samples, n_labels) of 0 and 1
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
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """One epoch on this data, going on from the last call, the optimizer's memory included.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`; y need not hold every class.
        classes : array-like of shape (n_classes,), default=None
            All classes; needed in the first call.

        Returns
        -------
        self
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight must be a dict or None for partial_fit, which does not see all classes at once, "
                "got 'balanced'"
            )
        first = not hasattr(self, "classes_")
        if first:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            multilabel = type_of_target(y).startswith("multilabel")
            binarizer = LabelBinarizer().fit(y if multilabel else classes)
            self._label_binarizer, self.classes_ = binarizer, unique_labels(classes)
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )
        try:
            return self._fit(X, y, sample_weight, incremental=True)
        except BaseException:
            if first:
                del self._label_binarizer, self.classes_
            raise

    def predict(self, X):
        """Classes of shape (n_samples,), or 0 and 1 of shape (n_samples, n_labels)."""
        raw = self._raw_predict(X)
        if self._multilabel():
            return (raw > 0).astype(int)
        if self.out_activation_ == "softmax":
            return self.classes_[raw.argmax(axis=1)]
        return self.classes_[((raw[:, 0] > 0) & (len(self.classes_) > 1)).astype(np.intp)]

    def predict_proba(self, X):
        """Probabilities of shape (n_samples, n_classes); of each label being 1 for multilabel y."""
        return self._probabilities(self._raw_predict(X))

    def _probabilities(self, raw):
        if self.out_activation_ == "softmax":
            return losses.SoftmaxCrossentropy().predict(raw)
        proba = losses.BinaryCrossentropy().predict(raw)
        return proba if self.n_outputs_ > 1 else np.hstack([1 - proba, proba])

    def predict_log_proba(self, X):
        """Logarithm of :meth:`predict_proba`; where a probability is 0 or nearly so, from the logits: it is finite."""
        raw = self._raw_predict(X)
        proba = self._probabilities(raw)
        with np.errstate(divide="ignore"):
            log = np.log(proba)
        if self.out_activation_ == "softmax":
            raw -= raw.max(axis=1, keepdims=True)
            exact = raw - np.log(np.exp(raw).sum(axis=1, keepdims=True))
        else:
            exact = -np.logaddexp(0, -raw) if self.n_outputs_ > 1 else -np.logaddexp(0, np.hstack([raw, -raw]))
        return np.where(proba < np.finfo(proba.dtype).tiny, exact, log)


class MLPRegressor(RegressorMixin, MultilayerPerceptron):
    """Multi-layer perceptron for regression, with scikit-learn's parameters and answers.

    The objective of a batch is ``(sum_i w_i loss_i + alpha / 2 * sum |W|^2) / sum_i w_i``, biases not penalized.

    Parameters
    ----------
    loss : str or fasttrain.losses.Loss, default='squared_error'
        'squared_error': half the squared error, reported as the mean over outputs, as in scikit-learn; 'poisson': half
        the Poisson deviance with outputs ``exp(raw)``. Besides 'absolute_error', 'huber', 'quantile' or any regression
        loss of :mod:`fasttrain.losses` as a spec; their outputs' losses are added up.
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, \
shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction, \
beta_1, beta_2, epsilon, n_iter_no_change, max_fun, callbacks, n_threads, dtype
        As for :class:`MLPClassifier`.

    Attributes
    ----------
    coefs_, intercepts_, loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, \
validation_loss_curve_, n_iter_, t_, n_layers_, n_outputs_, n_features_in_, feature_names_in_
        As for :class:`MLPClassifier`; scores are R^2.
    out_activation_ : {'identity', 'exp'}

    Notes
    -----
    Sparse X and divergence as for :class:`MLPClassifier`.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.neural_network import MLPRegressor
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> y = np.sin(3 * X[:, 0])
    >>> model = MLPRegressor(hidden_layer_sizes=(20,), activation="tanh", solver="lbfgs", random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.99)
    True
    """

    _y_numeric = True

    def __init__(self, loss="squared_error", hidden_layer_sizes=(100,), activation="relu", *, solver="adam",
                 alpha=0.0001, batch_size="auto", learning_rate="constant", learning_rate_init=0.001, power_t=0.5,
                 max_iter=200, shuffle=True, random_state=None, tol=1e-4, verbose=False, warm_start=False,
                 momentum=0.9, nesterovs_momentum=True, early_stopping=False, validation_fraction=0.1, beta_1=0.9,
                 beta_2=0.999, epsilon=1e-8, n_iter_no_change=10, max_fun=15000, callbacks=None, n_threads=None,
                 dtype=None):
        super().__init__(
            hidden_layer_sizes, activation, solver=solver, alpha=alpha, batch_size=batch_size,
            learning_rate=learning_rate, learning_rate_init=learning_rate_init, power_t=power_t, max_iter=max_iter,
            shuffle=shuffle, random_state=random_state, tol=tol, verbose=verbose, warm_start=warm_start,
            momentum=momentum, nesterovs_momentum=nesterovs_momentum, early_stopping=early_stopping,
            validation_fraction=validation_fraction, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon,
            n_iter_no_change=n_iter_no_change, max_fun=max_fun, callbacks=callbacks, n_threads=n_threads, dtype=dtype,
        )
        self.loss = loss

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
        if loss.targets == "non_negative" and (target < 0).any():
            raise ValueError(f"y must hold numbers >= 0 for the loss {loss.name}, got {target.min():g}")
        return target

    def _loss_and_target(self, y, dtype):
        loss = self._loss_spec()
        self.out_activation_ = "exp" if loss.inverse_link == "exponential" else "identity"
        target = self._encode(y, dtype)
        return loss, target, target.shape[1]

    def _value_scale(self):
        return 1.0 / self.n_outputs_ if isinstance(self.loss, str) and self.loss == "squared_error" else 1.0

    def _loss_constant(self, target, weights, batch_size):
        """What half the Poisson deviance has beyond the engine's loss, ``y log y - y``, averaged as the loss is."""
        if self._loss_spec().name != "poisson":
            return None
        own = (xlogy(target, target) - target).sum(axis=1, dtype=np.float64)
        if weights is None:
            mean = own.mean()
            return lambda order: mean
        own *= weights
        starts = np.arange(0, len(own), batch_size)
        rows = np.diff(np.append(starts, len(own)))

        def constant(order):
            taken = slice(None) if order is None else order
            total = np.add.reduceat(weights[taken].astype(np.float64), starts)
            sums = np.add.reduceat(own[taken], starts)
            return float(np.sum(rows * np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)) / len(own))

        return constant

    def _score_raw(self, raw, target, weights):
        """R^2; NaN where a prediction is not finite."""
        prediction = self._loss_spec().predict(raw)
        if not np.isfinite(prediction).all():
            return np.nan
        return r2_score(target, prediction, sample_weight=weights)

    def fit(self, X, y, sample_weight=None, validation_data=None, resume_from=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite; float32 and float64 in C order are not copied, sparse X is made dense.
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
    def partial_fit(self, X, y, sample_weight=None):
        """One epoch on this data, going on from the last call, the optimizer's memory included.

        Parameters are those of :meth:`fit`. Returns self.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X):
        """Predictions of shape (n_samples,) or (n_samples, n_outputs), in the dtype of the weights."""
        prediction = self._loss_spec().predict(self._raw_predict(X))
        return prediction[:, 0] if prediction.shape[1] == 1 else prediction
