"""Public attributes of fitted estimators beside scikit-learn's: their names, types, dtypes and shapes."""

import warnings
from functools import partial

import numpy as np
import pytest
from scipy import sparse

from fasttrain import interop  # noqa: F401  (enters every estimator)
from fasttrain._estimators.registry import entries

# What a fit leaves beside scikit-learn's attributes: an account of its epochs.
_CURVES = {"loss_curve_", "validation_scores_"}
OURS = {
    "SGDClassifier": _CURVES, "SGDRegressor": _CURVES,
    **{name: {"batch_norm_", "validation_loss_curve_", "best_loss_", "best_validation_score_", *_CURVES}
       for name in ("MLPClassifier", "MLPRegressor")},
}
PAIRS = {entry.cls.__name__: (entry.cls, entry.stock) for entry in entries() if entry.stock is not None}


def rows(kind, n_rows=60):
    """(X, and numbers to make targets of)."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n_rows, 4))
    signal = X[:, 0] - X[:, 1] + 0.5 * rng.normal(size=n_rows)
    if kind == "sparse":
        return sparse.csr_array(X), signal
    return X.astype(kind), signal


CLASSES = {
    "two": lambda s: (s > 0).astype(int),
    "small integers": lambda s: (s > 0).astype(np.int8),
    "booleans": lambda s: s > 0,
    "floats": lambda s: (s > 0).astype(float),
    "words": lambda s: np.array(["no", "yes"])[(s > 0).astype(int)],
    "objects": lambda s: np.array(["no", "yes"], dtype=object)[(s > 0).astype(int)],
    "list": lambda s: (s > 0).astype(int).tolist(),
    "column": lambda s: (s > 0).astype(int).reshape(-1, 1),
    "three": lambda s: np.digitize(s, [-0.5, 0.5]),
    "three words": lambda s: np.array(["a", "b", "c"])[np.digitize(s, [-0.5, 0.5])],
}
LABELS = {"labels": lambda s: np.column_stack([s > 0, s > 0.5]).astype(int)}
NUMBERS = {
    "numbers": lambda s: s,
    "float32": lambda s: s.astype(np.float32),
    "integers": lambda s: np.round(s).astype(int),
    "list": lambda s: s.tolist(),
}
COLUMN = {"column": lambda s: s.reshape(-1, 1)}
SEVERAL = {"several": lambda s: np.column_stack([s, -s]), "several float32": lambda s: np.column_stack(
    [s, -s]).astype(np.float32)}
POSITIVE = {"counts": lambda s: np.round(np.exp(s)).astype(int) + 1, "positive": lambda s: np.exp(s),
            "positive float32": lambda s: np.exp(s).astype(np.float32)}

# (class, parameters, targets, whether sparse X is taken)
MODELS = [
    ("LinearRegression", {}, NUMBERS | COLUMN | SEVERAL, True),
    ("LinearRegression", {"positive": True}, NUMBERS, False),
    ("LinearRegression", {"fit_intercept": False}, NUMBERS | COLUMN | SEVERAL, True),
    *(("Ridge", {"solver": solver}, NUMBERS | COLUMN | SEVERAL, solver in ("auto", "sparse_cg", "sag", "lsqr"))
      for solver in ("auto", "svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga")),
    ("Ridge", {"fit_intercept": False}, NUMBERS | COLUMN | SEVERAL, True),
    ("RidgeClassifier", {}, CLASSES | LABELS, True),
    ("RidgeCV", {}, NUMBERS | COLUMN | SEVERAL, True),
    ("RidgeCV", {"cv": 3}, NUMBERS | COLUMN | SEVERAL, True),
    ("RidgeCV", {"store_cv_results": True}, NUMBERS | COLUMN | SEVERAL, True),
    ("RidgeCV", {"alpha_per_target": True}, NUMBERS | COLUMN | SEVERAL, True),
    ("RidgeClassifierCV", {}, CLASSES, True),
    ("RidgeClassifierCV", {"cv": 3}, CLASSES, True),
    ("RidgeClassifierCV", {"store_cv_results": True}, CLASSES, True),
    ("Lasso", {"alpha": 0.1}, NUMBERS | COLUMN | SEVERAL, True),
    ("ElasticNet", {"alpha": 0.1}, NUMBERS | COLUMN | SEVERAL, True),
    ("ElasticNet", {"alpha": 0.1, "fit_intercept": False}, NUMBERS | COLUMN | SEVERAL, True),
    ("LassoCV", {"cv": 3, "alphas": 5}, NUMBERS, True),
    ("ElasticNetCV", {"cv": 3, "alphas": 5}, NUMBERS, True),
    ("ElasticNetCV", {"cv": 3, "alphas": 5, "l1_ratio": [0.5, 0.9]}, NUMBERS, True),
    ("ElasticNetCV", {"cv": 3, "alphas": [0.1, 1.0]}, NUMBERS, True),
    ("MultiTaskLasso", {"alpha": 0.1}, SEVERAL, False),
    ("MultiTaskElasticNet", {"alpha": 0.1}, SEVERAL, False),
    ("MultiTaskElasticNet", {"alpha": 0.1, "fit_intercept": False}, SEVERAL, False),
    ("MultiTaskLassoCV", {"cv": 3, "alphas": 5}, SEVERAL, False),
    ("MultiTaskElasticNetCV", {"cv": 3, "alphas": 5}, SEVERAL, False),
    ("LogisticRegression", {}, CLASSES, True),
    *(("LogisticRegression", {"solver": solver}, CLASSES, True)
      for solver in ("newton-cg", "newton-cholesky", "sag", "saga")),
    ("LogisticRegression", {"fit_intercept": False}, CLASSES, True),
    ("LogisticRegression", {"l1_ratio": 1.0, "solver": "saga", "C": 0.1}, CLASSES, True),
    ("LogisticRegressionCV", {"cv": 3, "Cs": 3, "use_legacy_attributes": False, "scoring": "accuracy"}, CLASSES, True),
    ("LogisticRegressionCV", {"cv": 3, "Cs": 3, "use_legacy_attributes": True, "scoring": "accuracy"}, CLASSES, True),
    ("LinearSVC", {}, CLASSES, True),
    ("LinearSVC", {"loss": "hinge", "max_iter": 10000}, CLASSES, True),
    ("LinearSVC", {"fit_intercept": False}, CLASSES, True),
    ("LinearSVR", {"epsilon": 0.1}, NUMBERS, True),
    ("LinearSVR", {"loss": "squared_epsilon_insensitive", "dual": "auto"}, NUMBERS, True),
    ("PoissonRegressor", {}, POSITIVE, True),
    ("PoissonRegressor", {"solver": "newton-cholesky", "fit_intercept": False}, POSITIVE, True),
    ("GammaRegressor", {}, POSITIVE, True),
    ("TweedieRegressor", {"power": 1.5}, POSITIVE, True),
    ("HuberRegressor", {}, NUMBERS, True),
    ("HuberRegressor", {"fit_intercept": False}, NUMBERS, True),
    ("QuantileRegressor", {"alpha": 0.01}, NUMBERS, True),
    ("QuantileRegressor", {"quantile": 0.8, "fit_intercept": False}, NUMBERS, True),
    *(("SGDClassifier", {"loss": loss, "random_state": 0}, CLASSES, True) for loss in ("hinge", "log_loss")),
    ("SGDClassifier", {"average": True, "random_state": 0}, CLASSES, True),
    ("SGDClassifier", {"early_stopping": True, "random_state": 0}, CLASSES, True),
    ("SGDRegressor", {"random_state": 0}, NUMBERS, True),
    ("SGDRegressor", {"average": 5, "random_state": 0, "early_stopping": True}, NUMBERS, True),
    *(("MLPClassifier", {"solver": solver, "max_iter": 4, "random_state": 0, **more}, CLASSES | LABELS, True)
      for solver, more in (("adam", {}), ("sgd", {}), ("lbfgs", {}), ("adam", {"early_stopping": True}),
                           ("sgd", {"early_stopping": True, "learning_rate": "adaptive"}))),
    *(("MLPRegressor", {"solver": solver, "max_iter": 4, "random_state": 0, **more}, NUMBERS | COLUMN | SEVERAL, True)
      for solver, more in (("adam", {}), ("sgd", {}), ("lbfgs", {}), ("adam", {"early_stopping": True}))),
    ("MLPRegressor", {"loss": "poisson", "max_iter": 4, "random_state": 0}, POSITIVE, False),
]
NOTHING = {"nothing": lambda s: None}
TRANSFORMERS = [
    ("StandardScaler", {}, NOTHING, False),
    ("StandardScaler", {"with_mean": False}, NOTHING, True),
    ("StandardScaler", {"with_std": False}, NOTHING, False),
    ("StandardScaler", {"with_mean": False, "with_std": False}, NOTHING, True),
    ("MinMaxScaler", {}, NOTHING, False),
    ("MinMaxScaler", {"clip": True, "feature_range": (0, 2)}, NOTHING, False),
    ("MaxAbsScaler", {}, NOTHING, True),
    ("RobustScaler", {}, NOTHING, False),
    ("RobustScaler", {"with_centering": False}, NOTHING, True),
    ("RobustScaler", {"with_scaling": False}, NOTHING, False),
]


def kind(value):
    """What of a value is compared: type, dtype, shape, and the same of what it holds."""
    if isinstance(value, np.ndarray):
        held = {type(item).__name__ for item in value.ravel()} if value.dtype == object else None
        dtype = value.dtype.str if value.dtype.kind not in "U" else "U"
        return type(value).__name__, dtype, value.shape, held
    if sparse.issparse(value):
        return type(value).__name__, value.dtype.str, value.shape
    if isinstance(value, dict):
        return "dict", {key: kind(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [kind(item) for item in value]
    return type(value).__name__


def attributes(model):
    """The kind of each public attribute of a fit, those behind properties too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = [name for name in dir(model) if name.endswith("_") and not name.startswith("_")]
        return {name: kind(getattr(model, name)) for name in names if hasattr(model, name)}


