"""joblib's Ray backend: each task has one thread, in what it is told and in what it starts."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("ray")

SCRIPT = """
import json

import joblib
import numpy as np
import ray
from ray.util.joblib import register_ray


def threads():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Threads"))


def task(seed):
    import fasttrain
    from fasttrain.linear_model import LinearClassifier

    X = np.random.default_rng(seed).standard_normal((20_000, 50))
    model = LinearClassifier(optimizer="adam", batch_size=2000, max_iter=2, tol=None, random_state=0)
    before = threads()
    model.fit(X, X[:, 0] > 0)
    return fasttrain.get_num_threads(), threads() - before


ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)
register_ray()
with joblib.parallel_config("ray", n_jobs=2):
    print(json.dumps(joblib.Parallel()(joblib.delayed(task)(seed) for seed in range(4))))
ray.shutdown()
"""


@pytest.mark.long
@pytest.mark.xdist_group("ray")
def test_joblib_on_ray_has_one_thread_a_task(tmp_path):
    script = tmp_path / "tasks.py"
    script.write_text(SCRIPT)
    # Ray's own limit is wanted, which is this one where nobody has set it; a busy machine starts it slowly
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "FASTTRAIN_NUM"))}
    done = subprocess.run(
        [sys.executable, script], env=environment | {"RAY_raylet_start_wait_time_s": "200"}, capture_output=True,
        text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [[1, 0]] * 4
