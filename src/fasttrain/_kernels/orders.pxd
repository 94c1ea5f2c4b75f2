"""Orders of rows, drawn as NumPy draws them."""

from libc.stdint cimport uint32_t

cdef extern from "orders.h" nogil:
    Py_ssize_t ft_shuffle(uint32_t* key_io, Py_ssize_t position, Py_ssize_t* order_io, Py_ssize_t n) noexcept