def fit(model, X, y):
    model.fit(X, y)


def both(name, parameters, use):
    """What is left on fasttrain's and on scikit-learn's estimator by ``use(estimator)``."""
    left = []
    for cls in PAIRS[name]:
        model = cls(**parameters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            use(model)
        left.append(attributes(model))
    return left


def assert_same(name, ours, theirs, what=""):
    ours = {key: value for key, value in ours.items() if key in theirs or key not in OURS.get(name, ())}
    different = {key: (ours.get(key), theirs.get(key)) for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)}
    assert different == {}, what


# The kinds of y that are tried by default; the others with the exhaustive tests.
USUAL = ("two", "objects", "three", "labels", "numbers", "float32", "several", "several float32", "positive float32",
         "counts", "nothing")
_SOME = {"RidgeClassifierCV": ("objects", "three"), "LogisticRegressionCV": ("objects", "three")}


def cases():
    for name, parameters, targets, takes_sparse in [*MODELS, *TRANSFORMERS]:
        said = ", ".join(f"{key}={value}" for key, value in parameters.items() if key != "random_state")
        usual = [target for target in _SOME.get(name, USUAL) if target in targets]
        rest = [target for target in targets if target not in usual]
        for names, marks in ((usual, ()), (rest, pytest.mark.exhaustive)):
            if names:
                chosen = {target: targets[target] for target in names}
                yield pytest.param(name, parameters, chosen, takes_sparse, id=f"{name}({said})", marks=marks)


