"""Orders of rows, drawn as NumPy draws them."""

from libc.stdint cimport uint32_t


def shuffle(Py_ssize_t[::1] order_io, uint32_t[::1] key_io, Py_ssize_t position):
    """Shuffle fewer than 2^32 elements as ``numpy.random.RandomState.shuffle`` does, by the words of its generator.

    ``key_io`` holds the 624 words of an MT19937 generator, of which ``position`` are used up; returns the position
    after the draws.
    """
    with nogil:
        position = ft_shuffle(&key_io[0], position, &order_io[0] if order_io.shape[0] else NULL, order_io.shape[0])
    return position
