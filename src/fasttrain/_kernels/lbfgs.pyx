"""L-BFGS (Liu and Nocedal, 1989) with the line search of More and Thuente (1994).

Step for step what L-BFGS-B of Zhu, Byrd, Lu and Nocedal (1997) does where at most one unknown is bounded, from below:
memory, first step, accepted steps, when the memory is let go and when it ends. So its iterates are those of SciPy's
minimizer to rounding, and as many.
"""

import numpy as np

from cython.parallel cimport prange
from libc.math cimport NAN, fabs, fmax, fmin, isfinite, sqrt
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fasttrain._kernels.linear cimport LinearSums
from fasttrain._kernels.primitives cimport axpy, dot, max_abs
from fasttrain._kernels.threads cimport threads_for_work

from fasttrain._kernels.coordinate import Stopped

# Why a fit ended, by the number that minimize_fits gives.
REASONS = ("", "gradient", "value", "iterations", "evaluations", "abnormal", "not_finite")

cdef enum:
    MAX_TRIES = 50          # evaluations of one line search

cdef double EPSILON = 2.220446049250313e-16
# Of the line search: sufficient decrease, curvature, relative width of the interval, longest step.
cdef double DECREASE = 1e-3
cdef double CURVATURE = 0.9
cdef double NARROW = 0.1
cdef double LONGEST = 1e10
cdef double WORK_PER_THREAD = 4e5


# ---- the line search ----

cdef double safeguarded(line_search* s, double step, double f, double g, double low, double high) noexcept nogil:
    """Next step of the interval [stx, sty] after a trial; updates the interval. Section 4 of More and Thuente."""
    cdef double sign = g * (s.gx / fabs(s.gx)), theta, size, gamma, p, q, r, cubic, quadratic, found
    if f > s.fx:
        # case 1: a higher value brackets a minimum
        theta = 3.0 * (s.fx - f) / (step - s.stx) + s.gx + g
        size = fmax(fabs(theta), fmax(fabs(s.gx), fabs(g)))
        gamma = size * sqrt((theta / size) * (theta / size) - (s.gx / size) * (g / size))
        if step < s.stx:
            gamma = -gamma
        p = (gamma - s.gx) + theta
        q = ((gamma - s.gx) + gamma) + g
        r = p / q
        cubic = s.stx + r * (step - s.stx)
        quadratic = s.stx + ((s.gx / ((s.fx - f) / (step - s.stx) + s.gx)) / 2.0) * (step - s.stx)
        if fabs(cubic - s.stx) < fabs(quadratic - s.stx):
            found = cubic
        else:
            found = cubic + (quadratic - cubic) / 2.0
        s.bracketed = True
    elif sign < 0.0:
        # case 2: slopes of opposite sign bracket one
        theta = 3.0 * (s.fx - f) / (step - s.stx) + s.gx + g
        size = fmax(fabs(theta), fmax(fabs(s.gx), fabs(g)))
        gamma = size * sqrt((theta / size) * (theta / size) - (s.gx / size) * (g / size))
        if step > s.stx:
            gamma = -gamma
        p = (gamma - g) + theta
        q = ((gamma - g) + gamma) + s.gx
        r = p / q
        cubic = step + r * (s.stx - step)
        quadratic = step + (g / (g - s.gx)) * (s.stx - step)
        found = cubic if fabs(cubic - step) > fabs(quadratic - step) else quadratic
        s.bracketed = True
    elif fabs(g) < fabs(s.gx):
        # case 3: the slope becomes flatter; the cubic may tend to infinity, or turn beyond the trial
        theta = 3.0 * (s.fx - f) / (step - s.stx) + s.gx + g
        size = fmax(fabs(theta), fmax(fabs(s.gx), fabs(g)))
        gamma = size * sqrt(fmax(0.0, (theta / size) * (theta / size) - (s.gx / size) * (g / size)))
        if step > s.stx:
            gamma = -gamma
        p = (gamma - g) + theta
        q = (gamma + (s.gx - g)) + gamma
        r = p / q
        if r < 0.0 and gamma != 0.0:
            cubic = step + r * (s.stx - step)
        elif step > s.stx:
            cubic = high
        else:
            cubic = low
        quadratic = step + (g / (g - s.gx)) * (s.stx - step)
        if s.bracketed:
            found = cubic if fabs(cubic - step) < fabs(quadratic - step) else quadratic
            if step > s.stx:
                found = fmin(step + 0.66 * (s.sty - step), found)
            else:
                found = fmax(step + 0.66 * (s.sty - step), found)
        else:
            found = cubic if fabs(cubic - step) > fabs(quadratic - step) else quadratic
            found = fmax(low, fmin(high, found))
    else:
        # case 4: as steep as before
        if s.bracketed:
            theta = 3.0 * (f - s.fy) / (s.sty - step) + s.gy + g
            size = fmax(fabs(theta), fmax(fabs(s.gy), fabs(g)))
            gamma = size * sqrt((theta / size) * (theta / size) - (s.gy / size) * (g / size))
            if step > s.sty:
                gamma = -gamma
            p = (gamma - g) + theta
            q = ((gamma - g) + gamma) + s.gy
            r = p / q
            found = step + r * (s.sty - step)
        elif step > s.stx:
            found = high
        else:
            found = low
    if f > s.fx:
        s.sty, s.fy, s.gy = step, f, g
    else:
        if sign < 0.0:
            s.sty, s.fy, s.gy = s.stx, s.fx, s.gx
        s.stx, s.fx, s.gx = step, f, g
    return found


