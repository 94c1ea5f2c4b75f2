"""Linear models: the dense engine with no hidden layer, as scikit-learn estimators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from fasttrain import losses
from fasttrain._core.checks import are_labels
from fasttrain._core.types import (
    Array, ArrayLike, LossName, MatrixLike, OptimizerName, PathLike, RandomStateLike, ScheduleName, Self,
)
from fasttrain._estimators.blocks import Labels, ScoresBlocks, class_weight_factors, labels_of, learns
from fasttrain._estimators.data import warn_of_a_quantity
from fasttrain._estimators.fitted import all_or_nothing
from fasttrain._estimators.following import followed
from fasttrain.data._use import predicts
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._tables.categories import distinct_labels, encode, unique, unknown_values
from fasttrain.data import Blocks
from fasttrain.callbacks import Callback
from fasttrain.linear_model._base import LinearModel, most_epochs
from fasttrain.linear_model._data import ArrayRows
from fasttrain.losses import Loss
from fasttrain.optimizers import Optimizer
from fasttrain.penalties import Penalty
from fasttrain.schedules import Schedule


class LinearRegressor(ScoresBlocks, RegressorMixin, LinearModel):
    """Linear regression with any regression loss, optimizer and penalty.

    Minimizes ``mean_i w_i loss(y_i, x_i . coef + intercept) + alpha * penalty(coef)``; the intercept is not penalized.
    With several outputs the losses of a row's outputs are added up. With the defaults it is what Ridge() finds, on
    columns and targets of any scale.

    Parameters
    ----------
    loss : str or fasttrain.losses.Loss, default='half_squared_error'
        Any loss of :mod:`fasttrain.losses` with ``is_regression``. 'poisson' predicts ``exp(raw)``.
    penalty : {'auto', 'l1', 'l2', 'elasticnet'}, fasttrain.penalties.Penalty or None, default='auto'
        A spec brings its own ``alpha`` and ``l1_ratio``. 'auto', where ``optimizer='auto'`` comes to L-BFGS, is the
        penalty of Ridge() and LogisticRegression(), ``sum_j (coef_j u_j)^2 / 2`` over the sum of the sample weights,
        whatever ``alpha`` is. The unit u_j is the column's standard deviation, so on standardised columns 1, or of a
        column that holds 0 and one other number that number, so that the units of X are of no consequence. With
        ``loss='squared_error'`` it is twice as much, with losses that do not grow as squares it is in the units of y.
        With any other optimizer 'auto' is None.
    alpha : float, default=1e-4
        Strength of a penalty given by name.
    l1_ratio : float, default=0.15
        Share of the L1 norm in 'elasticnet', from 0 to 1.
    fit_intercept : bool, default=True
    optimizer : str or fasttrain.optimizers.Optimizer, default='auto'
        'auto' is L-BFGS, which takes every loss and penalty, unless something is asked for that goes in steps: a
        ``learning_rate``, a ``schedule``, a number as ``batch_size``, ``early_stopping``, ``partial_fit``,
        ``resume_from``, or a callback with ``needs_steps``, such as ModelCheckpoint. Then it is 'adam', which in
        ``fit`` begins with the intercept at the target's mean and, unless there is a ``learning_rate``, has its rate
        and ``tol`` in units of the target over those of the widest column. 'lbfgs' takes full batches; it works in
        units in which each column has the standard deviation 1, and with a squared loss the target too, and converges
        to the same minimum on any scale.
    learning_rate : float, default=None
        None takes the optimizer's own; for Adam, AdaMax, LAMB, NAdam and RMSprop given by name 0.01, since their own
        0.001 is meant for networks.
    schedule : str or fasttrain.schedules.Schedule, default='constant'
        Laid out for ``max_iter`` epochs, also over the calls of ``partial_fit``.
    batch_size : int, 'auto' or 'full', default='auto'
        'auto' is ``min(200, n_samples)``.
    max_iter : int, default=200
        Epochs at most (iterations for L-BFGS).
    tol : float or None, default=1e-4
        L-BFGS ends where no element of the objective's gradient is greater, as scikit-learn's does; the gradient is
        that of coefficients in the units named above, which on standardised columns are none. For the other optimizers
        training ends when the watched loss has not improved by more than this for ``n_iter_no_change`` epochs.
        None goes on to ``max_iter``, or to where the loss no longer moves in its last digits.
    n_iter_no_change : int, default=10
    shuffle : bool, default=True
        A new order of rows each epoch.
    random_state : int, RandomState instance or None, default=None
        Draws the held-out rows and the orders.
    early_stopping : bool, default=False
        Watch the loss on held-out rows instead of the training loss, and keep the best epoch's coefficients. Without
        effect on L-BFGS and ``partial_fit``.
    validation_fraction : float, default=0.1
        Rows held out when ``early_stopping`` and no ``validation_data``.
    warm_start : bool, default=False
        Start from the coefficients of the last fit; the optimizer and the schedule start anew. ``n_iter_``, ``t_`` and
        the histories go on.
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
    stop_reason_ : str
        Why the last call of ``fit`` or ``partial_fit`` ended.
    advice_ : str or None
        What to change after a fit that has not converged; its ConvergenceWarning says the same.
    n_features_in_ : int
    feature_names_in_ : array of str
        When X had column names.

    Examples
    --------
    >>> import numpy as np
    >>> from fasttrain.linear_model import LinearRegressor
    >>> X = np.arange(20.0).reshape(10, 2) / 10
    >>> y = X @ [1.0, 2.0] + 3.0
    >>> model = LinearRegressor(penalty=None).fit(X, y)
    >>> model.predict([[0.0, 0.1]]).round(2)
    array([3.2])
    >>> model.stop_reason_
    'no element of the gradient is above tol=0.0001'
    """

    tol: float | None

    _y_numeric = True

    def __init__(self, loss: LossName | Loss = "half_squared_error", *,
                 penalty: Literal["auto", "l1", "l2", "elasticnet"] | Penalty | None = "auto", alpha: float = 1e-4,
                 l1_ratio: float = 0.15, fit_intercept: bool = True,
                 optimizer: OptimizerName | Literal["auto"] | Optimizer = "auto", learning_rate: float | None = None,
                 schedule: ScheduleName | Schedule = "constant", batch_size: int | Literal["auto", "full"] = "auto",
                 max_iter: int = 200, tol: float | None = 1e-4, n_iter_no_change: int = 10, shuffle: bool = True,
                 random_state: RandomStateLike = None, early_stopping: bool = False, validation_fraction: float = 0.1,
                 warm_start: bool = False,
                 callbacks: Callback | Callable[..., Any] | Sequence[Callback | Callable[..., Any]] | None = None,
                 n_threads: int | None = None, dtype: Any = None, verbose: int = 0) -> None:
        keep_parameters(self, locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.sparse = True
        return tags

    def _loss_spec(self):
        loss = losses.get(self.loss)
        if not loss.is_regression:
            raise ValueError(f"loss of LinearRegressor must be a regression loss, got {self.loss!r}")
        return loss

    def _check_y(self, y):
        return y if y.ndim == 2 and y.shape[1] > 1 else column_or_1d(y, warn=False)

    def _target(self, loss, y, dtype):
        target = np.require(y, dtype, "CA")
        loss.check_targets(target)
        return loss, target.reshape(len(y), -1)

    def _n_outputs(self, target):
        return target.shape[1]

    def _check_Xy(self, X, y, keep):
        X, y = self._checked(X, y, keep, y_numeric=True)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    @followed(epochs=most_epochs)
    @learns
    def fit(self, X: ArrayLike | Blocks, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None,
            validation_data: tuple[Any, ...] | None = None, resume_from: PathLike | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks
            Finite; float32 and float64 in C order or CSR are not copied. A source of :mod:`fasttrain.data` has y and
            the weights, which then are left out.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0.
        validation_data : (X, y), (X, y, sample_weight) or a source of blocks, default=None
            Its loss is recorded after each epoch and watched in place of the training loss.
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
        with all_or_nothing(self, goes_on=False):
            keep = "warm" if self.warm_start and hasattr(self, "coef_") else None
            X, y = self._check_Xy(X, y, keep)
            rows = ArrayRows.of(self, X, y, sample_weight)
            return self._fit(rows, validation_data, keep=keep, resume_from=resume_from)

    @followed
    @learns
    def partial_fit(self, X: MatrixLike | Blocks, y: ArrayLike | None = None,
                    sample_weight: ArrayLike | None = None) -> Self:
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
        with all_or_nothing(self):
            keep = "partial" if hasattr(self, "coef_") else None
            X, y = self._check_Xy(X, y, keep)
            return self._fit(ArrayRows.of(self, X, y, sample_weight), keep=keep or "first")

    def _parameters_of(self, coef, intercept):
        if len(coef) == 1:
            coef, intercept = coef[0], intercept[0]
        return {"coef_": coef, "intercept_": intercept}

    @predicts
    def predict(self, X: MatrixLike | Blocks) -> Array:
        """The inverse link of the raw predictions ``X @ coef_.T + intercept_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the dtype of the fit.
        """
        raw = losses.get(self.loss).predict(self._raw_predict(X))
        return raw[:, 0] if np.ndim(self.coef_) == 1 else raw


class LinearClassifier(ScoresBlocks, ClassifierMixin, LinearModel):
    """Linear classification with any classification loss, optimizer and penalty.

    Two classes share one output; more have one each, coupled by the softmax for 'log_loss' and one against the rest
    for the margin losses. A two-dimensional 0/1 ``y`` is multilabel: independent columns. With the defaults it is what
    LogisticRegression() finds, on columns of any scale.

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
    n_iter_, t_, loss_, best_loss_, loss_curve_, validation_loss_curve_, history_, converged_, \
