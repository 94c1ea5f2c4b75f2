"""Random data and random estimators: what a soak is made of. All of it follows from the generator that is given."""

import mmap

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.pipeline import make_pipeline

from fasttrain import activations, losses, optimizers, penalties, schedules
from fasttrain.linear_model import (
    ElasticNet, ElasticNetCV, GammaRegressor, HuberRegressor, Lasso, LassoCV, LinearClassifier, LinearRegression,
    LinearRegressor, LinearRegressorCV, LinearSVC, LinearSVR, LogisticRegression, LogisticRegressionCV,
    MultiTaskElasticNet, MultiTaskElasticNetCV, MultiTaskLasso, MultiTaskLassoCV, PoissonRegressor,
    QuantileRegressor, Ridge, RidgeCV, RidgeClassifier, RidgeClassifierCV, SGDClassifier, SGDRegressor,
    TweedieRegressor,
)
from fasttrain.model_selection import GridSearchCV, RacingSearchCV, RandomizedSearchCV
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.preprocessing import (
    DropDuplicates, DropMissing, DropOutliers, LabelBinarizer, LabelEncoder, MaxAbsScaler, MinMaxScaler, OneHotEncoder,
    OrdinalEncoder, RobustScaler, StandardScaler, TablePreprocessor,
)

WORDS = np.array(["ash", "elm", "oak", "yew", "fir", "box"], dtype=object)


# ---- data ----


def strided(array):
    wide = np.zeros((2 * array.shape[0], 3 * array.shape[1]), dtype=array.dtype)
    wide[::2, ::3] = array
    return wide[::2, ::3]


def reversed_(array):
    return np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1]


def misaligned(array):
    held = np.zeros(array.nbytes + 1, dtype=np.uint8)[1:].view(array.dtype).reshape(array.shape)
    held[...] = array
    return held


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def mapped(array):
    pages = mmap.mmap(-1, max(1, array.nbytes))
    held = np.frombuffer(pages, dtype=array.dtype, count=array.size).reshape(array.shape)
    held[...] = array
    return held


LAYOUTS = {
    "C": np.ascontiguousarray, "F": np.asfortranarray, "strided": strided, "reversed": reversed_,
    "misaligned": misaligned, "read-only": read_only, "mapped": mapped,
}
DTYPES = ["f4", "f8", "f8", "f4", "i4", "i8", "u1", "?", "f2", ">f8"]


def size_of(rng, least, most):
    """Small sizes as often as large ones."""
    return round(np.exp(rng.uniform(np.log(least), np.log(most))))


def numbers(rng, *, rows=None, columns=None):
    """Rows of one of the dtypes, C order, and a generator for what goes with them."""
    draw = np.random.default_rng(rng.getrandbits(64))
    n = rows or (20_000 if rng.random() < 0.02 else size_of(rng, 8, 1500))
    X = draw.normal(size=(n, columns or size_of(rng, 1, 60)))
    dtype = np.dtype(rng.choice(DTYPES))
    if dtype.kind in "iu?":
        X = np.round(2 * X)
        X = X - X.min() if dtype.kind == "u" else X
        X = X > 0 if dtype.kind == "b" else X
    return X.astype(dtype), draw


def arranged(rng, X):
    """The same numbers as a caller may hold them: an array in some layout, CSR, a table, lists."""
    kind = rng.choice(["array"] * 6 + ["csr", "csr64", "pandas", "lists"])
    if kind == "lists" and X.size <= 4000:
        return X.tolist()
    if kind == "pandas":
        return pd.DataFrame(X.astype(X.dtype.newbyteorder("=")), columns=[f"x{i}" for i in range(X.shape[1])])
    if kind.startswith("csr") and X.dtype.str[1:] in ("f4", "f8") and X.dtype.isnative:
        matrix = sparse.csr_matrix(np.where(np.abs(X) < 0.7, 0, X))
        if kind == "csr64":
            matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
        return matrix
    return LAYOUTS[rng.choice(sorted(LAYOUTS))](X)