cdef void search_begin(line_search* s, double f, double g, double step, double longest) noexcept nogil:
    s.bracketed = False
    s.stage = 1
    s.f0, s.g0 = f, g
    s.longest = longest
    s.width, s.width1 = longest, 2.0 * longest
    s.stx, s.fx, s.gx = 0.0, f, g
    s.sty, s.fy, s.gy = 0.0, f, g
    s.low, s.high = 0.0, step + 4.0 * step


cdef bint search_next(line_search* s, double* step, double f, double g) noexcept nogil:
    """Takes value and slope at a step; True when the step is accepted, else ``step`` is the next to try."""
    cdef double wanted = DECREASE * s.g0, limit = s.f0 + step[0] * wanted, f_psi
    if s.stage == 1 and f <= limit and g >= 0.0:
        s.stage = 2
    # it also ends where it can get no further: at the ends, or where the interval is no wider than rounding
    if s.bracketed and (step[0] <= s.low or step[0] >= s.high):
        return True
    if s.bracketed and s.high - s.low <= NARROW * s.high:
        return True
    if step[0] == s.longest and f <= limit and g <= wanted:
        return True
    if step[0] == 0.0 and (f > limit or g >= wanted):
        return True
    if f <= limit and fabs(g) <= CURVATURE * -s.g0:
        return True
    if s.stage == 1 and f <= s.fx and f > limit:
        # the function less its line of sufficient decrease, until that has a minimum in the interval
        f_psi = f - step[0] * wanted
        s.fx -= s.stx * wanted
        s.fy -= s.sty * wanted
        s.gx -= wanted
        s.gy -= wanted
        limit = step[0]
        step[0] = safeguarded(s, limit, f_psi, g - wanted, s.low, s.high)
        s.fx += s.stx * wanted
        s.fy += s.sty * wanted
        s.gx += wanted
        s.gy += wanted
    else:
        limit = step[0]
        step[0] = safeguarded(s, limit, f, g, s.low, s.high)
    if s.bracketed:
        if fabs(s.sty - s.stx) >= 0.66 * s.width1:
            step[0] = s.stx + 0.5 * (s.sty - s.stx)
        s.width1 = s.width
        s.width = fabs(s.sty - s.stx)
        s.low, s.high = fmin(s.stx, s.sty), fmax(s.stx, s.sty)
    else:
        s.low = step[0] + 1.1 * (step[0] - s.stx)
        s.high = step[0] + 4.0 * (step[0] - s.stx)
    step[0] = fmax(0.0, fmin(s.longest, step[0]))
    if s.bracketed and (step[0] <= s.low or step[0] >= s.high or s.high - s.low <= NARROW * s.high):
        step[0] = s.stx
    return False


