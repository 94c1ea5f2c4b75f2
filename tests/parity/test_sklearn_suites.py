"""scikit-learn's own tests of what is replaced, run under the patch: all pass, but for what a strict list names."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SUITES = Path(__file__).parent / "sklearn_suites"
sys.path.insert(0, str(SUITES))
from expectations import CANCELLING, FAILING, FAILING_THERE, SERVED  # noqa: E402
from sklearn_release import SKLEARN  # noqa: E402

MODULES = {
    "neural_network.tests.test_mlp": 50,
    "linear_model.tests.test_sgd": 200,
    "linear_model.tests.test_base": 70,
    "linear_model.tests.test_ridge": 1000,
    "linear_model.tests.test_coordinate_descent": 280,
    "linear_model.tests.test_sparse_coordinate_descent": 150,
    "linear_model.tests.test_logistic": 250,
    "linear_model._glm.tests.test_glm": 260,
    "linear_model.tests.test_huber": 12,
    "linear_model.tests.test_quantile": 20,
    "svm.tests.test_svm": 110,
    "svm.tests.test_sparse": 100,
    "preprocessing.tests.test_data": 300,
    "preprocessing.tests.test_encoders": 200,
    "preprocessing.tests.test_label": 40,
    "model_selection.tests.test_validation": 100,
    "model_selection.tests.test_search": 100,
    # what holds, calls or looks at the estimators that are replaced
    "tests.test_pipeline": 160,
    "tests.test_calibration": 100,
    "tests.test_multiclass": 50,
    "tests.test_multioutput": 70,
    "tests.test_metaestimators": 30,
    "tests.test_common": 4000,
    "tests.test_public_functions": 200,
    "ensemble.tests": 800,
    "feature_selection.tests": 290,
    "compose.tests": 250,
    "inspection.tests": 470,
    "inspection._plot.tests": 280,
    "semi_supervised.tests": 200,
    "model_selection.tests.test_successive_halving": 100,
    "model_selection.tests.test_plot": 28,
    "model_selection.tests.test_classification_threshold": 60,
    "model_selection.tests.test_split": 220,
    "callback.tests": 140,
    "frozen.tests.test_frozen": 45,
}
# From 1.9 on.
if SKLEARN < (1, 9):
    del MODULES["callback.tests"]


# Mostly of made-up estimators that no replacement serves, or of simplexes and grids; most of the time.
LONG = (
    "linear_model.tests.test_ridge", "linear_model._glm.tests.test_glm", "model_selection.tests.test_validation",
    "model_selection.tests.test_search", "tests.test_calibration", "tests.test_common",
    "tests.test_multioutput", "ensemble.tests", "feature_selection.tests",
    "inspection.tests", "inspection._plot.tests", "model_selection.tests.test_classification_threshold",
    "model_selection.tests.test_successive_halving", "callback.tests",
)
# The others in so many processes: to import all that they need takes longer than most of them.
N_PROCESSES = 4
SHORT = [module for module in MODULES if module not in LONG]
PROCESSES = {module: module for module in LONG} | {
    module: f"scikit-learn's tests, {place % N_PROCESSES}" for place, module in enumerate(SHORT)}
# Threads of BLAS and OpenMP that wait for each other take more time than all tests.
SERIAL = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def run(modules, folder, *plugins, only=""):
    """What became of each test of each module, with the calls that went to scikit-learn; and what was printed."""
    record = folder / "record.json"
    path = os.pathsep.join([str(SUITES), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "-W", "ignore",
         *(part for plugin in plugins for part in ("-p", plugin)), *(("-k", only) if only else ()),
         "--pyargs", *(f"sklearn.{module}" for module in modules)],
        cwd=folder, env={**os.environ, **SERIAL, "PYTHONPATH": path, "PATCHED_SUITE_RECORD": str(record)},
        capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert record.exists(), done.stdout[-4000:] + done.stderr[-4000:]
    return json.loads(record.read_text()), done.stdout


@pytest.fixture(scope="module")
def records(request, tmp_path_factory):
    """``records(module)``: its record, from a process that runs all modules of its share which were asked for."""
    asked = {item.callspec.params["module"] for item in request.session.items
             if item.originalname == test_scikit_learns_tests_pass.__name__}
    found = {}

    def record_of(module):
        share = PROCESSES[module]
        if share not in found:
            found[share] = run(
                [other for other in MODULES if other in asked and PROCESSES[other] == share],
                tmp_path_factory.mktemp("suites"), "fasttrain.patch", "patched_suite")
        record, output = found[share]
        return record[module], output

    return record_of


@pytest.mark.parametrize("module", [
    pytest.param(module, marks=[
        pytest.mark.xdist_group(PROCESSES[module]), *([pytest.mark.exhaustive] if module in LONG else [])])
    for module in MODULES
])
def test_scikit_learns_tests_pass(module, records):
    record, output = records(module)
    outcomes = record["outcomes"]
    failing = FAILING.get(module, {})
    assert sorted(name for name, outcome in outcomes.items() if outcome == "failed") == [], output[-8000:]
    xfailed = {name for name, outcome in outcomes.items() if outcome == "xfailed"}
    there = FAILING_THERE.get(module, set())
    assert {name for name in xfailed if name.partition("[")[0] not in there} == set(failing)
    assert {name.partition("[")[0] for name in xfailed} >= there
    assert sum(outcome == "passed" for outcome in outcomes.values()) >= MODULES[module]
    assert CANCELLING.get(module, set()) <= set(outcomes)
    served = {name: messages for name, messages in record["served"].items() if name not in failing}
    expected = SERVED.get(module, {})
    unexpected = {
        name: [message for message in messages if not any(re.search(words, message) for words in expected)]
        for name, messages in served.items()
    }
    assert {name: messages for name, messages in unexpected.items() if messages} == {}
    unused = [
        words for words in expected
        if not any(re.search(words, message) for messages in served.values() for message in messages)
    ]
    assert unused == []


def test_the_list_is_strict(tmp_path):
    """Without the patch the tests that are expected to fail pass, and that is an error."""
    module = "neural_network.tests.test_mlp"
    records, _ = run([module], tmp_path, "patched_suite", only=" or ".join(FAILING[module]))
    failed = [name for name, outcome in records[module]["outcomes"].items() if outcome == "failed"]
    assert sorted(failed) == sorted(FAILING[module])