stop_reason_, advice_, n_features_in_, feature_names_in_
        As for :class:`LinearRegressor`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fasttrain.linear_model import LinearClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LinearClassifier().fit(X, y)
    >>> bool(model.score(X, y) > 0.97)
    True
    """

    tol: float
    class_weight: dict[Any, float] | Literal["balanced"] | None
    classes_: Any

    _y_numeric = False

    def __init__(self, loss: LossName | Loss = "log_loss", *,
                 penalty: Literal["auto", "l1", "l2", "elasticnet"] | Penalty | None = "auto", alpha: float = 1e-4,
                 l1_ratio: float = 0.15, fit_intercept: bool = True,
                 optimizer: OptimizerName | Literal["auto"] | Optimizer = "auto", learning_rate: float | None = None,
                 schedule: ScheduleName | Schedule = "constant", batch_size: int | Literal["auto", "full"] = "auto",
                 max_iter: int = 200, tol: float = 1e-4, n_iter_no_change: int = 10, shuffle: bool = True,
                 random_state: RandomStateLike = None, early_stopping: bool = False, validation_fraction: float = 0.1,
                 class_weight: dict[Any, float] | Literal["balanced"] | None = None, warm_start: bool = False,
                 callbacks: Callback | Callable[..., Any] | Sequence[Callback | Callable[..., Any]] | None = None,
                 n_threads: int | None = None, dtype: Any = None, verbose: int = 0) -> None:
        keep_parameters(self, locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        tags.input_tags.sparse = True
        return tags

    def _loss_spec(self):
        loss = losses.get(self.loss)
        if loss.is_regression:
            raise ValueError(f"loss of LinearClassifier must be a classification loss, got {self.loss!r}")
        return loss

    def _class_weights(self, y):
        if self.class_weight is None:
            return None
        return compute_sample_weight(self.class_weight, y if y.ndim == 2 else self.classes_[y])

    def _strata(self, y):
        return None if y.ndim == 2 else y

    def _check_y(self, y):
        """Numbers of y's classes among those of the fit, or its labels, once y is known to hold nothing else."""
        if self._multilabel:
            if y.ndim != 2 or y.shape[1] != len(self.classes_):
                raise ValueError(f"y must have {len(self.classes_)} columns of labels, got shape {y.shape}")
            if not np.isin(y, (0, 1)).all():
                raise ValueError(f"y with several columns must hold 0 and 1 only, got {np.unique(y).tolist()}")
            return y
        y = column_or_1d(y, warn=True) if y.ndim > 1 else y
        codes = encode(y, self.classes_)
        if codes.min() < 0:
            unknown = unknown_values(y, codes)
            raise ValueError(f"y must hold classes of the fit, {self.classes_.tolist()}, got {unknown}")
        return codes

    def _target(self, loss, y, dtype):
        """The loss and the target of y, which :meth:`_check_y` has seen."""
        n_classes = len(self.classes_)
        if y.ndim == 2:
            target = np.require(y, dtype, "CA")
            if loss.targets == "classes":
                raise ValueError("loss must be 'log_loss' or a margin loss for multilabel y, got softmax_crossentropy")
        elif n_classes > 2 and loss.targets == "margin":
            target = (y[:, None] == np.arange(n_classes)).astype(dtype)
        else:
            target = y.astype(dtype).reshape(-1, 1)
            if n_classes == 2 and loss.targets == "classes":
                loss = losses.BinaryCrossentropy()
            elif n_classes > 2 and loss.targets == "probability":
                loss = losses.SoftmaxCrossentropy()
        return loss, 2 * target - 1 if loss.targets == "margin" else target

    def _n_outputs(self, target):
        if self._multilabel:
            return target.shape[1]
        return 1 if len(self.classes_) == 2 else len(self.classes_)

    def _check_Xy(self, X, y, keep):
        given, labels = y, type(y) is np.ndarray and are_labels(y)
        X, y = self._checked(X, y, keep, labels=labels)
        if not (labels if y is given else are_labels(y)):
            check_classification_targets(y)
            if y.ndim == 2 and y.shape[1] == 1:
                y = column_or_1d(y, warn=True)
            if type_of_target(y, input_name="y").startswith("multiclass-multioutput"):
                raise ValueError(
                    "y must hold one class a row, or 0 and 1 in columns (multilabel), got columns of classes")
        return X, y

    @followed(epochs=most_epochs)
    @learns
    def fit(self, X: ArrayLike | Blocks, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None,
            validation_data: tuple[Any, ...] | None = None, resume_from: PathLike | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or a source of blocks
            Finite; float32 and float64 in C order or CSR are not copied. A source of :mod:`fasttrain.data` has y and
            the weights, which then are left out; a first pass finds the classes.
        y : array-like of shape (n_samples,), or (n_samples, n_labels) of 0 and 1
            At least two classes. Labels of a source are one class a row.
        sample_weight : array-like of shape (n_samples,), default=None
        validation_data : (X, y), (X, y, sample_weight) or a source of blocks, default=None
            Its loss is recorded after each epoch and watched in place of the training loss.
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
            When the loss stops being finite; the coefficients are as they were before.
        """
        with all_or_nothing(self, goes_on=False):
            keep = "warm" if self.warm_start and hasattr(self, "coef_") else None
            X, y = self._check_Xy(X, y, keep)
            codes = None
            if not keep:
                codes = self._set_classes(y)
                warn_of_a_quantity(y, self.classes_)
            y = self._check_y(y) if codes is None else codes
            rows = ArrayRows.of(self, X, y, sample_weight)
            return self._fit(rows, validation_data, keep=keep, resume_from=resume_from)

    @followed
    @learns
    def partial_fit(self, X: MatrixLike | Blocks, y: ArrayLike | None = None, classes: ArrayLike | None = None,
                    sample_weight: ArrayLike | None = None) -> Self:
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
        first = self._check_classes(classes)
        with all_or_nothing(self):
            keep = None if first else "partial"
            X, y = self._check_Xy(X, y, keep)
            if first:
                self._set_classes(y if y.ndim == 2 else distinct_labels(classes))
            y = self._check_y(y)
            return self._fit(ArrayRows.of(self, X, y, sample_weight), keep=keep or "first")

    def _check_classes(self, classes):
        """Whether a call of partial_fit is the first; ValueError for classes that it must not have."""
        first = not hasattr(self, "coef_")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is not None and not first and not np.array_equal(distinct_labels(classes), self.classes_):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight must be a dict or None for partial_fit, which does not see all classes at once, "
                "got 'balanced'"
            )
        return first

    def _learn_target(self, checked, keep, classes):
        labels = None
        if keep in ("partial", "first"):
            if self._check_classes(classes):
                self._set_classes(distinct_labels(classes))
        elif (y := checked.load(checked.first)[1]).ndim == 2:
            if keep is None:
                self._set_classes(y)
        else:
            labels = labels_of(checked)
            if keep is None:
                self._set_classes(labels.values)
        if self.class_weight is None:
            return None
        if self._multilabel:
            raise ValueError("class_weight must be None for labels in columns of a source of blocks")
        if labels is None:
            labels = Labels(self.classes_, np.ones(len(self.classes_)))
        return class_weight_factors(self.class_weight, labels)

    def _set_classes(self, y):
        """Take note of the classes of y; the number of each row's among them, None of labels in columns."""
        self._multilabel, codes = y.ndim == 2, None
        if self._multilabel:
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_, codes = unique(y, inverse=True)
        if len(self.classes_) < 2 and not self._multilabel:
            raise ValueError(f"y must hold at least 2 classes, got 1 class: {self.classes_[0]!r}")
        return codes

    @predicts
    def decision_function(self, X: MatrixLike | Blocks) -> Array:
        """Raw predictions, ``X @ coef_.T + intercept_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) for two classes, else (n_samples, n_classes)
            In the dtype of the fit; above 0 means ``classes_[1]``.
        """
        raw = self._raw_predict(X)
        return raw[:, 0] if raw.shape[1] == 1 and not self._multilabel else raw

    @predicts
    def predict(self, X: MatrixLike | Blocks) -> Array:
        """The class of each row, by the largest raw prediction.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_labels) of 0 and 1 after a fit to several labels
        """
        raw = self._raw_predict(X)
        if self._multilabel:
            return (raw > 0).astype(np.intp)
        if raw.shape[1] == 1:
            return self.classes_[(raw[:, 0] > 0).astype(np.intp)]
        return self.classes_[raw.argmax(axis=1)]

    def _has_probabilities(self):
        if losses.get(self.loss).targets not in ("probability", "classes"):
            raise AttributeError(f"predict_proba needs the loss 'log_loss', got {self.loss!r}")
        return True

    @available_if(_has_probabilities)
    @predicts
    def predict_proba(self, X: MatrixLike | Blocks) -> Any:
        """Probabilities of the classes; of each label being 1 after a fit to several labels.

        From the cross-entropies only; with a margin loss there is no such method.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        """
        raw = self._raw_predict(X)
        if self._multilabel:
            return losses.BinaryCrossentropy().predict(raw)
        if raw.shape[1] == 1:
            return losses.BinaryCrossentropy().predict(np.hstack([-raw, raw]))
        return losses.SoftmaxCrossentropy().predict(raw)

    @available_if(_has_probabilities)
    @predicts
    def predict_log_proba(self, X: MatrixLike | Blocks) -> Any:
        """Logarithm of :meth:`predict_proba`, from the logits: finite also where a probability rounds to 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        """
        raw = self._raw_predict(X)
        if self._multilabel:
            return -np.logaddexp(0, -raw)
        if raw.shape[1] == 1:
            return -np.logaddexp(0, np.hstack([raw, -raw]))
        raw -= raw.max(axis=1, keepdims=True)
        return raw - np.log(np.exp(raw).sum(axis=1, keepdims=True))