# ---- the minimizer ----

cdef Py_ssize_t lbfgs_room(Py_ssize_t n) noexcept nogil:
    """Doubles that a state of n unknowns needs."""
    return (5 + 2 * LBFGS_MEMORY) * n


cdef void lbfgs_init(lbfgs_state* s, Py_ssize_t n, double* room) noexcept nogil:
    """Shares out the room of a state that is zero; tolerances and limits are the caller's to set."""
    s.n = n
    s.x = room
    s.gradient = room + n
    s.x_before = room + 2 * n
    s.gradient_before = room + 3 * n
    s.direction = room + 4 * n
    s.steps = room + 5 * n
    s.changes = s.steps + LBFGS_MEMORY * n
    s.bounded = -1
    s.max_line_search = MAX_TRIES
    s.max_evaluations = 15000


cdef void lbfgs_start(lbfgs_state* s) noexcept nogil:
    """Begins at ``s.x``, where the objective is to be evaluated first."""
    s.head = s.count = s.tries = 0
    s.scale = 1.0
    s.searching = False
    s.n_iter = s.n_evaluations = 0
    s.task = LBFGS_EVALUATE


cdef void times_inverse(const lbfgs_state* s, double* v) noexcept nogil:
    """v becomes H v, with the inverse H of the model's Hessian, by the two-loop recursion (Nocedal, 1980)."""
    cdef double weight[LBFGS_MEMORY]
    cdef Py_ssize_t n = s.n, i
    cdef int j, at
    cdef double back
    for j in range(s.count):
        at = (s.head + LBFGS_MEMORY - 1 - j) % LBFGS_MEMORY
        weight[at] = dot(<const double*> s.steps + at * n, <const double*> v, n) / s.curvature[at]
        axpy(-weight[at], <const double*> s.changes + at * n, v, n)
    if s.count:
        for i in range(n):
            v[i] *= s.scale
    for j in range(s.count):
        at = (s.head + LBFGS_MEMORY - s.count + j) % LBFGS_MEMORY
        back = dot(<const double*> s.changes + at * n, <const double*> v, n) / s.curvature[at]
        axpy(weight[at] - back, <const double*> s.steps + at * n, v, n)