@pytest.mark.parametrize(("name", "parameters", "targets", "takes_sparse"), list(cases()))
def test_after_fit(name, parameters, targets, takes_sparse):
    for dtype in ("float64", "float32", *(["sparse"] if takes_sparse else [])):
        X, signal = rows(dtype)
        for target, make in targets.items():
            y = make(signal)
            assert_same(name, *both(name, parameters, partial(fit, X=X, y=y)), (dtype, target))


def test_every_estimator_is_compared():
    compared = {name for name, *_ in [*MODELS, *TRANSFORMERS, *ENCODERS]} | {"GridSearchCV", "RandomizedSearchCV"}
    assert compared == set(PAIRS)


@pytest.mark.parametrize(("name", "parameters"), [
    ("SGDClassifier", {"loss": "log_loss", "random_state": 0}), ("SGDRegressor", {"random_state": 0}),
    ("MLPClassifier", {"random_state": 0}), ("MLPClassifier", {"solver": "sgd", "random_state": 0}),
    ("MLPRegressor", {"random_state": 0}),
])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_after_partial_fits(name, parameters, dtype):
    X, signal = rows(dtype)
    classifies = name.endswith("Classifier")
    y = (signal > 0).astype(int) if classifies else signal.astype(dtype)
    first = {"classes": [0, 1]} if classifies else {}

    def use(model):
        model.partial_fit(X, y, **first).partial_fit(X, y)

    assert_same(name, *both(name, parameters, use))


MISSING = np.where(np.arange(240).reshape(60, 4) % 7 == 0, np.nan, rows("float64")[0])
SCALED = {
    "missing": lambda model: model.fit(MISSING),
    "missing float32": lambda model: model.fit(MISSING.astype(np.float32)),
    "partly": lambda model: model.partial_fit(MISSING[:20]).partial_fit(MISSING[20:]),
    "partly float32": lambda model: model.partial_fit(MISSING[:20].astype(np.float32)).partial_fit(MISSING[20:]),
    "partly and whole": lambda model: model.partial_fit(np.nan_to_num(MISSING[:20])).partial_fit(MISSING[20:]),
    "fitted again": lambda model: model.fit(MISSING).fit(np.nan_to_num(MISSING)),
}
WEIGHTED = {
    "weights": lambda model: model.fit(np.nan_to_num(MISSING), sample_weight=np.arange(60.0)),
    "weights and missing": lambda model: model.fit(MISSING, sample_weight=np.arange(60)),
    "weights partly": lambda model: model.partial_fit(MISSING, sample_weight=np.arange(60)).partial_fit(MISSING),
}
SPARSE = {
    "sparse missing": lambda model: model.fit(sparse.csc_array(np.where(np.abs(MISSING) < 0.5, 0, MISSING))),
    "sparse partly": lambda model: model.partial_fit(sparse.csr_array(MISSING)).partial_fit(sparse.csr_array(MISSING)),
}


