"""bench: both sides do the same work, results can be read again, and a script's fall-backs are counted."""

import copy
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from fasttrain.cli.bench import _child, _measure, _results, _scripts, _workloads


@pytest.fixture(scope="module")
def tiny():
    """The pieces of work that are over at once, by their names."""
    works = [_workloads._sgd(400, "float32", 1), _workloads._network((20, 16, 1), 32, 10, True), _workloads._row()]
    return {work.name: work for work in works}


@pytest.fixture(scope="module")
def found(tiny):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_child, "workloads", lambda quick, peers: [lambda work=work: work for work in tiny.values()])
        return _child.measure(quick=True)


def test_a_result_has_what_it_takes_to_judge_it(found, tiny):
    assert [row["name"] for row in found["rows"]] == list(tiny)
    for row in found["rows"]:
        assert {"fasttrain", "scikit-learn"} <= set(row["times"])
        for time in row["times"].values():
            assert 0 < time["low"] <= time["median"] <= time["high"]
            assert time["runs"] >= 3
            assert time["blas_threads"] >= 1
    for fact in ("processor", "instruction set", "threads", "BLAS", "scikit-learn", "cores"):
        assert found["machine"][fact]
    assert "kernel" in found["machine"]["BLAS"]
    assert len(found["load"]) == 2


def test_functions_take_turns():
    calls = []
    functions = {name: lambda name=name: calls.append(name) for name in "ab"}
    times, blas = _measure.in_turn(functions, seconds=0, rounds=4)
    assert calls[-8:] == list("abab" * 2)
    assert {name: len(values) for name, values in times.items()} == {"a": 4, "b": 4}
    assert set(blas) == {"a", "b"}


def test_the_summary_is_of_one_piece():
    told = _measure.summary([4.0, 2.0, 6.0], 2)
    assert (told["median"], told["runs"]) == (2.0, 3)


def test_both_sides_do_the_same_work():
    """The models that are timed are the same to rounding, so the time is that of the same steps."""
    for work in (_workloads._sgd(400, "float64", 1), _workloads._sgd(300, "float64", 4)):
        ours, theirs = (work.functions[name]() for name in ("fasttrain", "scikit-learn"))
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6)
        assert work.per == 3 * len(ours.predict(np.zeros((1, 100)))) * work.per // 3
    work = _workloads._network((20, 16, 3), 32, 10, False)
    ours, theirs = (work.functions[name]() for name in ("fasttrain", "scikit-learn"))
    assert ours.n_iter_ == theirs.n_iter_ == 2
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-2, atol=1e-4)
    work = _workloads._lbfgs(2000)
    ours, theirs = (work.functions[name]() for name in ("fasttrain", "scikit-learn"))
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0.02, atol=1e-3)


def test_the_measuring_process_is_free_of_older_kernels(shell, tmp_path, monkeypatch, found):
    """It is started without the variables that choose them."""
    seen = []
    popen = subprocess.Popen

    def record(words, env=None, **options):
        seen.append(env)
        content = json.dumps(found)
        program = f"import sys; print('0 1 work', flush=True); open(sys.argv[1], 'w').write({content!r})"
        return popen([sys.executable, "-c", program, words[3]], env=env, **options)

    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "256")
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setattr(subprocess, "Popen", record)
    out = shell.done("bench", "--quick", "--out", tmp_path / "b.html")
    assert not {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"} & set(seen[0])
    assert seen[0]["KEPT"] == "1"
    assert found["machine"]["BLAS"] in out
    for row in found["rows"]:
        assert row["name"] in out
    assert json.loads((tmp_path / "b.json").read_text()) == found
    page = (tmp_path / "b.html").read_text()
    assert "How many times as long scikit-learn takes" in page
    assert "<script" not in page


def test_two_results_side_by_side(shell, tmp_path, found):
    old = copy.deepcopy(found)
    name = old["rows"][0]["name"]
    old["rows"][0]["times"]["fasttrain"]["median"] = 2 * found["rows"][0]["times"]["fasttrain"]["median"]
    old["machine"]["processor"] = "abacus"
    old["rows"].pop()
    for content, path in ((old, tmp_path / "old.json"), (found, tmp_path / "new.json")):
        path.write_text(json.dumps(content))
    out = shell.done("bench", "--compare", tmp_path / "old.json", tmp_path / "new.json", "--out", tmp_path / "b.html")
    assert "processor: abacus -> " in out
    lines = out.splitlines()
    assert ": 2.00x" in lines[lines.index(name) + 1]
    assert found["rows"][-1]["name"] not in out
    assert "Beside the earlier run" in (tmp_path / "b.html").read_text()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"rows": []}', '{"rows": [{"name": "a"}]}', "\x00", "null"])
