"""L-BFGS on plain structs, by reverse communication: how the objective is evaluated is the caller's."""

cdef enum:
    LBFGS_MEMORY = 10

# What lbfgs_advance says of the point that it leaves.
cdef enum lbfgs_task:
    LBFGS_EVALUATE = 0      # the objective and its gradient are wanted at x
    LBFGS_GRADIENT = 1      # no element of the gradient is above gtol
    LBFGS_VALUE = 2         # the objective no longer moves
    LBFGS_ITERATIONS = 3    # max_iter iterations are done
    LBFGS_EVALUATIONS = 4   # max_evaluations are done
    LBFGS_ABNORMAL = 5      # the line search found no lower point
    LBFGS_NOT_FINITE = 6    # the objective, at the start or at an accepted point


# Where the line search of More and Thuente stands.
cdef struct line_search:
    bint bracketed
    int stage
    double f0
    double g0
    double width
    double width1
    double stx
    double fx
    double gx
    double sty
    double fy
    double gy
    double low
    double high
    double longest


cdef struct lbfgs_state:
    Py_ssize_t n
    double gtol
    double ftol
    Py_ssize_t max_iter
    Py_ssize_t max_evaluations
    int max_line_search
    # vectors of n, the caller's
    double* x
    double* gradient            # of the objective at x, told by the caller
    double value                # told by the caller
    double* x_before
    double* gradient_before
    double* direction
    double* steps               # LBFGS_MEMORY rows of n
    double* changes             # of the gradient, in these steps
    double curvature[LBFGS_MEMORY]
    double scale                # of the direction without memory
    # the unknown that stays at or above ``lower``, -1 for none, and for it products of steps and changes of the memory
    Py_ssize_t bounded
    double lower
    double steps_steps[LBFGS_MEMORY][LBFGS_MEMORY]
    double steps_changes[LBFGS_MEMORY][LBFGS_MEMORY]
    # where it stands
    int head
    int count
    int tries
    double value_before
    double slope                # along the direction, at x
    double slope_before
    double step
    line_search search
    bint searching
    Py_ssize_t n_iter
    Py_ssize_t n_evaluations
    int task

cdef Py_ssize_t lbfgs_room(Py_ssize_t n) noexcept nogil
cdef void lbfgs_init(lbfgs_state* s, Py_ssize_t n, double* room) noexcept nogil
cdef void lbfgs_start(lbfgs_state* s) noexcept nogil
cdef int lbfgs_advance(lbfgs_state* s) noexcept nogil
