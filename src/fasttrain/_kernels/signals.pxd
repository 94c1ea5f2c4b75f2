"""Looks for signals in long calls, so that Ctrl-C is heard within 100 ms.

A call that can take longer is cut into slices of ``SLICE_VALUES`` values, or looks after every ``LOOK_EVERY`` turns of
a serial loop; never in a parallel region.
"""

cdef extern from *:
    """
    /* Whether a signal's handler has raised: its exception is this thread's then. Needs no GIL. */
    static inline int ft_signalled(void)
    {
        PyGILState_STATE state = PyGILState_Ensure();
        int raised = PyErr_CheckSignals();
        PyGILState_Release(state);
        return raised != 0;
    }
    static inline int ft_raise_signalled(void) { return PyErr_Occurred() ? -1 : 0; }
    """
    int signalled "ft_signalled"() noexcept nogil
    int PyErr_CheckSignals() except -1
    # Raises what ``signalled`` found.
    int raise_signalled "ft_raise_signalled"() except -1

cdef enum:
    SLICE_VALUES = 1 << 22
    LOOK_EVERY = 1 << 18
