"""One small estimator of every kind, and what comes of it in a form that == compares to the byte."""

import hashlib

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from fasttrain.linear_model import (
    ElasticNetCV, HuberRegressor, Lasso, LinearClassifier, LinearRegression, LinearRegressor, LinearRegressorCV,
    LinearSVC, LinearSVR, Ridge, RidgeClassifier, RidgeCV, SGDClassifier, SGDRegressor, TweedieRegressor,
)
from fasttrain.model_selection import GridSearchCV, RacingSearchCV
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.preprocessing import (
    DropDuplicates, DropMissing, DropOutliers, LabelBinarizer, LabelEncoder, MaxAbsScaler, MinMaxScaler, OneHotEncoder,
    OrdinalEncoder, RobustScaler, StandardScaler, TablePreprocessor,
)

# name: (what is fitted, makes the estimator for so many threads)
ESTIMATORS = {
    "linear": ("classes", lambda n: LinearClassifier(max_iter=3, batch_size=50, random_state=0, n_threads=n)),
    "linear, full batches": (
        "classes", lambda n: LinearClassifier(max_iter=3, batch_size="full", random_state=0, n_threads=n)),
    "linear, L-BFGS": ("classes", lambda n: LinearClassifier(optimizer="lbfgs", max_iter=5, n_threads=n)),
    "linear regression": ("numbers", lambda n: LinearRegressor(max_iter=3, random_state=0, n_threads=n)),
    "linear regression, L-BFGS": ("numbers", lambda n: LinearRegressor(optimizer="lbfgs", max_iter=5, n_threads=n)),
    "closed form": ("numbers", lambda n: LinearRegressorCV([1e-3, 1.0])),
    "least squares": ("numbers", lambda n: LinearRegression()),
    "ridge": ("numbers", lambda n: Ridge()),
    "ridge, leave-one-out": ("numbers", lambda n: RidgeCV()),
    "ridge, folds": ("numbers", lambda n: RidgeCV(cv=3)),
    "ridge classes": ("classes", lambda n: RidgeClassifier()),
    "grid of ridges": (
        "numbers", lambda n: GridSearchCV(Ridge(), {"alpha": [0.1, 1.0, 10.0]}, cv=3, n_jobs=n)),
    "Lasso": ("numbers", lambda n: Lasso(alpha=0.1)),
    "elastic net, folds": ("numbers", lambda n: ElasticNetCV(alphas=10, n_jobs=n)),
    "generalized linear": ("numbers", lambda n: TweedieRegressor(max_iter=5)),
    "generalized linear, Newton": ("numbers", lambda n: TweedieRegressor(solver="newton-cholesky")),
    "Huber": ("numbers", lambda n: HuberRegressor(max_iter=5)),
    "linear SVM": ("classes", lambda n: LinearSVC()),
    "linear SVM, hinge": ("classes", lambda n: LinearSVC(loss="hinge")),
    "linear SVM, regression": ("numbers", lambda n: LinearSVR(epsilon=0.1)),
    "linear SVM, squares": ("numbers", lambda n: LinearSVR(loss="squared_epsilon_insensitive")),
    "SGD": ("classes", lambda n: SGDClassifier(max_iter=3, tol=None, random_state=0, n_jobs=n)),
    "SGD, averaged": (
        "classes", lambda n: SGDClassifier("log_loss", penalty="elasticnet", average=True, max_iter=3, tol=None,
                                           random_state=0, n_jobs=n)),
    "SGD regression": ("numbers", lambda n: SGDRegressor(max_iter=3, tol=None, random_state=0)),
    "network": ("classes", lambda n: MLPClassifier((70, 8), max_iter=2, random_state=0, n_threads=n)),
    "network, regularized": (
        "classes", lambda n: MLPClassifier((20,), batch_norm="before", dropout=0.2, averaging="ema", optimizer="adamw",
                                           max_iter=2, random_state=0, n_threads=n)),
    "network, large batches": (
        "numbers", lambda n: MLPRegressor(hidden_layer_sizes=(64, 32), batch_size=50, max_iter=2, random_state=0,
                                          n_threads=n)),
    "network, L-BFGS": (
        "numbers", lambda n: MLPRegressor(hidden_layer_sizes=(16,), solver="lbfgs", max_iter=4, random_state=0,
                                          n_threads=n)),
    "grid of SGD": (
        "classes", lambda n: GridSearchCV(SGDClassifier(max_iter=2, tol=None, random_state=0),
                                          {"alpha": [1e-4, 1e-3, 1e-2]}, cv=2, n_jobs=n)),
    "grid of full batches": (
        "classes", lambda n: GridSearchCV(LinearClassifier(batch_size="full", max_iter=3, random_state=0),
                                          {"alpha": [1e-4, 1e-3], "penalty": ["l2"]}, cv=2, n_jobs=n)),
    "grid of networks": (
        "classes", lambda n: GridSearchCV(MLPClassifier((8,), max_iter=2, random_state=0), {"alpha": [1e-4, 1e-2]},
                                          cv=2, n_jobs=n)),
    "race": (
        "classes", lambda n: RacingSearchCV(SGDClassifier(max_iter=4, tol=None, random_state=0),
                                            {"alpha": [1e-4, 1e-3, 1e-2]}, cv=2, n_jobs=n)),
    "standard scaler": ("columns", lambda n: StandardScaler()),
    "min-max scaler": ("columns", lambda n: MinMaxScaler()),
    "max-abs scaler": ("columns", lambda n: MaxAbsScaler()),
    "robust scaler": ("columns", lambda n: RobustScaler()),
    "one-hot encoder": ("columns", lambda n: OneHotEncoder(handle_unknown="ignore")),
    "ordinal encoder": ("columns", lambda n: OrdinalEncoder()),
    "table": ("columns", lambda n: TablePreprocessor()),
    "missing rows": ("columns", lambda n: DropMissing()),
    "repeated rows": ("columns", lambda n: DropDuplicates()),
    "outlying rows": ("columns", lambda n: DropOutliers()),
    "label encoder": ("labels", lambda n: LabelEncoder()),
    "label binarizer": ("labels", lambda n: LabelBinarizer()),
}
METHODS = ("predict", "predict_proba", "decision_function", "transform", "mask")


