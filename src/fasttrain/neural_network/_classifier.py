"""MLPClassifier: the dense engine with hidden layers, for classes and labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

from fasttrain import losses
from fasttrain._core.checks import are_labels, check_real
from fasttrain._core.types import (
    ActivationName, Array, ArrayLike, LossName, MatrixLike, OptimizerName, PathLike, PenaltyName, RandomStateLike,
    ScheduleName, Self,
)
from fasttrain._estimators.blocks import Labels, ScoresBlocks, class_weight_factors, labels_of, learns
from fasttrain._estimators.following import followed
from fasttrain.data._use import predicts
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._tables.categories import distinct_labels, encode, unique
from fasttrain.data import Blocks
from fasttrain.activations import Activation
from fasttrain.callbacks import Callback
from fasttrain.losses import Loss
from fasttrain.neural_network._base import MultilayerPerceptron
from fasttrain.neural_network._docs import document
from fasttrain.optimizers import Optimizer
from fasttrain.penalties import Penalty
from fasttrain.schedules import Schedule

_OWN = """\
loss : str or fasttrain.losses.Loss, default='log_loss'
    The cross-entropy, or a loss of margins: 'hinge' ``max(0, 1 - y z)``, 'squared_hinge', 'modified_huber',
    'perceptron', with y -1 or 1; for more than two classes the sum over classes, each against the rest. These give no
    probabilities but a :meth:`decision_function`.
class_weight : dict, 'balanced' or None, default=None
    Factors of the rows' weights by class; a class that a dict does not name has 1, and 'balanced' gives each class
    ``n_samples / (n_classes * its rows)``. For labels a list of a dict for each, or 'balanced'.