@pytest.mark.parametrize(("name", "parameters", "uses"), [
    ("StandardScaler", {}, SCALED | WEIGHTED),
    ("StandardScaler", {"with_std": False}, SCALED | WEIGHTED),
    ("StandardScaler", {"with_mean": False}, SCALED | WEIGHTED | SPARSE),
    ("StandardScaler", {"with_mean": False, "with_std": False}, SCALED | WEIGHTED | SPARSE),
    ("MinMaxScaler", {}, SCALED),
    ("MaxAbsScaler", {}, SCALED | SPARSE),
    ("RobustScaler", {}, {key: use for key, use in SCALED.items() if "partly" not in key}),
], ids=lambda given: given if isinstance(given, str) else ", ".join(given))
def test_of_scalers(name, parameters, uses):
    for what, use in uses.items():
        assert_same(name, *both(name, parameters, use), what)


WORDS = np.array([["a", "x"], ["b", "y"], ["a", "z"], ["c", "x"]])
MIXED = np.array([["a", 1], ["b", 2], [None, 3], [np.nan, 1]], dtype=object)
ENCODERS = [
    *((name, parameters, data) for name in ("OneHotEncoder", "OrdinalEncoder") for parameters in (
        {}, {"min_frequency": 2, "handle_unknown": "infrequent_if_exist"} if name == "OneHotEncoder" else {
            "min_frequency": 2}) for data in (WORDS, WORDS.astype(object), MIXED, np.arange(12).reshape(4, 3) % 5,
                                              np.arange(12.0).reshape(4, 3) % 5)),
    ("OneHotEncoder", {"drop": "first"}, WORDS),
    ("OneHotEncoder", {"drop": "if_binary"}, WORDS),
    ("OrdinalEncoder", {"handle_unknown": "use_encoded_value", "unknown_value": -1}, WORDS),
    *((name, {}, y) for name in ("LabelEncoder", "LabelBinarizer") for y in (
        ["b", "a"], np.array(["b", "a", "c"], dtype=object), [3, 1, 2], np.array([1.0, 2.0]), np.array([True, False]))),
    ("LabelBinarizer", {"sparse_output": True}, [1, 2, 3]),
    ("LabelBinarizer", {}, np.array([[0, 1], [1, 0]])),
]


@pytest.mark.parametrize(("name", "parameters", "data"), [
    pytest.param(*case, id=f"{case[0]} {i}") for i, case in enumerate(ENCODERS)
])
def test_of_encoders(name, parameters, data):
    assert_same(name, *both(name, parameters, lambda model: model.fit(data)))


@pytest.mark.parametrize("name", ["GridSearchCV", "RandomizedSearchCV"])
@pytest.mark.parametrize("parameters", [
    {}, {"return_train_score": True}, {"scoring": ["accuracy", "neg_log_loss"], "refit": "accuracy"}, {"refit": False},
], ids=str)
def test_of_searches(name, parameters):
    X, signal = rows("float64")
    y = CLASSES["words"](signal)
    grid = {"alpha": [1e-4, 1e-3, 1e-2], "penalty": ["l2", None]}
    more = {"n_iter": 3, "random_state": 0} if name == "RandomizedSearchCV" else {}
    left = []
    for (cls, model) in zip(PAIRS[name], PAIRS["SGDClassifier"]):
        search = cls(model(loss="log_loss", random_state=0), grid, cv=3, **parameters, **more)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            left.append(attributes(search.fit(X, y)))
    assert_same(name, *left)


def held(model):
    """Which objects the public attributes are, parameters included."""
    return {name: (id(value), kind(value)) for name, value in vars(model).items() if not name.startswith("_")}


@pytest.mark.parametrize("name", sorted({name for name, *_ in [*MODELS, *TRANSFORMERS]}))
@pytest.mark.parametrize("fitted", [False, True])
def test_a_fit_that_fails_leaves_every_attribute_as_it_was(name, fitted):
    _, parameters, targets, _ = next(case for case in [*MODELS, *TRANSFORMERS] if case[0] == name)
    X, signal = rows("float64")
    y = next(iter(targets.values()))(signal)
    model = PAIRS[name][0](**parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if fitted:
            model.fit(X, y)
        before = held(model)
        for bad in (np.full_like(X, np.inf), X[:7], np.empty((0, 4)), np.array([["a"] * 4] * len(X))):
            for method in ("fit", "partial_fit"):
                if hasattr(model, method) and not (len(bad) == 7 and y is None):
                    with pytest.raises((ValueError, TypeError)):
                        getattr(model, method)(bad, y)
        assert held(model) == before
