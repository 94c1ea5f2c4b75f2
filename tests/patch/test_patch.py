"""scikit-learn's names answered by fasttrain: what is replaced and restored, who is an instance of what, what goes to
scikit-learn's class after all."""

import copy
import logging
import os
import pickle
import subprocess
import sys
import types

import numpy as np
import pytest
import sklearn.dummy
import sklearn.linear_model
import sklearn.multiclass
import sklearn.model_selection
import sklearn.neural_network
import sklearn.preprocessing
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

import fasttrain
from fasttrain import cli, interop, patch
from fasttrain.patch._replacements import replacement

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PACKAGES = {
    "linear_model": ["SGDClassifier", "SGDRegressor"],
    "neural_network": ["MLPClassifier", "MLPRegressor"],
    "preprocessing": ["LabelBinarizer", "LabelEncoder", "MaxAbsScaler", "MinMaxScaler", "OneHotEncoder",
                      "OrdinalEncoder", "RobustScaler", "StandardScaler"],
    "model_selection": ["GridSearchCV", "RandomizedSearchCV", "cross_val_predict", "cross_val_score", "cross_validate"],
}  # fmt: skip
ESTIMATORS = [(package, name) for package, names in PACKAGES.items() for name in names if name[0].isupper()]
STOCK = {(package, name): getattr(getattr(sklearn, package), name)
         for package, names in PACKAGES.items() for name in names}  # fmt: skip

rng = np.random.default_rng(1)
X = rng.normal(size=(60, 4))
y = (X[:, 0] + 0.3 * rng.normal(size=60) > 0).astype(int)


@pytest.fixture
def patched():
    with fasttrain.patched() as changed:
        yield changed
    assert all(getattr(getattr(sklearn, package), name) is stock for (package, name), stock in STOCK.items())


@pytest.fixture
def served(caplog):
    """The reasons for which calls went to scikit-learn."""
    caplog.set_level(logging.INFO, logger="fasttrain")

    def messages():
        found = [r.getMessage() for r in caplog.records if r.name == "fasttrain" and "is served by" in r.getMessage()]
        caplog.clear()
        return found

    return messages


def now(package, name):
    return getattr(getattr(sklearn, package), name)


def module(name, **namespace):
    """A loaded module, as a script's helper would be."""
    made = types.ModuleType(name)
    vars(made).update(namespace)
    sys.modules[name] = made
    return made


@pytest.fixture
def helper():
    stock = STOCK["preprocessing", "StandardScaler"]
    made = module("helper_of_a_script", Scaler=stock, score=STOCK["model_selection", "cross_val_score"], other=[stock])
    yield made
    del sys.modules[made.__name__]


# ---- what is replaced ----


def test_names_in_scikit_learn_and_where_they_were_imported(helper, caplog):
    caplog.set_level(logging.INFO, logger="fasttrain")
    before = {name: dict(vars(m)) for name, m in list(sys.modules.items()) if isinstance(m, types.ModuleType)}
    changed = fasttrain.patch_sklearn()
    try:
        for package, names in PACKAGES.items():
            assert set(names) <= set(changed[f"sklearn.{package}"])
            for name in names:
                assert now(package, name) is not STOCK[package, name]
                assert now(package, name).__module__ == "fasttrain.patch"
                assert now(package, name).__name__ == name
        assert changed["helper_of_a_script"] == ["Scaler", "score"]
        assert helper.Scaler is sklearn.preprocessing.StandardScaler
        assert helper.other == [STOCK["preprocessing", "StandardScaler"]]
        told = [r.getMessage() for r in caplog.records if "is patched" in r.getMessage()]
        assert len(told) == 1
        assert "helper_of_a_script: Scaler, score" in told[0]
        # a second time there is nothing to do
        assert fasttrain.patch_sklearn() == {}
        module("loaded_later", Scaler=sklearn.preprocessing.StandardScaler)
    finally:
        restored = fasttrain.unpatch_sklearn()
    assert {name: changed[name] for name in changed} == {n: v for n, v in restored.items() if n != "loaded_later"}
    assert sys.modules.pop("loaded_later").Scaler is STOCK["preprocessing", "StandardScaler"]
    for name, namespace in before.items():
        after = vars(sys.modules[name])
        assert [key for key, value in namespace.items() if after.get(key) is not value and name in changed] == []
    assert fasttrain.unpatch_sklearn() == {}