def table(n_rows=240, n_columns=6, seed=0):
    """Small integers as float64, which every dtype can hold."""
    return np.round(2 * np.random.default_rng(seed).normal(size=(n_rows, n_columns)))


def target(name, X):
    """What a model of that name is to learn: facts of the rows, however they are held."""
    plain = np.array(X, dtype=np.float64, order="C", copy=True)
    sums = plain @ np.arange(1.0, plain.shape[1] + 1)
    return np.digitize(sums, [-5.0, 5.0]) if ESTIMATORS[name][0] == "classes" else sums


def fit(name, X, n_threads=None):
    """The fitted estimator of that name."""
    kind, make = ESTIMATORS[name]
    if kind == "labels":
        return make(n_threads).fit(X[:, 0])
    return make(n_threads).fit(*([X] if kind == "columns" else [X, target(name, X)]))


def bytes_of(array):
    """Those of the elements."""
    if array.dtype == object:
        return repr(array.tolist()).encode()
    if array.dtype != np.longdouble or array.dtype.itemsize <= 8:
        return np.ascontiguousarray(array).tobytes()
    # of its sixteen bytes some may be nobody's, with whatever the memory held before
    held, rest = [], array
    for _ in range(3):
        held.append(np.ascontiguousarray(rest, dtype=np.float64))
        rest = rest - held[-1]
    return b"".join(part.tobytes() for part in held)


def comparable(value):
    """A value in a form that == compares to the byte."""
    if isinstance(value, np.ndarray):
        held = bytes_of(value)
        return value.dtype.str, value.shape, hashlib.sha256(held).hexdigest()
    if sparse.issparse(value):
        return [comparable(part) for part in (value.data, value.indices, value.indptr)]
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items() if "time" not in str(key)}
    if isinstance(value, (list, tuple)):
        return [comparable(item) for item in value]
    return everything(value) if isinstance(value, BaseEstimator) else repr(value)


def everything(model):
    """What a fit has found: public attributes."""
    return {name: comparable(value) for name, value in vars(model).items()
            if name.endswith("_") and not name.startswith("_") and "time" not in name}


def answers(model, X):
    asked = X[:, 0] if isinstance(model, (LabelEncoder, LabelBinarizer)) else X
    return {name: comparable(getattr(model, name)(asked)) for name in METHODS if hasattr(model, name)}


def result(name, X, n_threads=None):
    """A fit and what it answers."""
    model = fit(name, X, n_threads)
    said = answers(model, X)
    return said, everything(model)
