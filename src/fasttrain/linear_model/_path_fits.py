"""Lasso and elastic net on many folds and penalties: one descent a fold along all penalties that a batch asks for."""

import numpy as np
from sklearn.base import clone
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import validate_data

from fasttrain._estimators.data import plain_weights
from fasttrain._kernels.coordinate import Stop
from fasttrain._kernels.threads import thread_budget
from fasttrain.linear_model import _coordinate as coordinate
from fasttrain.linear_model._elastic_net import FLOATS, adopt, descent_of, intercepts_of
from fasttrain._core.pools import in_threads

_NOTED = ("n_features_in_", "feature_names_in_")


class PathFits:
    """X and y, checked once for all folds, and what was found along each fold's penalties.

    A fit begins where that for the next stronger penalty of its fold ended, so that it is within ``tol`` of what its
    own fit would give, and made of fewer sweeps.

    Parameters
    ----------
    model : Lasso or ElasticNet
        Any of those to be fitted.
    X, y : array-likes
    weights : array of shape (n_samples,) or None
    folds : list of (train, test)
        Row numbers.

    Raises
    ------
    ValueError, TypeError
        Where the data are wrong, or not what this is for: each fit has to see for itself.
    """

    # Whether what a fold's fits come to hangs on that fold alone.
    by_fold = True

    def __init__(self, model, X, y, weights, folds):
        self.lead, self.folds = clone(model), folds
        X, y = validate_data(
            self.lead, X, y, accept_sparse=True, dtype=FLOATS, multi_output=True, y_numeric=True)
        if not isinstance(X, np.ndarray) or y.ndim != 1:
            raise TypeError("paths of folds are of a dense X and one target")
        assert_all_finite(X)
        self.X, self.y = X, y
        self._targets = y.reshape(-1, 1).astype(X.dtype, copy=False)
        self._weights = plain_weights(weights, len(y), X.dtype)
        self._found = {}

    @staticmethod
    def is_able(job):
        """Whether a job's fit can be a point of a path."""
        model = job.model
        if model.warm_start or model.selection != "cyclic" or not isinstance(model.precompute, (bool, np.bool_)):
            return False
        try:
            job.spec("path", type(model)._check_parameters)
        except (ValueError, TypeError):
            return False
        return model.alpha > 0

    @staticmethod
    def data_of(model):
        """What models over the same paths have in common."""
        return bool(model.fit_intercept), float(model.tol), int(model.max_iter), bool(model.positive)

    def is_able_on(self, fold):
        """Whether a fold's rows are enough."""
        train = self.folds[fold][0]
        return len(train) > 0 and (self._weights is None or bool(self._weights[train].any()))

    def prepare(self, fits):
        """Descend along the penalties of all ``fits``, pairs of a model and a fold."""
        wanted = {}
        for model, fold in fits:
            if self.is_able_on(fold):
                wanted.setdefault(fold, {}).setdefault(float(model.l1_ratio), set()).add(float(model.alpha))
        folds, stop = sorted(wanted), Stop()
        descent, centred = descent_of(self.lead), bool(self.lead.fit_intercept)

        def descend(number):
            fold = folds[number]
            train = np.ascontiguousarray(self.folds[fold][0], dtype=np.intp)
            weights = None if self._weights is None else coordinate.rescaled(self._weights[train])
            problem = coordinate.problem_of(
                self.X, self._targets[train], weights, rows=train, centred=centred,
                by_gram=coordinate.prefers_gram(len(train), self.X.shape[1], descent.tol), stop=stop)
            found = {}
            for ratio, alphas in wanted[fold].items():
                alphas = np.sort(list(alphas))[::-1]
                path = coordinate.descend(problem, alphas, ratio, descent, target=0, stop=stop)
                settled = path.gaps * problem.n_samples <= path.bounds
                for i in np.flatnonzero(settled):
                    # of those that have not converged each fit tells itself
                    found[ratio, float(alphas[i])] = path.coefs[i, :, 0].copy(), path.gaps[i], int(path.n_iters[i])
            return problem, found

        with thread_budget() as n_threads:
            self._found = dict(zip(folds, in_threads(descend, len(folds), n_threads, stop)))

    def fit(self, model, fold):
        """Make a model what a fit on a fold's rows makes it; False where that has to be asked."""
        if fold not in self._found:
            return False
        problem, found = self._found[fold]
        point = found.get((float(model.l1_ratio), float(model.alpha)))
        if point is None:
            return False
        coef, gap, n_iter = point
        intercept = intercepts_of(model, problem, coef[None])
        for name in _NOTED:
            if hasattr(self.lead, name):
                setattr(model, name, getattr(self.lead, name))
        adopt(model, coef.copy(), intercept[0] if model.fit_intercept else intercept, {
            "n_iter_": n_iter, "dual_gap_": self.X.dtype.type(gap)})
        return True
