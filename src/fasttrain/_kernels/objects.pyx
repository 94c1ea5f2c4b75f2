"""The one kernel that touches Python objects: codes of an object array, by a dict and a small cache of addresses.

It holds the GIL throughout. The cache is right because the array keeps its strings alive while the loop runs.
"""

from cpython.buffer cimport PyBUF_STRIDED_RO, PyBuffer_Release, PyObject_GetBuffer
from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stdint cimport int64_t, uintptr_t

from fasttrain._kernels.signals cimport LOOK_EVERY, PyErr_CheckSignals

cdef extern from *:
    """
    #define ft_prefetch(address) __builtin_prefetch(address)
    """
    void ft_prefetch(const void* address) noexcept

cdef enum:
    CACHE_SIZE = 1024
    AHEAD = 12

CODE_NAN = -1
CODE_NONE = -2
CODE_UNKNOWN = -3


cdef bint is_nan(value) except -1:
    """True for float and NumPy scalars that differ from themselves (NaN, NaT)."""
    if isinstance(value, (float, complex)):
        return value != value
    if isinstance(value, (str, bytes, int, tuple)):
        return False
    answer = value != value
    return answer is True or (type(answer).__module__ == "numpy" and bool(answer))


def codes_of_objects(values, dict table, int64_t[:] code_out, bint grow):
    """Codes of Python objects.

    Parameters
    ----------
    values : ndarray of shape (n,), object
        May be read-only, which a typed view of objects may not.
    table : dict
        Value to code; grown in order of first appearance when ``grow`` is true.
    code_out : int64 memoryview of shape (n,)
        CODE_NAN for NaN, CODE_NONE for None, CODE_UNKNOWN for a value that the table lacks and may not take; codes that
        the table itself gives to None or to other missing markers go before these.
    grow : bool

    Returns
    -------
    bool
        Whether any code is CODE_UNKNOWN.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(values, &view, PyBUF_STRIDED_RO)
    try:
        return codes_of_buffer(&view, table, code_out, grow)
    finally:
        PyBuffer_Release(&view)


cdef bint codes_of_buffer(Py_buffer* view, dict table, int64_t[:] code_out, bint grow) except -1:
    cdef Py_ssize_t i, slot, n = view.shape[0], stride = view.strides[0]
    cdef int64_t next_code = 0, code
    cdef bint unknown = False
    cdef PyObject* found
    cdef PyObject* cached_value[CACHE_SIZE]
    cdef int64_t cached_code[CACHE_SIZE]
    cdef const char* ahead
    cdef object value
    for slot in range(CACHE_SIZE):
        cached_value[slot] = NULL
    for known in table.values():
        if known >= next_code:
            next_code = known + 1
    for i in range(n):
        if i % LOOK_EVERY == LOOK_EVERY - 1:
            PyErr_CheckSignals()
        value = <object> (<PyObject**> (<char*> view.buf + i * stride))[0]
        slot = ((<uintptr_t> <PyObject*> value) >> 4) & (CACHE_SIZE - 1)
        if cached_value[slot] == <PyObject*> value:
            code_out[i] = cached_code[slot]
            continue
        if i + AHEAD < n:
            # Where one string is an object of its own, the next ones are too, and lie in other lines.
            ahead = <const char*> (<PyObject**> (<char*> view.buf + (i + AHEAD) * stride))[0]
            ft_prefetch(ahead)
            ft_prefetch(ahead + 64)
        found = PyDict_GetItemWithError(table, value)
        if found != NULL:
            code = <object> found
        elif value is None:
            code = CODE_NONE
        elif is_nan(value):
            code = CODE_NAN
        elif grow:
            code = next_code
            table[value] = code
            next_code += 1
        else:
            code = CODE_UNKNOWN
            unknown = True
        code_out[i] = code
        if PyUnicode_CheckExact(value):
            cached_value[slot] = <PyObject*> value
            cached_code[slot] = code
    return unknown
