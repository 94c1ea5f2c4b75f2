"""Predictions of a dense network, and the buffers that rows on their way through it are kept in."""

from fasttrain._kernels.layers cimport sparse_rows
from fasttrain._kernels.layout cimport Layout
from fasttrain._kernels.types cimport real

# Multiply-adds that one more thread must have in a step, some 20 microseconds of them, to be worth its barriers.
cdef double STEP_PER_THREAD

cdef class Predictor(Layout):
    cdef _predict(self, sparse_rows* rows, const real* x, Py_ssize_t ldx, Py_ssize_t n, int n_threads)

cdef tuple point_sparse(sparse_rows* rows_out, const real[::1] data, indices, indptr)
