"""Public calls at small sizes, each repeatable: what the fault harnesses go through.

A call returns what it computed, as arrays and lists of them, the same at every call. Its name says what it does;
``CALLS`` has them in order.
"""

import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.pipeline import make_pipeline

import fasttrain

from fasttrain.callbacks import EarlyStopping, ModelCheckpoint
from fasttrain.inspection import input_gradients, integrated_gradients
from fasttrain.interop import from_sklearn, to_sklearn
from fasttrain.keras import Sequential, layers
from fasttrain.linear_model import (
    ElasticNetCV, HuberRegressor, Lasso, LinearClassifier, LinearRegression, LinearRegressor, LinearRegressorCV,
    LinearSVC, LogisticRegression, LogisticRegressionCV, PoissonRegressor, Ridge, RidgeCV, SGDClassifier, SGDRegressor,
)
from fasttrain.model_selection import GridSearchCV, RacingSearchCV, cross_val_score
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.preprocessing import (
    DropDuplicates, DropMissing, DropOutliers, LabelBinarizer, LabelEncoder, MaxAbsScaler, MinMaxScaler, OneHotEncoder,
    OrdinalEncoder, RobustScaler, StandardScaler, TablePreprocessor,
)

N_ROWS, N_COLUMNS = 600, 8
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N_ROWS, N_COLUMNS))
HOLES = np.where(RNG.random(X.shape) < 0.02, np.nan, X)
Y = X @ np.arange(1.0, N_COLUMNS + 1)
CODES = (X @ RNG.normal(size=(N_COLUMNS, 3))).argmax(1)
TIED = np.round(X[:, :3])
INTEGERS = RNG.integers(-50, 50, (N_ROWS, 2))
SPREAD = RNG.integers(0, 2**60, N_ROWS) // 2**50 * 2**50
# so many distinct values that the kernels' tables grow
MANY = RNG.integers(0, 550, 5000)
WORDS = np.array([f"word {i}" for i in range(40)], dtype=object)[RNG.integers(0, 40, (N_ROWS, 2))]
FRAME = np.concatenate([HOLES[:, :3].astype(object), WORDS], axis=1)
SPARSE = np.where(np.abs(X) > 1.0, X, 0.0)

CALLS = {}


def call(name):
    def enter(function):
        CALLS[name] = function
        return function

    return enter


def fitted(make, *data):
    """A call that fits a new estimator and asks everything of it."""

    def run():
        model = make().fit(*data)
        answers = []
        for method in ("predict", "predict_proba", "decision_function", "transform", "fit_resample"):
            if hasattr(model, method):
                answers.append(getattr(model, method)(data[0]))
        return answers

    return run


