"""Full-batch steps of a linear model on few rows, which are copied once so that a row has a lane."""

from fasttrain._kernels.passes cimport fit_task
from fasttrain._kernels.types cimport real

# Rows lie in panels of as many as a vector has lanes: panel after panel, feature after feature, a vector each. The last
# panel is filled up with rows of zeros, whose weight is 0. Targets lie alike, a vector for each column of y.
cdef bint suits_lanes(const fit_task* task) noexcept nogil
cdef Py_ssize_t lane_panels(const fit_task* task, const real* like) noexcept nogil
cdef Py_ssize_t lane_room(const fit_task* task, const real* like) noexcept nogil
cdef void fill_lanes(const fit_task* task, const void** rows, real* x_out, real* y_out, real* weight_out,
                     const real* like) noexcept nogil
cdef void chunk_by_lanes(fit_task* task, Py_ssize_t chunk, int thread, const real* like) noexcept nogil
