"""Whole cross-validations and searches: ours over our estimators, scikit-learn's over scikit-learn's, in one run.

Both sides take two jobs (threads here, processes there) unless a row says otherwise, and the scores of both are
compared before anything is timed.
"""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import linear_model, model_selection as peer, neural_network
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler as PeerScaler

from fasttrain import model_selection as ours
from fasttrain._kernels.threads import num_threads
from fasttrain.linear_model import LinearClassifier, SGDClassifier
from fasttrain.neural_network import MLPClassifier
from fasttrain.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore")
JOBS = 2


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    # the workers of scikit-learn's process pool read it from the environment
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def wide():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((50_000, 100)).astype(np.float32)
    return X, (X @ rng.standard_normal(100) + 3 * rng.standard_normal(50_000) > 0).astype(int)


def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def same_scores(found, expected, n_rows, flips=1):
    """Split by split; in float32 a prediction on the very edge may fall to the other side."""
    for key in expected:
        if key.startswith("split"):
            np.testing.assert_allclose(found[key], expected[key], atol=flips / n_rows + 1e-12, err_msg=key)


def bench_grid_of_alphas(compare):
    X, y = wide()
    settings = {"loss": "log_loss", "max_iter": 20, "tol": None, "random_state": 0}
    grid = {"alpha": np.logspace(-4, 0, 10)}
    mine = ours.GridSearchCV(SGDClassifier(**settings), grid, n_jobs=JOBS)
    theirs = peer.GridSearchCV(linear_model.SGDClassifier(**settings), grid, n_jobs=JOBS)
    same_scores(mine.fit(X, y).cv_results_, theirs.fit(X, y).cv_results_, 10_000, flips=3)
    compare(
        "selection", "SGDClassifier 10 alphas x 5 folds, 50k x 100 f32, 20 epochs",
        {"fasttrain": lambda: mine.fit(X, y), "scikit-learn": lambda: theirs.fit(X, y)},
        target=30, ratio_to="scikit-learn", threads=JOBS, rounds=3, warm=0, settle=True)


def text():
    """TF-IDF of 20,000 documents whose words follow Zipf's law, about 100 of 50,000 in each."""
    rng = np.random.RandomState(0)
    lengths = np.maximum(5, rng.lognormal(np.log(90), 0.6, 20_000)).astype(int)
    chances = 1 / (np.arange(50_000) + 10.0)
    words = rng.permutation(50_000)[rng.choice(50_000, lengths.sum(), p=chances / chances.sum())]
    starts = np.concatenate(([0], np.cumsum(lengths)))
    counts = sparse.csr_matrix((np.ones(len(words)), words, starts), (20_000, 50_000))
    counts.sum_duplicates()
    X = TfidfTransformer().fit_transform(counts)
    return X, (X @ rng.standard_normal(50_000) + 0.5 * rng.standard_normal(20_000) > 0).astype(int)


@pytest.mark.parametrize("dtype", ["f64", "f32"])
def bench_grid_of_text(compare, dtype):
    X, y = text()
    X = X.astype({"f64": np.float64, "f32": np.float32}[dtype])
    settings = {"loss": "log_loss", "max_iter": 20, "random_state": 0}
    grid = {"alpha": np.logspace(-6, -3, 10)}
    mine = ours.GridSearchCV(SGDClassifier(**settings), grid, n_jobs=JOBS)
    theirs = peer.GridSearchCV(linear_model.SGDClassifier(**settings), grid, n_jobs=JOBS)
    same_scores(mine.fit(X, y).cv_results_, theirs.fit(X, y).cv_results_, 4_000, flips=3)
    compare(
        "selection", f"SGDClassifier 10 alphas x 5 folds, TF-IDF of 20k documents {dtype}",
        {"fasttrain": lambda: mine.fit(X, y), "scikit-learn": lambda: theirs.fit(X, y)},
        target=6, ratio_to="scikit-learn", threads=JOBS, rounds=3, warm=0, settle=True)


GRIDS_OF_NETWORKS = {
    # where scikit-learn's own overhead of a step counts, and where both sides are bound by float64 products
    "batches of 32": {"alpha": [1e-4, 1e-2], "hidden_layer_sizes": [(32,), (64,)], "learning_rate_init": [1e-3, 3e-3],
                      "batch_size": [32]},
    "batches of 200": {"alpha": [1e-4, 1e-2], "hidden_layer_sizes": [(64,), (100,)],
                       "learning_rate_init": [1e-3, 3e-3]},
}


@pytest.mark.parametrize("name", GRIDS_OF_NETWORKS)
def bench_grid_of_networks(compare, name):
    X, y = load_digits(return_X_y=True)
    settings = {"max_iter": 30, "random_state": 0}
    grid = GRIDS_OF_NETWORKS[name]
    mine = ours.GridSearchCV(MLPClassifier(**settings), grid, n_jobs=JOBS)
    theirs = peer.GridSearchCV(neural_network.MLPClassifier(**settings), grid, n_jobs=JOBS)
    same_scores(mine.fit(X, y).cv_results_, theirs.fit(X, y).cv_results_, 359, flips=1)
    compare(
        "selection", f"MLPClassifier 8 configurations x 5 folds, digits, 30 epochs, {name}",
        {"fasttrain": lambda: mine.fit(X, y), "scikit-learn": lambda: theirs.fit(X, y)},
        target=12, ratio_to="scikit-learn", threads=JOBS, rounds=3, warm=0, settle=True)