"""


@document(own=_OWN, score="Accuracy")
class MLPClassifier(ScoresBlocks, ClassifierMixin, MultilayerPerceptron):
    """Multi-layer perceptron for classes and labels, with scikit-learn's parameters and answers.

    The objective of a batch is::

        (sum_i w_i loss(y_i, z_i) + alpha / 2 * sum |W|^2) / sum_i w_i

    over the rows i, their weights w_i and raw outputs z_i, and the weights W of all layers; biases are not penalized.
    The default loss is the cross-entropy: ``log(sum_c exp(z_ic)) - z_i,y_i`` for more than two classes, ``log(1 +
    exp(z_i)) - y_i z_i`` for two, and for labels that sum over them. For the same float64 data, parameters and
    ``random_state`` the weights and losses are scikit-learn's to rounding; it is computed from the logits and no
    probability is clipped. All parameters after ``max_fun`` are not scikit-learn's and change nothing by default.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Classes in ascending order, or the numbers of the labels.
    {attributes}
    out_activation_ : {'logistic', 'softmax', 'identity'}
        What makes predictions of raw outputs: the last for losses of margins.

    Notes
    -----
    When the loss or the weights leave the finite numbers, fit raises
    :class:`fasttrain.training.DivergenceError` (a ValueError), which names the epoch, the largest weight and what
    helps; the model is as it was before. Ctrl-C ends a fit with the weights so far and a
    warning, as in scikit-learn; with ``solver='lbfgs'`` it raises KeyboardInterrupt, and the model is as it was before.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import scale
    >>> from fasttrain.neural_network import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> X = scale(X)
    >>> model = MLPClassifier((20,), solver="lbfgs", random_state=0, tol=1e-2).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True

    Another optimizer, a rate that rises and falls, and validation data of one's own:

    >>> from fasttrain.optimizers import AdamW
    >>> model = MLPClassifier((20,), optimizer=AdamW(0.1, clip_norm=1.0), schedule="one_cycle", max_iter=60, tol=0.0,
    ...                       class_weight="balanced", random_state=0)
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # all 60 epochs are wanted
    ...     model = model.fit(X[::2], y[::2], validation_data=(X[1::2], y[1::2]))
    >>> bool(model.validation_scores_[-1] > 0.9), len(model.validation_loss_curve_)
    (True, 60)
    """

    class_weight: dict[Any, float] | Literal["balanced"] | None
    classes_: Any

    _y_numeric = False

    def __init__(self, hidden_layer_sizes: int | Sequence[int] | Array = (100,),
                 activation: ActivationName | Activation | Sequence[ActivationName | Activation] = "relu", *,
                 solver: Literal["lbfgs", "sgd", "adam"] = "adam", alpha: float = 0.0001,
                 batch_size: Literal["auto"] | int = "auto",
                 learning_rate: Literal["constant", "invscaling", "adaptive"] = "constant",
                 learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200, shuffle: bool = True,
                 random_state: RandomStateLike = None, tol: float = 1e-4, verbose: bool | int = False,
                 warm_start: bool = False, momentum: float = 0.9, nesterovs_momentum: bool = True,
                 early_stopping: bool = False, validation_fraction: float = 0.1, beta_1: float = 0.9,
                 beta_2: float = 0.999, epsilon: float = 1e-8, n_iter_no_change: float = 10, max_fun: int = 15000,
                 loss: LossName | Loss = "log_loss", class_weight: dict[Any, float] | Literal["balanced"] | None = None,
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _class_weights(self, y):
        given = self.class_weight
        if given is None:
            return None
        if y.ndim == 2 or not isinstance(given, dict):
            return compute_sample_weight(given, y)
        # not scikit-learn's function: it refuses a part of y, as partial_fit has it, that lacks a class of the dict
        absent = [c for c in given if c not in self.classes_]
        if absent:
            raise ValueError(f"class_weight must hold classes of y, {self.classes_.tolist()}, got {absent}")
        by_class = [check_real(given.get(c, 1.0), f"class_weight of {c!r}", low=0) for c in self.classes_.tolist()]
        return np.array(by_class)[np.searchsorted(self.classes_, y)]

    def _prepare_target(self, y, incremental):
        """y in one or two axes, and ``classes_`` from it or checked against it."""
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._note_classes(y)
        else:
            # of labels by their type scikit-learn's function has nothing more to say
            classes = unique(y) if y.ndim == 1 and y.dtype.kind in "biuU" else unique_labels(y)
            if not np.array_equal(classes, self.classes_):
                self._check_other_classes(classes)
        self._check_kind(y)
        return y

    def _check_other_classes(self, classes):
        """Whether a fit that goes on may be of these, which are not those of the last fit."""
        if self.warm_start and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _note_classes(self, y):
        """``classes_``, and whether y is 'binary', 'multiclass' or 'multilabel-indicator'."""
        if y.ndim == 1 and y.dtype.kind in "biuU":
            # scikit-learn's checks have nothing to say of these, and take longer than an epoch on little data
            self.classes_ = unique(y)
            self._target_kind = "multiclass" if len(self.classes_) > 2 else "binary"
        else:
            binarizer = LabelBinarizer().fit(y)
            self.classes_, self._target_kind = binarizer.classes_, binarizer.y_type_

    def _known_target(self, y):
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._check_kind(y)
        unknown = np.setdiff1d(unique_labels(y), self.classes_).tolist()
        if unknown:
            raise ValueError(f"y of validation_data must hold classes of y, {self.classes_.tolist()}, got {unknown}")
        return y

    def _multilabel(self):
        return self._target_kind.startswith("multilabel")

    def _check_kind(self, y):
        """Labels go on with labels of as many columns, classes with classes."""
        if self._multilabel() != (y.ndim == 2) or (y.ndim == 2 and y.shape[1] != len(self.classes_)):
            wanted = f"{len(self.classes_)} columns of labels" if self._multilabel() else "one class a row"
            raise ValueError(f"y must hold {wanted}, got shape {y.shape}")

    def _margin_loss(self):
        """The loss of margins that is asked for, None for the cross-entropy."""
        if isinstance(self.loss, str) and self.loss == "log_loss":
            return None
        loss = losses.get(self.loss)
        if loss.targets != "margin":
            raise ValueError(
                "loss of MLPClassifier must be 'log_loss' or a loss of margins, 'hinge', 'squared_hinge', "
                f"'modified_huber' or 'perceptron', got {self.loss!r}"
            )
        return loss

    def _encode(self, y, dtype):
        """Engine targets: 0 and 1 in columns, or class codes for the softmax; -1 and 1 in columns for margins."""
        codes = None
        if y.ndim == 1:
            integers = y.dtype.kind in "biu" and self.classes_.dtype.kind in "biu"
            if integers and self.classes_[0] == 0 and self.classes_[-1] == len(self.classes_) - 1:
                # classes that are their own numbers
                codes = y
            else:
                codes = encode(y, self.classes_) if integers else np.searchsorted(self.classes_, y)
        if self.out_activation_ != "identity":
            return np.ascontiguousarray(y != 0, dtype=dtype) if codes is None else codes.astype(dtype).reshape(-1, 1)
        if codes is None:
            positive = y != 0
        elif self.n_outputs_ == 1:
            positive = codes.reshape(-1, 1) > 0
        else:
            positive = codes.reshape(-1, 1) == np.arange(self.n_outputs_)
        return np.where(positive, dtype.type(1), dtype.type(-1))

    def _loss_and_target(self, y, dtype):
        multiclass = self._target_kind == "multiclass"
        self.n_outputs_ = y.shape[1] if y.ndim == 2 else len(self.classes_) if multiclass else 1
        loss = self._margin_loss()
        if loss is not None:
            if self.mixup:
                raise ValueError(f"mixup needs targets that can be mixed, with loss='log_loss', got {self.loss!r}")
            self.out_activation_ = "identity"
        elif multiclass:
            self.out_activation_, loss = "softmax", losses.SoftmaxCrossentropy()
        else:
            self.out_activation_, loss = "logistic", losses.BinaryCrossentropy()
        return loss, self._encode(y, dtype)

    def _value_scale(self):
        return 1.0

    def _strata(self, target):
        return target[:, 0] if self.n_outputs_ == 1 else None

    def _score_raw(self, raw, target, weights):
        """Accuracy; NaN where a prediction is not finite."""
        if not np.isfinite(raw).all():
            return np.nan
        if raw.shape[1] == 1 or self._multilabel():
            right = ((raw > 0) == (target > 0.5)).all(axis=1)
        else:
            right = raw.argmax(axis=1) == (target[:, 0] if target.shape[1] == 1 else target.argmax(axis=1))
        if weights is not None and not weights.any():
            raise ValueError("sample_weight must leave a validation row of weight > 0, got none")
        return float(np.average(right, weights=weights))

    @followed(epochs=lambda self: self.max_iter if self.optimizer is None else None)
    @learns
    def fit(self, X: MatrixLike | Blocks, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None,
            validation_data: tuple[Any, ...] | None = None, resume_from: PathLike | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or a source of blocks
            Finite. float32 and float64 in C order are not copied; CSR is trained on as it is, other sparse formats are
            made CSR. A source of :mod:`fasttrain.data` has y and the weights, which then are left out.
        y : array-like of shape (n_samples,), or (n_samples, n_labels) of 0 and 1
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0.
        validation_data : (X, y), (X, y, sample_weight) or a source of blocks, default=None
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
    @followed(epochs=lambda self: None)
    @learns
    def partial_fit(self, X: MatrixLike | Blocks, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None,
                    classes: ArrayLike | None = None) -> Self:
        """One epoch on this data, going on from the last call, the optimizer's memory included.

        As in scikit-learn the solver's own parameters (``learning_rate_init``, ``momentum`` ...) are those of the first
        call; ``optimizer`` takes effect whenever it is set.

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
        first = self._begin_partial_fit(y, classes)
        try:
            return self._fit(X, y, sample_weight, incremental=True)
        except BaseException:
            if first:
                del self._target_kind, self.classes_
            raise

    def _begin_partial_fit(self, y, classes):
        """Whether this is the first call, which notes the classes; ValueError for classes that it must not have."""
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight must be a dict or None for partial_fit, which does not see all classes at once, "
                "got 'balanced'"
            )
        first = not hasattr(self, "classes_")
        if first:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            # labels by their type are not looked at: scikit-learn's first look in a process takes 30 ms
            plain = type(y) is np.ndarray and are_labels(y)
            multilabel = not plain and type_of_target(y).startswith("multilabel")
            labels = distinct_labels(classes)
            self._note_classes(y.toarray() if hasattr(y, "toarray") else np.asarray(y if multilabel else labels))
            self.classes_ = labels
        elif classes is not None and not np.array_equal(self.classes_, distinct_labels(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )
        return first

    def _learn_target(self, checked, y, incremental, classes):
        labels = None
        if incremental:
            self._begin_partial_fit(y, classes)
        elif y.ndim == 2:
            self._note_classes(y)
        else:
            labels = labels_of(checked)
            if self.warm_start and hasattr(self, "classes_"):
                if set(labels.values) != set(self.classes_):
                    raise ValueError(
                        "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                        f"Previously got {self.classes_}, `y` has {labels.values}"
                    )
            else:
                self._note_classes(labels.values)
        if self.class_weight is None:
            return None
        if y.ndim == 2:
            raise ValueError("class_weight must be None for labels in columns of a source of blocks")
        labels = Labels(self.classes_, np.ones(len(self.classes_))) if labels is None else labels
        return class_weight_factors(self.class_weight, labels)

    @predicts
    def predict(self, X: MatrixLike | Blocks) -> Array:
        """Classes, or labels.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,), or (n_samples, n_labels) of 0 and 1
        """
        raw = self._raw_predict(X)
        if self._multilabel():
            return (raw > 0).astype(int)
        if raw.shape[1] > 1:
            return self.classes_[raw.argmax(axis=1)]
        return self.classes_[((raw[:, 0] > 0) & (len(self.classes_) > 1)).astype(np.intp)]

    @available_if(lambda self: self._check_loss("predict_proba", margins=False))
    @predicts
    def predict_proba(self, X: MatrixLike | Blocks) -> Any:
        """Probabilities; with the loss 'log_loss' only.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples, n_classes), in the order of ``classes_``
            For labels the probability of each being 1.
        """
        return self._probabilities(self._raw_predict(X))

    def _probabilities(self, raw):
        if self.out_activation_ == "softmax":
            return losses.SoftmaxCrossentropy().predict(raw)
        proba = losses.BinaryCrossentropy().predict(raw)
        return proba if self.n_outputs_ > 1 else np.hstack([1 - proba, proba])

    @available_if(lambda self: self._check_loss("predict_log_proba", margins=False))
    @predicts
    def predict_log_proba(self, X: MatrixLike | Blocks) -> Any:
        """Logarithm of :meth:`predict_proba`; where a probability is 0 or nearly so, from the logits: it is finite.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples, n_labels) after a fit to several labels
        """
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

    @available_if(lambda self: self._check_loss("decision_function", margins=True))
    @predicts
    def decision_function(self, X: MatrixLike | Blocks) -> Array:
        """Raw outputs; with losses of margins only.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,) for two classes, else (n_samples, n_outputs)
        """
        raw = self._raw_predict(X)
        return raw[:, 0] if raw.shape[1] == 1 else raw

    def _check_loss(self, method, margins):
        if (self.loss != "log_loss") != margins:
            raise AttributeError(f"{method} is not available for the loss {self.loss!r}")
        return True
