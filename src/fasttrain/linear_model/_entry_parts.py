"""What entries of linear models have in common: what load checks, predictions without checks, networks."""

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from fasttrain._estimators.networks import DenseNetwork
from fasttrain._estimators.registry import require


def check_coefficients(model, shape=None):
    """ValueError unless ``coef_`` and ``intercept_`` are finite, and of shapes that predictions can be made with.

    ``shape`` is what ``coef_`` must have; None leaves the number of outputs to it.
    """
    coef, intercept = model.coef_, model.intercept_
    # a sparse matrix' shape may be larger than any memory; what it holds is not
    values = coef.data if sparse.issparse(coef) else coef
    good = isinstance(values, np.ndarray) and values.dtype in (np.float32, np.float64) and len(coef.shape) in (1, 2)
    if shape is None:
        require(good and coef.shape[-1] == model.n_features_in_, model, "coef_", f"have {model.n_features_in_} columns")
    else:
        require(good and coef.shape == shape, model, "coef_", f"have shape {shape}")
    outputs = coef.shape[0] if len(coef.shape) == 2 else 1
    good = np.ndim(intercept) <= 1 and np.size(intercept) in (1, outputs)
    require(good, model, "intercept_", f"have {outputs} numbers")
    require(np.isfinite(values).all() and np.isfinite(intercept).all(), model, "coef_ and intercept_", "be finite")


def classes_shape(model):
    """Of ``coef_`` of a classifier that has one output for two classes, else one for each."""
    return (1 if len(model.classes_) == 2 else len(model.classes_), model.n_features_in_)


def raw_predictions(model):
    """A function from rows to raw predictions, one number a row for a classifier with one output."""
    flat = is_classifier(model)

    def predictions(X):
        raw = X @ model.coef_.T + model.intercept_
        return raw.reshape(-1) if flat and raw.ndim > 1 and raw.shape[1] == 1 else raw

    return predictions


def network(output_of, model):
    """The network without hidden layers, with the activation ``output_of(model, n_outputs)`` at its end."""
    check_is_fitted(model)
    coef = np.atleast_2d(model.coef_.toarray() if sparse.issparse(model.coef_) else model.coef_)
    intercept = np.broadcast_to(np.asarray(model.intercept_, dtype=coef.dtype).ravel(), len(coef))
    return DenseNetwork([np.ascontiguousarray(coef.T)], [intercept], [], output_of(model, len(coef)))


def identity(model, n_outputs):
    """The output of what predicts numbers, or margins, as they are."""
    return "identity"
