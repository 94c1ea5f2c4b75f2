"""Logistic regressions of a search: candidates and folds are columns of one product, each with its own line search.

With an l1 part in the penalty a fold's candidates are a path over columns that all folds share, weakest C first.
"""

import time
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone
from sklearn.utils import compute_class_weight

from fasttrain._kernels.coordinate import Stop
from fasttrain._core.pools import in_threads
from fasttrain.linear_model._logistic import LogisticRegression
from fasttrain.linear_model._logistic_problem import Minimum, Problem, warn_unless_settled
from fasttrain.linear_model._logistic_sparse import minimize_sparse
from fasttrain.linear_model._proximal import OTHER_TOL
from fasttrain.training.results import DivergenceError

# Bytes that the memories of fits that are trained together take.
MEMORY_BYTES = 1 << 28
# Outputs of fits that are trained together: more have no more use of one reading of X.
MAX_OUTPUTS = 256
# Vectors as long as a fit's unknowns that it works with.
_VECTORS = 30
# A table that a core's cache holds is not read once for several folds, but by each of them alone where they are few:
# its fit is to the byte what the estimator's own is, which on columns of several scales may end elsewhere within tol
# when sums are rounded otherwise. 20 folds and more would take twice the time of one product.
ALONE_BYTES, ALONE_FOLDS = 1 << 20, 16


class LogisticColumns:
    """X and y as the kernel takes them, checked once for all folds.

    Parameters
    ----------
    model : LogisticRegression
        Any of those to be fitted.
    X, y : array-likes
    """

    def __init__(self, model, X, y):
        self.lead = clone(model)
        self.X, self.y, self.classes, self.codes = self.lead._checked(X, y, [np.float64, np.float32])

    @staticmethod
    def is_able(job, n_rows):
        """Whether a job's fit is a column: L-BFGS from zeros, or proximal Newton."""
        model = job.model
        if model.warm_start or model.verbose:
            return False
        try:
            C, l1_ratio = job.spec("strength", lambda model: model._check_parameters(warn=False))
        except (ValueError, TypeError):
            return False
        return model.solver == "saga" and np.isfinite(C) if l1_ratio else model.solver == "lbfgs"

    @staticmethod
    def data_of(model):
        """What models over one look at X and y have in common."""
        return model.solver

    @staticmethod
    def group_of(model):
        """What models in one product have in common."""
        _, l1_ratio = model._check_parameters(warn=False)
        return (
            repr(model.class_weight), bool(model.fit_intercept), float(model.tol), int(model.max_iter), model.solver,
            float(l1_ratio))

    def has_all_classes(self, train):
        """Whether the fold's model has the classes of all rows, which are two at least."""
        return len(self.classes) > 1 and (np.bincount(self.codes[train], minlength=len(self.classes)) > 0).all()

    def target(self, model, sample_weight):
        """The :class:`LogisticTarget` of models of one group; ValueError or TypeError where it is refused."""
        _, l1_ratio = model._check_parameters(warn=False)
        if l1_ratio and len(self.classes) > 2:
            raise ValueError("a path over columns is of two classes")
        weights = self.lead._row_weights(
            sample_weight, self.X, self.y, self.classes, self.codes,
            None if _is_balanced(model) else model.class_weight)
        return LogisticTarget(self, model, weights, float(l1_ratio))


