"""Work on Python threads that Ctrl-C ends within moments."""

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from fasttrain._core.blas import serial_blas

POLL_SECONDS = 0.05


def in_threads(work, n, n_threads, stop):
    """``work`` of 0 .. n - 1, on threads; Ctrl-C ends it within moments."""
    n_threads = min(n_threads, n)
    with serial_blas():
        if n_threads == 1:
            return [work(i) for i in range(n)]
        pool = ThreadPoolExecutor(n_threads)
        try:
            futures = [pool.submit(work, i) for i in range(n)]
            pending = set(futures)
            while pending:
                done, pending = wait(pending, POLL_SECONDS, FIRST_COMPLETED)
                for future in done:
                    future.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        pool.shutdown()
        return [future.result() for future in futures]