def test_scikit_learns_own_modules_keep_their_classes(patched):
    """So that its models' pickles, and those of its own classes, do not name fasttrain."""
    inner = [name for name in patched if name.startswith("sklearn.") and name.count(".") > 1]
    for name in inner:
        assert not [n for n in patched[name] if isinstance(getattr(sys.modules[name], n), type)], name
    model = sklearn.multiclass.OneVsRestClassifier(sklearn.dummy.DummyClassifier()).fit(X, y)
    assert b"fasttrain" not in pickle.dumps(model)
    for (package, name), stock in STOCK.items():
        assert pickle.loads(pickle.dumps(stock)) is stock, (package, name)


def test_some_names_only():
    with fasttrain.patched(["MinMaxScaler"]) as changed:
        assert changed["sklearn.preprocessing"] == ["MinMaxScaler"]
        assert sklearn.preprocessing.StandardScaler is STOCK["preprocessing", "StandardScaler"]
    for wrong in (["SVC"], "MinMaxScaler"):
        with pytest.raises(ValueError, match="names must be a list of some of"):
            fasttrain.patch_sklearn(wrong)


def test_blocks_within_blocks(helper):
    with fasttrain.patched():
        outer = sklearn.preprocessing.StandardScaler
        with fasttrain.patched():
            assert sklearn.preprocessing.StandardScaler is outer
        assert sklearn.preprocessing.StandardScaler is outer
        assert helper.Scaler is outer
    assert helper.Scaler is STOCK["preprocessing", "StandardScaler"]
    with pytest.raises(RuntimeError, match="own"), fasttrain.patched():
        raise RuntimeError("own")
    assert sklearn.preprocessing.StandardScaler is STOCK["preprocessing", "StandardScaler"]


# ---- who is an instance of what ----


@pytest.mark.parametrize("package, name", [e for e in ESTIMATORS if e[0] != "model_selection"])
def test_instances(package, name):
    stock = STOCK[package, name]
    old = stock()
    with fasttrain.patched():
        cls = now(package, name)
        new = cls()
        fast = getattr(getattr(fasttrain, package), name)
        assert isinstance(new, cls)
        assert isinstance(new, stock)
        assert isinstance(new, fast)
        # objects and classes of before
        assert isinstance(old, cls)
        assert issubclass(stock, cls)
        assert isinstance(fast(), cls)
        assert not isinstance(object(), cls)
        assert not isinstance(sklearn.preprocessing.PowerTransformer(), cls)
        assert type(old) is stock
        assert repr(new) == repr(old)
        assert str(new) == str(old)
        assert type(clone(new)) is cls
        assert type(clone(old)) is stock
        assert type(copy.deepcopy(new)) is cls
        assert cls.__name__ == stock.__name__
        assert set(stock().get_params()) <= set(new.get_params())
        assert type(new.to_sklearn()) is stock
        assert type(cls.from_sklearn(old)) is cls
    # and after the patch
    assert isinstance(new, now(package, name))


def test_objects_of_before_the_patch_go_on(patched):
    scaler = STOCK["preprocessing", "StandardScaler"]().fit(X)
    encoder = STOCK["preprocessing", "OneHotEncoder"]().fit([["a"], ["b"]])
    model = STOCK["neural_network", "MLPClassifier"]((3,), max_iter=5).fit(X, y)
    model.partial_fit(scaler.transform(X), y)
    assert pickle.loads(pickle.dumps(model)).predict(X).tolist() == model.predict(X).tolist()
    assert encoder.transform([["a"]]).toarray().tolist() == [[1, 0]]
    assert b"fasttrain" not in pickle.dumps([scaler, encoder, model])


