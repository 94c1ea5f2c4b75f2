"""Newton's method for linear models with squared hinge or squared epsilon-insensitive loss and L2, several at once.

The objective of a model, by u = (coef, c) and c the intercept,

    1/2 sum_j p_j u_j^2 + C sum_i s_i max(0, t_i)^2,    t_i = 1 - y_i z_i  or  |y_i - z_i| - epsilon,    z = X coef + c

is quadratic between the points where a row begins or ceases to count, so a few Newton steps with the rows that count
now end at the minimum itself (Keerthi and DeCoste, "A Modified Finite Newton Method for Fast Solution of Large Scale
Linear SVMs", JMLR 6, 2005). From one step to the next few rows change, and only those change the Hessian.
"""

import numpy as np

from libc.math cimport fabs, sqrt
from libc.stdlib cimport calloc, free

from fasttrain._kernels.gram cimport gram_products
from fasttrain._kernels.linear cimport LinearSums
from fasttrain._kernels.primitives cimport FT_LOSS_squared_hinge, axpy, dot
from fasttrain._kernels.signals cimport raise_signalled

from fasttrain._kernels import gram

# Of the line search: which share of the decrease that the slope promises is enough, and how often a step is halved.
cdef double SUFFICIENT = 1e-4
cdef int HALVINGS = 40
cdef double ROUNDING = 16 * 2.220446049250313e-16
# Of the conjugate gradients: the residual at which they end, as a share of the gradient, and their number at most.
cdef double RESIDUAL = 1e-2
cdef Py_ssize_t PRODUCTS = 250


cdef int check(int status) except -1:
    """Raises for a status of the sums of products."""
    if status < 0:
        raise_signalled()
    if status:
        raise MemoryError("no memory for the sums of products")
    return 0


cdef void solve_positive(double* A, double* b_io, Py_ssize_t n) noexcept nogil:
    """A^-1 b by a Cholesky factor, which A's lower half becomes: A is symmetric and positive definite.

    An unknown whose pivot is lost in rounding, as those before it determine its column, becomes 0.
    """
    cdef Py_ssize_t i, j
    cdef double pivot
    for i in range(n):
        for j in range(i):
            A[i * n + j] = A[j * n + j] * (
                A[i * n + j] - dot(<const double*> A + i * n, <const double*> A + j * n, j))
        pivot = A[i * n + i] - dot(<const double*> A + i * n, <const double*> A + i * n, i)
        # the inverse of the factor's diagonal; NaN stays
        A[i * n + i] = 0.0 if pivot <= 0.0 else 1.0 / sqrt(pivot)
    for i in range(n):
        b_io[i] = A[i * n + i] * (b_io[i] - dot(<const double*> A + i * n, <const double*> b_io, i))
    for i in range(n - 1, -1, -1):
        b_io[i] *= A[i * n + i]
        axpy(-b_io[i], <const double*> A + i * n, b_io, i)


