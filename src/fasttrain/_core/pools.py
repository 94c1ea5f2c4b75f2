"""Work on Python threads that Ctrl-C ends within moments."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from fasttrain._core.blas import serial_blas

# Longest wait between two looks for Ctrl-C.
POLL_SECONDS = 0.05
# A thread that is on its way is alive within this.
START_SECONDS = 0.1
_numbers = itertools.count()


@contextmanager
def thread_pool(n_threads, stop, patience=threading.TIMEOUT_MAX):
    """A pool of threads of which none goes on after the block.

    Where the block ends in an error or Ctrl-C, ``stop()`` tells the work that has begun, the rest is called off, and
    the threads are waited for, ``patience`` seconds at most.
    """
    # the library takes threads of this name for those of a pool, which do not ask for several cores
    prefix = f"ThreadPoolExecutor-work-{next(_numbers)}_"
    pool = ThreadPoolExecutor(n_threads, prefix.removesuffix("_"))
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        stop()
        pool.shutdown(wait=False, cancel_futures=True)
        _join(prefix, patience)
        raise


def as_completed(futures):
    """Each of ``futures`` once it is done or called off; Ctrl-C is heard between."""
    # concurrent.futures.wait looks at all that are left each time, and keeps the interpreter from their threads
    ended = SimpleQueue()
    for future in futures:
        future.add_done_callback(ended.put)
    n_left = len(futures)
    while n_left:
        try:
            future = ended.get(timeout=POLL_SECONDS)
        except Empty:
            continue
        n_left -= 1
        yield future


def in_threads(work, n, n_threads, stop):
    """``work`` of 0 .. n - 1, on threads; Ctrl-C ends it within moments."""
    n_threads = min(n_threads, n)
    with serial_blas():
        if n_threads <= 1:
            return [work(i) for i in range(n)]
        with thread_pool(n_threads, stop.set) as pool:
            futures = [pool.submit(work, i) for i in range(n)]
            for future in as_completed(futures):
                future.result()
        return [future.result() for future in futures]


def _join(prefix, patience):
    """Wait for the threads of a pool, one too of which it does not know since Ctrl-C came while it was started."""
    began = time.monotonic()

    def left():
        return patience - (time.monotonic() - began)

    while found := [thread for thread in threading.enumerate() if thread.name.startswith(prefix)]:
        alive = [thread for thread in found if thread.is_alive()]
        for thread in alive:
            thread.join(max(left(), 0))
        if left() < 0 or (not alive and time.monotonic() > began + START_SECONDS):
            return
        time.sleep(0.001)