cdef double bent_along_gradient(const lbfgs_state* s) noexcept nogil:
    """g^T B g of the gradient g and the model's Hessian B; NaN where rounding has left B without a factor.

    The compact form of Byrd, Nocedal and Schnabel (1994), with the steps S, what they changed of the gradient Y, and
    L and D the part of S^T Y below its diagonal and that:

        B = theta I - W M W^T,    W = [Y, theta S],    M^-1 = [[-D, L^T], [L, theta S^T S]]
    """
    cdef double t[LBFGS_MEMORY][LBFGS_MEMORY]
    cdef double by_change[LBFGS_MEMORY]
    cdef double by_step[LBFGS_MEMORY]
    cdef double low[LBFGS_MEMORY]
    cdef double total, theta = 1.0 / s.scale, found = theta * dot(
        <const double*> s.gradient, <const double*> s.gradient, s.n)
    cdef int i, j, k, a, b, count = s.count, oldest = s.head + LBFGS_MEMORY - s.count
    for i in range(count):
        a = (oldest + i) % LBFGS_MEMORY
        by_change[i] = dot(<const double*> s.changes + a * s.n, <const double*> s.gradient, s.n)
        by_step[i] = theta * dot(<const double*> s.steps + a * s.n, <const double*> s.gradient, s.n)
    # the Schur complement T = theta S^T S + L D^-1 L^T, its right-hand side p2 + L D^-1 p1, and a Cholesky factor in T
    for i in range(count):
        a = (oldest + i) % LBFGS_MEMORY
        low[i] = by_step[i]
        for k in range(i):
            b = (oldest + k) % LBFGS_MEMORY
            low[i] += s.steps_changes[a][b] / s.curvature[b] * by_change[k]
        for j in range(i + 1):
            b = (oldest + j) % LBFGS_MEMORY
            total = theta * s.steps_steps[a][b]
            for k in range(j):
                total += s.steps_changes[a][(oldest + k) % LBFGS_MEMORY] * s.steps_changes[b][
                    (oldest + k) % LBFGS_MEMORY] / s.curvature[(oldest + k) % LBFGS_MEMORY]
            for k in range(j):
                total -= t[i][k] * t[j][k]
            if i > j:
                t[i][j] = total / t[j][j]
            elif total > 0.0:
                t[i][i] = sqrt(total)
            else:
                return NAN
    # p^T M p = |C^-1 (p2 + L D^-1 p1)|^2 - p1^T D^-1 p1, with T = C C^T
    for i in range(count):
        for k in range(i):
            low[i] -= t[i][k] * low[k]
        low[i] /= t[i][i]
        found += by_change[i] * by_change[i] / s.curvature[(oldest + i) % LBFGS_MEMORY] - low[i] * low[i]
    return found


cdef bint keep_bound(lbfgs_state* s) noexcept nogil:
    """The direction with one unknown bounded, from that without; False where the memory is of no use. x is overwritten.

    The unknown stays on its bound where the minimum of the model down the gradient, within the bound, is there (the
    Cauchy point), and the others go to the model's minimum given that. Else all go to its minimum, which is cut off at
    the bound for the one; where that does not lead down, as far from the Cauchy point to it as the bound allows.
    """
    cdef Py_ssize_t b = s.bounded, i
    cdef double room = s.lower - s.x_before[b], slope = s.gradient[b], reach = 0.0, squares, bent, share
    cdef bint fixed = slope >= 0.0 and room >= 0.0
    if not fixed and (slope > 0.0 or s.direction[b] <= room):
        squares = bent = dot(<const double*> s.gradient, <const double*> s.gradient, s.n)
        if s.count:
            bent = bent_along_gradient(s)
        if not bent > 0.0:
            return False
        reach = squares / bent
        fixed = reach * slope >= -room
    if fixed:
        for i in range(s.n):
            s.x[i] = 0.0
        s.x[b] = 1.0
        times_inverse(s, s.x)
        axpy((room - s.direction[b]) / s.x[b], <const double*> s.x, s.direction, s.n)
        s.direction[b] = room
    elif s.direction[b] <= room:
        squares = dot(<const double*> s.gradient, <const double*> s.direction, s.n)
        if squares + slope * (room - s.direction[b]) > 0.0:
            share = fmin(1.0, (room + reach * slope) / (s.direction[b] + reach * slope))
            for i in range(s.n):
                s.direction[i] = share * s.direction[i] - (1.0 - share) * reach * s.gradient[i]
        s.direction[b] = room
    return True


cdef void forget(lbfgs_state* s) noexcept nogil:
    s.count = 0
    s.head = 0
    s.scale = 1.0


