"""Searches over batches of fits against scikit-learn's search over the same estimators, split by split."""

import importlib
import warnings

import numpy as np
import pytest
from identifiers import without_address
from search_cases import IRIS, MLP, NUMBERS, REGRESSOR, SGD, X, outcome, same, y
from joblib import parallel_config, register_parallel_backend
from joblib.parallel import SequentialBackend
from scipy.stats import loguniform
from sklearn import config_context, model_selection as peer
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.pipeline import Pipeline, make_pipeline

from fasttrain import model_selection as ours
from fasttrain.linear_model import LinearClassifier, LinearRegressor, SGDClassifier
from fasttrain.model_selection.batch import planner
from fasttrain.neural_network import MLPRegressor
from fasttrain.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def both(kind, estimator, grid, data, **options):
    """(ours, scikit-learn's) after their fits, which have to agree."""
    searches = []
    for module in (ours, peer):
        if module is peer:
            # how many processes does not matter, and starting them takes long
            options = {**options, "n_jobs": None}
        search = getattr(module, kind)(estimator, grid, **options)
        searches.append(search.fit(*data))
    found, expected = searches
    same(found.cv_results_, expected.cv_results_)
    for name in ("best_params_", "best_index_", "n_splits_", "multimetric_"):
        assert hasattr(found, name) == hasattr(expected, name)
        assert getattr(found, name, None) == getattr(expected, name, None)
    assert hasattr(found, "best_score_") == hasattr(expected, "best_score_")
    if hasattr(found, "best_score_"):
        np.testing.assert_allclose(found.best_score_, expected.best_score_, rtol=1e-9)
    if expected.refit:
        np.testing.assert_array_equal(found.predict(data[0]), expected.predict(data[0]))
        if not callable(expected.refit):
            np.testing.assert_allclose(found.score(*data), expected.score(*data), rtol=1e-9)
        assert found.n_features_in_ == expected.n_features_in_
    return found, expected


CASES = {
    "binary": (SGD, {"alpha": [1e-2, 1e-1], "loss": ["hinge", "log_loss"]}, (X, y)),
    "multiclass": (SGD, {"alpha": [1e-2, 1e-1], "penalty": ["l2", "l1"]}, IRIS),
    "seeds": (SGD, {"random_state": [0, 1, None], "shuffle": [False], "learning_rate": ["invscaling"]}, (X, y)),
    "early stopping": (SGD, {"alpha": [1e-2, 1e-1], "early_stopping": [True], "tol": [1e-3]}, (X, y)),
    "averaged": (SGD, {"average": [True, 30], "alpha": [1e-2, 1e-1]}, (X, y)),
    "class weights": (SGD, {"class_weight": [None, "balanced", {0: 2.0, 1: 1.0}], "alpha": [1e-2]}, (X, y)),
    "regression": (REGRESSOR, {"alpha": [1e-4, 1e-2], "loss": ["squared_error", "huber"]}, NUMBERS),
    "several outputs": (REGRESSOR, {"alpha": [1e-4, 1e-2]}, (NUMBERS[0], np.c_[NUMBERS[1], NUMBERS[1] ** 2] / 100)),
    "scaled": (
        make_pipeline(StandardScaler(), SGD),
        {"sgdclassifier__alpha": [1e-2, 1e-1], "standardscaler__with_std": [True, False]}, (X, y)),
    "two steps": (
        Pipeline([("a", MinMaxScaler()), ("b", "passthrough"), ("c", StandardScaler()), ("model", REGRESSOR)]),
        {"model__alpha": [1e-4, 1e-2], "c__with_mean": [True, False]}, NUMBERS),
    "encoded": (
        make_pipeline(OneHotEncoder(handle_unknown="ignore"), SGD), {"sgdclassifier__alpha": [1e-2, 1e-1]},
        (np.round(X[:, :3]), y)),
    "network": (MLP, {"alpha": [1e-4, 1e-1], "hidden_layer_sizes": [(5,), (4, 3)]}, (X, y)),
    "network for numbers": (
        make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(5,), max_iter=4, random_state=0)),
        {"mlpregressor__alpha": [1e-4, 1e-1]}, NUMBERS),
    "mini-batches": (LinearClassifier(max_iter=4, batch_size=16, random_state=0), {"alpha": [0.1, 1.0]}, (X, y)),
    "full batches": (
        LinearClassifier(max_iter=20, optimizer="adam", batch_size="full"),
        {"alpha": [0.1, 1.0], "penalty": [None, "l2", "elasticnet"], "optimizer": ["adam", "momentum"]}, (X, y)),
    "full batches of classes": (
        make_pipeline(StandardScaler(), LinearClassifier(max_iter=20, optimizer="adam", batch_size="full")),
        {"linearclassifier__loss": ["log_loss", "hinge"], "linearclassifier__fit_intercept": [True, False]}, IRIS),
    "full batches of numbers": (
        LinearRegressor(max_iter=20, optimizer="adam", batch_size="full"),
        {"loss": ["huber", "squared_error"], "tol": [None, 1.0]},
        NUMBERS),
    "labels": (SGD, {"alpha": [1e-2, 1e-1]}, (X, np.array(["no", "yes"])[y])),
    "lists": (SGD, [{"alpha": [1e-2]}, {"penalty": ["l1"], "alpha": [1e-2, 1e-1]}], (X.tolist(), y.tolist())),
}


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_grid(case, n_jobs, batches):
    estimator, grid, data = CASES[case]
    both("GridSearchCV", estimator, grid, data, cv=3, n_jobs=n_jobs, return_train_score=True)
    assert len(batches) == 1