@dataclass(eq=False)
class LogisticTarget:
    """Weights as the kernel takes them, without those of balanced classes, for models of one group."""

    data: LogisticColumns
    lead: LogisticRegression
    weights: np.ndarray | None
    l1_ratio: float

    def _weights_of(self, held):
        """Those of a fold, with its own class weights where these are balanced."""
        if not _is_balanced(self.lead):
            return self.weights
        data, train = self.data, np.ones(len(self.data.codes), dtype=bool)
        train[held] = False
        by_class = compute_class_weight(
            "balanced", classes=data.classes, y=data.y[train],
            sample_weight=None if self.weights is None else self.weights[train]).astype(data.X.dtype)[data.codes]
        return by_class if self.weights is None else self.weights * by_class

    def train(self, jobs, held, n_threads, tell):
        """Train jobs, ``held`` their folds' held-out rows, some at a time; yields (jobs done, seconds that they took).

        A job whose fit went wrong has ended with its error.
        """
        data, lead = self.data, self.lead
        folds = sorted({job.fold for job in jobs})
        if not self.l1_ratio and len(folds) == len(jobs) <= ALONE_FOLDS and _bytes_of(data.X) <= ALONE_BYTES:
            start = time.perf_counter()
            self._train_alone(jobs, held, n_threads)
            yield jobs, time.perf_counter() - start
            tell()
            return
        place = {fold: number for number, fold in enumerate(folds)}
        problem = Problem(
            data.X, data.codes, len(data.classes), lead.fit_intercept,
            [(self._weights_of(held[fold]), held[fold]) for fold in folds], n_threads)
        if self.l1_ratio:
            start = time.perf_counter()
            self._train_paths(jobs, problem, place, n_threads)
            yield jobs, time.perf_counter() - start
            tell()
            return
        most = min(MAX_OUTPUTS // problem.n_outputs, MEMORY_BYTES // (8 * _VECTORS * problem.size))
        for first in range(0, len(jobs), max(1, most)):
            start = time.perf_counter()
            wave = jobs[first:first + max(1, most)]
            fits = np.array([place[job.fold] for job in wave])
            Cs = [[job.model._check_parameters()[0]] for job in wave]
            found = problem.lbfgs(fits, problem.strengths(fits, Cs), tol=float(lead.tol), max_iter=int(lead.max_iter))
            for j, job in enumerate(wave):
                self._adopt(job, problem, Minimum(*(part[j:j + 1] for part in (
                    found.x, found.n_iter, found.reason, found.gradient))))
            yield wave, time.perf_counter() - start
            tell()

    def _train_alone(self, jobs, held, n_threads):
        """Train a job of each fold on the rows that it sees: to the byte what its estimator's own fit finds."""
        data, lead = self.data, self.lead
        tol, max_iter, stop = float(lead.tol), int(lead.max_iter), Stop()

        def descend(i):
            rows = np.delete(np.arange(len(data.codes)), held[jobs[i].fold])
            weights = self._weights_of(held[jobs[i].fold])
            problem = Problem(
                data.X[rows], data.codes[rows], len(data.classes), lead.fit_intercept,
                [(None if weights is None else weights[rows], None)], 1)
            strength = problem.strengths([0], [[jobs[i].model._check_parameters()[0]]])
            return problem, problem.lbfgs([0], strength, tol=tol, max_iter=max_iter, stop=stop)

        for job, (problem, found) in zip(jobs, in_threads(descend, len(jobs), n_threads, stop)):
            self._adopt(job, problem, found)

    def _train_paths(self, jobs, problem, place, n_threads):
        """Train each fold's jobs along their C, from the strongest penalty on."""
        paths, stop = {}, Stop()
        for job in jobs:
            paths.setdefault(place[job.fold], []).append(job)
        # one thread's a fold: they share the columns
        problem.n_threads = 1 if len(paths) >= n_threads else n_threads
        problem.columns  # noqa: B018  (made once, before the threads)

        def descend(fold):
            jobs = sorted(paths[fold], key=lambda job: float(job.model.C))
            strengths = problem.strengths(np.array([fold]), [[float(job.model.C) for job in jobs]])
            found = minimize_sparse(
                problem, [fold], self.l1_ratio * strengths, (1.0 - self.l1_ratio) * strengths,
                tol=OTHER_TOL * float(self.lead.tol), max_iter=int(self.lead.max_iter), stop=stop)
            return jobs, found

        for of_fold, found in in_threads(descend, len(paths), n_threads, stop):
            for i, job in enumerate(of_fold):
                self._adopt(job, problem, Minimum(*(part[:, i:i + 1] for part in (
                    found.x, found.n_iter, found.reason, found.gradient))))

    def _adopt(self, job, problem, found):
        """Make a job's estimator what its own fit would make it; ends the job where that would have failed."""
        model, lead = job.model, self.data.lead
        if found.reason[0, 0] == "not_finite" or not np.isfinite(found.x).all():
            job.finish(DivergenceError(
                "the loss is not finite: scale the features (StandardScaler), or strengthen the penalty"))
            return
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(lead, name):
                setattr(model, name, getattr(lead, name))
        warn_unless_settled(model.solver, found, lead.max_iter)
        model._adopt(found.x[0, 0], self.data.X.dtype, found.n_iter[0, 0], self.data.classes, problem)


def _is_balanced(model):
    return isinstance(model.class_weight, str) and model.class_weight == "balanced"


def _bytes_of(X):
    return X.data.nbytes if hasattr(X, "indptr") else X.nbytes