cdef void remember(lbfgs_state* s) noexcept nogil:
    """The step just made and what it changed of the gradient, where the curvature along it is positive."""
    cdef Py_ssize_t n = s.n, i
    cdef double* change = s.changes + s.head * n
    cdef double* moved = s.steps + s.head * n
    cdef int j, at
    cdef double curvature = (s.slope - s.slope_before) * s.step
    if curvature <= EPSILON * (-s.slope_before * s.step):
        return
    for i in range(n):
        change[i] = s.gradient[i] - s.gradient_before[i]
        moved[i] = s.step * s.direction[i]
    s.curvature[s.head] = curvature
    s.scale = curvature / dot(<const double*> change, <const double*> change, n)
    if s.bounded >= 0:
        s.steps_steps[s.head][s.head] = dot(<const double*> moved, <const double*> moved, n)
        for j in range(min(s.count, LBFGS_MEMORY - 1)):
            at = (s.head + LBFGS_MEMORY - 1 - j) % LBFGS_MEMORY
            s.steps_steps[s.head][at] = dot(<const double*> moved, <const double*> s.steps + at * n, n)
            s.steps_changes[s.head][at] = dot(<const double*> moved, <const double*> s.changes + at * n, n)
    s.head = (s.head + 1) % LBFGS_MEMORY
    s.count = min(s.count + 1, <int> LBFGS_MEMORY)


cdef void try_step(lbfgs_state* s) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(s.n):
        s.x[i] = s.x_before[i] + s.step * s.direction[i]
    i = s.bounded
    if i >= 0 and s.step * s.direction[i] <= s.lower - s.x_before[i]:
        s.x[i] = s.lower
    s.tries += 1


cdef bint begin_search(lbfgs_state* s) noexcept nogil:
    """Direction and first step; False where the direction does not lead down."""
    cdef double norm, longest = LONGEST
    cdef Py_ssize_t i
    for i in range(s.n):
        s.direction[i] = -s.gradient[i]
    times_inverse(s, s.direction)
    memcpy(s.x_before, s.x, s.n * sizeof(double))
    memcpy(s.gradient_before, s.gradient, s.n * sizeof(double))
    s.value_before = s.value
    s.tries = 0
    i = s.bounded
    if i >= 0:
        if not keep_bound(s):
            return False
        if s.n_iter == 0:
            longest = 1.0
        elif s.direction[i] < 0.0:
            longest = fmin(LONGEST, (s.lower - s.x_before[i]) / s.direction[i])
    s.slope = dot(<const double*> s.gradient, <const double*> s.direction, s.n)
    s.slope_before = s.slope
    if not s.slope < 0.0:
        return False
    s.step = 1.0
    if s.n_iter == 0:
        norm = sqrt(dot(<const double*> s.direction, <const double*> s.direction, s.n))
        s.step = fmin(1.0 / norm, longest)
    search_begin(&s.search, s.value, s.slope, s.step, longest)
    s.searching = True
    try_step(s)
    return True


cdef double largest_slope(lbfgs_state* s) noexcept nogil:
    """The largest element of the gradient, of the bounded unknown no more than may be gone."""
    cdef double found, slope
    if s.bounded < 0:
        return max_abs(<const double*> s.gradient, s.n)
    slope = s.gradient[s.bounded]
    if slope > 0.0:
        s.gradient[s.bounded] = fmin(slope, s.x[s.bounded] - s.lower)
    found = max_abs(<const double*> s.gradient, s.n)
    s.gradient[s.bounded] = slope
    return found