def mixed_table(rng):
    """Numbers with gaps beside words."""
    X, draw = numbers(rng, columns=rng.randrange(1, 5))
    table = pd.DataFrame({f"x{i}": np.where(draw.random(len(X)) < 0.1, np.nan, X[:, i].astype("f8"))
                          for i in range(X.shape[1])})
    table["wood"] = WORDS[draw.integers(0, 6, len(X))]
    table["side"] = np.where(draw.random(len(X)) < 0.1, None, WORDS[draw.integers(0, 2, len(X))])
    return table, draw


def labels(rng, draw, n):
    """Classes of one of the kinds that are taken: numbers, words, truth values; at times only one of them."""
    codes = draw.integers(0, rng.choice([1, 2, 2, 2, 3, 3, 5]), n)
    kind = rng.randrange(5)
    if kind == 0:
        return WORDS[codes]
    if kind == 1:
        return WORDS[codes].astype("U3")
    return codes > 0 if kind == 2 else codes.astype(rng.choice(["i8", "i4", "f8", "u1"]))


def reals(rng, draw, n):
    y = draw.normal(size=n) if rng.random() < 0.8 else draw.normal(size=(n, 3))
    return y.astype(rng.choice(["f8", "f8", "f4"]))


# ---- estimators ----


def state(rng):
    """What makes a random_state: a number, or a generator of its own for each estimator."""
    seed = rng.randrange(1000)
    return (lambda: seed) if rng.random() < 0.7 else (lambda: np.random.RandomState(seed))


def some(rng, **choices):
    """Parameters, each left at its default half of the time."""
    return {name: rng.choice(values) for name, values in choices.items() if rng.random() < 0.5}


STEPPERS = [name for name in optimizers.names() if name != "lbfgs"]


def linear(rng, cls, loss_names):
    options = some(
        rng, penalty=penalties.names(), alpha=[1e-5, 1e-2], optimizer=STEPPERS, learning_rate=[1e-3, 1e-2],
        schedule=schedules.names(), batch_size=[1, 16, 100, "full"], early_stopping=[True], fit_intercept=[False],
        dtype=["float32", "float64"], n_threads=[1, 2, 3], loss=loss_names, shuffle=[False], tol=[None])
    return cls, {"max_iter": rng.randrange(1, 5), **options}


def stochastic(rng, cls, loss_names):
    options = some(
        rng, loss=loss_names, penalty=["l1", "elasticnet", None], alpha=[1e-5, 1e-2], average=[True, 10],
        learning_rate=["constant", "invscaling", "adaptive"], early_stopping=[True], shuffle=[False],
        tol=[None], fit_intercept=[False])
    if cls is SGDClassifier:
        options |= some(rng, n_jobs=[1, 2])
    return cls, {"max_iter": rng.randrange(1, 5), "eta0": 0.01, **options}


def perceptron(rng, cls):
    sizes = rng.choice([(), (3,), (20,), (70,), (16, 8), (130, 5)])
    options = some(
        rng, activation=activations.names(), solver=["sgd", "lbfgs"], batch_size=[8, 64, 1000], early_stopping=[True],
        dtype=["float32", "float64"], n_threads=[1, 2, 3], alpha=[0.0, 1e-2], shuffle=[False])
    if options.get("solver") != "lbfgs" and rng.random() < 0.5:
        options |= some(
            rng, optimizer=STEPPERS, schedule=schedules.names(), penalties=penalties.names(), dropout=[0.2],
            input_dropout=[0.1], noise=[0.1], mixup=[0.2], max_norm=[2.0], averaging=["ema", "swa"],
            batch_norm=["before", "after"])
    return cls, {"hidden_layer_sizes": sizes, "max_iter": rng.randrange(1, 4), **options}


