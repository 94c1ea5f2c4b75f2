"""Interior points for linear models with hinge or epsilon-insensitive loss and L2.

Minimized is ``1/2 sum_j p_j u_j^2 + sum_i c_i loss_i(z_i)``, u = (coef, intercept) and z = (X, 1) u. A loss with
corners is a sum of pieces ``max(0, q - sigma z)``: of the hinge one with sigma = y and q = 1, of the
epsilon-insensitive loss two, sigma = 1 and -1 with q = sigma y - epsilon. Each piece of a row has a multiplier
0 <= a <= c in the dual problem

    max sum q a - 1/2 u^T P u,    P u = (X, 1)^T sum sigma a

and slacks s, t >= 0 with t - s = q - sigma z. Newton's method on ``a s = (c - a) t = mu`` with mu towards 0 comes down
to one system of the size of u a step, ``P + (X, 1)^T diag(h) (X, 1)``: a step costs one Hessian and five readings of X
[1]_.

References
----------
.. [1] Ferris, Munson. "Interior-Point Methods for Massive Support Vector Machines", SIAM J. Optim. 13.3, 2002.
   Predictor and corrector: Mehrotra, SIAM J. Optim. 2.4, 1992.
"""

import numpy as np

from fasttrain import losses
from fasttrain._core.blas import serial_blas
from fasttrain.linear_model._row_sums import RowSums, weighted_products

# The gap between the two problems at which a fit ends, as a share of the objective; with tol=1e-4.
GAP = 1e-9
SMALLEST_GAP = 1e-13
# Of the way to the nearest bound.
STEP = 0.99
SHORTEST = 1e-10


def pieces(loss, y):
    """(sigma, q) of the pieces of a loss for targets y, an array of shape (n_pieces, n) each."""
    if isinstance(loss, losses.Hinge):
        return y[np.newaxis], np.ones((1, len(y)))
    return np.stack([np.ones_like(y), -np.ones_like(y)]), np.stack([y - loss.epsilon, -y - loss.epsilon])


class InteriorPoint:
    """One problem, and where its iterations stand.

    Parameters
    ----------
    X : array or CSR matrix, float64
    loss : Hinge of threshold 1 or EpsilonInsensitive
    y : array of shape (n_samples,), float64
    c : array of shape (n_samples,), float64
        Above 0: C times the weight of a row.
    penalties : array of shape (size,)
        p.
    n_threads : int
    """

    def __init__(self, X, loss, y, c, penalties, n_threads):
        self._X, self._penalties, self._n_threads = X, penalties, n_threads
        self._c = c
        self._sigma, self._q = pieces(loss, y)
        self._given = np.zeros((1, len(y)))
        self._sums = RowSums(
            X, losses.HalfSquaredError(), self._given, None, len(penalties) > X.shape[1], n_threads, keep_raw=True)
        self.a = np.broadcast_to(c / 2, self._sigma.shape).copy()
        # c - a, which would round to 0 where a is near c
        self._b = self.a.copy()
        self.u = self._by_rows((self._sigma * self.a).sum(axis=0)) / penalties
        self._z = self._by_columns(self.u)
        beyond = self._q - self._sigma * self._z
        self._t = np.maximum(beyond, 0) + np.abs(beyond).mean() + 1e-3 * np.abs(self._q).mean() + 1e-12
        self._s = self._t - beyond

    def _by_rows(self, d):
        """(X, 1)^T d"""
        self._given[0] = -d
        return self._sums(np.zeros(len(self._penalties)))[1]

    def _by_columns(self, u):
        """(X, 1) u"""
        self._sums(u)
        return self._sums.raw[0].copy()

    def gap(self):
        """(what the problem and its dual differ by, the objective)."""
        squares = 0.5 * float(self._penalties @ self.u**2)
        beyond = np.maximum(self._q - self._sigma * self._z, 0)
        primal = squares + float((self._c * beyond).sum())
        dual = float((self._q * self.a).sum()) - squares
        return primal - dual, primal

    def step(self):
        """A predictor and a corrector; how far along it went, of 1."""
        a, b, s, t = self.a, self._b, self._s, self._t
        d = s / a + t / b
        h = (1 / d).sum(axis=0)
        size = len(self._penalties)
        system = weighted_products(self._X, h, self._n_threads)[:size, :size]
        system.flat[::size + 1] += self._penalties
        rest = self._q - self._sigma * self._z
        # P u and the sum over rows drift apart by rounding
        drift = self._by_rows((self._sigma * a).sum(axis=0)) - self._penalties * self.u

        def direction(low, high):
            """To ``a s = low``, ``b t = high``."""
            rho = rest + low / a - high / b
            du = np.linalg.solve(system, self._by_rows((self._sigma * rho / d).sum(axis=0)) + drift)
            dz = self._by_columns(du)
            da = (rho - self._sigma * dz) / d
            return du, dz, da, (low - s * da) / a - s, (high + t * da) / b - t

        _, _, da, ds, dt = direction(0.0, 0.0)
        longest = _longest(a, da, b, s, ds, t, dt)
        mean = (float((a * s).sum()) + float((b * t).sum())) / (2 * a.size)
        ahead = (float(((a + longest * da) * (s + longest * ds)).sum())
                 + float(((b - longest * da) * (t + longest * dt)).sum())) / (2 * a.size)
        wanted = mean * (ahead / mean) ** 3
        du, dz, da, ds, dt = direction(wanted - da * ds, wanted + da * dt)
        longest = min(1.0, STEP * _longest(a, da, b, s, ds, t, dt))
        self.u = self.u + longest * du
        self._z = self._z + longest * dz
        self.a, self._b = a + longest * da, b - longest * da
        self._s, self._t = s + longest * ds, t + longest * dt
        return longest


def _longest(a, da, b, s, ds, t, dt):
    """How far along a direction all of a, b = c - a, s and t stay above 0; at most 1 / STEP."""
    shrinking = max(float((-da / a).max()), float((da / b).max()), float((-ds / s).max()), float((-dt / t).max()))
    return 1 / max(shrinking, STEP)


def minimize(X, loss, y, c, penalties, tol, max_iter, n_threads, tell=None):
    """(unknowns, iterations, whether the gap is small enough) of a problem of :class:`InteriorPoint`.

    ``tell`` hears of the unknowns after each step; where it is true, that is the end, and good enough.
    """
    allowed = max(GAP * tol / 1e-4, SMALLEST_GAP)
    with serial_blas():
        problem = InteriorPoint(X, loss, y, c, penalties, n_threads)
        best, best_gap, n_iter = problem.u, np.inf, 0
        while True:
            gap, objective = problem.gap()
            if gap < best_gap:
                best, best_gap = problem.u, gap
            # rounding is what ends it where the gap grows again
            if gap <= allowed * abs(objective) or n_iter == max_iter or not gap < 1e3 * best_gap:
                break
            n_iter += 1
            try:
                length = problem.step()
            except np.linalg.LinAlgError:
                # so near to the bounds that the system is singular to rounding
                length = 0.0
            if tell is not None and tell(problem.u.copy()):
                return problem.u, n_iter, True
            if length < SHORTEST:
                break
        return best, n_iter, best_gap <= max(1e4 * allowed, 1e-9) * abs(objective)
