"""Training steps of a dense network on plain structs; fasttrain._kernels.network fills them from Python."""

from fasttrain._kernels.passes cimport fit_task
from fasttrain._kernels.types cimport real

cdef extern from "pace.h" nogil:
    ctypedef struct ft_pace:
        int budget
    void ft_pace_init(ft_pace* pace, int budget) noexcept
    int ft_pace_next(ft_pace* pace, double now, double* until_out) noexcept
    void ft_pace_note(ft_pace* pace, double steps, double seconds, double waits, double now) noexcept
    void ft_pace_note_pass(ft_pace* pace, double work, double seconds, double late, double now) noexcept

cdef enum:
    SCRATCH = 16384         # elements of a thread's workspace: a group's gradient, or the norms of a panel

cdef void fit_for(fit_task* task, ft_pace* pace, double end, double* now_io, const real* like) noexcept nogil
cdef void gradient_threads(fit_task* task, int n_threads, const real* like) noexcept nogil
cdef double finish_gradient(fit_task* task, real* g_out) noexcept nogil
cdef void finish_sums(fit_task* task, double* g_out, double* loss_out, double* weight_out,
                      const real* like) noexcept nogil
cdef double objective_of_sums(fit_task* task, Py_ssize_t rows, double loss, double weight, double* g_io,
                              const real* like) noexcept nogil
cdef void step_of_sums(fit_task* task, double loss, double weight, const double* gradient,
                       const real* like) noexcept nogil
cdef void predict_threads(fit_task* task, const real* x, Py_ssize_t ldx, Py_ssize_t n, real* z_out,
                          int n_threads) noexcept nogil
cdef Py_ssize_t block_rows(const fit_task* task, const real* like) noexcept nogil
cdef Py_ssize_t chunk_count(const fit_task* task, Py_ssize_t rows) noexcept nogil
cdef bint in_two_phases(const fit_task* task, Py_ssize_t batch) noexcept nogil