def test_what_is_no_result(shell, tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    err = shell.refused("bench", "--compare", tmp_path / "a.json", tmp_path / "a.json")
    assert "is no result of fasttrain bench" in err or "holds no measurement" in err


def test_bad_options(shell, tmp_path):
    assert "cannot be read" in shell.refused("bench", "--compare", tmp_path / "none.json")
    assert "one or two files, got 3" in shell.refused("bench", "--compare", "a", "b", "c")
    assert "does not exist" in shell.refused("bench", "--out", tmp_path / "no" / "b.html")
    assert "another ending than .json" in shell.refused("bench", "--out", tmp_path / "b.json")
    assert "needs a Python script" in shell.refused("bench", "--script")
    assert "none.py is no file" in shell.refused("bench", "--script", "none.py")
    assert "--rounds must be 1 or more" in shell.refused("bench", "--rounds", "0", "--script", __file__)


SCRIPT = """\
import sys
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler
X, y = [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]] * 5, [0, 1, 0, 1] * 5
class Mine(SGDClassifier):
    def fit(self, X, y):
        self._validate_params()
        return super().fit(X, y)
for _ in range(2):
    Mine(random_state=0).fit(StandardScaler().fit_transform(X), y)
print(SGDClassifier(random_state=0).fit(X, y).score(X, y), sys.argv[1:])
"""


def test_a_script_stock_and_patched(shell, tmp_path):
    (tmp_path / "mine.py").write_text(SCRIPT)
    out = shell.done("bench", "--rounds", 1, "--script", tmp_path / "mine.py", "one", "--two")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["stock", "patched", "gain"]
    assert "Both print the same." in out
    assert "1 x Mine derives from scikit-learn's class, not from fasttrain's" in out


def test_fits_that_scikit_learn_served_are_counted(tmp_path):
    """Each call, also of one and the same line."""
    (tmp_path / "mine.py").write_text(
        "import logging\nfor _ in range(3):\n"
        "    logging.getLogger('fasttrain').info('SGDClassifier.fit is served by scikit-learn: it is Sunday')\n"
        "logging.getLogger('fasttrain').info('scikit-learn is patched')\n"
    )
    found = _scripts.compare(tmp_path / "mine.py", rounds=1)
    assert found.served == {"SGDClassifier.fit is served by scikit-learn: it is Sunday": 3}
    assert len(found.stock) == len(found.patched) == 1
    assert found.gain == found.stock[0] / found.patched[0]


def test_a_script_that_prints_something_else(shell, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from sklearn.linear_model import SGDClassifier\nprint('same')\nprint(SGDClassifier.__module__)\n"
    )
    out = shell.done("bench", "--rounds", 1, "--script", tmp_path / "mine.py")
    assert "'fasttrain.patch' (patched)" in out
    assert "No call went to scikit-learn" in out


def test_a_script_that_fails(shell, tmp_path):
    (tmp_path / "mine.py").write_text("raise RuntimeError('no luck')\n")
    err = shell.refused("bench", "--script", tmp_path / "mine.py")
    assert "mine.py (stock) ended with exit code 1: RuntimeError: no luck" in err


@pytest.mark.parametrize(
    "a, b, expected", [("a\n", "a\n", None), ("a\nb", "a\nc", ("b", "c")), ("a\nb", "a", ("b", "(nothing)"))]
)
def test_the_first_line_that_differs(a, b, expected):
    assert _scripts.first_difference(a, b) == expected


def test_other_libraries_where_they_are_installed(monkeypatch):
    names = [make().name for make in list(_workloads.workloads(quick=True))[:1]]
    assert names == ["SGDClassifier, log loss, 20,000 x 100, float32"]
    works = _workloads._duplicates(1000)
    counts = {label: len(function()) for label, function in works.functions.items()}
    assert len(set(counts.values())) == 1
    monkeypatch.setattr(_workloads.others, "installed", lambda name: False)
    assert set(_workloads._network((20, 16, 1), 32, 5, True).functions) == {"fasttrain", "scikit-learn"}
    assert len(list(_workloads.workloads(True, True))) == len(list(_workloads.workloads(True, False)))


def test_the_child_writes_json(tmp_path, monkeypatch, found):
    monkeypatch.setattr(_child, "measure", lambda quick, peers, tell: found)
    _child.main([os.fspath(tmp_path / "o.json"), "quick"])
    assert _results.load_results(tmp_path / "o.json") == found
