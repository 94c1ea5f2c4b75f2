"""Checks of X, y, weights and validation data that all estimators share."""


from fasttrain._core.checks import is_ready
from fasttrain._estimators.rows import RowsOf


def validated(estimator, X, y, *, reset, dtype, y_numeric=False, **options):
    """scikit-learn's ``validate_data``; X may also be a :class:`RowsOf`, whose matrix needs no second look."""
    # engines are used without estimators too, and then scikit-learn is not loaded
    from sklearn.utils.validation import check_consistent_length, validate_data

    if not isinstance(X, RowsOf):
        if is_ready(estimator, X, y, reset, dtype if isinstance(dtype, list) else [dtype]):
            return X, y
        return validate_data(
            estimator, X, y, reset=reset, dtype=dtype, order="C", multi_output=True, y_numeric=y_numeric, **options)
    if not reset or X.dtype not in (dtype if isinstance(dtype, list) else [dtype]):
        return validated(estimator, X.copied(), y, reset=reset, dtype=dtype, y_numeric=y_numeric, **options)
    y = validate_data(estimator, y=y, multi_output=True, y_numeric=y_numeric)
    check_consistent_length(X, y)
    estimator.n_features_in_ = X.shape[1]
    return X, y
