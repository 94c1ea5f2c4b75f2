"""Checks of X, y, weights and validation data that estimators share, and what a fit that goes on draws from."""

from collections import Counter

import numpy as np
from sklearn.model_selection import check_cv, train_test_split
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, validate_data

from fasttrain._core.checks import are_labels, check_rows, check_weights, is_ready, validation_parts
from fasttrain._core.random_states import check_random_state
from fasttrain._estimators.rows import RowsOf
from fasttrain._tables.categories import unique
from fasttrain._tables.kinds import is_pandas
from fasttrain.training.checkpoints import load_checkpoint, random_state_to


def validated(estimator, X, y, *, reset, dtype, y_numeric=False, labels=False, **options):
    """scikit-learn's ``validate_data``; X may also be a :class:`RowsOf`, whose matrix needs no second look.

    ``labels`` is whether y is known to hold them.
    """
    if not isinstance(X, RowsOf):
        if is_ready(estimator, X, y, reset, dtype if isinstance(dtype, list) else [dtype], labels):
            return X, y
        return validate_data(
            estimator, X, y, reset=reset, dtype=dtype, order="C", multi_output=True, y_numeric=y_numeric, **options)
    named = hasattr(estimator, "feature_names_in_")
    known = reset or (getattr(estimator, "n_features_in_", 0) == X.shape[1] and not named)
    if not known or X.dtype not in (dtype if isinstance(dtype, list) else [dtype]):
        return validated(
            estimator, X.copied(), y, reset=reset, dtype=dtype, y_numeric=y_numeric, labels=labels, **options)
    if named or type(y) is not np.ndarray or y.ndim != 1 or y.dtype.kind not in "iub":
        y = validate_data(estimator, y=y, multi_output=True, y_numeric=y_numeric)
    check_consistent_length(X, y)
    estimator.n_features_in_ = X.shape[1]
    return X, y


def take_names(estimator, X, reset):
    """scikit-learn's ``validate_data`` of a table whose cells it is not to look at: the number and names of its columns
    are taken note of, or with ``reset`` false compared with those of the fit.

    Plain names of a pandas frame are known without its look for all other kinds of tables, and are returned; None for
    others.
    """
    if is_pandas(X) and X.ndim == 2:
        names = X.columns.tolist()
        if set(map(type, names)) == {str}:
            if len(set(names)) < len(names):
                name, count = Counter(names).most_common(1)[0]
                raise ValueError(f"X must have a name of its own for each column, got {name!r} {count} times")
            if reset:
                estimator.n_features_in_, estimator.feature_names_in_ = len(names), np.array(names, dtype=object)
                return names
            if names == getattr(estimator, "feature_names_in_", np.empty(0)).tolist():
                return names
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return None


def dense(y):
    """y as an array."""
    return y.toarray() if hasattr(y, "toarray") else y


def warn_of_a_quantity(y, classes):
    """scikit-learn's warning of a target with nearly as many classes as rows, where its checks of y were left out: of
    labels.
    """
    if len(classes) > max(10, len(y) // 2) and are_labels(y):
        check_classification_targets(y)


def classes_of(y):
    """(classes, number of each row's class) of a vector of labels, checked as scikit-learn does.

    Integers are labels whatever they are; for anything else it takes a look at the values, which costs as much as a
    small fit.
    """
    integers = y.dtype.kind in "iub"
    if not integers:
        check_classification_targets(y)
    classes, codes = unique(y, inverse=True)
    if integers:
        warn_of_a_quantity(y, classes)
    return classes, codes


def weights_of(estimator, sample_weight, y, dtype):
    """Sample weights, one number for all rows or one a row, with class weights in them; None when all are 1."""
    weights = None if sample_weight is None else check_weights(sample_weight, len(y), dtype, number=True)
    by_class = estimator._class_weights(y)
    if by_class is not None:
        weights = by_class.astype(dtype) if weights is None else weights * by_class.astype(dtype)
        if (by_class < 0).any() or not weights.any():
            raise ValueError(
                f"class_weight must hold numbers >= 0 that leave a row of weight > 0, got {estimator.class_weight!r}")
    return weights


def plain_weights(sample_weight, n_samples, dtype):
    """Sample weights of a sum over all rows: one number for all rows or one a row, at least 0; None stays."""
    if sample_weight is None:
        return None
    weights = check_weights(sample_weight, n_samples, dtype, number=True, negative=True)
    if (weights < 0).any():
        raise ValueError(f"sample_weight must hold numbers >= 0, got {weights.min()}")
    return weights


def check_validation_data(estimator, validation_data, dtype, **options):
    """(X, y, sample weights or None) of a caller's validation data, checked; ``options`` are validate_data's."""
    X, y, sample_weight = validation_parts(validation_data)
    X, y = validate_data(
        estimator, X, y, reset=False, dtype=dtype, order="C", multi_output=True, y_numeric=estimator._y_numeric,
        **options)
    weights = None if sample_weight is None else check_weights(sample_weight, X.shape[0], dtype)
    return check_rows(X), dense(y), weights


def hold_out(X, y, weights, *, fraction, strata, random_state):
    """Rows to train on and rows to validate with, each as (X, y, weights); the former are numbers of rows."""
    n_samples = X.shape[0]
    train, valid = train_test_split(
        np.arange(n_samples), test_size=fraction, random_state=random_state, stratify=strata)
    rows = X if isinstance(X, RowsOf) else RowsOf(X, np.arange(n_samples))
    train_weights, valid_weights = (None, None) if weights is None else (weights[train], weights[valid])
    return (
        (rows.among(train), y[train], train_weights), (check_rows(rows.among(valid).copied()), y[valid], valid_weights)
    )


def folds_of(X, y, cv, *, classifier=False, **params):
    """(train, test) rows of each fold of ``cv``; ``params`` are its splitter's."""
    folds = list(check_cv(cv, y, classifier=classifier).split(X, y, **params))
    if not folds:
        raise ValueError(f"cv must give at least one pair of rows to train on and to test with, got none from {cv!r}")
    return folds


def random_states(estimator, resume_from):
    """(checkpoint to go on from, what the fit draws from, its state at the start for checkpoints).

    A fit that goes on draws what was drawn before it was interrupted, whatever the generator has come to.
    """
    resume = None if resume_from is None else load_checkpoint(resume_from)
    random_state = check_random_state(estimator.random_state) if resume is None else resume.start_random_state()
    start = random_state_to(random_state) if estimator.callbacks is not None else None
    return resume, random_state, start