def bench_leave_one_out_sgd(compare):
    X, y = cancer()
    settings = {"max_iter": 50, "tol": None, "random_state": 0, "alpha": 1e-2}
    cv = peer.LeaveOneOut()
    found = ours.cross_val_score(SGDClassifier(**settings), X, y, cv=cv, n_jobs=JOBS)
    expected = peer.cross_val_score(linear_model.SGDClassifier(**settings), X, y, cv=cv, n_jobs=JOBS)
    np.testing.assert_array_equal(found, expected)
    functions = {"fasttrain": lambda: ours.cross_val_score(SGDClassifier(**settings), X, y, cv=cv, n_jobs=JOBS)}
    for name, n_jobs in (("scikit-learn", 1), (f"scikit-learn n_jobs={JOBS}", JOBS)):
        functions[name] = lambda n_jobs=n_jobs: peer.cross_val_score(
            linear_model.SGDClassifier(**settings), X, y, cv=cv, n_jobs=n_jobs)
    compare(
        "selection", "SGDClassifier leave-one-out, breast cancer, 50 epochs", functions, threads=JOBS, rounds=3, warm=0,
        settle=True, target=10, what="x the better of scikit-learn's",
        reached=lambda times: min(t for name, t in times.items() if name != "fasttrain") / times["fasttrain"])


def bench_leave_one_out_full_batch(compare):
    X, y = cancer()
    model = LinearClassifier(optimizer="adam", batch_size="full", max_iter=200, tol=None)
    folds = list(peer.LeaveOneOut().split(X))

    def loop():
        return [clone(model).fit(X[train], y[train]).score(X[test], y[test]) for train, test in folds]

    def batch():
        return ours.cross_val_score(model, X, y, cv=peer.LeaveOneOut(), n_jobs=JOBS)

    np.testing.assert_array_equal(batch(), loop())
    compare(
        "selection", "LinearClassifier full batch leave-one-out, breast cancer, 200 steps of Adam",
        {"fasttrain": batch, "loop of fits": loop}, target=5, ratio_to="loop of fits", threads=JOBS, rounds=3, warm=0,
        settle=True)


def bench_scaled_grid(compare):
    X, y = wide()
    settings = {"loss": "log_loss", "max_iter": 20, "tol": None, "random_state": 0}
    alphas = np.logspace(-4, 0, 10)
    plain = ours.GridSearchCV(SGDClassifier(**settings), {"alpha": alphas}, n_jobs=JOBS)
    scaled = ours.GridSearchCV(
        make_pipeline(StandardScaler(), SGDClassifier(**settings)), {"sgdclassifier__alpha": alphas}, n_jobs=JOBS)
    theirs = peer.GridSearchCV(
        make_pipeline(PeerScaler(), linear_model.SGDClassifier(**settings)), {"sgdclassifier__alpha": alphas[:2]},
        n_jobs=JOBS)
    expected = theirs.fit(X, y).cv_results_
    same_scores({key: values[:2] for key, values in scaled.fit(X, y).cv_results_.items()}, expected, 10_000, flips=3)
    compare(
        "selection", "StandardScaler + SGDClassifier, the same grid",
        {"fasttrain": lambda: scaled.fit(X, y), "without scaler": lambda: plain.fit(X, y)}, threads=JOBS, rounds=5,
        warm=0, settle=True, target=1 / 1.3, ratio_to="without scaler")


def bench_race(compare):
    X, y = load_digits(return_X_y=True)
    model = MLPClassifier(max_iter=27, tol=0.0, random_state=0)
    grid = {"learning_rate_init": list(np.logspace(-5, -2, 7)), "alpha": [1e-4, 1.0, 100.0]}
    race = ours.RacingSearchCV(model, grid, n_jobs=JOBS, refit=False)
    full = ours.GridSearchCV(model, grid, n_jobs=JOBS, refit=False)
    assert race.fit(X, y).best_params_ == full.fit(X, y).best_params_
    compare(
        "selection", f"race of 21 networks, {race.total_epochs_} of {21 * 27} epochs",
        {"fasttrain": lambda: race.fit(X, y), "full grid": lambda: full.fit(X, y)}, threads=JOBS, rounds=3, warm=0,
        settle=True, ratio_to="full grid")


def bench_one_thread_adds_nothing(compare):
    """What the search costs beyond the descents themselves."""
    from fasttrain.stochastic_linear import fit_lockstep

    X, y = wide()
    alphas = np.logspace(-4, 0, 10)
    model = SGDClassifier("log_loss", max_iter=20, tol=None, random_state=0)
    folds = list(peer.StratifiedKFold(5).split(X, y))
    search = ours.GridSearchCV(model, {"alpha": alphas}, cv=folds, n_jobs=1, refit=False)

    def descents():
        with num_threads(1):
            for train, _ in folds:
                fit_lockstep([clone(model).set_params(alpha=alpha) for alpha in alphas], X, y, rows=train)

    compare(
        "selection", "the same grid on one thread", {"fasttrain": lambda: search.fit(X, y), "descents alone": descents},
        rounds=5, warm=0, target=0.95, ratio_to="descents alone")