def test_pickles_name_fasttrain_and_load_without_a_patch():
    with fasttrain.patched():
        scaler, model = sklearn.preprocessing.StandardScaler(), sklearn.linear_model.SGDClassifier(random_state=0)
        model = make_pipeline(scaler, model).fit(X, y)
        data = pickle.dumps(model)
    assert b"fasttrain" in data
    done = subprocess.run(
        [sys.executable, "-c", "import pickle, sys; m = pickle.load(sys.stdin.buffer);"
         "import sklearn.preprocessing as p;"
         "print(type(m[0]).__module__, p.StandardScaler.__module__, m.predict([[5, 0, 0, 0]]))"],
        input=data, capture_output=True, timeout=120)  # fmt: skip
    assert done.stdout.decode().split() == ["fasttrain.patch", "sklearn.preprocessing._data", "[1]"], done.stderr


def test_answers_are_scikit_learns(patched, served):
    """Fits are the accelerated ones: none of them is served by scikit-learn."""
    for (package, name), data in {
        ("linear_model", "SGDClassifier"): (X, y), ("linear_model", "SGDRegressor"): (X, X[:, 1]),
        ("neural_network", "MLPClassifier"): (X, y), ("neural_network", "MLPRegressor"): (X, X[:, 1]),
    }.items():
        new = now(package, name)(random_state=3, max_iter=20).fit(*data)
        old = STOCK[package, name](random_state=3, max_iter=20).fit(*data)
        np.testing.assert_allclose(new.predict(X), old.predict(X), rtol=1e-6)
    for name in ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"):
        np.testing.assert_allclose(
            now("preprocessing", name)().fit_transform(X), STOCK["preprocessing", name]().fit_transform(X), rtol=1e-10,
            atol=1e-12)
    assert served() == []


def test_saved_as_what_they_are(patched, tmp_path):
    for i, model in enumerate((
        sklearn.preprocessing.StandardScaler(),
        make_pipeline(sklearn.preprocessing.StandardScaler(), sklearn.neural_network.MLPClassifier((3,), max_iter=3)),
    )):
        fasttrain.save(model.fit(X, y), tmp_path / str(i))
        loaded = fasttrain.load(tmp_path / str(i))
        assert type(getattr(loaded, "steps", [[None, loaded]])[0][1]) is fasttrain.preprocessing.StandardScaler
        method = "predict" if i else "transform"
        assert getattr(loaded, method)(X).tolist() == getattr(model, method)(X).tolist()
    with pytest.raises(TypeError, match="Scaler cannot be saved"):
        fasttrain.save(Scaler().fit(X), tmp_path / "refused")


# ---- subclasses ----


def test_a_subclass_that_uses_what_is_public_is_fast(patched, served):
    class Centred(sklearn.preprocessing.StandardScaler):
        def __init__(self, copy=True):
            super().__init__(with_std=False, copy=copy)

        def fit(self, X, y=None):
            self._rows = len(X)
            return super().fit(X, y)

        def transform(self, X):
            return self._twice(super().transform(X))

        def _twice(self, X):
            return 2 * X

    scaler = Centred()
    assert isinstance(scaler, fasttrain.preprocessing.StandardScaler)
    assert isinstance(scaler, STOCK["preprocessing", "StandardScaler"])
    assert not isinstance(sklearn.preprocessing.StandardScaler(), Centred)
    np.testing.assert_allclose(scaler.fit_transform(X), 2 * (X - X.mean(axis=0)), atol=1e-12)
    assert scaler._rows == 60
    # what fasttrain refuses is scikit-learn's for a subclass, too
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        Centred().fit(np.empty((0, 3)))
    assert clone(scaler).get_params() == {"copy": True}


def test_a_subclass_that_uses_what_is_private_is_scikit_learns(patched, caplog):
    caplog.set_level(logging.INFO, logger="fasttrain")

    class Network(sklearn.neural_network.MLPClassifier):
        def _init_coef(self, fan_in, fan_out, dtype):
            coef, intercept = super()._init_coef(fan_in, fan_out, dtype)
            return 0 * coef, 0 * intercept

    [record] = [r.getMessage() for r in caplog.records if "derives from scikit-learn's" in r.getMessage()]
    assert record.startswith("Network derives from scikit-learn's class")
    assert record.endswith("_init_coef")
    assert STOCK["neural_network", "MLPClassifier"] in Network.__bases__
    assert issubclass(Network, sklearn.neural_network.MLPClassifier)
    model = Network((3,), max_iter=1, learning_rate_init=1e-9).fit(X, y)
    assert np.abs(model.coefs_[0]).max() < 1e-6