def estimators():
    """(name, maker, data of fit) of every public estimator, in forms that take different ways through the kernels."""
    def sgd(kind, **options):
        return lambda: kind(**{"max_iter": 2, "tol": None, "random_state": 0} | options)

    def linear(kind, **options):
        return lambda: kind(**{"max_iter": 2, "random_state": 0} | options)

    def network(kind, **options):
        return lambda: kind(**{"hidden_layer_sizes": (16, 8), "max_iter": 2, "random_state": 0} | options)

    single = X.astype(np.float32)
    yield "LinearClassifier", linear(LinearClassifier), (X, CODES)
    yield "LinearClassifier full batch", linear(LinearClassifier, batch_size="full", n_threads=2), (X, CODES)
    yield "LinearClassifier lbfgs", linear(LinearClassifier, optimizer="lbfgs"), (X, CODES)
    yield "LinearRegressor", linear(LinearRegressor, penalty="elasticnet"), (X, Y)
    yield "LinearRegressor outputs", linear(LinearRegressor, batch_size=64), (X, np.c_[Y, -Y])
    yield "LinearRegressorCV", LinearRegressorCV, (X, Y)
    yield "LinearRegression", LinearRegression, (X, Y)
    yield "Ridge sparse", Ridge, (csr(SPARSE), Y)
    yield "RidgeCV folds", lambda: RidgeCV(cv=3), (X, Y)
    yield "Lasso", lambda: Lasso(0.1), (X, Y)
    yield "ElasticNetCV", lambda: ElasticNetCV(alphas=3, cv=3), (single, Y)
    yield "LogisticRegression", lambda: LogisticRegression(max_iter=5), (X, CODES)
    yield "LogisticRegression sparse", lambda: LogisticRegression(max_iter=5), (csr(SPARSE), CODES)
    yield "LogisticRegressionCV", lambda: LogisticRegressionCV(
        Cs=2, cv=2, max_iter=5, l1_ratios=(0,), scoring="neg_log_loss", use_legacy_attributes=False), (X, CODES)
    yield "PoissonRegressor", lambda: PoissonRegressor(max_iter=5), (X, abs(Y))
    yield "HuberRegressor", lambda: HuberRegressor(max_iter=5), (X, Y)
    yield "LinearSVC", LinearSVC, (X, CODES)
    yield "SGDClassifier", sgd(SGDClassifier), (X, CODES)
    yield "SGDClassifier averaged", sgd(SGDClassifier, loss="log_loss", penalty="elasticnet", average=True), (X, CODES)
    yield "SGDClassifier threads", sgd(SGDClassifier, n_jobs=2), (X, CODES)
    yield "SGDClassifier sparse", sgd(SGDClassifier), (csr(SPARSE), CODES)
    yield "SGDClassifier early stopping", sgd(SGDClassifier, early_stopping=True), (X, CODES)
    yield "SGDRegressor", sgd(SGDRegressor), (X, Y)
    yield "MLPClassifier", network(MLPClassifier), (X, CODES)
    yield "MLPClassifier threads", network(MLPClassifier, batch_size=300, n_threads=2), (X, CODES)
    yield "MLPClassifier float32", network(MLPClassifier, early_stopping=True), (single, CODES)
    yield "MLPClassifier sparse", network(MLPClassifier), (csr(SPARSE), CODES)
    yield "MLPClassifier regularized", network(
        MLPClassifier, batch_norm="before", dropout=0.1, optimizer="adamw", averaging="ema"), (X, CODES)
    yield "MLPClassifier lbfgs", network(MLPClassifier, solver="lbfgs"), (X, CODES)
    yield "MLPRegressor", network(MLPRegressor), (X, Y)
    for scaler in (StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler):
        yield scaler.__name__, scaler, (X,)
        yield f"{scaler.__name__} float32", scaler, (single,)
        yield f"{scaler.__name__} columns", scaler, (np.asfortranarray(X),)
        yield f"{scaler.__name__} columns float32", scaler, (np.asfortranarray(single),)
    yield "OneHotEncoder", OneHotEncoder, (TIED,)
    yield "OneHotEncoder integers", OneHotEncoder, (INTEGERS,)
    yield "OneHotEncoder words", OneHotEncoder, (WORDS,)
    yield "OrdinalEncoder", OrdinalEncoder, (TIED,)
    yield "OrdinalEncoder integers", OrdinalEncoder, (np.c_[INTEGERS, SPREAD],)
    yield "OrdinalEncoder words", OrdinalEncoder, (WORDS,)
    yield "LabelEncoder", LabelEncoder, (CODES,)
    yield "LabelEncoder spread", LabelEncoder, (SPREAD,)
    yield "LabelEncoder numbers", LabelEncoder, (TIED[:, 0],)
    yield "LabelEncoder cells", LabelEncoder, (WORDS[:, 0].astype("U8"),)
    yield "LabelEncoder many cells", LabelEncoder, (MANY.astype("U8"),)
    yield "LabelEncoder many numbers", LabelEncoder, (MANY * 2.0**40,)
    yield "LabelEncoder words", LabelEncoder, (WORDS[:, 0],)
    yield "LabelBinarizer", LabelBinarizer, (WORDS[:, 0],)
    yield "DropMissing", DropMissing, (HOLES,)
    yield "DropDuplicates", DropDuplicates, (TIED,)
    yield "DropDuplicates float32", DropDuplicates, (TIED.astype(np.float32),)
    yield "DropDuplicates keep none", lambda: DropDuplicates(keep=False), (TIED,)
    yield "DropDuplicates words", DropDuplicates, (WORDS,)
    yield "DropOutliers", DropOutliers, (X,)
    yield "TablePreprocessor", TablePreprocessor, (FRAME,)


def csr(rows):
    from scipy import sparse

    return sparse.csr_matrix(rows)


for _name, _make, _data in estimators():
    CALLS[_name] = fitted(_make, *_data)


@call("partial_fit")
def partial_fit():
    models = (
        SGDClassifier(random_state=0, average=True), LinearClassifier(random_state=0),
        MLPClassifier((8,), random_state=0),
    )
    return [model.partial_fit(X, CODES, classes=[0, 1, 2]).partial_fit(X, CODES).predict(X) for model in models]


