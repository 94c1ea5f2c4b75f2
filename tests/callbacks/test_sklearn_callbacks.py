"""scikit-learn's callbacks (``set_callbacks``, from its release 1.9 on) on estimators with epochs and on searches."""

import pickle
import threading

import cloudpickle
import numpy as np
import pytest
from sklearn import linear_model as theirs, model_selection as peer
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import scale
from sklearn_release import SKLEARN

from fasttrain.data import Block
from fasttrain.data._arrays import ArrayBlocks
from fasttrain.linear_model import (
    GammaRegressor, HuberRegressor, LinearClassifier, LinearRegressor, LinearSVC, LinearSVR, LogisticRegression,
    PoissonRegressor, SGDClassifier, SGDRegressor, TweedieRegressor,
)
from fasttrain import model_selection
from fasttrain.model_selection import GridSearchCV, RacingSearchCV, RandomizedSearchCV
from fasttrain.model_selection.batch.planner import Batch
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning")
X, Y = load_breast_cancer(return_X_y=True)
X = scale(X)
THREE = load_iris(return_X_y=True)
ESTIMATORS = {
    "network": lambda: MLPClassifier((5,), max_iter=4, random_state=0),
    "network, early stopping": lambda: MLPClassifier((5,), max_iter=4, random_state=0, early_stopping=True),
    "network, averaged": lambda: MLPClassifier((5,), max_iter=4, random_state=0, averaging="ema", batch_norm="before"),
    "network, L-BFGS": lambda: MLPClassifier((5,), max_iter=4, random_state=0, solver="lbfgs"),
    "network of numbers": lambda: MLPRegressor(hidden_layer_sizes=(5,), max_iter=4, random_state=0),
    "linear": lambda: LinearClassifier(optimizer="adam", max_iter=5, random_state=0),
    "linear, L-BFGS": lambda: LinearClassifier(),
    "linear of numbers": lambda: LinearRegressor(optimizer="adam", max_iter=5, random_state=0),
    "SGD": lambda: SGDClassifier(max_iter=7, random_state=0),
    "SGD of numbers": lambda: SGDRegressor(max_iter=7, random_state=0),
    "logistic": lambda: LogisticRegression(),
    "Poisson": lambda: PoissonRegressor(alpha=0.01),
    "Poisson, Newton": lambda: PoissonRegressor(solver="newton-cholesky", alpha=0.01),
    "Tweedie": lambda: TweedieRegressor(alpha=0.01),
    "Huber": lambda: HuberRegressor(),
    "machine": lambda: LinearSVC(),
    "machine, hinge": lambda: LinearSVC(loss="hinge"),
    "machine, L1": lambda: LinearSVC(penalty="l1"),
    "machine of numbers": lambda: LinearSVR(),
    "machine of numbers, squared": lambda: LinearSVR(loss="squared_epsilon_insensitive", epsilon=0.3),
}
# Of these an iteration is begun that does not come, as of scikit-learn's LogisticRegression.
BY_ITERATIONS = ("logistic", "Poisson", "Tweedie", "Huber", "machine")
# Followed, L-BFGS is SciPy's; the others make the same bytes.
BY_SCIPY = ("logistic", "Poisson", "Tweedie")
each = pytest.mark.parametrize("name", ESTIMATORS)


@pytest.fixture
def batches(monkeypatch):
    """How many fits each batch had that ran."""
    made, run = [], Batch.run

    def counted(self, candidates):
        made.append(len(candidates) * len(self.folds))
        return run(self, candidates)

    monkeypatch.setattr(Batch, "run", counted)
    return made


class Record:
    """Every call, as scikit-learn's protocol has it."""

    def __init__(self, stop_after=None):
        self.calls, self.stop_after = [], stop_after

    def setup(self, estimator, context):
        self.calls.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.calls.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        scored = hasattr(fitted_estimator, "score")
        score = fitted_estimator.score(X, y) if scored else None
        self.calls.append(("end", context.task_name, context.task_id, score, metadata))
        return context.task_id + 1 == self.stop_after and context.parent is not None