def test_classes_derived_before_the_patch_go_on(helper):
    """Also where they call their base by the name that now is fasttrain's."""
    exec(
        "class Mine(Scaler):\n"
        "    def __init__(self, copy=True):\n"
        "        Scaler.__init__(self, with_mean=False, copy=copy)\n"
        "    def fit(self, X, y=None):\n"
        "        return Scaler.fit(self, X)\n"
        "    def transform(self, X):\n"
        "        return Scaler.transform(self, X) + 1\n",
        vars(helper),
    )
    expected = X / X.std(axis=0) + 1
    np.testing.assert_allclose(helper.Mine().fit(X).transform(X), expected)
    with fasttrain.patched():
        mine = helper.Mine()
        np.testing.assert_allclose(mine.fit(X).transform(X), expected)
        assert isinstance(mine, helper.Scaler)
        assert not isinstance(mine, fasttrain.preprocessing.StandardScaler)


# ---- what goes to scikit-learn ----


def test_errors_are_scikit_learns(patched, served):
    for package, name in ESTIMATORS[:4]:
        stock = STOCK[package, name]
        for parameters in ({"max_iter": -1}, {"alpha": "much"}, {"shuffle": 7}):
            with pytest.raises(ValueError) as theirs:
                stock(**parameters).fit(X, y)
            with pytest.raises(type(theirs.value)) as ours:
                now(package, name)(**parameters).fit(X, y)
            assert str(ours.value) == str(theirs.value)
        with pytest.raises(ValueError) as theirs:
            stock().fit(X[:5], y)
        with pytest.raises(ValueError) as ours:
            now(package, name)().fit(X[:5], y)
        assert str(ours.value) == str(theirs.value)
        with pytest.raises(AttributeError, match="not fitted yet"):
            now(package, name)().predict(X)
        model = now(package, name)(random_state=0).fit(X, y)
        with pytest.raises(ValueError, match=f"X has 3 features, but {name} is expecting 4 features"):
            model.predict(X[:, :3])
    # nothing was served where scikit-learn refused as well
    assert served() == []


class RefusingScaler(fasttrain.preprocessing.StandardScaler):
    """fasttrain's scaler as it would be if it did not fit this kind of data."""

    refuses = True

    def fit(self, X, y=None, sample_weight=None):
        if not self.refuses:
            return super().fit(X, y, sample_weight)
        self.mean_ = "half done"
        raise ValueError("columns of\nthis kind are not for me")


class RefusingNetwork(fasttrain.neural_network.MLPClassifier):
    """Draws random numbers before it refuses."""

    def fit(self, X, y, sample_weight=None, validation_data=None):
        check_random_state(self.random_state).uniform(size=10)
        raise ValueError("not for me")


Scaler = replacement("Scaler", RefusingScaler, STOCK["preprocessing", "StandardScaler"], __name__)
Network = replacement("Network", RefusingNetwork, STOCK["neural_network", "MLPClassifier"], __name__)


def test_what_fasttrain_refuses_is_served_by_scikit_learn(served):
    scaler = Scaler(with_std=False)
    assert scaler.fit(X) is scaler
    assert served() == ["Scaler.fit is served by scikit-learn: columns of this kind are not for me"]
    np.testing.assert_allclose(scaler.mean_, X.mean(axis=0))
    check_is_fitted(scaler)
    for one in (scaler, pickle.loads(pickle.dumps(scaler)), copy.deepcopy(scaler)):
        np.testing.assert_allclose(one.transform(X), X - X.mean(axis=0))
        np.testing.assert_allclose(one.inverse_transform(one.transform(X)), X, atol=1e-12)
        assert type(one) is Scaler
        assert one.n_features_in_ == 4
    scaler.partial_fit(X)
    assert scaler.n_samples_seen_ == 120
    # all that without another word
    assert served() == []
    assert not hasattr(clone(scaler), "mean_")
    np.testing.assert_allclose(Scaler().fit_transform(X).mean(axis=0), 0, atol=1e-12)
    assert len(served()) == 1
    stock = scaler.to_sklearn()
    assert type(stock) is STOCK["preprocessing", "StandardScaler"]
    assert b"fasttrain" not in pickle.dumps(stock)
    np.testing.assert_allclose(stock.transform(X), scaler.transform(X))


