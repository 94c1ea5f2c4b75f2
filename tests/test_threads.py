"""Who decides the number of threads, and what a fork or another pool makes of it."""

import multiprocessing.pool
import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from fasttrain._kernels import threads
from fasttrain._kernels.primitives import finite

OPENMP = threads.has_openmp()
CLEAR = ("FASTTRAIN_NUM_THREADS", "OMP_NUM_THREADS")


def run(code, timeout=60, **environment):
    kept = {key: value for key, value in os.environ.items() if key not in CLEAR}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=kept | environment, timeout=timeout, capture_output=True, text=True,
    )  # fmt: skip


def threads_of_a_new_process(code="", **environment):
    result = run(
        f"{code}\nfrom fasttrain._kernels import threads\nprint(threads.get_num_threads())", **environment
    )
    assert result.returncode == 0, result.stderr
    return int(result.stdout)


@pytest.fixture(autouse=True)
def _automatic():
    before = threads.set_num_threads(None)
    yield
    threads.set_num_threads(before)


@pytest.mark.parametrize(
    "files, quota",
    [
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "1000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "nonsense\n"}, None),
        ({"cpu.max": "a b\n"}, None),
        ({"cpu.max": "100000 0\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000\n"}, None),
        ({"cpu.max": "", "cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({}, None),
    ],
)
def test_cgroup_quota(files, quota, tmp_path):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert threads.cgroup_quota(str(tmp_path), str(tmp_path / "none")) == quota


@pytest.mark.parametrize("membership, quotas, quota", [
    ("0::/jobs/7\n", {"jobs/7/cpu.max": "150000 100000"}, 2),
    ("0::/jobs/7\n", {"jobs/7/cpu.max": "max 100000", "jobs/cpu.max": "300000 100000"}, 3),
    ("0::/jobs/7\n", {"jobs/7/cpu.max": "500000 100000", "jobs/cpu.max": "100000 100000"}, 1),
    ("0::/on/the/host\n", {"cpu.max": "200000 100000"}, 2),
    ("0::/../../other\n", {"cpu.max": "200000 100000", "../other/cpu.max": "100000 100000"}, 2),
    ("3:cpuset:/\n2:cpu,cpuacct:/a\n0::/\n",
     {"cpu/a/cpu.cfs_quota_us": "50000", "cpu/a/cpu.cfs_period_us": "100000"}, 1),
    ("2:cpuacct:/a\n", {"cpu/a/cpu.cfs_quota_us": "50000", "cpu/a/cpu.cfs_period_us": "100000"}, None),
    ("nonsense\n", {}, None),
])
def test_the_quota_of_the_cgroup_that_a_process_is_in(membership, quotas, quota, tmp_path):
    root = tmp_path / "root"
    for name, text in quotas.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (tmp_path / "cgroup").write_text(membership)
    assert threads.cgroup_quota(str(root), str(tmp_path / "cgroup")) == quota


def test_set_num_threads_gives_back_what_was():
    automatic = threads.get_num_threads()
    assert automatic >= 1
    assert threads.set_num_threads(3) is None
    assert threads.get_num_threads() == (3 if OPENMP else 1)
    assert threads.set_num_threads(np.int64(5)) == 3
    assert threads.set_num_threads(None) == 5
    assert threads.get_num_threads() == automatic


def test_context_manager_is_of_its_thread():
    threads.set_num_threads(2)
    with threads.num_threads(5):
        assert threads.get_num_threads() == (5 if OPENMP else 1)
        with threads.num_threads(7):
            assert threads.get_num_threads() == (7 if OPENMP else 1)
        assert threads.get_num_threads() == (5 if OPENMP else 1)
        elsewhere = []
        other = threading.Thread(target=lambda: elsewhere.append(threads.get_num_threads()))
        other.start()
        other.join()
        assert elsewhere == [2 if OPENMP else 1]
    with pytest.raises(RuntimeError), threads.num_threads(4):
        raise RuntimeError
    assert threads.get_num_threads() == (2 if OPENMP else 1)


@pytest.mark.parametrize("bad, error", [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError),
                                        (True, TypeError)])  # fmt: skip
def test_bad_numbers_change_nothing(bad, error):
    threads.set_num_threads(2)
    message = "n_threads must be a positive integer or None"
    with pytest.raises(error, match=message):
        threads.set_num_threads(bad)
    with pytest.raises(error, match=message), threads.num_threads(bad):
        pass
    with pytest.raises(error, match=message):
        threads.get_num_threads(bad)
    assert threads.get_num_threads() == (2 if OPENMP else 1)


def test_a_callers_own_number_replaces_all_limits():
    with threads.num_threads(1), threads.thread_budget(6) as n:
        assert n == (6 if OPENMP else 1)


@pytest.mark.parametrize("name", CLEAR)
def test_environment_lowers(name):
    machine = threads_of_a_new_process()
    assert threads_of_a_new_process(**{name: "1"}) == 1
    assert threads_of_a_new_process(**{name: "64"}) == machine
    assert threads_of_a_new_process(**{name: ""}) == machine


@pytest.mark.parametrize("text", ["0", "-2", "two", "1.5"])
def test_bad_environment_is_named(text):
    result = run("import fasttrain._kernels.threads", FASTTRAIN_NUM_THREADS=text)
    assert result.returncode != 0
    assert f"ValueError: FASTTRAIN_NUM_THREADS must be a positive integer, got '{text}'" in result.stderr


@pytest.mark.parametrize("call", ["sched_setaffinity"])
def test_affinity_lowers(call):
    if hasattr(os, call):
        assert (
            threads_of_a_new_process("import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})")
            == 1
        )
    else:
        assert threads_of_a_new_process() <= os.cpu_count()


def test_threadpoolctl_lowers():
    with threadpool_limits(1, user_api="openmp"):
        assert threads.get_num_threads() == 1


def test_one_thread_inside_another_pool():
    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(lambda _: threads.get_num_threads(), range(4))) == {1}
    with multiprocessing.pool.ThreadPool(2) as pool:
        assert set(pool.map(lambda _: threads.get_num_threads(), range(4))) == {1}
    inside = joblib.Parallel(n_jobs=2, backend="threading")(
        joblib.delayed(threads.get_num_threads)() for _ in range(4)
    )
    assert set(inside) == {1}


