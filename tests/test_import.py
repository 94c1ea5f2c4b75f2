"""Importing fasttrain, and what it says about itself; each in a process of its own."""

import os
import subprocess
import sys

import pytest

import fasttrain


def run(program, **environment):
    return subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120)


def test_import_is_light():
    done = run(
        "import sys, fasttrain\n"
        "heavy = {'sklearn', 'scipy', 'pandas', 'matplotlib', 'rich', 'typer', 'joblib', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))\n")
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", ["minimize", "optimizers", "losses", "penalties", "schedules", "activations"])
def test_scikit_learn_comes_with_an_estimator_only(name):
    done = run(
        f"import sys, fasttrain; fasttrain.{name}\n"
        "print(sorted({'sklearn', 'scipy', 'pandas', 'matplotlib'} & set(sys.modules)))\n")
    assert done.stdout.strip() == "[]", done.stderr


def test_names_are_loaded_when_used():
    assert fasttrain.LinearRegressor is fasttrain.linear_model.LinearRegressor
    assert set(fasttrain.__all__) <= set(dir(fasttrain))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fasttrain.nothing


def test_show_config(capsys):
    config = fasttrain.show_config(mode="dicts")
    assert config["version"] == fasttrain.__version__
    assert config["instruction_set"] in ("baseline", "avx2", "avx512")
    assert config["threads"] >= 1
    fasttrain.show_config()
    out = capsys.readouterr().out
    for name, value in config.items():
        assert f"{name.replace('_', ' ')}: {value}" in out
    with pytest.raises(ValueError, match="mode must be 'stdout' or 'dicts', got 'json'"):
        fasttrain.show_config(mode="json")


def test_get_include_holds_the_headers():
    folder = fasttrain.get_include()
    for header in ("ops.h", "kinds.h", "threads.h", "scalar.h"):
        assert os.path.isfile(os.path.join(folder, header))


def test_an_unknown_instruction_set_is_refused():
    done = run("import fasttrain.linear_model", FASTTRAIN_ISA="sse9")
    assert done.returncode == 1
    assert "ImportError: FASTTRAIN_ISA must be one of baseline, avx2, avx512, got 'sse9'" in done.stderr


def test_a_lower_instruction_set_can_be_forced():
    done = run("import fasttrain; print(fasttrain.show_config('dicts')['instruction_set'])", FASTTRAIN_ISA="baseline")
    assert done.stdout == "baseline\n", done.stderr


@pytest.mark.parametrize("text", ["many", "0", "-2", "1.5"])
def test_a_bad_number_of_threads_is_refused(text):
    done = run("import fasttrain._kernels.threads", FASTTRAIN_NUM_THREADS=text)
    assert done.returncode == 1
    assert f"ValueError: FASTTRAIN_NUM_THREADS must be a positive integer, got '{text}'" in done.stderr