def test_a_later_fit_is_tried_anew(served, monkeypatch):
    scaler = Scaler().fit(X)
    assert len(served()) == 1
    monkeypatch.setattr(RefusingScaler, "refuses", False)
    scaler.fit(2 * X)
    assert served() == []
    assert vars(scaler).keys() == vars(sklearn.preprocessing.StandardScaler().fit(X)).keys()
    np.testing.assert_allclose(scaler.transform(X), (X - 2 * X.mean(axis=0)) / (2 * X.std(axis=0)))
    assert type(interop.to_sklearn(scaler)) is STOCK["preprocessing", "StandardScaler"]


def test_random_numbers_are_those_of_scikit_learn_after_a_refusal(served):
    """What the refused fit has drawn is put back, from the estimator's source or from NumPy's."""
    given = np.random.RandomState(4)
    new = Network((3,), max_iter=3, random_state=given).fit(X, y)
    old = STOCK["neural_network", "MLPClassifier"]((3,), max_iter=3, random_state=np.random.RandomState(4)).fit(X, y)
    np.testing.assert_array_equal(new.coefs_[0], old.coefs_[0])
    np.random.seed(5)  # noqa: NPY002
    new = Network((3,), max_iter=3).fit(X, y)
    np.random.seed(5)  # noqa: NPY002
    old = STOCK["neural_network", "MLPClassifier"]((3,), max_iter=3).fit(X, y)
    np.testing.assert_array_equal(new.coefs_[0], old.coefs_[0])
    assert len(served()) == 2
    # what scikit-learn does not have cannot be served by it
    with pytest.raises(ValueError, match="not for me"):
        Network((3,), class_weight="balanced").fit(X, y)
    with pytest.raises(ValueError, match="not for me"):
        Network((3,)).fit(X, y, validation_data=(X, y))
    assert served() == []


def test_several_outputs_of_sgd_are_refused_as_by_scikit_learn(patched):
    with pytest.raises(ValueError, match="y should be a 1d array"):
        sklearn.linear_model.SGDRegressor().fit(X, X[:, :2])


def test_methods_that_hang_on_parameters(patched):
    model = sklearn.neural_network.MLPClassifier(solver="lbfgs")
    assert not hasattr(model, "partial_fit")
    assert hasattr(model.set_params(solver="adam"), "partial_fit")
    model = sklearn.linear_model.SGDClassifier()
    assert not hasattr(model, "predict_proba")
    assert hasattr(model.set_params(loss="log_loss"), "predict_proba")


# ---- model selection ----


def test_cross_validation_is_scikit_learns(patched):
    # no tol: before 1.8 its losses were those without the penalty
    options = {"random_state": 0, "tol": None, "max_iter": 20}
    pipeline = make_pipeline(sklearn.preprocessing.StandardScaler(), sklearn.linear_model.SGDClassifier(**options))
    stock = make_pipeline(
        STOCK["preprocessing", "StandardScaler"](), STOCK["linear_model", "SGDClassifier"](**options))
    grid = {"sgdclassifier__alpha": [1e-4, 1e-2, 1.0]}
    new = sklearn.model_selection.GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    old = STOCK["model_selection", "GridSearchCV"](stock, grid, cv=3).fit(X, y)
    np.testing.assert_allclose(new.cv_results_["mean_test_score"], old.cv_results_["mean_test_score"])
    assert new.best_params_ == old.best_params_
    assert isinstance(new, STOCK["model_selection", "GridSearchCV"])
    assert isinstance(old, sklearn.model_selection.GridSearchCV)
    for one in (pickle.loads(pickle.dumps(new)), interop.to_sklearn(new)):
        assert one.predict(X).tolist() == old.predict(X).tolist()
    assert b"fasttrain" not in pickle.dumps(interop.to_sklearn(new))
    for function in ("cross_val_score", "cross_val_predict"):
        old = STOCK["model_selection", function](stock, X, y, cv=4)
        np.testing.assert_allclose(now("model_selection", function)(pipeline, X, y, cv=4), old)


