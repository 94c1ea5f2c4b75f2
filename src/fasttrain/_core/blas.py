"""BLAS on one thread: its sums depend on how many it has, and barriers cost more than they save on short vectors."""

import functools


@functools.cache
def _controller():
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def serial_blas():
    """Context manager: products and decompositions of NumPy and SciPy on one thread, in the whole process."""
    return _controller().limit(limits=1, user_api="blas")


__all__ = ["serial_blas"]
