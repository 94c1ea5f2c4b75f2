"""Cells of text, and their words, at hashed places."""

from libc.math cimport sqrt
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memset

from fasttrain._kernels.signals cimport LOOK_EVERY, PyErr_CheckSignals, raise_signalled, signalled
from fasttrain._kernels.text cimport hashed, is_letter, lower
from fasttrain._kernels.types cimport STATUS_NO_MEMORY, STATUS_OK


cdef inline bint in_word(uint8_t c) noexcept nogil:
    """Letters and digits of ASCII, and every byte of a character beyond it."""
    return c >= 0x80 or 48 <= c <= 57 or is_letter(c)


cdef int ascending(const void* a, const void* b) noexcept nogil:
    return ((<const int32_t*> a)[0] > (<const int32_t*> b)[0]) - ((<const int32_t*> a)[0] < (<const int32_t*> b)[0])


cdef Py_ssize_t words_of(
    const uint8_t* p, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t n_places, int32_t* count, int32_t* places,
) noexcept nogil:
    """How many places the words of a cell take; ``count`` of these is above 0, ``places`` lists them."""
    cdef Py_ssize_t i = start, n = 0, place
    cdef uint64_t h
    while i < stop:
        while i < stop and not in_word(p[i]):
            i += 1
        if i >= stop:
            break
        h = 0xCBF29CE484222325ULL
        while i < stop and in_word(p[i]):
            h = (h ^ lower(p[i])) * 0x100000001B3ULL
            i += 1
        h = (h ^ (h >> 32)) * 0x9E3779B97F4A7C15ULL
        place = <Py_ssize_t> ((h >> 16) % <uint64_t> n_places)
        if count[place] == 0:
            places[n] = <int32_t> place
            n += 1
        if count[place] < 0x7FFFFFFF:
            count[place] += 1
    return n


def hash_words(const uint8_t[::1] data, const int64_t[::1] stops, Py_ssize_t n_places, int64_t[::1] indptr_out,
               int32_t[::1] indices_out, double[::1] values_out):
    """Words of each cell counted at one of ``n_places`` places, the counts of a cell divided by their Euclidean norm,
    as compressed sparse rows. Where ``indices_out`` is empty only ``indptr_out``, with a place for each cell and one
    more, is filled."""
    cdef Py_ssize_t i, k, n, at = 0, start = 0
    cdef const uint8_t* p = &data[0] if data.shape[0] else NULL
    cdef int32_t* count = <int32_t*> malloc(n_places * sizeof(int32_t))
    cdef int32_t* places = <int32_t*> malloc(n_places * sizeof(int32_t))
    cdef bint fill = indices_out.shape[0] > 0
    cdef double norm
    cdef int status = STATUS_OK if count != NULL and places != NULL else STATUS_NO_MEMORY
    cdef bint interrupted = False
    if status == STATUS_OK:
        with nogil:
            memset(count, 0, n_places * sizeof(int32_t))
            indptr_out[0] = 0
            for i in range(stops.shape[0]):
                if i % LOOK_EVERY == LOOK_EVERY - 1 and signalled():
                    interrupted = True
                    break
                n = words_of(p, start, stops[i], n_places, count, places)
                if fill:
                    qsort(places, n, sizeof(int32_t), ascending)
                    norm = 0
                    for k in range(n):
                        norm += <double> count[places[k]] * count[places[k]]
                    norm = sqrt(norm)
                    for k in range(n):
                        indices_out[at + k] = places[k]
                        values_out[at + k] = count[places[k]] / norm
                for k in range(n):
                    count[places[k]] = 0
                at += n
                indptr_out[i + 1] = at
                start = stops[i]
    free(count)
    free(places)
    if status != STATUS_OK:
        raise MemoryError("a kernel could not allocate its workspace")
    if interrupted:
        raise_signalled()


def hash_cells(const uint8_t[::1] data, const int64_t[::1] stops, Py_ssize_t n_places, int64_t[::1] place_out):
    """The place of each whole cell among ``n_places``."""
    cdef Py_ssize_t i, start = 0
    cdef const uint8_t* p = &data[0] if data.shape[0] else NULL
    cdef Py_ssize_t first, last
    for first in range(0, stops.shape[0], LOOK_EVERY):
        last = min(first + LOOK_EVERY, stops.shape[0])
        with nogil:
            for i in range(first, last):
                place_out[i] = <int64_t> ((hashed(p, start, stops[i], 0) >> 16) % <uint64_t> n_places)
                start = stops[i]
        PyErr_CheckSignals()