cdef int lbfgs_advance(lbfgs_state* s) noexcept nogil:
    """Goes on from value and gradient at ``s.x``; what is wanted then, or why it has ended, is ``s.task`` too."""
    cdef bint failed = False
    s.n_evaluations += 1
    if not s.searching:
        if not isfinite(s.value):
            s.task = LBFGS_NOT_FINITE
            return s.task
        if largest_slope(s) <= s.gtol:
            s.task = LBFGS_GRADIENT
            return s.task
        failed = not begin_search(s)
    else:
        s.slope = dot(<const double*> s.gradient, <const double*> s.direction, s.n)
        if search_next(&s.search, &s.step, s.value, s.slope):
            s.n_iter += 1
            if not isfinite(s.value):
                s.task = LBFGS_NOT_FINITE
                return s.task
            if s.n_iter >= s.max_iter:
                s.task = LBFGS_ITERATIONS
                return s.task
            if s.n_evaluations > s.max_evaluations:
                s.task = LBFGS_EVALUATIONS
                return s.task
            if largest_slope(s) <= s.gtol:
                s.task = LBFGS_GRADIENT
                return s.task
            if s.value_before - s.value <= s.ftol * fmax(fmax(fabs(s.value_before), fabs(s.value)), 1.0):
                s.task = LBFGS_VALUE
                return s.task
            remember(s)
            failed = not begin_search(s)
        elif s.tries >= s.max_line_search:
            failed = True
        else:
            try_step(s)
    while failed:
        memcpy(s.x, s.x_before, s.n * sizeof(double))
        memcpy(s.gradient, s.gradient_before, s.n * sizeof(double))
        s.value = s.value_before
        if s.count == 0:
            s.task = LBFGS_ABNORMAL
            return s.task
        forget(s)
        failed = not begin_search(s)
    s.task = LBFGS_EVALUATE
    return s.task


# ---- many fits at once ----

cdef void penalize(lbfgs_state* s, double scale, double l2, Py_ssize_t n_outputs, Py_ssize_t k,
                   Py_ssize_t k1) noexcept nogil:
    """From sums to the objective scale * sum + l2 / 2 * |coef|^2."""
    cdef Py_ssize_t c
    cdef Py_ssize_t i
    for i in range(s.n):
        s.gradient[i] *= scale
    s.value *= scale
    for c in range(n_outputs):
        s.value += 0.5 * l2 * dot(<const double*> s.x + c * k1, <const double*> s.x + c * k1, k)
        axpy(l2, <const double*> s.x + c * k1, s.gradient + c * k1, k)


cdef void advance_all(lbfgs_state** states, const double* values, const Py_ssize_t* jobs, const double* scale,
                      const double* l2, Py_ssize_t n_path, const Py_ssize_t* at, Py_ssize_t n_active,
                      Py_ssize_t n_outputs, Py_ssize_t k, Py_ssize_t k1, int n_threads) noexcept nogil:
    cdef Py_ssize_t j
    n_threads = threads_for_work(n_threads, 60.0 * n_active * n_outputs * k1, WORK_PER_THREAD)
    if n_threads == 1:
        for j in range(n_active):
            states[jobs[j]].value = values[j]
            penalize(states[jobs[j]], scale[jobs[j]], l2[jobs[j] * n_path + at[jobs[j]]], n_outputs, k, k1)
            lbfgs_advance(states[jobs[j]])
        return
    for j in prange(n_active, num_threads=n_threads, schedule="static"):
        states[jobs[j]].value = values[j]
        penalize(states[jobs[j]], scale[jobs[j]], l2[jobs[j] * n_path + at[jobs[j]]], n_outputs, k, k1)
        lbfgs_advance(states[jobs[j]])


