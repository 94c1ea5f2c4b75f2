"""Batch normalization in a training step: the layers one after the other, all threads together at each statistic."""

from fasttrain._kernels.layers cimport group
from fasttrain._kernels.passes cimport buffers, fit_task
from fasttrain._kernels.types cimport real

cdef void normalized_pass(fit_task* task, buffers* at, int thread, int n_threads, Py_ssize_t first, Py_ssize_t last,
                          real* gathered, const real* like) noexcept nogil
cdef void normalization_gradient(fit_task* task, int thread, const group* it, real* g_out) noexcept nogil