@pytest.mark.parametrize("scoring, refit", [
    ("accuracy", True), ("neg_log_loss", True), ("f1", True), ("roc_auc", False),
    (["accuracy", "neg_log_loss", "roc_auc"], "roc_auc"), (("accuracy", "f1"), False),
    ({"a": "accuracy", "b": make_scorer(f1_score)}, "b"),
    (lambda model, X, y: float(np.mean(model.decision_function(X) * y)), True),
    (lambda model, X, y: {"m": float(model.score(X, y)), "n": 1.0}, "m"),
    (["accuracy"], lambda results: 1),
], ids=without_address)
def test_scoring(scoring, refit, batches):
    estimator = make_pipeline(StandardScaler(), SGD.__class__(loss="log_loss", max_iter=5, tol=None, random_state=0))
    both("GridSearchCV", estimator, {"sgdclassifier__alpha": [1e-2, 1e-1, 1.0]}, (X, y), scoring=scoring, refit=refit,
         cv=4, return_train_score=True)
    assert len(batches) == 1


@pytest.mark.parametrize("scoring", [
    "r2", "neg_mean_squared_error", "neg_root_mean_squared_error", "neg_mean_absolute_error",
    "neg_median_absolute_error", ["r2", "neg_max_error"],
], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scoring_of_numbers(scoring, dtype):
    data = NUMBERS[0].astype(dtype), NUMBERS[1]
    for estimator in (REGRESSOR, LinearRegressor(max_iter=5, batch_size=20, random_state=0)):
        both("GridSearchCV", estimator, {"alpha": [1e-4, 1e-2]}, data, scoring=scoring, cv=3, refit=False,
             return_train_score=True)


@pytest.mark.parametrize("kind", ["float32", "integers", "frame", "sparse", "not contiguous"])
def test_tables(kind, batches):
    from scipy import sparse
    import pandas as pd

    table = {
        "float32": X.astype(np.float32), "integers": np.round(5 * X).astype(int),
        "frame": pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])]),
        "sparse": sparse.csr_matrix(np.where(np.abs(X) > 1, X, 0)), "not contiguous": np.asfortranarray(X)[::-1],
    }[kind]
    found, expected = both("GridSearchCV", SGD, {"alpha": [1e-2, 1e-1]}, (table, y), cv=3)
    assert len(batches) == 1
    assert getattr(found, "feature_names_in_", None) is None or (
        found.feature_names_in_.tolist() == expected.feature_names_in_.tolist())