def minimize_fits(LinearSums sums, const Py_ssize_t[::1] fits, const double[:, ::1] start, const double[::1] scale,
                  const double[:, ::1] l2, double gtol, double ftol, Py_ssize_t max_iter, double[:, :, ::1] x_out,
                  double[:, ::1] values_out, double[:, ::1] gradients_out, Py_ssize_t[:, ::1] n_iter_out,
                  Py_ssize_t[:, ::1] reasons_out, int n_threads, stop=None):
    """Minimize many penalized sums, all evaluated over one reading of X; those that have ended leave.

    Job j minimizes, of its fit, scale_j * (sum of losses) + l2 / 2 * |coefficients|^2 for one l2 of its row after the
    other, each begun where the one before it ended. Intercepts are not penalized.

    Parameters
    ----------
    sums : LinearSums
    fits : intp array of shape (n_jobs,)
        Each job's fit; several jobs may have the same.
    start : float64 array of shape (n_jobs, sums.size)
    scale : float64 array of shape (n_jobs,)
    l2 : float64 array of shape (n_jobs, n_path)
    gtol, ftol, max_iter
        Largest element of a gradient at rest; of the objective, the relative decrease from which it counts as moving.
    x_out : float64 array of shape (n_jobs, n_path, sums.size)
    values_out, gradients_out : float64 arrays of shape (n_jobs, n_path)
        The objective and the largest element of its gradient.
    n_iter_out, reasons_out : intp arrays of shape (n_jobs, n_path)
        Iterations, and the place in REASONS of why they ended.
    stop : fasttrain._kernels.coordinate.Stop, optional
        Looked at before each evaluation, for fits on threads that Ctrl-C does not come to.

    Raises
    ------
    Stopped
        When ``stop`` was set.
    """
    cdef Py_ssize_t n_jobs = fits.shape[0], n_path = l2.shape[1], size = sums.size, n_active = n_jobs, left, j, job
    cdef Py_ssize_t n_outputs = sums.task.n_outputs, k = sums.task.k, k1 = sums.task.k + sums.task.has_bias
    cdef Py_ssize_t room = lbfgs_room(size)
    cdef double[:, ::1] rooms
    cdef double[::1] values = np.empty(max(1, n_jobs))
    cdef Py_ssize_t[::1] active = np.arange(n_jobs, dtype=np.intp)
    cdef Py_ssize_t[::1] active_fits = np.array(fits, dtype=np.intp)
    cdef Py_ssize_t[::1] at = np.zeros(n_jobs, dtype=np.intp)
    cdef lbfgs_state* states = <lbfgs_state*> calloc(max(<Py_ssize_t> 1, n_jobs), sizeof(lbfgs_state))
    cdef lbfgs_state** by_job = <lbfgs_state**> calloc(max(<Py_ssize_t> 1, n_jobs), sizeof(void*))
    cdef const double** x = <const double**> calloc(max(<Py_ssize_t> 1, n_jobs), sizeof(void*))
    cdef double** gradients = <double**> calloc(max(<Py_ssize_t> 1, n_jobs), sizeof(void*))
    cdef lbfgs_state* s
    try:
        if states == NULL or by_job == NULL or x == NULL or gradients == NULL:
            raise MemoryError(f"no memory for {n_jobs} fits")
        rooms = np.empty((n_jobs, room))
        for job in range(n_jobs):
            s = &states[job]
            by_job[job] = s
            lbfgs_init(s, size, &rooms[job, 0])
            s.gtol, s.ftol, s.max_iter = gtol, ftol, max_iter
            memcpy(s.x, &start[job, 0], size * sizeof(double))
            lbfgs_start(s)
        while n_active:
            if stop is not None and stop.is_set():
                raise Stopped
            for j in range(n_active):
                x[j] = states[active[j]].x
                gradients[j] = states[active[j]].gradient
            sums.evaluate_fits(x, &active_fits[0], n_active, &values[0], gradients, n_threads)
            with nogil:
                advance_all(by_job, &values[0], &active[0], &scale[0], &l2[0, 0], n_path, &at[0], n_active, n_outputs,
                            k, k1, n_threads)
            left = 0
            for j in range(n_active):
                job = active[j]
                s = &states[job]
                if s.task != LBFGS_EVALUATE:
                    memcpy(&x_out[job, at[job], 0], s.x, size * sizeof(double))
                    values_out[job, at[job]] = s.value
                    gradients_out[job, at[job]] = max_abs(<const double*> s.gradient, size)
                    n_iter_out[job, at[job]] = s.n_iter
                    reasons_out[job, at[job]] = s.task
                    at[job] += 1
                    if at[job] == n_path:
                        continue
                    lbfgs_start(s)
                active[left] = job
                active_fits[left] = fits[job]
                left += 1
            n_active = left
    finally:
        free(states)
        free(by_job)
        free(x)
        free(gradients)