def linear_estimators(rng):
    return rng.choice([
        lambda: linear(rng, LinearClassifier, ["log_loss", "hinge", "squared_hinge", "modified_huber"]),
        lambda: linear(rng, LinearRegressor, ["half_squared_error", "huber", "absolute_error", losses.Quantile(0.3)]),
        lambda: stochastic(rng, SGDClassifier, ["hinge", "log_loss", "modified_huber", "perceptron"]),
        lambda: stochastic(rng, SGDRegressor, ["squared_error", "huber", "epsilon_insensitive"]),
        lambda: (LinearRegressorCV, some(rng, alphas=[[1e-2, 1.0]], fit_intercept=[False])),
        lambda: (LinearClassifier, {"optimizer": "lbfgs", "max_iter": 5}),
        lambda: (LinearRegressor, {"optimizer": "lbfgs", "max_iter": 5}),
    ])()


def everyday(rng):
    """A linear model of scikit-learn's names that is solved rather than trained in steps."""
    cls, choices = rng.choice([
        (LinearRegression, {"positive": [True]}),
        (Ridge, {"alpha": [1e-3, 10.0], "solver": ["svd", "cholesky", "lsqr", "sparse_cg"]}),
        (RidgeClassifier, {"alpha": [1e-3, 10.0], "class_weight": ["balanced"]}),
        (RidgeCV, {"alphas": [(0.1, 1.0)], "cv": [3]}),
        (Lasso, {"alpha": [1e-2, 0.1], "positive": [True], "selection": ["random"], "max_iter": [5]}),
        (ElasticNet, {"alpha": [1e-2, 0.1], "l1_ratio": [0.1, 1.0], "precompute": [True], "max_iter": [5]}),
        (LassoCV, {"cv": [2], "n_jobs": [1, 2]}),
        (ElasticNetCV, {"l1_ratio": [0.9, [0.5, 0.9]]}),
        (MultiTaskLasso, {"alpha": [1e-2, 0.1]}),
        (MultiTaskElasticNet, {"alpha": [1e-2, 0.1]}),
        (MultiTaskLassoCV, {"cv": [2]}),
        (MultiTaskElasticNetCV, {"cv": [2]}),
        (RidgeClassifierCV, {"alphas": [(0.1, 1.0)], "cv": [3]}),
        (LogisticRegression, {"C": [1e-2, 10.0], "class_weight": ["balanced"],
                              "solver": ["newton-cholesky", "newton-cg", "saga"], "max_iter": [3]}),
        (LogisticRegressionCV, {"Cs": [2], "cv": [2]}),
        (PoissonRegressor, {"alpha": [0.0, 1.0], "solver": ["newton-cholesky"], "max_iter": [3]}),
        (GammaRegressor, {"alpha": [0.1], "max_iter": [3]}),
        (TweedieRegressor, {"power": [0, 1, 1.5, 3], "link": ["log"]}),
        (HuberRegressor, {"epsilon": [1.1, 2.0], "alpha": [0.0, 1.0], "max_iter": [5]}),
        (QuantileRegressor, {"quantile": [0.1, 0.9], "alpha": [0.0, 0.1]}),
        (LinearSVC, {"C": [0.1, 10.0], "loss": ["hinge"], "class_weight": ["balanced"]}),
        (LinearSVR, {"C": [0.1], "loss": ["squared_epsilon_insensitive"], "epsilon": [0.1]}),
    ])
    options = some(rng, fit_intercept=[False], **choices)
    fixed = {"random_state": 0} if "selection" in choices else {}
    if cls in (LassoCV, ElasticNetCV, MultiTaskLassoCV, MultiTaskElasticNetCV):
        fixed = {"alphas": 5}
    if cls is LogisticRegressionCV:
        fixed = {"l1_ratios": (0,), "scoring": "neg_log_loss", "use_legacy_attributes": False}
    return cls, {**fixed, **options}


def everyday_targets(rng, draw, cls, n):
    """y of the kind that an everyday model takes."""
    if is_classifier(cls()):
        return labels(rng, draw, n)
    y = reals(rng, draw, n)
    if cls.__name__.startswith("MultiTask"):
        return np.c_[y, -y]
    several = cls in (LinearRegression, Ridge, RidgeCV)
    y = y if several or y.ndim == 1 else y[:, 0]
    return abs(y) + 0.1 if cls in (PoissonRegressor, GammaRegressor, TweedieRegressor) else y


