"""Beside libraries that have threads and OpenMP of their own: all work, whoever comes first, and a fork still does."""

import importlib.util
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")

PRELUDE = """
import os, signal, sys, warnings
import faulthandler
faulthandler.dump_traceback_later(240, exit=True)
warnings.simplefilter("ignore")
import numpy as np

rng = np.random.default_rng(0)
X = rng.normal(size=(3000, 50))
y = (X @ rng.normal(size=(50, 3))).argmax(1)

def fasttrain():
    from fasttrain.linear_model import LinearClassifier, SGDClassifier
    from fasttrain.neural_network import MLPClassifier
    from fasttrain.preprocessing import StandardScaler

    model = MLPClassifier((128, 64), batch_size=500, max_iter=2, random_state=0, n_threads=2).fit(X, y)
    sgd = SGDClassifier(max_iter=2, tol=None, n_jobs=2, random_state=0).fit(X, y)
    linear = LinearClassifier(batch_size="full", max_iter=3, n_threads=2).fit(X, y)
    scaler = StandardScaler().fit(np.tile(X, (20, 1)))
    return b"".join(a.tobytes() for a in (model.coefs_[0], sgd.coef_, linear.coef_, scaler.mean_))

def lightgbm():
    import lightgbm
    lightgbm.LGBMClassifier(n_estimators=5, n_jobs=2, verbose=-1).fit(X, y).predict(X)

def xgboost():
    import xgboost
    xgboost.XGBClassifier(n_estimators=5, n_jobs=2).fit(X, y).predict(X)

def torch():
    import torch
    torch.set_num_threads(2)
    a = torch.randn(800, 800, requires_grad=True)
    (a @ a).sum().backward()

def numba():
    import numba

    @numba.njit(parallel=True)
    def total(a):
        s = 0.0
        for i in numba.prange(a.shape[0]):
            s += a[i].sum()
        return s

    total(X)

def sklearn():
    from sklearn.ensemble import HistGradientBoostingClassifier
    HistGradientBoostingClassifier(max_iter=3).fit(X, y).predict(X)

def onnxruntime():
    import onnxruntime

def polars():
    import polars
    polars.DataFrame({"a": X[:, 0], "b": y}).group_by("b").agg(polars.col("a").sum())

found = [globals()[name]() for _ in range(2) for name in sys.argv[1:]]
results = {one for one in found if one is not None}
assert len(results) == 1
pid = os.fork()
if pid == 0:
    signal.alarm(100)
    os._exit(0 if {fasttrain()} == results else 3)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
print("done", flush=True)
os._exit(0)
"""
COMPANY = ["sklearn", "polars", "onnxruntime", "torch", "lightgbm", "xgboost", "numba"]


@pytest.mark.parametrize("first", ["fasttrain", "other"])
def test_scikit_learns_trees(first):
    check("sklearn", first)


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", ["fasttrain", "other"])
@pytest.mark.parametrize("other", COMPANY)
def test_both_work(other, first):
    check(other, first)


def check(other, first):
    if importlib.util.find_spec(other) is None:
        pytest.skip(f"{other} is not installed")
    names = ["fasttrain", other] if first == "fasttrain" else [other, "fasttrain"]
    done = subprocess.run([sys.executable, "-c", PRELUDE, *names], capture_output=True, text=True, timeout=300)
    assert done.stdout == "done\n", done.stderr[-3000:]