SPARSE_CASES = {
    "binary": (SGD, {"alpha": [1e-2, 3e-2, 1e-1, 1.0, 10.0]}, (X, y)),
    "log loss": (SGD.__class__(loss="log_loss", max_iter=5, tol=None, random_state=0),
                 {"alpha": [1e-2, 1e-1, 1.0], "class_weight": [None, "balanced"]}, (X, y)),
    "multiclass": (SGD, {"alpha": [1e-2, 1e-1, 1.0], "penalty": ["l2", "l1"]}, IRIS),
    "averaged": (SGD, {"alpha": [1e-2, 1e-1, 1.0], "average": [True, 30]}, (X, y)),
    "early stopping": (SGD, {"alpha": [1e-2, 1e-1, 1.0], "early_stopping": [True], "tol": [1e-3]}, (X, y)),
    "regression": (REGRESSOR, {"alpha": [1e-4, 1e-3, 1e-2], "loss": ["squared_error", "huber"]}, NUMBERS),
}


@pytest.mark.parametrize("case", SPARSE_CASES)
@pytest.mark.parametrize("together", [1, 1 << 22])
def test_sparse_rows(case, together, batches, monkeypatch):
    from scipy import sparse

    monkeypatch.setattr(planner, "WEIGHTS_AT_ONCE", together)
    estimator, grid, (table, targets) = SPARSE_CASES[case]
    table = sparse.csr_matrix(np.where(np.abs(table) > 0.5, table, 0))
    both("GridSearchCV", estimator, grid, (table, targets), cv=3, return_train_score=True)
    assert len(batches) == 1


def test_no_warnings_about_names():
    """What is scored on checked arrays was fitted on a frame."""
    import pandas as pd

    table = pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])])
    models = (
        SGDClassifier("log_loss", max_iter=5, tol=None),
        LinearClassifier(max_iter=5, optimizer="adam", batch_size="full", tol=None),
    )
    for model in models:
        for scoring in ("neg_log_loss", "accuracy", "f1"):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                ours.cross_validate(model, table, y, cv=3, scoring=scoring, error_score="raise")


def test_randomized(batches):
    drawn = {"alpha": loguniform(1e-3, 1), "loss": ["hinge", "log_loss"]}
    both("RandomizedSearchCV", SGD, drawn, (X, y), n_iter=5, random_state=3, cv=3)
    state = {"random_state": np.random.RandomState(5)}
    found = ours.RandomizedSearchCV(SGD, drawn, n_iter=3, cv=3, **state).fit(X, y)
    state = {"random_state": np.random.RandomState(5)}
    same(found.cv_results_, peer.RandomizedSearchCV(SGD, drawn, n_iter=3, cv=3, **state).fit(X, y).cv_results_)
    assert len(batches) == 2


def test_splitters():
    groups = np.repeat(np.arange(12), 10)
    for cv, params in [
        (peer.GroupKFold(3), {"groups": groups}), (peer.ShuffleSplit(4, random_state=0), {}),
        (peer.RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0), {}), (peer.TimeSeriesSplit(3), {}),
        ([(np.arange(60), np.arange(60, 120)), (np.arange(100), np.arange(100, 110))], {}),
        ([(np.arange(120) < 70, np.arange(120) >= 70)], {}),
    ]:
        found, expected = (
            module.GridSearchCV(SGD, {"alpha": [1e-2, 1e-1]}, cv=cv).fit(X, y, **params) for module in (ours, peer))
        same(found.cv_results_, expected.cv_results_)


WEIGHTED = {
    "binary": (SGD, {"alpha": [1e-2, 1e-1]}, (X, y)),
    "multiclass": (SGD, {"alpha": [1e-2, 1e-1]}, IRIS),
    "regression": (REGRESSOR, {"alpha": [1e-4, 1e-2]}, NUMBERS),
    "network": (MLP, {"alpha": [1e-4, 1e-1]}, (X, y)),
    "full batches": (LinearClassifier(max_iter=20, optimizer="adam", batch_size="full"), {"alpha": [0.1, 1.0]}, (X, y)),
}


