"""A training that is killed at random moments and gone on from its checkpoint ends with the bytes of one left alone."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals of a POSIX system")

PROGRAM = """
import hashlib, os, sys, warnings
import numpy as np
from fasttrain.callbacks import ModelCheckpoint
from fasttrain.linear_model import LinearClassifier
from fasttrain.neural_network import MLPClassifier

warnings.simplefilter("ignore")
kind, path = sys.argv[1:]
rng = np.random.default_rng(0)
X = rng.normal(size=(2000, 30))
y = (X @ rng.normal(size=(30, 4))).argmax(1)
MODELS = {
    "network": lambda: MLPClassifier((64, 32), max_iter=40, dropout=0.1, batch_norm="before"),
    "averaged network": lambda: MLPClassifier(
        (64,), solver="sgd", learning_rate="adaptive", averaging="ema", max_iter=40),
    "linear": lambda: LinearClassifier(optimizer="adam", max_iter=60, schedule="cosine"),
}
model = MODELS[kind]().set_params(
    tol=0.0, n_iter_no_change=1000, batch_size=100, random_state=0, callbacks=[ModelCheckpoint(path)])
print("ready", flush=True)
model.fit(X, y, resume_from=path if os.path.exists(path) else None)
arrays = [model.coef_, model.intercept_] if kind == "linear" else [*model.coefs_, *model.intercepts_]
held = b"".join(np.ascontiguousarray(a).tobytes() for a in arrays) + repr(model.loss_curve_).encode()
print(hashlib.sha256(held).hexdigest(), flush=True)
"""
KINDS = ["network", "averaged network", "linear"]


def train(kind, path, kill_after=None):
    """(digest of what came out or None for a training that was killed, seconds)."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, kind, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    began = time.monotonic()
    if kill_after is not None:
        time.sleep(kill_after)
        process.kill()
    said, errors = process.communicate(timeout=300)
    assert process.returncode in ((0,) if kill_after is None else (0, -signal.SIGKILL)), errors[-3000:]
    return said.strip() or None, time.monotonic() - began


def check(kind, tmp_path, rounds, kills, seed):
    rng = random.Random(f"{kind} {seed}")
    expected, seconds = train(kind, tmp_path / "alone")
    assert expected
    killed = 0
    for number in range(rounds):
        path = tmp_path / str(number) / "checkpoint"
        # so much in all that the last training still has something to save, with which go the remains of those killed
        for _ in range(kills):
            killed += train(kind, path, rng.uniform(0.0, seconds / 2 / kills))[0] is None
        assert train(kind, path)[0] == expected
        left = sorted(entry.name for entry in path.iterdir())
        assert len(left) == 2, left
        assert [entry.name for entry in path.parent.iterdir()] == ["checkpoint"]
    assert killed >= rounds


def test_killed_and_gone_on(tmp_path):
    check("network", tmp_path, 1, 3, 0)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", KINDS)
def test_killed_very_often(kind, tmp_path, seed):
    check(kind, tmp_path, 5, 4, seed)
