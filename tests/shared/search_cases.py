"""Data, estimators and comparisons that the tests of searches and of cross-validation share."""

import warnings

import numpy as np
from sklearn.datasets import load_diabetes, load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning

from fasttrain.linear_model import SGDClassifier, SGDRegressor
from fasttrain.neural_network import MLPClassifier

X, y = make_classification(120, 12, n_informative=6, flip_y=0.1, random_state=0)
IRIS = load_iris(return_X_y=True)
NUMBERS = tuple(part[:150] for part in load_diabetes(return_X_y=True))

SGD = SGDClassifier(max_iter=8, tol=None, random_state=0)
REGRESSOR = SGDRegressor(max_iter=8, tol=None, random_state=0, penalty="elasticnet")
MLP = MLPClassifier((8,), max_iter=5, random_state=0)


def same(found, expected, rtol=1e-9):
    """Results without times; scores of trainings that sum in another order agree to rounding."""
    assert list(found) == list(expected)
    for key, value in expected.items():
        if "time" in key:
            assert np.shape(found[key]) == np.shape(value)
            assert (np.asarray(found[key]) >= 0).all()
        elif key == "params":
            assert found[key] == value
        elif np.asarray(value).dtype.kind == "f":
            np.testing.assert_allclose(found[key], value, rtol=rtol, atol=1e-12, err_msg=key)
        else:
            np.testing.assert_array_equal(found[key], value, err_msg=key)


def outcome(call):
    """(kind and message of the error, or results; kinds of the warnings) of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = call()
        except Exception as error:
            result = type(error), str(error).split("Below are more details")[0]
    kinds = sorted({(w.category.__name__, str(w.message).split("\n\nBelow")[0].split("Details:")[0].strip())
                    for w in caught if w.category is not ConvergenceWarning})
    return result, kinds
