"""Every public estimator is saved and loaded: the same attributes, the same answers, and damage is noticed."""

import importlib
import json

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator

import fasttrain
from fasttrain._files import archive
from fasttrain.activations import Elu
from fasttrain.linear_model import (
    ElasticNet, ElasticNetCV, GammaRegressor, HuberRegressor, Lasso, LassoCV, LinearClassifier, LinearRegression,
    LinearRegressor, LinearRegressorCV, LinearSVC, LinearSVR, LogisticRegression, LogisticRegressionCV,
    MultiTaskElasticNet, MultiTaskElasticNetCV, MultiTaskLasso, MultiTaskLassoCV, PoissonRegressor, QuantileRegressor,
    Ridge, RidgeClassifier, RidgeClassifierCV, RidgeCV, SGDClassifier, SGDRegressor, TweedieRegressor,
)
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.persistence import load, save
from fasttrain.preprocessing import (
    DropDuplicates, DropMissing, DropOutliers, LabelBinarizer, LabelEncoder, MaxAbsScaler, MinMaxScaler, OneHotEncoder,
    OrdinalEncoder, RobustScaler, StandardScaler, TablePreprocessor,
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
X32 = X.astype(np.float32)
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
CODES = np.digitize(X[:, 0], [-0.5, 0.5])
WORDS = np.array(["ash", "elm", "oak"], dtype=object)[CODES]
LABELS = (X[:, :2] > 0).astype(int)
Y = X @ [1.0, 2.0, 3.0]
WOOD = np.c_[WORDS, np.array(["x", "y"], dtype=object)[np.arange(60) % 2]]
TABLE = pd.DataFrame({"a": np.where(X[:, 0] > 1, np.nan, X[:, 0]), "wood": WORDS, "label": WOOD[:, 1]})

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Class, parameters, what fit is given, and what the methods are given in the place of X.
CASES = [
    (LinearClassifier, {"max_iter": 3}, (X, WORDS), X),
    (LinearClassifier, {"max_iter": 3, "optimizer": "adam", "schedule": "plateau"}, (FRAME, LABELS), FRAME),
    (LinearRegressor, {"max_iter": 3, "random_state": np.random.RandomState(0)}, (X32, np.c_[Y, Y]), X32),
    (LinearRegressorCV, {"alphas": [1e-3, 1e-1]}, (FRAME, Y), FRAME),
    (LinearRegression, {"positive": True}, (X32, np.c_[Y, Y]), X32),
    (LinearRegression, {}, (FRAME, Y), FRAME),
    (Ridge, {"alpha": np.array([1.0, 2.0]), "solver": "lsqr"}, (X, np.c_[Y, Y]), X),
    (RidgeCV, {"alphas": [0.1, 1.0], "store_cv_results": True}, (FRAME, Y), FRAME),
    (RidgeClassifier, {"class_weight": "balanced"}, (X, WORDS), X),
    (RidgeClassifier, {"fit_intercept": False}, (X32, LABELS), X32),
    (RidgeClassifierCV, {"alphas": (0.1, 1.0)}, (X, CODES > 0), X),
    (Lasso, {"alpha": 0.1}, (FRAME, Y), FRAME),
    (ElasticNet, {"alpha": 0.1, "precompute": (X - X.mean(axis=0)).T @ (X - X.mean(axis=0)), "fit_intercept": False},
     (X - X.mean(axis=0), Y), X),
    (LassoCV, {"alphas": 5}, (X32, Y), X32),
    (ElasticNetCV, {"alphas": [0.1, 1.0], "l1_ratio": [0.5, 0.9]}, (X, Y), X),
    (MultiTaskLasso, {"alpha": 0.1}, (X, np.c_[Y, -Y]), X),
    (MultiTaskElasticNet, {"alpha": 0.1, "selection": "random", "random_state": 0}, (X32, np.c_[Y, -Y]), X32),
    (MultiTaskLassoCV, {"alphas": 3}, (X, np.c_[Y, -Y]), X),
    (MultiTaskElasticNetCV, {"alphas": 3, "cv": 3}, (sparse.csr_matrix(X), np.c_[Y, -Y]), X),
    (LogisticRegression, {"solver": "newton-cholesky", "class_weight": "balanced"}, (X, WORDS), X),
    (LogisticRegression, {"fit_intercept": False}, (X32, CODES > 0), X32),
    (LogisticRegressionCV, {"Cs": 2, "cv": 2, "l1_ratios": (0,), "scoring": None, "use_legacy_attributes": False},
     (FRAME, CODES), FRAME),
    (LogisticRegressionCV, {"Cs": 2, "cv": 2, "l1_ratios": (0,), "scoring": None, "use_legacy_attributes": True},
     (X, WORDS), X),
    (PoissonRegressor, {"max_iter": 3}, (X32, CODES), X32),
    (GammaRegressor, {"solver": "newton-cholesky"}, (FRAME, CODES + 1), FRAME),
    (TweedieRegressor, {"power": 1.5, "fit_intercept": False}, (sparse.csr_matrix(X), CODES), X),
    (HuberRegressor, {"epsilon": 2, "max_iter": 5}, (X, Y), X),
    (QuantileRegressor, {"quantile": 0.3, "alpha": 0.01}, (X, Y), X),
    (LinearSVC, {"class_weight": "balanced"}, (FRAME, WORDS), FRAME),
    (LinearSVC, {"loss": "hinge", "fit_intercept": False}, (sparse.csr_matrix(X), CODES > 0), X),
    (LinearSVR, {"epsilon": 0.5, "loss": "squared_epsilon_insensitive"}, (X, Y), X),
    (SGDClassifier, {"max_iter": 3, "tol": None}, (X, WORDS), X),
    (SGDClassifier, {"max_iter": 3, "average": True, "loss": "log_loss"}, (X32, CODES > 0), X32),
    (SGDClassifier, {"max_iter": 3, "early_stopping": True, "class_weight": {0: 1.0, 1: 2.0, 2: 1}}, (X, CODES), X),
    (SGDRegressor, {"max_iter": 3, "average": 50}, (X, Y), X),
    (SGDRegressor, {"max_iter": 3}, (sparse.csr_matrix(X), Y), X),
    (MLPClassifier, {"hidden_layer_sizes": (5, 4), "max_iter": 3, "random_state": 0}, (X, WORDS), X),
    (MLPClassifier, {"hidden_layer_sizes": (70,), "max_iter": 3, "activation": "tanh"}, (X32, LABELS), X32),
    (MLPClassifier, {"max_iter": 3, "early_stopping": True, "solver": "sgd", "dtype": "float32"}, (FRAME, CODES),
     FRAME),
    (MLPClassifier, {"solver": "lbfgs", "max_iter": 3, "hidden_layer_sizes": ()}, (X, CODES > 0), X),
    (MLPRegressor, {"max_iter": 3, "loss": fasttrain.losses.Huber(0.3)}, (X, np.c_[Y, Y]), X),
    (MLPClassifier, {"max_iter": 3, "hidden_layer_sizes": (5, 4), "batch_norm": ["before", None], "dropout": 0.1,
                     "averaging": "ema", "optimizer": fasttrain.optimizers.Lion(), "schedule": "cosine"},
     (X, WORDS), X),
    (MLPRegressor, {"max_iter": 3, "batch_norm": "after", "penalties": ["l1", None], "max_norm": 2.0}, (X, Y), X),
    (MLPClassifier, {"max_iter": 3, "loss": "hinge", "mixup": 0.0}, (X, WORDS), X),
    (MLPRegressor, {"max_iter": 3, "hidden_layer_sizes": (3, 4), "activation": ["relu", Elu(0.5)]}, (X, Y), X),
    (DropDuplicates, {}, (X,), X),
    (DropMissing, {"missing_values": ("?", -1)}, (X,), X),
    (DropOutliers, {"method": "zscore", "subset": ["a", "c"]}, (FRAME,), FRAME),
    (LabelBinarizer, {"neg_label": -1}, (WORDS,), WORDS),
    (LabelBinarizer, {"sparse_output": True}, (LABELS,), LABELS),
    (LabelEncoder, {}, (WORDS,), WORDS),
    (MaxAbsScaler, {}, (X32,), X32),
    (MinMaxScaler, {"feature_range": (-1, 1), "clip": True}, (FRAME,), FRAME),
    (OneHotEncoder, {"min_frequency": 5, "handle_unknown": "infrequent_if_exist"}, (WOOD,), WOOD),
    (OneHotEncoder, {"drop": "first", "dtype": np.float32, "sparse_output": False}, (CODES[:, None],), CODES[:, None]),
    (OrdinalEncoder, {"handle_unknown": "use_encoded_value", "unknown_value": np.nan}, (WOOD,), WOOD),
    (OrdinalEncoder, {"max_categories": 2, "dtype": np.int32}, (WOOD,), WOOD),
    (RobustScaler, {"quantile_range": (10, 90), "unit_variance": True}, (X32,), X32),
    (StandardScaler, {"with_mean": False}, (sparse.csr_matrix(X),), X),
    (StandardScaler, {}, (FRAME,), FRAME),
    (TablePreprocessor, {"target": "label"}, (TABLE,), TABLE),
    (TablePreprocessor, {"encode": "ordinal", "scale": "robust", "types": {"label": "drop"}}, (TABLE,), TABLE),
    (TablePreprocessor, {"missing": "mean", "scale": None, "dtype": np.float32}, (X,), X),
]
IDS = [f"{cls.__name__}-{i}" for i, (cls, *_) in enumerate(CASES)]


def public_estimators():
    """Classes of fasttrain's public modules that are estimators; a search is saved by its ``best_estimator_``."""
    for name in set(fasttrain._SUBMODULES) - {"model_selection"}:
        module = importlib.import_module(f"fasttrain.{name}")
        for public in getattr(module, "__all__", ()):
            kind = getattr(module, public)
            if isinstance(kind, type) and issubclass(kind, BaseEstimator) and kind.__module__.startswith("fasttrain"):
                yield kind


def test_every_public_estimator_is_among_the_cases():
    found = set(public_estimators())
    assert len(found) >= 18
    assert found == {cls for cls, *_ in CASES}


def plain(value):
    """A value in a form that == compares to the byte."""
    if sparse.issparse(value):
        return type(value).__name__, plain(value.toarray())
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, repr(value.tolist())
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [type(value), *map(plain, value)]
    if isinstance(value, np.random.RandomState):
        return plain(value.get_state(legacy=False))
    return (type(value), plain(vars(value))) if isinstance(value, BaseEstimator) else (type(value), repr(value))


def fitted(cls, options, given):
    return cls(**options).fit(*given)


@pytest.mark.parametrize(("cls", "options", "given", "asked"), CASES, ids=IDS)
def test_a_loaded_estimator_is_the_one_that_was_saved(cls, options, given, asked, tmp_path):
    model = fitted(cls, options, given)
    if hasattr(model, "mask"):
        model.fit_resample(*given)
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    assert type(again) is cls
    state = {key: plain(value) for key, value in vars(model).items() if key not in ("_engine", "callbacks")}
    assert {key: plain(value) for key, value in vars(again).items() if key not in ("_engine", "callbacks")} == state
    answered = 0
    for method in ("predict", "predict_proba", "decision_function", "transform", "mask", "split"):
        if hasattr(model, method) and not (method == "split" and model.target is None):
            assert plain(getattr(again, method)(asked)) == plain(getattr(model, method)(asked)), method
            answered += 1
    assert answered


@pytest.mark.parametrize("cls", [SGDClassifier, SGDRegressor])
@pytest.mark.parametrize("average", [False, True, 30])
def test_stochastic_models_train_on_as_if_they_had_not_been_saved(cls, average, tmp_path):
    model = cls(average=average, random_state=0).partial_fit(X, CODES, **({"classes": [0, 1, 2]} if cls is SGDClassifier
        else {}))
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    for _ in range(2):
        assert plain(again.partial_fit(X, CODES).coef_) == plain(model.partial_fit(X, CODES).coef_)
        assert plain(again.intercept_) == plain(model.intercept_)


def test_a_sparse_coef_stays_sparse(tmp_path):
    for interface in (sparse.csr_matrix, sparse.csr_array):
        model = SGDClassifier(penalty="l1", random_state=0).fit(X, CODES)
        model.coef_ = interface(model.coef_)
        save(model, tmp_path / "model")
        again = load(tmp_path / "model")
        assert type(again.coef_) is interface
        assert plain(again.predict(X)) == plain(model.predict(X))


def test_perceptrons_train_on(tmp_path):
    model = MLPClassifier(max_iter=3, random_state=0).fit(X, WORDS)
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    again.partial_fit(X, WORDS)
    assert again.t_ == 240
    again.set_params(warm_start=True).fit(X, WORDS)
    assert len(again.loss_curve_) == 7


DAMAGED = [
    (MLPClassifier, "n_features_in_", 4, "coefs_ of MLPClassifier must fit"),
    (MLPClassifier, "n_outputs_", 4, "n_outputs_ of MLPClassifier must be 3"),
    (MLPClassifier, "batch_norm_", [None], "batch_norm_ of MLPClassifier must be None or have 2 layers"),
    (MLPClassifier, "_hidden", [], "_hidden of MLPClassifier must have 2"),
    (MLPClassifier, "_hidden", [["system", 0.0], ["relu", 0.0]], "_hidden of MLPClassifier must name"),
    (MLPClassifier, "intercepts_", [], "coefs_ of MLPClassifier must fit|uses array"),
    (PoissonRegressor, "n_features_in_", 4, r"coef_ of PoissonRegressor must have shape \(4,\)"),
    (TweedieRegressor, "intercept_", [1.0, 2.0], "intercept_ of TweedieRegressor must have 1 numbers"),
    (HuberRegressor, "scale_", -1.0, "scale_ of HuberRegressor must be a finite number > 0"),
    (LinearSVC, "n_features_in_", 4, r"coef_ of LinearSVC must have shape \(3, 4\)"),
    (LinearSVR, "n_features_in_", 4, r"coef_ of LinearSVR must have shape \(4,\)"),
    (SGDClassifier, "n_features_in_", 4, "coef_ of SGDClassifier must have 4 columns"),
    (SGDRegressor, "intercept_", [1.0, 2.0], "intercept_ of SGDRegressor must have 1 numbers"),
    (RobustScaler, "n_features_in_", 4, r"center_ of RobustScaler must have shape \(4,\)"),
    (MaxAbsScaler, "n_features_in_", 4, r"max_abs_ of MaxAbsScaler must have shape \(4,\)"),
    (OrdinalEncoder, "n_features_in_", 4, "categories_ of OrdinalEncoder must be those of 4"),
    (DropOutliers, "_positions", [7], "_positions of DropOutliers must be"),
    (TablePreprocessor, "_columns", [], "_columns of TablePreprocessor must be those of 2 names"),
    (TablePreprocessor, "_layout", [["a", 1], ["wood", 2**40]], "_layout of TablePreprocessor must be the names"),
    (TablePreprocessor, "types_", {"@": "dict", "items": []}, "types_ of TablePreprocessor must be those of _columns"),
    (TablePreprocessor, "scaler_", None, "scaler_ of TablePreprocessor must be for 2 columns|uses array"),
]


@pytest.mark.parametrize(("cls", "name", "value", "match"), DAMAGED, ids=lambda v: getattr(v, "__name__", None))
def test_what_does_not_fit_is_named(cls, name, value, match, tmp_path):
    case = next(case for case in CASES if case[0] is cls)
    model = fitted(*case[:3])
    save(model, tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    index = json.loads(path.read_text())
    index["model"]["state"][name] = value
    index["sha256"] = archive._digest(index)
    path.write_text(json.dumps(index))
    with pytest.raises(ValueError, match=match):
        load(tmp_path / "model")


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = MLPRegressor(max_iter=1).fit(X, Y)
    model.coefs_[0][0, 0] = np.nan
    save(model, tmp_path / "model")
    with pytest.raises(ValueError, match="coefs_ and intercepts_ of MLPRegressor must be finite"):
        load(tmp_path / "model")
