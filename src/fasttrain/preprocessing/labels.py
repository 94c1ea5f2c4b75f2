"""Encoders of targets: labels to codes, labels to columns of indicators."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import get_config
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted

from fasttrain._core.types import Array, ArrayLike, Matrix, MatrixLike, Self
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.fitted import restored
from fasttrain._estimators.parameters import keep_parameters
from fasttrain._kernels import categories as kernels
from fasttrain._tables.categories import coded_column, encode, unique, unknown_values
from fasttrain._tables.kinds import is_framed


def label_column(y, dtype=None):
    """Labels as a vector; a Series of strings or categories stays coded, which spares an object for each row."""
    if is_framed(y) and len(np.shape(y)) == 1:
        coded = coded_column(y)
        if coded is not None and coded.dtype == object:
            return coded
    if isinstance(y, np.ndarray) and y.dtype.kind == "T":
        y = y.astype(object)
    try:
        return column_or_1d(y, dtype=dtype, warn=True)
    except RuntimeError as error:
        # NumPy's, of dates that do not fit into short text
        raise ValueError(f"y must hold labels like those that were seen in fit, of {dtype}: {error}") from error


class LabelTransformer(Convertible, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Takes y alone, where other transformers take X; what it gives is never wrapped in a data frame."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.one_d_labels = True
        return tags


class LabelEncoder(LabelTransformer, auto_wrap_output_keys=None):
    """Codes 0 ... n_classes - 1 of target labels, in sorted order.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)

    Examples
    --------
    >>> from fasttrain.preprocessing import LabelEncoder
    >>> encoder = LabelEncoder().fit(["b", "a", "b"])
    >>> encoder.transform(["a", "b"])
    array([0, 1])
    >>> encoder.inverse_transform([1]).tolist()
    ['b']
    """

    classes_: Any

    @restored
    def fit(self, y: ArrayLike) -> Self:
        """Sorted distinct labels of y.

        Parameters
        ----------
        y : array-like of shape (n_samples,)

        Returns
        -------
        self
        """
        self.classes_ = unique(label_column(y))
        return self

    @restored
    def fit_transform(self, y: ArrayLike) -> Array:
        """``fit(y).transform(y)`` in one go.

        Parameters
        ----------
        y : array-like of shape (n_samples,)

        Returns
        -------
        ndarray of shape (n_samples,), int64
        """
        self.classes_, codes = unique(label_column(y), inverse=True)
        return codes

    def transform(self, y: ArrayLike) -> Array:
        """Codes of labels.

        Parameters
        ----------
        y : array-like of shape (n_samples,)

        Returns
        -------
        ndarray of shape (n_samples,), int64

        Raises
        ------
        ValueError
            For labels that ``fit`` did not see.
        """
        check_is_fitted(self, "classes_")
        y = label_column(y, self.classes_.dtype)
        if y.shape[0] == 0:
            return np.array([])
        codes = encode(y, self.classes_)
        if codes.min() < 0:
            raise ValueError(f"y contains previously unseen labels: {unknown_values(y, codes)}")
        return codes

    def inverse_transform(self, y: ArrayLike) -> Array:
        """Labels of codes.

        Parameters
        ----------
        y : array-like of shape (n_samples,), integers

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            For codes that no label has.
        """
        check_is_fitted(self, "classes_")
        y = column_or_1d(y, warn=True)
        if y.shape[0] == 0:
            return np.array([])
        unseen = np.setdiff1d(y, np.arange(len(self.classes_)))
        if unseen.size:
            raise ValueError(f"y contains previously unseen labels: {unseen}")
        return self.classes_[np.asarray(y)]


class LabelBinarizer(LabelTransformer, auto_wrap_output_keys=None):
    """One column of indicators for each class; one column in all for two classes.

    Parameters
    ----------
    neg_label, pos_label : int, default=0 and 1
        What stands for "not this class" and for "this class".
    sparse_output : bool, default=False
        CSR matrix in place of a dense array; needs ``neg_label`` 0.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    y_type_ : str
        What scikit-learn's ``type_of_target`` says of the training labels.
    sparse_input_ : bool

    Examples
    --------
    >>> from fasttrain.preprocessing import LabelBinarizer
    >>> LabelBinarizer().fit_transform(["b", "a", "c"])
    array([[0, 1, 0],
           [1, 0, 0],
           [0, 0, 1]])
    """

    neg_label: int
    pos_label: int
    sparse_output: bool
    classes_: Any
    y_type_: str
    sparse_input_: bool

    def __init__(self, *, neg_label: int = 0, pos_label: int = 1, sparse_output: bool = False) -> None:
        keep_parameters(self, locals())

    @restored
    def fit(self, y: MatrixLike) -> Self:
        """Sorted distinct labels of y.

        Parameters
        ----------
        y : array-like of shape (n_samples,), or indicators of shape (n_samples, n_classes)

        Returns
        -------
        self
        """
        for name in ("neg_label", "pos_label"):
            if not isinstance(getattr(self, name), numbers.Integral):
                raise TypeError(f"{name} must be an integer; got {getattr(self, name)!r}")
        if not isinstance(self.sparse_output, (bool, np.bool_)):
            raise TypeError(f"sparse_output must be True or False; got {self.sparse_output!r}")
        if self.neg_label >= self.pos_label:
            raise ValueError(
                f"neg_label={self.neg_label} must be strictly less than pos_label={self.pos_label}."
            )
        if self.sparse_output and (self.pos_label == 0 or self.neg_label != 0):
            raise ValueError(
                "Sparse binarization is only supported with non zero pos_label and zero neg_label, got "
                f"pos_label={self.pos_label} and neg_label={self.neg_label}"
            )
        self.y_type_ = type_of_target(y, input_name="y")
        if "multioutput" in self.y_type_:
            raise ValueError("Multioutput target data is not supported with label binarization")
        if (y.shape[0] if hasattr(y, "shape") else len(y)) == 0:
            raise ValueError(f"y has 0 samples: {y!r}")
        self.sparse_input_ = sparse.issparse(y)
        self.classes_ = unique_labels(y)
        return self

    def transform(self, y: MatrixLike) -> Matrix:
        """Indicators of labels; a row without a mark for a label that ``fit`` did not see.

        Parameters
        ----------
        y : array-like of shape (n_samples,), or indicators of shape (n_samples, n_classes)

        Returns
        -------
        {ndarray, sparse matrix} of shape (n_samples, n_classes), or (n_samples, 1) for two classes
        """
        check_is_fitted(self, "classes_")
        if isinstance(y, (list, tuple)) and y and isinstance(y[0], (list, tuple, set)):
            # It has the message about labels as sequences of unequal length.
            type_of_target(y)
        if sparse.issparse(y) or (np.ndim(y) == 2 and np.shape(y)[1] > 1):
            return self._indicators(y)
        signed = hasattr(y, "dtype") and getattr(y.dtype, "kind", "") == "i"
        y = column_or_1d(y)
        if y.shape[0] == 0:
            raise ValueError(f"y has 0 samples: {y!r}")
        n_classes = len(self.classes_)
        kind = type_of_target(y[:1000] if n_classes >= 3 else y)
        if kind == "continuous" or (y.dtype.kind == "f" and (y != np.floor(y)).any()):
            raise ValueError("continuous target data is not supported with label binarization")
        if kind == "unknown":
            raise ValueError("The type of target data is not known")
        binary = kind == "binary" and n_classes <= 2
        codes = encode(y, self.classes_)
        if binary:
            # One column: is it the second class? With a single class nothing is.
            codes = np.where(codes == 1, 0, -1)
        n_out = 1 if binary else n_classes
        if self.sparse_output:
            known = np.flatnonzero(codes >= 0)
            indptr = np.concatenate(([0], np.cumsum(codes >= 0)))
            data = np.full(known.size, self.pos_label, dtype=np.int64)
            return sparse_like(sparse.csr_array((data, codes[known], indptr), shape=(len(codes), n_out)))
        out = np.full((len(codes), n_out), self.neg_label, dtype=np.int64)
        kernels.one_hot_dense(codes.reshape(-1, 1), np.zeros(1, dtype=np.int64), out, self.pos_label)
        return out.astype(y.dtype, copy=False) if signed else out

    def _indicators(self, y):
        """Indicators given as such: checked, and their labels replaced."""
        kind = type_of_target(y)
        if not kind.startswith("multilabel"):
            raise ValueError(f"{kind} target data is not supported with label binarization")
        if not self.y_type_.startswith("multilabel"):
            raise ValueError("The object was not fitted with multilabel input.")
        if y.shape[1] != len(self.classes_) if hasattr(y, "shape") else len(y[0]) != len(self.classes_):
            raise ValueError(
                f"classes {self.classes_} mismatch with the labels {unique_labels(y)} found in the data"
            )
        if self.sparse_output:
            out = sparse.csr_array(y)
            out.data = np.where(out.data != 0, self.pos_label, 0)
            return sparse_like(out)
        y = y.toarray() if sparse.issparse(y) else np.asarray(y)
        out = np.where(y != 0, self.pos_label, self.neg_label)
        return out.astype(y.dtype if y.dtype.kind == "i" else np.int64)

    @restored
    def fit_transform(self, y: MatrixLike) -> Matrix:
        """``fit(y).transform(y)``.

        Parameters
        ----------
        y : array-like of shape (n_samples,), or indicators of shape (n_samples, n_classes)

        Returns
        -------
        {ndarray, sparse matrix}
        """
        return self.fit(y).transform(y)

    def inverse_transform(self, Y: Matrix, threshold: float | None = None) -> Matrix:
        """Labels of indicators, or of decision values or probabilities.

        Parameters
        ----------
        Y : {ndarray, sparse matrix} of shape (n_samples, n_classes)
        threshold : float, default=None
            What a value must exceed to count as a mark, for two classes and for multilabel; None is half way
            between ``neg_label`` and ``pos_label``.

        Returns
        -------
        {ndarray, sparse matrix}
        """
        check_is_fitted(self, "classes_")
        if threshold is None:
            threshold = (self.pos_label + self.neg_label) / 2.0
        if self.y_type_ == "multiclass":
            best = np.asarray(Y.argmax(axis=1) if sparse.issparse(Y) else np.argmax(Y, axis=1)).ravel()
            labels = self.classes_[np.clip(best, 0, len(self.classes_) - 1)]
        else:
            labels = self._above(Y, threshold)
        return sparse_like(sparse.csr_array(labels)) if self.sparse_input_ else labels

    def _above(self, Y, threshold):
        binary = self.y_type_ == "binary"
        shape = Y.shape if hasattr(Y, "shape") else np.shape(Y)
        if binary and len(shape) == 2 and shape[1] > 2:
            raise ValueError(f"output_type='binary', but y.shape = {shape}")
        if not binary and shape[1] != len(self.classes_):
            raise ValueError("The number of class is not equal to the number of dimension of y.")
        Y = Y.toarray() if sparse.issparse(Y) else np.asarray(Y)
        marks = (threshold < Y).astype(Y.dtype if Y.dtype.kind == "i" else np.int64)
        if not binary:
            return marks
        if len(shape) == 2 and shape[1] == 2:
            return self.classes_[marks[:, 1]]
        if len(self.classes_) == 1:
            return np.repeat(self.classes_[0], len(marks))
        return self.classes_[marks.ravel()]


def sparse_like(array):
    """A sparse array as the interface that scikit-learn's configuration asks for."""
    if get_config().get("sparse_interface", "spmatrix") == "sparray":
        return array
    return sparse.csr_matrix(array)


__all__ = ["LabelBinarizer", "LabelEncoder"]