def searches(rng):
    """A search over one of the estimators whose fits run as a batch."""
    cls, options = rng.choice([
        (SGDClassifier, {"max_iter": 2, "tol": None}), (LinearClassifier, {"batch_size": "full", "max_iter": 3}),
        (MLPClassifier, {"hidden_layer_sizes": (8,), "max_iter": 2}), (RidgeClassifier, {}), (LogisticRegression, {}),
    ])
    grid = {"C" if cls is LogisticRegression else "alpha": [1e-4, 1e-3, 1e-2][: rng.randrange(1, 4)]}
    seed, jobs = rng.randrange(1000), rng.choice([None, 1, 2])
    kind = rng.randrange(3)

    def make():
        model = cls(**options, random_state=seed)
        if kind == 0:
            return GridSearchCV(model, grid, cv=2, n_jobs=jobs)
        if kind == 1:
            return RandomizedSearchCV(model, grid, n_iter=1, cv=2, n_jobs=jobs, random_state=seed)
        if not hasattr(model, "partial_fit"):
            return GridSearchCV(model, grid, cv=3, n_jobs=jobs)
        return RacingSearchCV(model, grid, cv=2, max_epochs=2, n_jobs=jobs)

    return make


def of_table(rng):
    table = some(rng, missing=["mean", "most_frequent"], scale=["minmax", "robust", None], encode=["ordinal"],
                 dtype=[np.float32])
    if rng.random() < 0.5:
        return lambda: TablePreprocessor(**table)
    return lambda: make_pipeline(TablePreprocessor(**table), SGDClassifier(max_iter=2, tol=None, random_state=0))


def of_words(rng):
    cls, options = rng.choice([
        (OneHotEncoder, {"handle_unknown": "ignore"}), (OneHotEncoder, {"drop": "first", "sparse_output": False}),
        (OneHotEncoder, {"min_frequency": 3, "handle_unknown": "infrequent_if_exist"}),
        (OrdinalEncoder, {"handle_unknown": "use_encoded_value", "unknown_value": -1}),
    ])
    return lambda: cls(**options)


def of_columns(rng):
    cls = rng.choice([StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, DropOutliers, DropMissing,
                      DropDuplicates])
    options = some(rng, with_mean=[False]) if cls is StandardScaler else {}
    return lambda: cls(**options)


def of_labels(rng):
    cls = rng.choice([LabelEncoder, LabelBinarizer])
    return lambda: cls()


def drawn(rng):
    """(make, fit's arguments): ``make()`` gives equal estimators, not yet fitted."""
    kind = rng.choice(
        ["linear"] * 4 + ["everyday"] * 4 + ["perceptron"] * 3 + ["columns"] * 2
        + ["table", "words", "labels", "search"])
    if kind == "table":
        table, draw = mixed_table(rng)
        return of_table(rng), (table, labels(rng, draw, len(table)))
    if kind == "words":
        draw = np.random.default_rng(rng.getrandbits(64))
        X = WORDS[draw.integers(0, 6, (size_of(rng, 5, 1500), rng.randrange(1, 4)))]
        return of_words(rng), (X if rng.random() < 0.5 else X.astype("U3"), None)
    X, draw = numbers(rng)
    if kind == "labels":
        return of_labels(rng), (labels(rng, draw, len(X)),)
    held = arranged(rng, X)
    if kind == "columns":
        return of_columns(rng), (held, None)
    if kind == "search":
        return searches(rng), (held, draw.integers(0, 2, len(X)))
    if kind == "everyday":
        cls, options = everyday(rng)
        return (lambda: cls(**options)), (held, everyday_targets(rng, draw, cls, len(X)))
    if kind == "linear":
        cls, options = linear_estimators(rng)
    else:
        cls, options = perceptron(rng, rng.choice([MLPClassifier, MLPRegressor]))
    y = labels(rng, draw, len(X)) if "Classifier" in cls.__name__ else reals(rng, draw, len(X))
    if cls is LinearRegressorCV:
        return (lambda: cls(**options)), (held, y)
    seed = state(rng)
    return (lambda: cls(**options, random_state=seed())), (held, y)