def test_a_replaced_pipeline_is_a_batch(patched, monkeypatch):
    from fasttrain.model_selection.batch import planner

    runs = []
    run = planner.Batch.run

    def counted(self, candidates):
        runs.append(len(candidates))
        return run(self, candidates)

    monkeypatch.setattr(planner.Batch, "run", counted)
    model = make_pipeline(sklearn.preprocessing.StandardScaler(), sklearn.linear_model.SGDRegressor(random_state=0))
    sklearn.model_selection.GridSearchCV(model, {"sgdregressor__alpha": [1e-4, 1e-2]}, cv=3).fit(X, X[:, 0])
    sklearn.model_selection.cross_val_score(model, X, X[:, 0])
    assert runs == [2, 1]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_leave_one_out_is_scored_as_by_scikit_learn(patched):
    """fasttrain's own pools the predictions for R^2."""
    model = sklearn.linear_model.SGDRegressor(random_state=0)
    leave_one_out = sklearn.model_selection.LeaveOneOut()
    found = sklearn.model_selection.cross_validate(model, X[:8], X[:8, 0], cv=leave_one_out)
    assert np.isnan(found["test_score"]).all()
    assert np.isnan(sklearn.model_selection.cross_val_score(model, X[:8], X[:8, 0], cv=leave_one_out)).all()


# ---- scripts and pytest ----

SCRIPT = """
import sys
import logging
logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
from beside import Scaler
from sklearn.neural_network import MLPClassifier
if __name__ == "__main__":
    print(sys.argv[1:], Scaler.__module__, MLPClassifier.__module__, __file__ == sys.argv[0])
    if "--fail" in sys.argv:
        raise ValueError("the script's own")
    sys.exit(5)
"""


@pytest.fixture
def script(tmp_path):
    (tmp_path / "beside.py").write_text("from sklearn.preprocessing import StandardScaler as Scaler\n")
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path / "script.py"


def run(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip


def test_a_script_runs_under_the_patch(script):
    done = run("-m", "fasttrain", "patch", script, "a", "--flag", "-h")
    assert done.returncode == 5, done.stderr
    assert done.stdout.splitlines()[-1] == "['a', '--flag', '-h'] fasttrain.patch fasttrain.patch True"
    done = run("-m", "fasttrain", "patch", script, "--fail")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ValueError: the script's own"
    assert str(script) in done.stderr


def test_the_process_is_as_before_after_a_script(script, capsys):
    before = list(sys.argv), list(sys.path), sys.modules["__main__"]
    with pytest.raises(SystemExit) as ended:
        cli.main(["patch", str(script), "x"])
    assert ended.value.code == 5
    assert "['x'] fasttrain.patch fasttrain.patch True" in capsys.readouterr().out
    assert (list(sys.argv), list(sys.path), sys.modules["__main__"]) == before
    assert sklearn.preprocessing.StandardScaler is STOCK["preprocessing", "StandardScaler"]
    assert sys.modules.pop("beside").Scaler is STOCK["preprocessing", "StandardScaler"]


def test_no_script(tmp_path, capsys):
    assert cli.main(["patch", str(tmp_path / "none.py")]) == 2
    assert "none.py is no file; patch needs a Python script" in capsys.readouterr().err
    assert cli.main(["patch"]) == 2
    assert "arguments are required: SCRIPT" in capsys.readouterr().err
    assert cli.main(["patch", "--help"]) == 0
    assert "Run a Python script" in capsys.readouterr().out


def test_the_pytest_plugin(tmp_path):
    (tmp_path / "conftest.py").write_text("from sklearn.preprocessing import MinMaxScaler\n")
    (tmp_path / "test_it.py").write_text(
        "import conftest\n"
        "from sklearn.preprocessing import StandardScaler\n"
        "def test_it():\n"
        "    assert StandardScaler.__module__ == conftest.MinMaxScaler.__module__ == 'fasttrain.patch'\n")
    done = run("-m", "pytest", "-p", "fasttrain.patch", "-p", "no:cacheprovider", "test_it.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "scikit-learn patched by fasttrain" in done.stdout


def test_importing_the_module_patches_nothing():
    done = run("-c", "import fasttrain.patch, sklearn.preprocessing as p; print(p.StandardScaler.__module__)")
    assert done.stdout == "sklearn.preprocessing._data\n", done.stderr
    assert patch.StandardScaler.__module__ == "fasttrain.patch"
