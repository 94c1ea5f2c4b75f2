"""BLAS on one thread: its sums depend on how many it has, and barriers cost more than they save on short vectors.

The limit is the process's, and threadpoolctl lets only the thread that set it take it away. So fits in several Python
threads share one: the first to come sets it; where it leaves before the others, a thread that does nothing else keeps
it for them. After the last the caller's BLAS has as many threads as before.
"""

import functools
import os
import threading
from contextlib import contextmanager

_lock = threading.Lock()
# Threads that are within, by their number, to how often.
_within = {}


@functools.cache
def _controller():
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


class _Keeper:
    """Whoever has set the limit: the thread that made it, until it calls :meth:`hand_over`."""

    def __init__(self):
        self.owner = threading.get_ident()
        self.limit = _controller().limit(limits=1, user_api="blas")
        self.limit.__enter__()
        self.thread = None

    def hand_over(self):
        self.release()
        self.owner, self._is_set, self._is_over = None, threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._keep, daemon=True)
        self.thread.start()
        self._is_set.wait()

    def _keep(self):
        with _controller().limit(limits=1, user_api="blas") as self.limit:
            self._is_set.set()
            self._is_over.wait()

    def release(self):
        if self.thread is None:
            self.limit.__exit__(None, None, None)
        else:
            self._is_over.set()
            self.thread.join()


_keeper = None


@contextmanager
def serial_blas():
    """Context manager: products and decompositions of NumPy and SciPy on one thread, in the whole process."""
    global _keeper
    me = threading.get_ident()
    with _lock:
        if _keeper is None:
            _keeper = _Keeper()
        _within[me] = _within.get(me, 0) + 1
    try:
        yield
    finally:
        with _lock:
            _within[me] -= 1
            if not _within[me]:
                del _within[me]
            if not _within:
                _keeper.release()
                _keeper = None
            elif _keeper.owner == me and me not in _within:
                _keeper.hand_over()


def _after_fork():
    """Of the threads that were within, a child has at most the one that forked."""
    global _lock, _keeper
    _lock = threading.Lock()
    me = threading.get_ident()
    for other in [number for number in _within if number != me]:
        del _within[other]
    if _keeper is not None and _keeper.owner != me:
        # Whoever set the limit is not in the child, so it may be taken away here.
        with _keeper.limit:
            pass
        _keeper = _Keeper() if _within else None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

__all__ = ["serial_blas"]
