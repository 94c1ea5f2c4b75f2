"""A linear model's objective by unknowns in other units than its coefficients.

With the unknowns u and c of an output, and t, m, a, d, s and r as given,

    coef_f = t_f u_f,    intercept = a + d c - sum_f m_f coef_f

    value = L(coef, intercept) / s + sum_f r_f u_f^2 / 2

summed over the outputs, and by the chain rule

    dvalue/du_f = t_f (dL/dcoef_f - m_f dL/dintercept) / s + r_f u_f,    dvalue/dc = d dL/dintercept / s

So columns that are centred and scaled need no scaled copy of X.
"""


cdef class Scaling:
    """The units of one model.

    Unknowns are the u of each output, then the c of each where there is an intercept; coefficients are rows of k for
    each output, the intercept behind them, as :class:`fasttrain._kernels.linear.LinearSums` has them.

    Parameters
    ----------
    factor, ridge : float64 arrays of shape (n_outputs, k)
        t and r.
    centre : float64 array of shape (k,)
        m.
    offset, spread : float64 arrays of shape (n_outputs,)
        a and d.
    divisor : float
        s.
    fit_intercept : bool
        Without it the intercept is 0, and there is no c.
    """

    def __init__(self, const double[:, ::1] factor, const double[:, ::1] ridge, const double[::1] centre,
                 const double[::1] offset, const double[::1] spread, double divisor, bint fit_intercept):
        self.n_outputs, self.n_features = factor.shape[0], factor.shape[1]
        self.factor, self.ridge, self.centre, self.offset, self.spread = factor, ridge, centre, offset, spread
        self.divisor, self.fit_intercept = divisor, fit_intercept

    def coefficients(self, const double[::1] x, double[:, ::1] w_out):
        """The model at unknowns.

        Parameters
        ----------
        x : float64 array of shape (n_outputs * (k + fit_intercept),)
        w_out : float64 array of shape (n_outputs, k + fit_intercept)
        """
        cdef Py_ssize_t k = self.n_features, size = self.n_outputs * k, o, f
        cdef double shift, coef
        with nogil:
            for o in range(self.n_outputs):
                shift = 0.0
                for f in range(k):
                    coef = self.factor[o, f] * x[o * k + f]
                    shift += self.centre[f] * coef
                    w_out[o, f] = coef
                if self.fit_intercept:
                    w_out[o, k] = self.offset[o] + self.spread[o] * x[size + o] - shift

    def value_and_gradient(self, const double[::1] x, double loss, const double[:, ::1] slopes,
                           double[::1] gradient_out):
        """The value (returned) and its gradient by the unknowns, from the loss and its gradient by the coefficients.

        Parameters
        ----------
        x, gradient_out : float64 arrays of shape (n_outputs * (k + fit_intercept),)
        loss : float
        slopes : float64 array of shape (n_outputs, k + fit_intercept)
        """
        cdef Py_ssize_t k = self.n_features, size = self.n_outputs * k, o, f
        cdef double slope = 0.0, u, penalty = 0.0, share = 1.0 / self.divisor
        with nogil:
            for o in range(self.n_outputs):
                if self.fit_intercept:
                    slope = slopes[o, k]
                    gradient_out[size + o] = self.spread[o] * slope * share
                for f in range(k):
                    u = x[o * k + f]
                    penalty += self.ridge[o, f] * u * u
                    gradient_out[o * k + f] = (
                        (slopes[o, f] - self.centre[f] * slope) * self.factor[o, f] * share + self.ridge[o, f] * u)
        return loss * share + 0.5 * penalty