@pytest.mark.parametrize("case", WEIGHTED)
def test_weighted_rows(case, batches):
    estimator, grid, data = WEIGHTED[case]
    weights = np.linspace(0.1, 3, len(data[0]))
    for given in (weights, weights.tolist(), None):
        found, expected = (
            module.GridSearchCV(estimator, grid, cv=3, return_train_score=True).fit(*data, sample_weight=given)
            for module in (ours, peer))
        same(found.cv_results_, expected.cv_results_)
        np.testing.assert_array_equal(found.predict(data[0]), expected.predict(data[0]))
        assert found.best_index_ == expected.best_index_
    assert len(batches) == 3
    plain = ours.GridSearchCV(estimator, grid, cv=3, refit=False).fit(*data)
    weighted = ours.GridSearchCV(estimator, grid, cv=3, refit=False).fit(*data, sample_weight=weights)
    assert not np.array_equal(plain.cv_results_["mean_test_score"], weighted.cv_results_["mean_test_score"])


@pytest.mark.parametrize("scoring", [
    ["accuracy", "neg_log_loss"], "f1", "neg_max_error", lambda model, X, y: model.score(X, y),
    lambda model, X, y, sample_weight=None: model.score(X, y, sample_weight),
], ids=["named", "f1", "without weights", "function", "function of weights"])
def test_weighted_scores(scoring, batches):
    model, data = SGDClassifier("log_loss", random_state=0), (X, y)
    if scoring == "neg_max_error":
        model, data = REGRESSOR, NUMBERS
    weights = np.linspace(0.1, 3, len(data[0]))
    options = {"cv": 3, "scoring": scoring, "refit": not isinstance(scoring, list) or "accuracy"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, expected = (
            module.GridSearchCV(model, {"alpha": [1e-2, 1e-1]}, **options).fit(*data, sample_weight=weights)
            for module in (ours, peer))
    same(found.cv_results_, expected.cv_results_)
    assert len(batches) == isinstance(scoring, list)


@pytest.mark.parametrize("weights", [np.ones(7), "ab", np.zeros(120), np.full(120, np.nan), -np.ones(120)], ids=str)
def test_bad_weights(weights):
    raised = []
    for module in (ours, peer):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                search = module.GridSearchCV(SGD, {"alpha": [1e-2]}, cv=3, error_score="raise")
                raised.append(search.fit(X, y, sample_weight=weights).cv_results_["mean_test_score"].tolist())
            except (ValueError, TypeError) as error:
                raised.append((type(error), str(error)))
    assert raised[0] == raised[1]


# ---- what is not ours ----


@pytest.mark.parametrize("case", ["other estimator", "fit parameter", "subclass"])
def test_left_to_scikit_learn(case, batches):
    class Own(SGDClassifier):
        def fit(self, X, y):
            return super().fit(-X, y)

    estimator = {"other estimator": LogisticRegression(), "fit parameter": SGD, "subclass": Own(random_state=0)}[case]
    params = {"coef_init": np.ones((1, 12))} if case == "fit parameter" else {}
    name = "C" if case == "other estimator" else "alpha"
    found, expected = (
        module.GridSearchCV(estimator, {name: [1e-2, 1e-1]}, cv=3).fit(X, y, **params) for module in (ours, peer))
    same(found.cv_results_, expected.cv_results_)
    assert not batches


def test_metadata_routing(batches):
    weights = np.linspace(0.1, 2, 120)
    groups = np.repeat(np.arange(12), 10)
    with config_context(enable_metadata_routing=True):
        model = SGDClassifier(max_iter=8, tol=None, random_state=0)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        model.set_partial_fit_request(sample_weight=False)
        found, expected = (
            module.GridSearchCV(model, {"alpha": [1e-2, 1e-1]}, cv=peer.GroupKFold(3), scoring=scorer).fit(
                X, y, sample_weight=weights, groups=groups)
            for module in (ours, peer)
            for scorer in [make_scorer(f1_score).set_score_request(sample_weight=True)])
        same(found.cv_results_, expected.cv_results_)
        options = {"cv": peer.GroupKFold(3), "params": {"sample_weight": weights, "groups": groups}}
        same(*(module.cross_validate(model, X, y, **options) for module in (ours, peer)))
        for name in ("cross_val_score", "cross_val_predict", "learning_curve"):
            for one, other in zip(*(getattr(module, name)(model, X, y, **options) for module in (ours, peer))):
                np.testing.assert_array_equal(one, other)
        # nothing to route: a batch
        both("GridSearchCV", model, {"alpha": [1e-2, 1e-1]}, (X, y), cv=3)


class DistantBackend(SequentialBackend):
    """As if the jobs ran on other machines."""


def test_backends_beyond_this_machine(batches):
    register_parallel_backend("distant", DistantBackend)
    with parallel_config(backend="distant"):
        both("GridSearchCV", SGD, {"alpha": [1e-2, 1e-1]}, (X, y), cv=3)
        same(*(module.cross_validate(SGD, X, y, cv=3) for module in (ours, peer)))
    assert not batches
    for backend in ("loky", "threading", "sequential"):
        with parallel_config(backend=backend, n_jobs=1):
            both("GridSearchCV", SGD, {"alpha": [1e-2, 1e-1]}, (X, y), cv=3)
    assert len(batches) == 3


def test_fits_that_callbacks_follow_are_scikit_learn_s(batches):
    step = StandardScaler()
    search = ours.GridSearchCV(make_pipeline(step, SGD), {"sgdclassifier__alpha": [1e-2, 1e-1]}, cv=3)
    # where scikit-learn's set_callbacks puts them
    step._skl_callbacks = []
    search.fit(X, y)
    assert not batches


# ---- bad input ----


def raising(model, X, y):
    raise RuntimeError("no score today")


def raising_sometimes(model, X, y):
    if model.alpha > 0.05:
        raise RuntimeError("no score today")
    return 0.5


ONE_CLASS_MISSING = np.r_[np.zeros(40, int), np.ones(80, int)]
BAD = {
    "fold without a class": (SGD, {"alpha": [1e-2, 1e-1]}, {"cv": [
        (np.arange(40), np.arange(40, 120)), (np.arange(20, 100), np.arange(100, 120))]}, ONE_CLASS_MISSING),
    "all folds without a class": (SGD, {"alpha": [1e-2]}, {"cv": [(np.arange(40), np.arange(40, 120))]},
                                  ONE_CLASS_MISSING),
    "empty list": (SGD, {"alpha": []}, {}, y),
    "empty grid": (SGD, {}, {}, y),
    "no such parameter": (SGD, {"alhpa": [1]}, {}, y),
    "no such step": (make_pipeline(StandardScaler(), SGD), {"svc__C": [1]}, {}, y),
    "bad parameter": (SGD, {"alpha": [-1.0, 1e-2]}, {}, y),
    "bad parameter of a network": (MLP, {"alpha": [-1.0, 1e-2]}, {}, y),
    "scorer raises": (SGD, {"alpha": [1e-2, 1e-1]}, {"scoring": raising_sometimes}, y),
    "scorers raise": (SGD, {"alpha": [1e-2]}, {"scoring": {"a": "accuracy", "b": raising}, "refit": "a"}, y),
    "unknown scoring": (SGD, {"alpha": [1e-2]}, {"scoring": "nonsense"}, y),
    "no refit metric": (SGD, {"alpha": [1e-2]}, {"scoring": ["accuracy", "f1"]}, y),
    "scoring twice": (SGD, {"alpha": [1e-2]}, {"scoring": ["f1", "f1"], "refit": "f1"}, y),
    "bad cv": (SGD, {"alpha": [1e-2]}, {"cv": 1000}, y),
    "bad n_jobs": (SGD, {"alpha": [1e-2]}, {"n_jobs": 1.5}, y),
    "bad error_score": (SGD, {"alpha": [1e-2]}, {"error_score": "rise"}, y),
    "too short y": (SGD, {"alpha": [1e-2]}, {}, y[:-1]),
    "continuous y": (SGD, {"alpha": [1e-2]}, {}, y + 0.5 * np.arange(120)),
    "probabilities of a margin": (SGD, {"alpha": [1e-2]}, {"scoring": "neg_log_loss"}, y),
}


@pytest.mark.parametrize("error_score", [np.nan, -1.0, "raise"])
@pytest.mark.parametrize("case", BAD)
def test_bad_input(case, error_score):
    estimator, grid, options, target = BAD[case]
    options = {"error_score": error_score, "cv": 3, **options}
    (found, warned), (expected, warned_too) = (
        outcome(lambda module=module: module.GridSearchCV(estimator, grid, **options).fit(X, target).cv_results_)
        for module in (ours, peer))
    if isinstance(expected, dict):
        same(found, expected)
    else:
        assert not isinstance(found, dict), case
        assert found[0].__name__ == expected[0].__name__
        if "parameter of GridSearchCV" not in expected[1]:
            assert found[1] == expected[1]
    assert warned == warned_too


def test_values_missing_in_a_fold():
    broken = X.copy()
    broken[5, 2] = np.nan
    options = {"cv": 3, "error_score": np.nan, "refit": False}
    (found, _), (expected, _) = (
        outcome(lambda module=module: module.GridSearchCV(SGD, {"alpha": [0.1]}, **options).fit(broken, y).cv_results_)
        for module in (ours, peer))
    same(found, expected)
    assert np.isnan(found["mean_test_score"]).all()


def test_verbose(capsys):
    lines = []
    for module in (ours, peer):
        module.GridSearchCV(SGD, {"alpha": [1e-2, 1e-1]}, cv=3, verbose=3, n_jobs=1).fit(X, y)
        lines.append([line.split("total time")[0].replace(".", "") for line in capsys.readouterr().out.splitlines()])
    assert lines[0] == lines[1]


def test_the_estimator_given_is_not_touched():
    given = SGDClassifier(max_iter=3, tol=None, random_state=0)
    before = dict(vars(given))
    ours.GridSearchCV(given, {"alpha": [1e-2, 1e-1]}, cv=3).fit(X, y)
    assert vars(given) == before


@pytest.mark.parametrize("estimator, room", [
    (SGD, "_sgd_base"), (LinearClassifier(max_iter=5, optimizer="adam", batch_size="full"), "_base"),
], ids=["lockstep", "columns"])
def test_a_model_that_is_not_finite_is_one_failed_fit(estimator, room, batches, monkeypatch):
    """What a fit of its own would raise is the error of that candidate, and not the end of the search."""
    module = importlib.import_module(f"fasttrain.linear_model.{room}")
    whole = module.set_fitted

    def set_fitted(model, parameters, account, engine=None):
        if model.alpha == 0.5:
            parameters = {**parameters, "coef_": np.full_like(parameters["coef_"], np.inf)}
        whole(model, parameters, account, engine)

    monkeypatch.setattr(module, "set_fitted", set_fitted)
    search = ours.GridSearchCV(estimator, {"alpha": [0.25, 0.5, 1.0]}, cv=3)
    with pytest.warns(FitFailedWarning, match=r"coef_ of .* would hold numbers that are not finite"):
        search.fit(X, y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True, False]
    assert sum(batches) == 9


@pytest.mark.parametrize("n_candidates", [9, 10, 11, 17, 33])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_number_of_threads_does_not_show(n_candidates, dtype):
    """Groups are split among threads; a candidate or two that are left over would be trained by another loop."""
    def bytes_of(n_jobs):
        search = ours.GridSearchCV(
            make_pipeline(StandardScaler(), SGDClassifier(random_state=0, max_iter=4)),
            {"sgdclassifier__alpha": np.logspace(-5, -1, n_candidates)}, cv=3, n_jobs=n_jobs, refit=False,
            scoring=lambda model, X, y: float(model.decision_function(X).sum()))
        search.fit(X.astype(dtype), y > 0)
        return [search.cv_results_[f"split{fold}_test_score"].tobytes() for fold in range(3)]

    alone = bytes_of(1)
    assert all(bytes_of(n_jobs) == alone for n_jobs in (2, 3, 4))