@call("grid of SGD")
def grid_of_sgd():
    estimator = SGDClassifier(max_iter=2, tol=None, random_state=0)
    search = GridSearchCV(estimator, {"alpha": [1e-4, 1e-3]}, cv=2, n_jobs=2, error_score="raise").fit(X, CODES)
    return [search.cv_results_["mean_test_score"], search.predict(X)]


@call("grid of linear models")
def grid_of_linear_models():
    estimator = LinearClassifier(batch_size="full", max_iter=2, random_state=0)
    search = GridSearchCV(estimator, {"alpha": [1e-4, 1e-3]}, cv=2, n_jobs=2, error_score="raise").fit(X, CODES)
    return [search.cv_results_["mean_test_score"], search.predict(X)]


@call("grid of networks")
def grid_of_networks():
    estimator = make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=1, random_state=0))
    grid = {"mlpclassifier__alpha": [1e-4, 1e-3]}
    search = GridSearchCV(estimator, grid, cv=2, n_jobs=2, error_score="raise").fit(X, CODES)
    return [search.cv_results_["mean_test_score"], search.predict(X)]


@call("racing")
def racing():
    estimator = SGDClassifier(max_iter=4, tol=None, random_state=0)
    search = RacingSearchCV(estimator, {"alpha": [1e-4, 1e-3, 1e-2]}, cv=2, error_score="raise").fit(X, CODES)
    return [search.cv_results_["mean_test_score"], search.predict(X)]


@call("cross-validation of closed-form fits")
def cross_validation():
    return cross_val_score(LinearRegressorCV(), X, Y, cv=3, error_score="raise")


@call("Sequential")
def sequential():
    model = Sequential([layers.Input((N_COLUMNS,)), layers.Dense(8, activation="relu"), layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    model.set_weights([np.full_like(weight, 0.1) for weight in model.get_weights()])
    model.fit(X, Y, epochs=2, batch_size=100, shuffle=False, verbose=0)
    return model.predict(X, verbose=0)


@call("minimize")
def minimize():
    return fasttrain.minimize(X, Y, optimizer="adam", n_iter=20, batch_size=64, random_state=0, learning_rate=0.1).coef


@call("losses")
def losses_of_rows():
    loss = fasttrain.losses.SquaredError()
    return [loss.value_and_gradient(Y.astype(dtype), X[:, 0].astype(dtype))[1] for dtype in (np.float32, np.float64)]


@call("inspection")
def inspection():
    model = MODELS["MLPClassifier"]
    return [input_gradients(model, X, target=1), integrated_gradients(model, X[:20], target=1)]


@call("conversions")
def conversions():
    return [from_sklearn(to_sklearn(model)).predict(X) for model in MODELS.values()]


@call("save and load")
def save_and_load():
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        for name, model in SAVED.items():
            fasttrain.save(model, Path(folder, name))
            loaded = fasttrain.load(Path(folder, name))
            given = FRAME if name == "TablePreprocessor" else X
            answers.append(loaded.predict(given) if hasattr(loaded, "predict") else loaded.transform(given))
    return answers


@call("checkpoint and resume")
def checkpoint_and_resume():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint")
        options = {"hidden_layer_sizes": (8,), "random_state": 0, "early_stopping": True}
        MLPClassifier(**options, max_iter=1, callbacks=[ModelCheckpoint(path), EarlyStopping()]).fit(X, CODES)
        return MLPClassifier(**options, max_iter=2).fit(X, CODES, resume_from=path).predict(X)


warnings.simplefilter("ignore")
MODELS = {
    "LinearClassifier": LinearClassifier(max_iter=2, random_state=0).fit(X, CODES),
    "SGDClassifier": SGDClassifier(max_iter=2, tol=None, random_state=0).fit(X, CODES),
    "MLPClassifier": MLPClassifier((8,), max_iter=2, random_state=0).fit(X, CODES),
}
SAVED = MODELS | {"StandardScaler": StandardScaler().fit(X), "TablePreprocessor": TablePreprocessor().fit(FRAME)}


def digest(value):
    """The bytes of what a call returned: two are equal where the answers are."""
    if isinstance(value, (list, tuple)):
        return tuple(digest(part) for part in value)
    if hasattr(value, "tocsr"):
        value = value.toarray()
    array = np.asarray(value)
    return repr(array.tolist()) if array.dtype == object else array.tobytes()