class Propagated(Record):
    max_propagation_depth = None


if SKLEARN >= (1, 9):
    from sklearn.callback import ProgressBar, ScoringMonitor

    def epochs(record):
        return [call for call in record.calls if call[0] == "end" and call[1] != "fit"]

    @each
    def test_a_fit_and_its_epochs_are_told_of(name):
        record = Record()
        model = ESTIMATORS[name]().set_callbacks(record).fit(X, Y, sample_weight=np.ones(len(Y)))
        n_iter = int(np.max(model.n_iter_))
        assert record.calls[:2] == [("setup", "fit"), ("begin", "fit", 0)]
        assert record.calls[-1] == ("teardown", "fit")
        ended = epochs(record)
        # an iteration is counted that there was not, which predicts nothing
        empty = name.startswith(BY_ITERATIONS)
        assert [call[2] for call in ended] == list(range(n_iter + empty))
        assert len([call for call in record.calls if call[0] == "begin"]) == n_iter + empty + 1
        assert all(call[3] is not None for call in ended[:n_iter])
        last = record.calls[-2]
        assert last[:2] == ("end", "fit")
        assert last[3] == model.score(X, Y)
        assert (last[4]["sample_weight"] == 1).all()
        if name not in ("network, early stopping", "machine, hinge", "machine of numbers"):
            # which end with the best of all steps
            np.testing.assert_allclose(ended[n_iter - 1][3], model.score(X, Y), rtol=1e-12)
        assert not hasattr(model, "_fit_tasks")

    @each
    def test_followed_and_not_are_the_same_model(name):
        followed, alone = ESTIMATORS[name]().set_callbacks(Record()).fit(X, Y), ESTIMATORS[name]().fit(X, Y)
        assert (followed.n_iter_ == alone.n_iter_) is True or (followed.n_iter_ == alone.n_iter_).all()
        tolerance = {"rtol": 1e-6, "atol": 1e-9} if name.startswith(BY_SCIPY) else {"rtol": 0, "atol": 0}
        for attribute in ("coef_", "coefs_"):
            for a, b in zip(getattr(followed, attribute, []), getattr(alone, attribute, [])):
                np.testing.assert_allclose(a, b, **tolerance)

    @each
    def test_a_callback_ends_the_training(name):
        record = Record(stop_after=3)
        model = ESTIMATORS[name]().set_callbacks(record).fit(X, Y)
        assert np.max(model.n_iter_) == 3
        if name.startswith("SGD"):
            shorter = ESTIMATORS[name]().set_params(max_iter=3).fit(X, Y)
            assert (model.coef_ == shorter.coef_).all()

    @each
    def test_a_fit_that_fails_is_torn_down(name):
        record = Record()
        model = ESTIMATORS[name]().set_callbacks(record)
        before = dict(vars(model))
        with pytest.raises(ValueError, match="NaN"):
            model.fit(np.full_like(X, np.nan), Y)
        assert record.calls[-1] == ("teardown", "fit")
        assert vars(model) == before

    @each
    def test_partial_fits_are_told_of(name):
        model = ESTIMATORS[name]()
        record = Record()
        if hasattr(model, "partial_fit") and "L-BFGS" not in name and "early" not in name:
            model.set_callbacks(record).partial_fit(X, Y, **({"classes": [0, 1]} if "numbers" not in name else {}))
            assert len(epochs(record)) == 1

    @pytest.mark.parametrize("options", [{"loss": "hinge"}, {"penalty": "l1"}], ids=["hinge", "L1"])
    def test_one_machine_against_the_rest_is_a_task_of_its_own(options):
        record = Record()
        model = LinearSVC(**options).set_callbacks(record).fit(*THREE)
        ended = [call for call in record.calls if call[0] == "end"]
        counts = np.diff([-1, *(i for i, call in enumerate(ended[:-1]) if call[1] == "model")]) - 2
        assert [call[2] for call in ended if call[1] == "model"] == [0, 1, 2]
        assert max(counts) == model.n_iter_
        np.testing.assert_array_equal(model.coef_, LinearSVC(**options).fit(*THREE).coef_)
        stopped = LinearSVC(**options).set_callbacks(Record(stop_after=2)).fit(*THREE)
        assert stopped.n_iter_ == 2

    def test_one_against_the_rest_are_tasks_of_their_own():
        record = Record()
        model = SGDClassifier(random_state=0).set_callbacks(record).fit(*THREE)
        models = [call for call in record.calls if call[:2] == ("end", "model")]
        assert [call[2] for call in models] == [0, 1, 2]
        assert len([call for call in record.calls if call[:2] == ("end", "epoch")]) == sum(map(len, model.loss_curve_))
        stopped = SGDClassifier(random_state=0).set_callbacks(Record(stop_after=4)).fit(*THREE)
        np.testing.assert_array_equal(stopped.coef_, SGDClassifier(random_state=0, max_iter=4).fit(*THREE).coef_)

    def test_logistic_regression_tells_what_scikit_learns_does():
        told = []
        for cls in (LogisticRegression, theirs.LogisticRegression):
            record = Record()
            cls(max_iter=20).set_callbacks(record).fit(scale(THREE[0]), THREE[1])
            told.append([call[:3] for call in record.calls])
            scores = [call[3] for call in epochs(record) if call[3] is not None]
            told[-1].append(np.round(scores, 8).tolist())
        assert told[0] == told[1]

    @pytest.mark.parametrize("data", [(X, Y), THREE], ids=["two", "three"])
    def test_a_fit_to_blocks_tells_of_its_iterations(data):
        rows = scale(data[0])
        plain, blocks = Record(), Record()
        LogisticRegression(max_iter=20).set_callbacks(plain).fit(rows, data[1])
        source = Pickled([Block(rows[i::3], data[1][i::3]) for i in range(3)], "parts")
        blocks.lock = threading.Lock()
        model = LogisticRegression(max_iter=20).set_callbacks(blocks).fit(source)
        assert [call[:3] for call in blocks.calls] == [call[:3] for call in plain.calls]
        scores = [call[3] for call in epochs(blocks) if call[3] is not None]
        assert scores == [call[3] for call in epochs(plain) if call[3] is not None]
        assert len(scores) == model.n_iter_
        assert scores[-1] == model.score(source)
        stopped = LogisticRegression(max_iter=20).set_callbacks(Record(stop_after=3)).fit(source)
        assert stopped.n_iter_ == 3

    @pytest.mark.parametrize("model, y", [
        (PoissonRegressor(), Y), (GammaRegressor(), Y + 0.5), (TweedieRegressor(power=1.5), Y), (HuberRegressor(), Y),
        (LinearSVC(), Y), (LinearSVC(), np.digitize(X[:, 0], [-0.5, 0.5])),
        (LinearSVR(loss="squared_epsilon_insensitive"), Y),
    ], ids=["PoissonRegressor", "GammaRegressor", "TweedieRegressor", "HuberRegressor", "LinearSVC", "three classes",
            "LinearSVR"])
    def test_every_minimizer_over_blocks_tells_of_its_iterations(model, y):
        source = Pickled([Block(X[i::3], y[i::3]) for i in range(3)], "parts")
        record = Record()
        record.lock = threading.Lock()
        followed, alone = clone(model).set_callbacks(record).fit(source), clone(model).fit(source)
        assert followed.coef_.tobytes() == alone.coef_.tobytes()
        assert followed.n_iter_ == alone.n_iter_
        names = [call[:3] for call in epochs(record)]
        assert names == [("end", "lbfgs-iter", i) for i in range(alone.n_iter_ + 1)]
        scores = [call[3] for call in epochs(record)]
        assert scores[-1] is None
        np.testing.assert_allclose(scores[-2], alone.score(source), rtol=1e-12)
        stopped = clone(model).set_callbacks(Record(stop_after=3)).fit(source)
        assert stopped.n_iter_ == 3

    def test_a_minimizer_that_goes_over_to_another_tells_on():
        # the Hessian of collinear columns is singular: L-BFGS goes on
        rows, record = np.column_stack([X, X]), Record()
        model = PoissonRegressor(solver="newton-cholesky", alpha=0.0).set_callbacks(record)
        with pytest.warns(Warning, match="singular"):
            model.fit(rows, Y)
        assert len(epochs(record)) == model.n_iter_ + 1

    class Pickled(ArrayBlocks):
        """Blocks whose sums are taken elsewhere, so that what is asked for travels."""

        def sum_of(self, loader, function, numbers=None, tell=None):
            loader, function = pickle.loads(cloudpickle.dumps((loader, function)))
            return super().sum_of(loader, function, numbers, tell)

        def __reduce__(self):
            return ArrayBlocks, (self._parts, self._what)

    def test_other_solvers_say_that_they_do_not():
        with pytest.warns(UserWarning, match="only supported"):
            model = LogisticRegression(solver="newton-cholesky").set_callbacks(Record())
        model.fit(X, Y)

    def test_scikit_learns_own_callbacks(capsys):
        monitor = ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
        model = MLPClassifier((5,), max_iter=6, random_state=0).set_callbacks(monitor, ProgressBar()).fit(X, Y)
        rows = monitor.get_logs().data
        assert len(rows) == 7
        losses = [-row["neg_log_loss"] for row in rows if row["task_name"] == "epoch"]
        assert losses == sorted(losses, reverse=True)
        np.testing.assert_allclose(rows[0]["accuracy"], model.score(X, Y))
        assert "MLPClassifier" in capsys.readouterr().out

    @pytest.mark.parametrize("search", [GridSearchCV, RandomizedSearchCV])
    def test_searches_tell_of_the_epochs_of_every_fit(search):
        record = Propagated()
        more = {"n_iter": 2, "random_state": 0} if search is RandomizedSearchCV else {}
        found = search(MLPClassifier((3,), max_iter=3, random_state=0), {"alpha": [0.1, 1.0]}, cv=2, **more)
        found.set_callbacks(record).fit(X, Y)
        names = [call[1] for call in record.calls if call[0] == "end"]
        # two candidates, two folds and the refit
        assert names.count("epoch") == 3 * (2 * 2 + 1)
        alone = search(MLPClassifier((3,), max_iter=3, random_state=0), {"alpha": [0.1, 1.0]}, cv=2, **more).fit(X, Y)
        np.testing.assert_allclose(
            found.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"], rtol=1e-12)

    class Tasks:
        """Where in the tree of tasks each call was, and what it was given."""

        def __init__(self):
            self.calls = []

        def setup(self, estimator, context):
            self._note("setup", estimator, context)

        def teardown(self, estimator, context):
            self._note("teardown", estimator, context)

        def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
            self._note("begin", estimator, context, X, y, metadata)

        def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None):
            self._note("end", estimator, context, X, y, metadata)

        def _note(self, what, estimator, context, X=None, y=None, metadata=None):
            path = []
            while context is not None:
                path.append((context.task_name, context.task_id, context.max_subtasks))
                context = context.parent
            weight = None if metadata is None else tuple(metadata["sample_weight"])
            rows = None if X is None else (np.asarray(X).tobytes(), np.asarray(y).tobytes())
            self.calls.append((what, type(estimator).__name__, tuple(path), rows, weight))

    @pytest.mark.parametrize("kind", ["GridSearchCV", "RandomizedSearchCV"])
    @pytest.mark.parametrize("estimator, grid", [
        (SGDClassifier(random_state=0), {"alpha": [1e-3, 1e-2, 1e-1]}),
        (make_pipeline(StandardScaler(), SGDClassifier(random_state=0)), {"sgdclassifier__alpha": [1e-3, 1e-2, 1e-1]}),
        (LinearClassifier(), {"alpha": [1e-2, 1e-1]}), (MLPClassifier((3,), max_iter=3), {"alpha": [0.1, 1.0]}),
    ], ids=["lockstep", "pipeline", "columns", "pool"])
    @pytest.mark.parametrize("weighted, refit", [(False, True), (True, False)])
    def test_a_batch_tells_what_scikit_learn_s_search_tells(kind, estimator, grid, weighted, refit, batches):
        if (weighted and kind == "RandomizedSearchCV") or (weighted and hasattr(estimator, "steps")):
            pytest.skip("the others have weights")
        records, options = [], {"cv": 3, "refit": refit, **({"n_iter": 2} if kind[0] == "R" else {})}
        weights = {"sample_weight": np.arange(len(Y)) % 3 + 1.0} if weighted else {}
        for module in (model_selection, peer):
            record = Tasks()
            search = getattr(module, kind)(estimator, grid, **options)
            if kind[0] == "R":
                search.set_params(random_state=0)
            search.set_callbacks(record).fit(X, Y, **weights)
            records.append(record.calls)
        assert batches
        assert sorted(map(str, records[0])) == sorted(map(str, records[1]))
        for calls in records:
            # a task ends after it has begun, and within its parent
            for number, (what, _, path, *_) in enumerate(calls):
                places = [i for i, call in enumerate(calls) if call[2] == path and call[0] == "begin"]
                if what == "end":
                    assert places[0] < number
                if len(path) > 1 and what == "begin":
                    assert next(i for i, call in enumerate(calls) if call[:1] + call[2:3] == ("end", path[1:])) > number

    def test_a_progress_bar_leaves_a_batch_a_batch(batches, capsys):
        search = GridSearchCV(SGDClassifier(random_state=0), {"alpha": [1e-3, 1e-2, 1e-1]}, cv=3)
        search.set_callbacks(ProgressBar()).fit(X, Y)
        assert batches == [9]
        assert "GridSearchCV" in capsys.readouterr().out
        search.set_callbacks(Propagated()).fit(X, Y)
        assert batches == [9]

    def test_errors_within_a_batch_and_of_a_hook():
        class Raising(Tasks):
            def on_fit_task_end(self, estimator, context):
                if context.task_id == 4:
                    raise RuntimeError("no more of this")

        search = GridSearchCV(SGDClassifier(random_state=0), {"alpha": [1e-3, 1e-2, 1e-1]}, cv=3)
        record = Raising()
        with pytest.raises(RuntimeError, match="no more of this"):
            search.set_callbacks(record).fit(X, Y)
        assert [call[0] for call in record.calls][-1] == "teardown"
        assert not hasattr(search, "cv_results_")
        assert not hasattr(search, "_callback_fit_ctx")
        record = Tasks()
        search = GridSearchCV(SGDClassifier(random_state=0), {"alpha": [1e-2, -1.0]}, cv=3).set_callbacks(record)
        with pytest.warns(FitFailedWarning):
            search.fit(X, Y)
        names = [call[2][0][0] for call in record.calls if call[0] == "end"]
        assert names.count("candidate-split-evaluation") == 6

    def test_races_tell_of_rungs():
        record = Tasks()
        race = RacingSearchCV(
            SGDClassifier(random_state=0), {"alpha": [1e-4, 1e-3, 1e-2, 1e-1]}, cv=2, max_epochs=6, factor=2)
        race.set_callbacks(record).fit(X, Y)
        ends = [call[2][0][:2] for call in record.calls if call[0] == "end"]
        assert [name for name, _ in ends].count("candidate-split-evaluation") == 2 * sum(race.n_candidates_)
        rungs = [number for name, number in ends if name == "halving-iteration"]
        assert rungs == list(range(len(race.n_candidates_)))
        assert [name for name, _ in ends[-3:]] == ["search", "refit-with-best-params", "fit"]

    def test_pipelines_tell_of_the_epochs_of_their_steps():
        record = Propagated()
        model = make_pipeline(StandardScaler(), SGDClassifier(random_state=0)).set_callbacks(record).fit(X, Y)
        assert len([call for call in record.calls if call[:2] == ("end", "epoch")]) == model[-1].n_iter_

else:

    @each
    def test_callbacks_are_not_there(name):
        assert not hasattr(ESTIMATORS[name](), "set_callbacks")
