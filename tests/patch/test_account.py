"""What became of the calls of a patched program, in the account, on standard error and in IPython."""

import re
import subprocess
import sys

import pytest

import fasttrain
from fasttrain.patch import _account, replaced_names

SCRIPT = """\
import sys, warnings
warnings.simplefilter("ignore")
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
X, y = load_iris(return_X_y=True)
model = make_pipeline(StandardScaler(), SGDClassifier(random_state=0)).fit(X, y)
for _ in range(3):
    LinearSVC(multi_class="crammer_singer").fit(X, y)
GridSearchCV(SGDClassifier(random_state=0), {"alpha": [1e-3, 1e-2]}).fit(X, y)
cross_val_score(model, X, y)
print(sys.argv[1:])
"""
WHY = "LinearSVC of fasttrain has multi_class='ovr' only, got 'crammer_singer'"
FELL_BACK = f"LinearSVC.fit is served by scikit-learn: {WHY}"


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def patch(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "fasttrain", "patch", *map(str, arguments)], capture_output=True, text=True, **options)


def test_what_falls_back_is_said_once_without_logging(script):
    done = patch(script, "-v", "a")
    # what follows the script is its own
    assert done.stdout == "['-v', 'a']\n"
    assert done.stderr.splitlines() == [FELL_BACK]


@pytest.mark.parametrize("flag", ["-v", "--verbose"])
def test_totals(script, flag):
    done = patch(flag, script, "a")
    assert done.stdout == "['a']\n"
    said, total, *rows = done.stderr.splitlines()
    assert said == FELL_BACK
    assert re.fullmatch(
        r"fasttrain: 5 calls accelerated in \d+\.\d\d s, 3 calls served by scikit-learn in \d+\.\d\d s", total)
    calls = {row.split()[0]: row.split()[1] for row in rows}
    assert calls == {"StandardScaler.fit": "1", "StandardScaler.transform": "1", "SGDClassifier.fit": "1",
                     "GridSearchCV.fit": "1", "cross_val_score": "1", "LinearSVC.fit": "3"}
    assert rows[-1].endswith(f"by scikit-learn: {WHY}")


def test_lines_of_the_script(script):
    rows = patch("--profile", script).stderr.splitlines()[2:]
    lines = {row.split()[0]: re.search(r"script\.py:(\d+)", row)[1] for row in rows}
    assert lines == {"StandardScaler.fit": "10", "StandardScaler.transform": "10", "SGDClassifier.fit": "10",
                     "GridSearchCV.fit": "13", "cross_val_score": "14", "LinearSVC.fit": "12"}


def test_a_script_that_raises_is_told_of_too(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from sklearn.preprocessing import StandardScaler\nStandardScaler().fit([[1.0]])\n1 / 0\n")
    done = patch("-v", script)
    assert done.returncode == 1
    assert "fasttrain: 1 call accelerated" in done.stderr
    assert done.stderr.rstrip().endswith("ZeroDivisionError: division by zero")


def test_a_forked_child_tells_nothing(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os\nfrom sklearn.preprocessing import StandardScaler\nStandardScaler().fit([[1.0]])\n"
        "if not os.fork():\n    StandardScaler().fit([[1.0]])\n    raise SystemExit\nos.wait()\n")
    assert patch("-v", script).stderr.count("fasttrain:") == 1


def test_help_names_exactly_what_is_replaced():
    done = patch("--help")
    said = done.stdout.partition("Replaced are")[2].partition("What fasttrain refuses")[0]
    found = {
        package: re.findall(r"\w+", names)
        for package, names in re.findall(r"sklearn\.(\w+): ((?:[\w, \n](?!sklearn))+)", said)
    }
    assert found == replaced_names()
    changed = fasttrain.patch_sklearn()
    fasttrain.unpatch_sklearn()
    assert {f"sklearn.{package}" for package in found} <= set(changed)
    for package, names in found.items():
        assert set(names) == set(changed[f"sklearn.{package}"])


def test_other_options_are_refused(script):
    done = patch("--profil", script)
    assert done.returncode == 2
    assert "profil" in done.stderr


class Shell:
    def __init__(self):
        self.magics = {}

    def register_magic_function(self, function, magic_kind, magic_name):
        assert magic_kind == "line"
        self.magics[magic_name] = function


def test_the_ipython_extension(capsys):
    shell = Shell()
    fasttrain.load_ipython_extension(shell)
    try:
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit([[1.0], [3.0]])
        shell.magics["fasttrain"]("")
        said = capsys.readouterr().out
        assert "1 call accelerated" in said
        assert "StandardScaler.fit" in said
        assert __file__ not in said
        shell.magics["fasttrain"]("lines")
        assert f"{__file__}:" in capsys.readouterr().out
        shell.magics["fasttrain"]("reset")
        shell.magics["fasttrain"]("")
        assert "0 calls accelerated" in capsys.readouterr().out
        with pytest.raises(ValueError, match="takes nothing, 'lines' or 'reset'"):
            shell.magics["fasttrain"]("line")
    finally:
        fasttrain.unload_ipython_extension(shell)
    assert type(scaler).__module__ == "fasttrain.patch"
    assert _account.current() is None
    from sklearn.preprocessing import StandardScaler

    assert StandardScaler.__module__.startswith("sklearn.")


def test_calls_that_raise_are_nobodys_gain(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from sklearn.preprocessing import StandardScaler\n"
        "for X in ([[1.0]], [['a']]):\n"
        "    try:\n        StandardScaler().fit(X)\n    except ValueError:\n        pass\n")
    total, *rows = patch("-v", script).stderr.splitlines()
    assert re.fullmatch(r"fasttrain: 1 call accelerated in .* s, 0 calls served by scikit-learn in 0\.00 s, "
                        r"1 call ended in an error in .* s", total)
    assert [row.endswith("ended in an error") for row in rows] == [False, True]