@pytest.mark.skipif(not os.path.exists("/proc/loadavg"), reason="only Linux tells it")
def test_a_crowd_of_processes_is_noticed():
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() + 1)]
    try:
        end = time.monotonic() + 60
        while not threads.is_crowded():
            assert time.monotonic() < end
            time.sleep(0.002)
        # short and long passes, in one thread or in two
        for n in (10**6, 5 * 10**7):
            values = np.zeros(n, dtype=np.float32)
            assert finite(values, 2)
            values[-1] = np.nan
            assert not finite(values, 2)
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_concurrent_fits_share_the_cores():
    alone = threads.get_num_threads()
    with threads.thread_budget() as first:
        assert first == alone
        with threads.thread_budget() as second:
            assert second == max(1, alone // 2)
        with pytest.raises(RuntimeError), threads.thread_budget():
            raise RuntimeError
        with threads.thread_budget() as second:
            assert second == max(1, alone // 2)
    assert threads.get_num_threads() == alone


WORK = """
import os, sys, time
import numpy as np
from fasttrain._kernels import activations

def work(seed=0):
    z = np.linspace(-4, 4, 400_000)
    a = np.empty_like(z)
    activations.forward("tanh", z, a, 1.0, 2)
    return float(a.sum())

expected = work()
"""


def test_fork_after_a_kernel_with_two_threads():
    code = (
        WORK
        + """
for round in range(3):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if work() == expected else 3)
    for _ in range(200):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    else:
        os.kill(pid, 9)
        sys.exit("the child hangs")
    assert os.waitstatus_to_exitcode(status) == 0, status
    assert work() == expected
print("done")
"""
    )
    result = run(code, timeout=60)
    assert result.stdout.strip() == "done", result.stderr


def test_multiprocessing_fork_after_a_kernel_with_two_threads():
    code = (
        WORK
        + """
import multiprocessing
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map_async(work, range(4)).get(timeout=30) == [expected] * 4
assert work() == expected
print("done")
"""
    )
    result = run(code, timeout=60)
    assert result.stdout.strip() == "done", result.stderr


def test_a_fork_inside_a_fit_starts_its_own_count():
    code = """
import os
from fasttrain._kernels import threads
alone = threads.get_num_threads()
with threads.thread_budget(), threads.thread_budget():
    pid = os.fork()
    if pid == 0:
        with threads.thread_budget() as n:
            os._exit(0 if n == alone else 3)
    _, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0
print("done")
"""
    assert run(code).stdout.strip() == "done"
