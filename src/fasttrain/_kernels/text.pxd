"""What the readers of text share.

A column of text comes as its UTF-8 bytes one cell after the other, and where each cell ends: cell i is
``data[stops[i - 1]:stops[i]]``. Nothing in them decides what a column is: each cell is read in every way that is
allowed, and the Python above chooses one for the column as a whole.
"""

from libc.stdint cimport uint8_t, uint64_t

cdef enum:
    LONGEST_NUMBER = 64     # bytes; longer cells are no numbers and no times


cdef inline uint64_t hashed(const uint8_t* p, Py_ssize_t start, Py_ssize_t stop, uint64_t seed) noexcept nogil:
    """FNV-1a, its bits mixed at the end."""
    cdef uint64_t h = 0xCBF29CE484222325ULL ^ seed
    cdef Py_ssize_t i
    for i in range(start, stop):
        h = (h ^ p[i]) * 0x100000001B3ULL
    h = (h ^ (h >> 32)) * 0x9E3779B97F4A7C15ULL
    return h ^ (h >> 29)


cdef inline uint8_t lower(uint8_t c) noexcept nogil:
    return c + 32 if 65 <= c <= 90 else c


cdef inline bint is_letter(uint8_t c) noexcept nogil:
    return 65 <= c <= 90 or 97 <= c <= 122
