"""How many threads a kernel may use: the one place that decides.

The answer is the smallest of: cores in this process's affinity mask, the cgroup's CPU quota, what OpenMP allows
(``OMP_NUM_THREADS``, threadpoolctl's limits), ``FASTTRAIN_NUM_THREADS`` and :func:`set_num_threads`. It is 1 inside
another pool's worker, and concurrent fits of one process share what there is. No kernel's result depends on it.
"""

import os
import threading
from contextlib import contextmanager

cdef extern from "threads.h" nogil:
    int ft_has_openmp() noexcept
    int ft_openmp_max_threads() noexcept
    int ft_in_parallel() noexcept
    int ft_install_fork_handler() noexcept

cdef extern from "crowd.h" nogil:
    int ft_is_crowded() noexcept

# A thread without a core is waited for at the end, some slices of the scheduler: work of so many times what a thread is
# else started for takes about as long.
cdef double CROWDED_SHARE = 200.0


cdef int threads_worth(int budget, double work, double work_per_thread) noexcept nogil:
    """Threads worth having for ``work`` (any unit) when one thread should have at least ``work_per_thread`` of it.

    For work that is paced (``pace.h``) or whose threads wait for no other.
    """
    cdef double worth = work / work_per_thread
    if worth < 2.0 or budget < 2:
        return 1
    return budget if worth >= budget else <int> worth


cdef int threads_for_work(int budget, double work, double work_per_thread) noexcept nogil:
    """:func:`threads_worth`, of one pass; where threads of all processes want more cores than there are, only if it is
    long enough for one of them to be waited for.
    """
    cdef int n_threads = threads_worth(budget, work, work_per_thread)
    if n_threads > 1 and ft_is_crowded():
        return threads_worth(budget, work, CROWDED_SHARE * work_per_thread)
    return n_threads


def has_openmp():
    """Whether the kernels were built with OpenMP."""
    return bool(ft_has_openmp())


def is_crowded():
    """Whether threads of all processes want more cores at this moment than there are; False where no system tells."""
    return bool(ft_is_crowded())


def _positive(value, name):
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be a positive integer or None, got {value!r}")
    number = value.__index__()
    if number < 1:
        raise ValueError(f"{name} must be a positive integer or None, got {value!r}")
    return number


def _from_environment():
    text = os.environ.get("FASTTRAIN_NUM_THREADS", "").strip()
    if not text:
        return None
    try:
        return _positive(int(text), "FASTTRAIN_NUM_THREADS")
    except ValueError:
        raise ValueError(f"FASTTRAIN_NUM_THREADS must be a positive integer, got {text!r}") from None


def _read(*parts):
    """Words of a file; none where it cannot be read."""
    try:
        with open(os.path.join(*parts)) as file:
            return file.read().split()
    except (OSError, ValueError):
        return []


def _own_cgroup(membership):
    """From '' (version 2) and 'cpu' (version 1) to the cgroup that this process is in, as its file says it."""
    found = {"": "", "cpu": ""}
    try:
        with open(membership) as file:
            lines = file.read().splitlines()
    except (OSError, ValueError):
        return found
    for line in lines:
        controllers, _, path = line.partition(":")[2].partition(":")
        for name in {"cpu", ""}.intersection(controllers.split(",")):
            found[name] = path.strip("/")
    return found


def cgroup_quota(root="/sys/fs/cgroup", membership="/proc/self/cgroup"):
    """CPUs granted by this process's cgroup and those around it (v2 ``cpu.max``, v1 ``cpu.cfs_*``), rounded up; None
    when there is no limit.
    """
    least = None
    for version, path in _own_cgroup(membership).items():
        # in a container the path may be the host's, whose end is the folder that is seen: that is looked at last
        parts = path.split("/") if path and ".." not in path.split("/") else []
        for depth in range(len(parts), -1, -1):
            folder = os.path.join(root, version, *parts[:depth])
            if version:
                words = _read(folder, "cpu.cfs_quota_us")[:1] + _read(folder, "cpu.cfs_period_us")[:1]
            else:
                words = _read(folder, "cpu.max")[:2]
            try:
                quota, period = map(int, words)
            except ValueError:
                continue
            if quota > 0 and period > 0:
                granted = max(1, -(-quota // period))
                least = granted if least is None else min(least, granted)
    return least


def _machine_limit():
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = cgroup_quota()
    return cores if quota is None else min(cores, quota)


_machine = _machine_limit()
_environment = _from_environment()
_limit = None
_local = threading.local()
_active = 0
_active_lock = threading.Lock()


def set_num_threads(n_threads):
    """Set how many threads fasttrain's kernels may use in this process.

    Parameters
    ----------
    n_threads : int or None
        At least 1. More than the machine has is allowed (results do not change); None goes back to automatic.

    Returns
    -------
    int or None
        The value that was in force before.
    """
    global _limit
    previous = _limit
    _limit = None if n_threads is None else _positive(n_threads, "n_threads")
    return previous


@contextmanager
def num_threads(n_threads):
    """Context manager: :func:`set_num_threads` for a ``with`` block, in the calling thread only."""
    previous = getattr(_local, "limit", None)
    _local.limit = None if n_threads is None else _positive(n_threads, "n_threads")
    try:
        yield
    finally:
        _local.limit = previous


def _in_pool_worker():
    thread = threading.current_thread()
    if thread is threading.main_thread():
        return False
    name = type(thread).__name__
    # multiprocessing.pool.ThreadPool (joblib's threading backend) and concurrent.futures
    return name == "DummyProcess" or thread.name.startswith("ThreadPoolExecutor")


def get_num_threads(requested=None):
    """Threads a kernel called from here may use.

    Parameters
    ----------
    requested : int or None, default=None
        A caller's own wish (``n_threads`` of an estimator); it replaces every other limit.

    Returns
    -------
    int
        At least 1.
    """
    if not ft_has_openmp():
        if requested is not None:
            _positive(requested, "n_threads")
        return 1
    if requested is not None:
        return _positive(requested, "n_threads")
    local = getattr(_local, "limit", None)
    if local is not None:
        return local
    if _limit is not None:
        return _limit
    if ft_in_parallel() or _in_pool_worker():
        return 1
    n = min(_machine, ft_openmp_max_threads())
    if _environment is not None:
        n = min(n, _environment)
    return max(1, n // max(1, _active))


@contextmanager
def thread_budget(requested=None):
    """Yield the number of threads for one fit and count that fit, so that concurrent fits share the cores."""
    global _active
    with _active_lock:
        _active += 1
    try:
        yield get_num_threads(requested)
    finally:
        with _active_lock:
            _active -= 1


def _after_fork():
    global _active, _active_lock
    _active = 0
    _active_lock = threading.Lock()


ft_install_fork_handler()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
