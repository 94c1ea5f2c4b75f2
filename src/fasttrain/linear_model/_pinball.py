"""Interior points for linear quantile regression with an l1 penalty, a linear program.

Minimized is ``sum_i c_i rho(y_i - z_i) + lambda sum_j |w_j|``, with ``rho(r) = max(q r, (q - 1) r)`` and z = X w + b
[1]_. The penalty is that of one more row for each coefficient, ``lambda |w_j| = 2 lambda rho_half(0 - w_j)``. As
``rho(r) = max(0, r) - (1 - q) r``, a row has one multiplier 0 <= a <= c, as in ``_interior``, but there is no quadratic
part, and ``Z^T a = Z^T ((1 - q) c)`` is asked of the multipliers [2]_. The minimum is at a corner, where as many rows
as there are unknowns have no error; from the end of the iterations it is solved for.

References
----------
.. [1] Koenker, Bassett. "Regression Quantiles", Econometrica 46.1, 1978.
.. [2] Portnoy, Koenker. "The Gaussian Hare and the Laplacian Tortoise", Statistical Science 12.4, 1997.
"""

import copy

import numpy as np
from scipy import linalg
from sklearn.utils.extmath import safe_sparse_dot

from fasttrain._core.blas import serial_blas
from fasttrain.linear_model._row_sums import weighted_products

# The gap between the problem and its dual at which the iterations end, as a share of the objective.
GAP = 1e-12
# Up to so many times that gap rounding may be what is left.
ROUNDED = 1e4
MAX_STEPS = 200
NEAR = 1e-3
# Of the way to the nearest bound.
STEP = 0.9995
SHORTEST = 1e-10
# What a corner may be worse by, as a share of the objective: it was found from there, and is no worse but for rounding.
WORSE = 1e-9


class Pinball:
    """One problem, and where its iterations stand.

    Parameters
    ----------
    X : array or CSR matrix of shape (n_samples, n_features), float64
    y, c : float64 arrays of shape (n_samples,)
        c above 0.
    quantile : float
    penalty : float
        lambda
    fit_intercept : bool
    n_threads : int
    """

    def __init__(self, X, y, c, quantile, penalty, fit_intercept, n_threads):
        n, k = X.shape
        self._X, self._n_threads, self._k, self._size = X, n_threads, k, k + fit_intercept
        self._n_more = k if penalty else 0
        self._y = np.concatenate([y, np.zeros(self._n_more)])
        self._c = np.concatenate([c, np.full(self._n_more, 2 * penalty)])
        self._floor = self._c * np.concatenate([np.full(n, 1 - quantile), np.full(self._n_more, 0.5)])
        self.a = self._floor.copy()
        # c - a, which would round to 0 where a is near c
        self._b = self._c - self.a
        self._wanted = self._by_rows(self._floor)
        # least squares, with what is left for both slacks
        h = self.a * self._b / self._c
        h /= h.mean()
        self.u = Factor(self._system(h)).solve(self._by_rows(h * self._y))
        self._r = self._y - self._by_columns(self.u)
        away = np.abs(self._r).mean() + 1e-6 * np.abs(self._y).mean()
        away = away if away > 0 else 1.0
        self._t = np.maximum(self._r, 0) + away
        self._s = self._t - self._r

    # Z has the rows (x_i, 1), then one for each penalized coefficient

    def _by_rows(self, v):
        """``Z^T v``"""
        n = self._X.shape[0]
        out = np.empty(self._size)
        out[:self._k] = safe_sparse_dot(self._X.T, v[:n])
        out[:self._n_more] += v[n:]
        if self._size > self._k:
            out[-1] = v[:n].sum()
        return out

    def _by_columns(self, u):
        """``Z u``"""
        raw = safe_sparse_dot(self._X, u[:self._k])
        return np.concatenate([raw + u[-1] if self._size > self._k else raw, u[:self._n_more]])

    def _system(self, h):
        """``Z^T diag(h) Z``"""
        n = self._X.shape[0]
        system = weighted_products(self._X, np.ascontiguousarray(h[:n]), self._n_threads)[:self._size, :self._size]
        at = np.arange(self._n_more)
        system[at, at] += h[n:]
        return system

    def objective(self, r):
        """What is minimized, by ``y - Z u``."""
        return float((self._c * np.maximum(r, 0)).sum()) - float(self._floor @ r)

    def gap(self):
        """(what the problem and its dual differ by, and the multipliers from what is asked of them; the objective)."""
        rest = self._wanted - self._by_rows(self.a)
        left = float((self.a * self._s).sum() + (self._b * self._t).sum()) + abs(float(rest @ self.u))
        return left, self.objective(self._r)

    def step(self):
        """A predictor and a corrector (Mehrotra, SIAM J. Optim. 2.4, 1992); how far along it went, of 1."""
        a, b, s, t = self.a, self._b, self._s, self._t
        d = s / a + t / b
        system = Factor(self._system(1 / d))
        rest = self._wanted - self._by_rows(a)
        # t - s = y - Z u holds from the start but for rounding
        drift = self._r - t + s

        def direction(low, high):
            """To ``a s = low``, ``b t = high``."""
            rho = drift + low / a - s - high / b + t
            du = system.solve(self._by_rows(rho / d) - rest)
            dz = self._by_columns(du)
            da = (rho - dz) / d
            return du, dz, da, (low - s * da) / a - s, (high + t * da) / b - t

        _, _, da, ds, dt = direction(0.0, 0.0)
        by_a, by_s = _reach(a, da, b), _reach(s, ds, t, dt)
        mean = (float((a * s).sum()) + float((b * t).sum())) / (2 * a.size)
        ahead = (float(((a + by_a * da) * (s + by_s * ds)).sum())
                 + float(((b - by_a * da) * (t + by_s * dt)).sum())) / (2 * a.size)
        wanted = mean * (ahead / mean) ** 3
        du, dz, da, ds, dt = direction(wanted - da * ds, wanted + da * dt)
        by_a, by_s = min(1.0, STEP * _reach(a, da, b)), min(1.0, STEP * _reach(s, ds, t, dt))
        self.u = self.u + by_s * du
        self._r = self._r - by_s * dz
        self.a, self._b = a + by_a * da, b - by_a * da
        self._s, self._t = s + by_s * ds, t + by_s * dt
        return max(by_a, by_s)

    def corner(self):
        """Unknowns at the corner that the iterations lead to; None where there is none that is as good."""
        h = np.nan_to_num(1 / (self._s / self.a + self._t / self._b), nan=0.0, posinf=1e300)
        rows = np.argsort(-h, kind="stable")[:min(len(h), 4 * self._size)]
        n = self._X.shape[0]
        table, of_data = np.zeros((len(rows), self._size)), rows < n
        part = self._X[rows[of_data]]
        table[of_data, :self._k] = part if isinstance(part, np.ndarray) else part.toarray()
        table[of_data, self._k:] = 1.0
        table[~of_data, rows[~of_data] - n] = 1.0
        # those that the iterations have nearest to the corner first, as far as they are independent
        weight = np.sqrt(h[rows] / h[rows[0]])
        _, upper, order = linalg.qr((table * weight[:, None]).T, mode="economic", pivoting=True)
        if len(order) < self._size or abs(upper[self._size - 1, self._size - 1]) <= 1e-200:
            return None
        at = order[:self._size]
        try:
            u = np.linalg.solve(table[at], self._y[rows[at]])
        except np.linalg.LinAlgError:
            return None
        # a coefficient whose own row is at the corner is 0, without rounding
        u[rows[at][rows[at] >= n] - n] = 0.0
        best = self.objective(self._r)
        r = self._y - self._by_columns(u)
        return u if np.isfinite(u).all() and self.objective(r) <= best + WORSE * abs(best) else None