cdef class SquaredMargins:
    """The problems of several models over the same rows.

    Parameters
    ----------
    sums : LinearSums
        Of a fit for each model with the loss squared_hinge or squared_epsilon_insensitive, one output, in double.
    csr : tuple or None
        (data, indices, indptr) of a CSR X as :func:`fasttrain._kernels.gram.products_sparse` takes them.
    targets : float64 array of shape (n_models, n)
    weights : float64 array of shape (n_models, n) or (1, n), the weights of all, or None
        s.
    C : float
    penalties : float64 array of shape (size,)
        p, of the coefficients and the intercept where there is one.
    products : tuple (LinearSums, float64 array of shape (n,)) or None
        Sums of half squared errors about 0 with the array as weights, whose gradient is the product with a Hessian:
        steps are then those of conjugate gradients, approximate (Hestenes and Stiefel). None for a Hessian's factor.
    n_threads : int
    """

    def __init__(self, LinearSums sums, csr, const double[:, ::1] targets, const double[:, ::1] weights, double C,
                 const double[::1] penalties, products, int n_threads):
        cdef Py_ssize_t n_models = targets.shape[0], n = targets.shape[1], size = penalties.shape[0]
        cdef Py_ssize_t k1 = sums.task.k + 1
        self.sums, self.csr, self.targets, self.weights, self.C = sums, csr, targets, weights, C
        self.penalties, self.n_threads = penalties, n_threads
        raw = np.empty((n_models, n))
        sums.keep_raw(raw)
        self.raw = raw
        self.values = np.empty(n_models)
        self.gradients, self.steps, self.at, self.found = (np.empty((n_models, size)) for _ in range(4))
        if products is not None:
            self.products, self.product_weights = products
            self.vectors = np.empty((3, size))
            return
        # of each model the rows that count in its Hessian, and that without the penalties
        self.counted, self.is_known = np.zeros((n_models, n), np.uint8), np.zeros(n_models, np.uint8)
        self.known = np.empty((n_models, k1 * k1))
        self.hessian, self.factor = np.empty(k1 * k1), np.empty(size * size)
        self.row_weights, self.rows = np.empty(n), np.empty(n, np.intp)

    cdef int evaluate_at(self, const double[:, ::1] w, const Py_ssize_t* models, Py_ssize_t n_models,
                         double* values_out, double[:, ::1] gradients_out) except -1:
        """Values and gradients of some models at the first rows of w."""
        cdef Py_ssize_t size = self.penalties.shape[0], j, f
        cdef double penalty
        cdef const double** x = <const double**> calloc(2 * n_models, sizeof(void*))
        cdef double** out = <double**> (x + n_models)
        if x == NULL:
            raise MemoryError(f"no memory for {n_models} models")
        try:
            for j in range(n_models):
                x[j] = &w[j, 0]
                out[j] = &gradients_out[j, 0]
            self.sums.evaluate_fits(x, models, n_models, values_out, out, self.n_threads)
        finally:
            free(x)
        for j in range(n_models):
            penalty = 0.0
            for f in range(size):
                penalty += self.penalties[f] * w[j, f] * w[j, f]
                gradients_out[j, f] = self.C * gradients_out[j, f] + self.penalties[f] * w[j, f]
            values_out[j] = self.C * values_out[j] + 0.5 * penalty
        return 0

    cdef double norm(self, const double* gradient) noexcept nogil:
        """Of the gradient by the unknowns times the roots of the penalties, which has them all 1."""
        cdef Py_ssize_t f
        cdef double total = 0.0
        for f in range(self.penalties.shape[0]):
            total += gradient[f] * gradient[f] / self.penalties[f]
        return sqrt(total)

    def begin(self, const double[:, ::1] w):
        """Evaluates all models at ``w``, of shape (n_models, size); the norms of their gradients."""
        cdef Py_ssize_t[::1] models = np.arange(w.shape[0], dtype=np.intp)
        cdef Py_ssize_t k
        self.evaluate_at(w, &models[0], len(models), &self.values[0], self.gradients)
        return np.array([self.norm(&self.gradients[k, 0]) for k in range(len(models))])

    cdef bint counts(self, Py_ssize_t model, Py_ssize_t i) noexcept nogil:
        """Whether a row has a loss at the last evaluation."""
        cdef double y = self.targets[model, i], raw = self.raw[model, i]
        if self.sums.task.loss == FT_LOSS_squared_hinge:
            return y * raw < 1.0
        return fabs(raw - y) > self.sums.task.loss_parameter

    cdef double curvature(self, Py_ssize_t model, Py_ssize_t i) noexcept nogil:
        """Second derivative of the loss of a row that counts."""
        if self.weights is None:
            return 2.0 * self.C
        return 2.0 * self.C * self.weights[model if self.weights.shape[0] > 1 else 0, i]

    cdef int take_hessian(self, Py_ssize_t model) except -1:
        """``known`` of a model: of the rows that count now, by what has changed since the last where that is less."""
        cdef Py_ssize_t n = self.targets.shape[1], k = self.sums.task.k, n_counts = 0, n_rows = 0, i
        cdef bint counts, anew = not self.is_known[model]
        cdef double[:, ::1] products = np.asarray(self.hessian).reshape(k + 1, k + 1)
        cdef int status
        for i in range(n):
            counts = self.counts(model, i)
            n_counts += counts
            n_rows += counts != self.counted[model, i]
        anew = anew or 2 * n_rows >= n_counts
        n_rows = 0
        for i in range(n):
            counts = self.counts(model, i)
            if counts if anew else counts != self.counted[model, i]:
                self.rows[n_rows] = i
                self.row_weights[i] = self.curvature(model, i) if counts else -self.curvature(model, i)
                n_rows += 1
            self.counted[model, i] = counts
        if self.csr is None:
            with nogil:
                status = gram_products(
                    <const double*> self.sums.task.x, <const double*> NULL, &self.row_weights[0], &self.rows[0],
                    <const double*> NULL, <const double*> NULL, n_rows, k, 0, k, 1, 0, &self.hessian[0],
                    self.n_threads)
            check(status)
        else:
            check(gram.products_sparse(
                *self.csr, None, self.row_weights, np.asarray(self.rows)[:n_rows], k, products, self.n_threads))
        for i in range((k + 1) * (k + 1)):
            self.known[model, i] = self.hessian[i] if anew else self.known[model, i] + self.hessian[i]
        self.is_known[model] = True
        return 0

    cdef int find_step(self, Py_ssize_t model, double* step_out) except -1:
        """The Newton step of a model at its last evaluation."""
        cdef Py_ssize_t size = self.penalties.shape[0], k1 = self.sums.task.k + 1, i, j
        if self.products is not None:
            return self.find_step_by_products(model, step_out)
        self.take_hessian(model)
        for i in range(size):
            for j in range(size):
                self.factor[i * size + j] = self.known[model, i * k1 + j]
            self.factor[i * size + i] += self.penalties[i]
            step_out[i] = -self.gradients[model, i]
        with nogil:
            solve_positive(&self.factor[0], step_out, size)
        return 0

    cdef int find_step_by_products(self, Py_ssize_t model, double* step_out) except -1:
        """As :meth:`find_step`, roughly, from products with the Hessian, each from one reading of X."""
        cdef Py_ssize_t size = self.penalties.shape[0], fit = 0, i, f
        cdef double* residual = &self.vectors[0, 0]
        cdef double* direction = &self.vectors[1, 0]
        cdef double* product = &self.vectors[2, 0]
        cdef double squares = 0.0, wanted, value, along, length, before
        for i in range(self.targets.shape[1]):
            self.product_weights[i] = self.curvature(model, i) if self.counts(model, i) else 0.0
        for f in range(size):
            step_out[f] = 0.0
            residual[f] = -self.gradients[model, f]
            direction[f] = residual[f] / self.penalties[f]
            squares += residual[f] * direction[f]
        wanted = RESIDUAL * RESIDUAL * squares
        for _ in range(min(PRODUCTS, 2 * size)):
            if squares <= wanted:
                break
            self.products.evaluate_fits(<const double* const*> &direction, &fit, 1, &value, &product, self.n_threads)
            for f in range(size):
                product[f] += self.penalties[f] * direction[f]
            along = dot(<const double*> direction, <const double*> product, size)
            length = squares / along
            axpy(length, <const double*> direction, step_out, size)
            axpy(-length, <const double*> product, residual, size)
            before, squares = squares, 0.0
            for f in range(size):
                squares += residual[f] * residual[f] / self.penalties[f]
            for f in range(size):
                direction[f] = residual[f] / self.penalties[f] + squares / before * direction[f]
        return 0

    def minimize(self, double[:, ::1] w_io, const double[::1] allowed, Py_ssize_t max_iter,
                 Py_ssize_t[::1] n_iter_io, tell=None):
        """Newton steps from where :meth:`begin` was, until the norm of each model's gradient is at most ``allowed``.

        Parameters
        ----------
        w_io : float64 array of shape (n_models, size)
        allowed : float64 array of shape (n_models,)
        max_iter : int
        n_iter_io : intp array of shape (n_models,)
            Steps of each, which are counted on.
        tell : callable, default=None
            Told of a copy of ``w_io`` after a step of all models that are not at rest; where it is true, that is the
            end.

        Returns
        -------
        bool
            Whether none was ended by ``max_iter``; one where no step leads further down is at rest but for rounding.
        """
        cdef Py_ssize_t n_models = w_io.shape[0], size = w_io.shape[1], n_left, n_todo, n_kept, j, k, f
        cdef Py_ssize_t[::1] left = np.empty(n_models, np.intp), todo = np.empty(n_models, np.intp)
        cdef Py_ssize_t[::1] places = np.empty(n_models, np.intp)
        cdef double[::1] slopes = np.empty(n_models), values = np.empty(n_models)
        cdef unsigned char[::1] at_rest = np.zeros(n_models, np.uint8)
        cdef double share, gain
        cdef bint good, same, converged
        while True:
            n_left, converged = 0, True
            for k in range(n_models):
                if at_rest[k] or not self.norm(&self.gradients[k, 0]) > allowed[k]:
                    continue
                if n_iter_io[k] >= max_iter:
                    converged = False
                    continue
                left[n_left] = k
                n_left += 1
            if not n_left:
                return converged
            for j in range(n_left):
                k = left[j]
                self.find_step(k, &self.steps[j, 0])
                slopes[j] = dot(<const double*> &self.steps[j, 0], <const double*> &self.gradients[k, 0], size)
                at_rest[k] = True
                n_iter_io[k] += 1
                places[j] = j
            n_todo, share = n_left, 1.0
            for _ in range(HALVINGS):
                for j in range(n_todo):
                    todo[j] = k = left[places[j]]
                    for f in range(size):
                        self.at[j, f] = w_io[k, f] + share * self.steps[places[j], f]
                self.evaluate_at(self.at, &todo[0], n_todo, &values[0], self.found)
                n_kept = 0
                for j in range(n_todo):
                    k = todo[j]
                    gain = values[j] - self.values[k]
                    good = gain <= SUFFICIENT * share * slopes[places[j]]
                    # where the values are the same but for rounding, the gradients say which is better
                    same = fabs(gain) <= ROUNDING * fabs(values[j])
                    if same and self.norm(&self.found[j, 0]) < self.norm(&self.gradients[k, 0]):
                        good = True
                    if good:
                        w_io[k] = self.at[j]
                        self.gradients[k] = self.found[j]
                        self.values[k] = values[j]
                        at_rest[k] = False
                    if not good and not same:
                        places[n_kept] = places[j]
                        n_kept += 1
                n_todo = n_kept
                if not n_todo:
                    break
                share /= 2.0
            if tell is not None and tell(np.array(w_io)):
                return True
