"""A disk that is full at any moment of a save: an OSError, the old model whole, and nothing else left.

On a file system of some hundred kB in a mount namespace of its own, where the system lets a user make one.
"""

import subprocess
import sys

import pytest

PROGRAM = """
import errno, os, shutil, sys
import numpy as np
import fasttrain
from fasttrain.callbacks import ModelCheckpoint
from fasttrain.linear_model import LinearRegressor

place = sys.argv[1]

def model(number, size):
    made = LinearRegressor(optimizer="lbfgs").fit(np.eye(2), [0.0, 1.0])
    made.n_features_in_, made.coef_, made.intercept_ = size, np.full(size, float(number)), float(number)
    return made

old, new = model(1, 5000), model(2, 12000)
kept = replaced = absent = 0
for step in range(int(sys.argv[2])):
    for name in os.listdir(place):
        path = os.path.join(place, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    fasttrain.save(old, place + "/m")
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_bsize
    with open(place + "/fill", "wb") as file:
        file.write(b"x" * max(0, free - 4096 * step))
    try:
        fasttrain.save(new, place + "/m")
        expected, replaced = 2, replaced + 1
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
        expected, kept = 1, kept + 1
    found = fasttrain.load(place + "/m")
    assert (found.coef_ == expected).all() and len(found.coef_) == found.n_features_in_
    assert len(os.listdir(place + "/m")) == 2, os.listdir(place + "/m")
    try:
        fasttrain.save(new, place + "/n/deep")
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
        assert sorted(os.listdir(place)) == ["fill", "m"], os.listdir(place)
        absent += 1
    else:
        fasttrain.load(place + "/n/deep")
try:
    with open(place + "/fill", "ab") as file:
        file.write(b"x" * (1 << 20))
except OSError:
    pass
try:
    LinearRegressor(max_iter=3, callbacks=ModelCheckpoint(place + "/c")).fit(np.ones((50, 5000)), np.ones(50))
except OSError as error:
    assert error.errno == errno.ENOSPC, error
assert kept > 10 and replaced > 10 and absent > 10, (kept, replaced, absent)
print("done", kept, replaced, absent)
"""


def test_a_full_disk(tmp_path):
    mount = f'mount -t tmpfs -o size=600k tmpfs "{tmp_path}"'
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("no file system of its own may be mounted here")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$0" -c "$1" "{tmp_path}" 90', sys.executable, PROGRAM],
        capture_output=True, text=True, timeout=300)
    assert done.stdout.startswith("done"), done.stdout + done.stderr[-3000:]