class Factor:
    """A positive definite system, in units of its diagonal."""

    def __init__(self, system):
        self._scale = np.sqrt(np.maximum(system.diagonal(), np.finfo(float).tiny))
        self._system = system / self._scale / self._scale[:, None]
        # columns that are the same, or constant beside an intercept, get what is smallest
        self._system.flat[::len(system) + 1] += 1e-14
        self._factor = linalg.cho_factor(self._system, check_finite=False)

    def solve(self, right):
        """``system^-1 right``, refined once."""
        right = right / self._scale
        step = linalg.cho_solve(self._factor, right, check_finite=False)
        step += linalg.cho_solve(self._factor, right - self._system @ step, check_finite=False)
        return step / self._scale


def _reach(value, change, other, other_change=None):
    """How far along a direction two positive arrays stay above 0; at most 1 / STEP."""
    other_change = -change if other_change is None else other_change
    shrinking = max(float((-change / value).max()), float((-other_change / other).max()))
    return 1 / max(shrinking, STEP)


def minimize(X, y, c, quantile, penalty, fit_intercept, n_threads):
    """(unknowns, iterations, whether the gap is small enough) of a problem of :class:`Pinball`."""
    if not y.any():
        return np.zeros(X.shape[1] + fit_intercept), 0, True
    with serial_blas():
        problem = Pinball(X, y, c, quantile, penalty, fit_intercept, n_threads)
        best, best_gap, n_iter = copy.copy(problem), np.inf, 0
        # of an objective that is near 0, that of a model of zeros counts
        least = NEAR * float((c * np.abs(y)).sum())
        while True:
            gap, objective = problem.gap()
            allowed = GAP * max(objective, least)
            # rounding is what ends it where the gap grows again, or no longer comes down near the end
            rounded = not gap < (0.5 if best_gap <= ROUNDED * allowed else 1e3) * best_gap
            if gap < best_gap:
                best, best_gap = copy.copy(problem), gap
            if gap <= allowed or n_iter == MAX_STEPS or rounded:
                break
            n_iter += 1
            try:
                if problem.step() < SHORTEST:
                    break
            except np.linalg.LinAlgError:
                # so near to the corner that the system is singular to rounding
                break
        corner = best.corner()
        return best.u if corner is None else corner, n_iter, best_gap <= ROUNDED * allowed
