"""Tools that follow trainings: Optuna's pruning by a function, MLflow's autologging under the patch in either order."""

import json
import subprocess
import sys

import numpy as np
import optuna
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from fasttrain.neural_network import MLPClassifier

X, Y = load_breast_cancer(return_X_y=True)
X = scale(X)


@pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning")
def test_optuna_prunes_between_epochs():
    epochs = {}

    def objective(trial):
        def prune(epoch, logs):
            epochs[trial.number] = epoch
            trial.report(logs["validation_loss"], epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        rate = trial.suggest_categorical("rate", [1e-2, 1e-6])
        model = MLPClassifier((8,), learning_rate_init=rate, max_iter=12, random_state=0, callbacks=prune)
        return model.fit(X[::2], Y[::2], validation_data=(X[1::2], Y[1::2])).validation_loss_curve_[-1]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=3)
    study = optuna.create_study(pruner=pruner, sampler=optuna.samplers.GridSampler({"rate": [1e-2, 1e-6]}, seed=0))
    study.enqueue_trial({"rate": 1e-2})
    study.enqueue_trial({"rate": 1e-6})
    study.optimize(objective, n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED"]
    assert epochs == {0: 12, 1: 3}


SCRIPT = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
os.environ["MLFLOW_TRACKING_URI"] = "sqlite:///runs.db"
import mlflow.sklearn
import fasttrain
steps = [lambda: mlflow.sklearn.autolog(log_models=False, silent=True), fasttrain.patch_sklearn]
for step in steps if sys.argv[1] == "mlflow" else steps[::-1]:
    step()
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier
X, y = load_iris(return_X_y=True)
with mlflow.start_run() as run:
    model = SGDClassifier(alpha=0.01, random_state=0).fit(X, y)
data = mlflow.get_run(run.info.run_id).data
print(json.dumps([type(model).__module__, data.params["alpha"], data.metrics["training_score"], model.score(X, y)]))
"""


OWN = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
os.environ["MLFLOW_TRACKING_URI"] = "sqlite:///runs.db"
import sklearn.utils
from fasttrain import interop
from fasttrain.linear_model import SGDClassifier
from fasttrain.model_selection import GridSearchCV
from fasttrain.preprocessing import StandardScaler
import mlflow.sklearn
steps = [lambda: mlflow.sklearn.autolog(log_models=False, silent=True), interop.register_mlflow]
for step in steps if sys.argv[1] == "mlflow" else steps[::-1]:
    step()
from sklearn.datasets import load_iris
X, y = load_iris(return_X_y=True)
found = []
search = GridSearchCV(SGDClassifier(random_state=0), {"alpha": [0.1, 1.0]}, cv=3)
for model in (SGDClassifier(alpha=0.01, random_state=0), search, StandardScaler()):
    before = {run.info.run_id for run in mlflow.search_runs(output_format="list")}
    model.fit(X, y)
    runs = [run for run in mlflow.search_runs(output_format="list") if run.info.run_id not in before]
    found.append([[run.data.tags["estimator_name"], run.data.params, run.data.metrics] for run in runs])
names = [name for name, cls in sklearn.utils.all_estimators() if cls.__module__.startswith("fasttrain")]
print(json.dumps([found, names, search.best_score_]))
"""


@pytest.mark.parametrize("first", ["mlflow", "fasttrain"])
def test_mlflow_logs_own_fits(first, tmp_path):
    done = subprocess.run([sys.executable, "-c", OWN, first], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (single, search, scaler), names, best = json.loads(done.stdout.splitlines()[-1])
    assert names == scaler == []
    ((name, params, metrics),) = single
    assert (name, params["alpha"]) == ("SGDClassifier", "0.01")
    assert metrics["training_score"] > 0.5
    parent = [run for run in search if run[0] == "GridSearchCV"]
    assert len(parent) == 1
    assert len(search) == 1 + 2
    np.testing.assert_allclose(parent[0][2]["best_cv_score"], best)


ARTIFACTS = """
import json, os, warnings
warnings.simplefilter("ignore")
os.environ["MLFLOW_TRACKING_URI"] = "sqlite:///runs.db"
import mlflow.sklearn
from fasttrain import interop
from fasttrain.linear_model import SGDClassifier
for _ in range(2):
    interop.register_mlflow()
mlflow.autolog(silent=True)
interop.register_mlflow()
from sklearn.datasets import load_iris
X, y = load_iris(return_X_y=True)
model = SGDClassifier(alpha=0.01, random_state=0).fit(X, y)
(run,) = mlflow.search_runs(output_format="list")
(logged,) = mlflow.search_logged_models(output_format="list")
again = mlflow.sklearn.load_model(logged.model_uri)
print(json.dumps([type(again).__module__, (again.coef_ == model.coef_).all().item()]))
"""


@pytest.mark.long
def test_mlflow_loads_what_it_has_logged(tmp_path):
    """Which finds out what the model needs in a process of its own; register_mlflow may be called many times."""
    done = subprocess.run([sys.executable, "-c", ARTIFACTS], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == ["fasttrain.linear_model", True]


@pytest.mark.parametrize("first", ["mlflow", "patch"])
def test_mlflow_logs_patched_fits(first, tmp_path):
    done = subprocess.run([sys.executable, "-c", SCRIPT, first], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    module, alpha, logged, score = json.loads(done.stdout.splitlines()[-1])
    assert (module, alpha) == ("fasttrain.patch", "0.01")
    np.testing.assert_allclose(logged, score)
