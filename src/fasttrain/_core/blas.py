"""BLAS on one thread: its sums depend on how many it has, and barriers cost more than they save on short vectors.

For most libraries the limit is the process's: fits in several Python threads share one. The first to come sets it, the
last to leave takes it away, whichever threads these are, and while one is within the number stays 1 for all of them.
threadpoolctl lets another thread change OpenBLAS only when the one that changed it has given that up.
"""

import functools
import os
import threading
from contextlib import contextmanager, nullcontext

# Order of a system, and its numbers with those of the right-hand sides, up to which no BLAS shares it out.
SMALL_ORDER, SMALL_NUMBERS = 16, 1024

_lock = threading.Lock()
# Threads that are within, by their number: how often, and how many threads BLAS had for each of them before.
_within = {}
# How many each library had before the first of them came.
_before = []


@functools.cache
def _libraries():
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


def _is_of_each_thread(library):
    """Whether a thread's limit is its own: MKL's, and that of OpenMP."""
    return library.internal_api == "mkl" or getattr(library, "threading_layer", None) == "openmp"


def _give_up():
    """Let any thread change the libraries' numbers after this one."""
    for library in _libraries():
        getattr(library, "clear_controlling_thread", int)()


def _set(numbers, of_each_thread):
    for library, number in zip(_libraries(), numbers):
        if _is_of_each_thread(library) == of_each_thread:
            library.set_num_threads(number)


def _enter(me):
    depth, before = _within.get(me, (0, None))
    if before is None:
        before = [library.num_threads for library in _libraries()]
        ones = [1] * len(before)
        if not _within:
            _before[:] = before
            _set(ones, of_each_thread=False)
        _set(ones, of_each_thread=True)
    _within[me] = depth + 1, before


def _leave(me):
    depth, before = _within.pop(me)
    if depth > 1:
        _within[me] = depth - 1, before
        return
    _set(before, of_each_thread=True)
    if not _within:
        _set(_before, of_each_thread=False)
    _give_up()


@contextmanager
def serial_blas():
    """Context manager: products and decompositions of NumPy and SciPy on one thread, in the whole process."""
    me = threading.get_ident()
    with _lock:
        _enter(me)
    try:
        yield
    finally:
        with _lock:
            _leave(me)


def serial_blas_for(order, n_targets):
    """:func:`serial_blas` for a square system and its eigenvalues, where that is large enough to be shared out."""
    small = order <= SMALL_ORDER and order * (order + n_targets) <= SMALL_NUMBERS
    return nullcontext() if small else serial_blas()


def _after_fork():
    """Of the threads that were within, a child has at most the one that forked."""
    global _lock
    _lock = threading.Lock()
    me = threading.get_ident()
    others = [number for number in _within if number != me]
    for other in others:
        del _within[other]
    if others and not _within:
        _set(_before, of_each_thread=False)
        _give_up()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

__all__ = ["serial_blas", "serial_blas_for"]
