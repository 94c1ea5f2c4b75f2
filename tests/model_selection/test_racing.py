"""Successive halving over epochs."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_classification, make_regression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from search_cases import SGD, X, y

from fasttrain import training
from fasttrain.linear_model import LinearClassifier, LinearRegressor, SGDClassifier, SGDRegressor
from fasttrain.model_selection import GridSearchCV, RacingSearchCV
from fasttrain.model_selection.racing import Race, _SiteRows
from fasttrain.neural_network import MLPClassifier
from fasttrain.neural_network._base import partial_epochs
from fasttrain.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DIGITS = tuple(part[:600] for part in load_digits(return_X_y=True))
NOISY = make_classification(400, 20, n_informative=5, flip_y=0.05, random_state=1)
LINE = make_regression(300, 10, noise=5.0, random_state=0)
PROBLEMS = {
    "network": (
        MLPClassifier((16,), max_iter=27, tol=0.0, random_state=0),
        {"learning_rate_init": [1e-6, 1e-5, 1e-4, 1e-3, 1e-2], "alpha": [1e-4, 300.0]}, DIGITS),
    "sgd": (
        SGDClassifier("log_loss", max_iter=27, tol=None, random_state=0, learning_rate="constant"),
        {"eta0": [1e-7, 1e-6, 1e-5, 1e-2], "alpha": [1e-4, 10.0]}, NOISY),
    "sgd behind a scaler": (
        make_pipeline(StandardScaler(), SGDRegressor(max_iter=27, tol=None, random_state=0)),
        {"sgdregressor__eta0": [1e-7, 1e-5, 1e-2], "sgdregressor__alpha": [1e-4, 1e3]}, LINE),
    "linear": (
        LinearRegressor(max_iter=27, tol=None, random_state=0),
        {"learning_rate": [1e-4, 1e-3, 1.0], "penalty": ["l2"], "alpha": [1e-4, 1e3]}, LINE),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_winner_of_the_full_grid(problem):
    estimator, grid, data = PROBLEMS[problem]
    race = RacingSearchCV(estimator, grid, cv=3).fit(*data)
    full = GridSearchCV(estimator, grid, cv=3).fit(*data)
    assert race.best_params_ == full.best_params_
    n_candidates = len(full.cv_results_["params"])
    assert race.n_candidates_[0] == n_candidates
    assert race.n_epochs_[-1] == 27
    assert race.total_epochs_ < 0.6 * 27 * n_candidates
    assert race.best_score_ == max(race.cv_results_["mean_test_score"][race.cv_results_["n_epochs"] == 27])
    np.testing.assert_array_equal(race.predict(data[0]), full.predict(data[0]))


def test_nothing_is_trained_anew(monkeypatch):
    """With one candidate a rung's model has had exactly the epochs that the rungs add up to."""
    trained = {}

    def watched(network, plan, **options):
        result = training.train(network, plan, **options)
        trained[id(network)] = int(network.counters["t"])
        kept.append(network)
        return result

    kept = []
    monkeypatch.setattr("fasttrain.neural_network._base.train", watched)
    race = RacingSearchCV(
        MLPClassifier((4,), random_state=0, batch_size=len(X)), {"alpha": [1e-4, 1e-3, 1e-2, 1e-1]}, factor=2,
        max_epochs=8, cv=2, refit=False,
    ).fit(X, y)
    assert (race.n_candidates_, race.n_epochs_) == ([4, 2], [4, 8])
    assert sorted(trained.values()) == [4, 4, 4, 4, 8, 8, 8, 8]


