"""Work on Python threads that Ctrl-C ends within moments."""

import itertools
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from fasttrain._core.blas import serial_blas

POLL_SECONDS = 0.05
# A thread that is on its way is alive within this.
START_SECONDS = 0.1
_numbers = itertools.count()


def in_threads(work, n, n_threads, stop):
    """``work`` of 0 .. n - 1, on threads; Ctrl-C ends it within moments."""
    n_threads = min(n_threads, n)
    with serial_blas():
        if n_threads == 1:
            return [work(i) for i in range(n)]
        # the library takes threads of this name for those of a pool, which do not ask for several cores
        prefix = f"ThreadPoolExecutor-work-{next(_numbers)}_"
        pool = ThreadPoolExecutor(n_threads, prefix.removesuffix("_"))
        try:
            futures = [pool.submit(work, i) for i in range(n)]
            pending = set(futures)
            while pending:
                done, pending = wait(pending, POLL_SECONDS, FIRST_COMPLETED)
                for future in done:
                    future.result()
            pool.shutdown()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            _join(prefix)
            raise
        return [future.result() for future in futures]


def _join(prefix):
    """Wait for the threads of a pool, one too of which it does not know since Ctrl-C came while it was started."""
    patience = time.monotonic() + START_SECONDS
    while found := [thread for thread in threading.enumerate() if thread.name.startswith(prefix)]:
        alive = [thread for thread in found if thread.is_alive()]
        for thread in alive:
            thread.join()
        if not alive and time.monotonic() > patience:
            return
        time.sleep(0.001)
