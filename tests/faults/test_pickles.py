"""A fitted model goes into another process and answers, and goes on, with the same bytes there."""

import pickle
import subprocess
import sys
from pathlib import Path

import every_estimator
import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore")

PROGRAM = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
import every_estimator, test_pickles
models, X = pickle.load(open(sys.argv[2], "rb"))
found = {name: test_pickles.outcome(name, model, X) for name, model in models.items()}
pickle.dump(found, open(sys.argv[3], "wb"))
"""


def outcome(name, model, X):
    """What a model answers, and what becomes of it when it goes on."""
    said = every_estimator.answers(model, X)
    if not hasattr(model, "partial_fit") or "L-BFGS" in name:
        return said
    kind, y = every_estimator.ESTIMATORS[name][0], every_estimator.target(name, X)
    model.partial_fit(*([X] if kind == "columns" else [X, y]))
    return said, every_estimator.everything(model)


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_in_another_process(tmp_path, protocol):
    X = every_estimator.table()
    models = {name: every_estimator.fit(name, X) for name in every_estimator.ESTIMATORS}
    (tmp_path / "models").write_bytes(pickle.dumps((models, X), protocol))
    here = Path(__file__).parent
    paths = f"sys.path.insert(0, {str(here)!r})\n"
    command = [sys.executable, "-c", "import sys\n" + paths + PROGRAM, str(here.parent / "shared"),
               str(tmp_path / "models"), str(tmp_path / "found")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found = pickle.loads((tmp_path / "found").read_bytes())
    wrong = [name for name, model in models.items() if found[name] != outcome(name, model, X)]
    assert wrong == []
    assert len(found) == len(models) >= 28
    assert sum(isinstance(one, tuple) for one in found.values()) >= 10


def test_an_outcome_tells_models_apart():
    X = every_estimator.table()
    model = every_estimator.fit("network", X)
    other = pickle.loads(pickle.dumps(model))
    other.coefs_[0][0, 0] = np.nextafter(other.coefs_[0][0, 0], 1)
    assert outcome("network", model, X) != outcome("network", other, X)