@pytest.mark.parametrize("settings", [
    {}, {"dtype": np.float32, "batch_size": 7}, {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 1}, {"shuffle": False},
    {"dropout": 0.3}, {"averaging": "ema"}, {"tol": 10.0, "n_iter_no_change": 1}, {"schedule": "cosine"},
    {"batch_norm": "before"},
], ids=str)
def test_epochs_together_are_calls_of_partial_fit(settings):
    each, together = (
        MLPClassifier((5,), random_state=np.random.RandomState(0), max_iter=9, **settings) for _ in range(2))
    for model in (each, together):
        model.partial_fit(X, y, classes=[0, 1])
    for _ in range(5):
        each.partial_fit(X, y)
    partial_epochs(together, X, y, 2)
    partial_epochs(together, X, y, 3)
    for model in (each, together):
        model.partial_fit(X, y)
    assert each.loss_curve_ == together.loss_curve_
    assert each.t_ == together.t_
    for a, b in zip(each.coefs_ + each.intercepts_, together.coefs_ + together.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_epochs_of_a_race_are_those_of_partial_fit():
    """The score of a rung is that of a model after so many calls of partial_fit."""
    model = LinearClassifier(random_state=0, shuffle=False)
    race = RacingSearchCV(model, {"alpha": [0.1, 0.2, 0.3]}, max_epochs=6, min_epochs=2, cv=3, refit=False).fit(X, y)
    from sklearn.model_selection import StratifiedKFold

    for i, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        alone = LinearClassifier(random_state=0, shuffle=False, alpha=0.2)
        for _ in range(race.n_epochs_[0]):
            alone.partial_fit(X[train], y[train], classes=[0, 1])
        assert race.cv_results_[f"split{i}_test_score"][1] == alone.score(X[test], y[test])


@pytest.mark.parametrize("n, factor, longest, shortest, expected", [
    (27, 3, 81, None, [(27, 9), (9, 27), (3, 81)]), (10, 3, 27, None, [(10, 3), (4, 9), (2, 27)]),
    (1, 3, 50, None, [(1, 50)]), (8, 2, 3, None, [(8, 2), (4, 3)]), (16, 4, 100, 30, [(16, 100)]),
    (9, 3, 30, 10, [(9, 10), (3, 30)]),
])
def test_rungs(n, factor, longest, shortest, expected):
    race = RacingSearchCV(SGD, {}, factor=factor, max_epochs=longest, min_epochs=shortest)
    assert race.rungs(n) == expected


def test_balanced_weights_and_several_metrics():
    race = RacingSearchCV(
        SGDClassifier("log_loss", random_state=0, class_weight="balanced"), {"alpha": [1e-3, 1e-2, 1e-1, 1.0]},
        max_epochs=9, scoring=["accuracy", "roc_auc"], refit="roc_auc", cv=3,
    ).fit(X, y)
    assert not np.isnan(race.cv_results_["mean_test_roc_auc"]).any()
    assert race.best_score_ == race.cv_results_["mean_test_roc_auc"][race.best_index_]


def test_a_candidate_that_fails():
    race = RacingSearchCV(SGD, {"alpha": [-1.0, 1e-2, 1e-1, 1.0]}, max_epochs=9, cv=3)
    with pytest.warns(UserWarning, match="fits failed|non-finite"):
        race.fit(X, y)
    assert race.best_params_["alpha"] > 0
    assert np.isnan(race.cv_results_["mean_test_score"][0])


def test_bad_input():
    for call, error, message in [
        (lambda: RacingSearchCV(LogisticRegression(), {"C": [1.0]}).fit(X, y), TypeError, "estimator must be"),
        (lambda: RacingSearchCV(SGD, {"max_iter": [1, 2]}).fit(X, y), ValueError, "must not hold max_iter"),
        (lambda: RacingSearchCV(SGD, {"alpha": [1.0]}, factor=1).fit(X, y), ValueError, "factor must be"),
        (lambda: RacingSearchCV(SGD, {"alpha": [1.0]}, max_epochs=0).fit(X, y), ValueError, "max_epochs must be"),
        (lambda: RacingSearchCV(SGD, {"alpha": [1.0]}).fit(X), ValueError, "RacingSearchCV takes y"),
        (lambda: RacingSearchCV(SGD, {"alpha": [1.0]}, scoring=["f1", "accuracy"]).fit(X, y), ValueError, "race on"),
        (lambda: RacingSearchCV(SGD, {"alhpa": [1.0]}).fit(X, y), ValueError, "Invalid parameter 'alhpa'"),
        (lambda: RacingSearchCV(SGD, {"alpha": [-1.0]}).fit(X, y), ValueError, "All the"),
    ]:
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_folds_follow_each_other_without_a_wait(n_jobs, scaled, monkeypatch):
    """A rung is one queue of all folds' fits, of which no more have their rows in memory than there are threads."""
    queues, there, most = [], set(), []
    run, make, leave = Race._run_pool, _SiteRows._make, _SiteRows.leave

    def counted(race, jobs, fit=None):
        queues.append(len(jobs))
        run(race, jobs, fit)

    def made(rows):
        there.add(rows)
        most.append(len(there))
        return make(rows)

    def left(rows):
        leave(rows)
        if rows.n_left == 0:
            there.discard(rows)

    monkeypatch.setattr(Race, "_run_pool", counted)
    monkeypatch.setattr(_SiteRows, "_make", made)
    monkeypatch.setattr(_SiteRows, "leave", left)
    estimator, grid, data = PROBLEMS["sgd"]
    if scaled:
        estimator = make_pipeline(StandardScaler(), estimator)
        grid = {f"sgdclassifier__{name}": values for name, values in grid.items()}
    race = RacingSearchCV(estimator, grid, cv=5, n_jobs=n_jobs, refit=False).fit(*data)
    assert queues == [5 * n for n in race.n_candidates_]
    assert not there
    assert len(most) == 5 * len(queues)
    assert max(most) <= n_jobs


def test_rows_that_a_scaler_refuses_fail_every_candidate_of_the_fold():
    features, target = NOISY[0].copy(), NOISY[1]
    features[0, 0] = np.inf
    race = RacingSearchCV(
        make_pipeline(StandardScaler(), SGDClassifier("log_loss", max_iter=4, tol=None, random_state=0)),
        {"sgdclassifier__alpha": [1e-4, 1e-3, 1e-2]}, cv=2, n_jobs=2, error_score="raise")
    with pytest.raises(ValueError, match="infinity"):
        race.fit(features, target)
