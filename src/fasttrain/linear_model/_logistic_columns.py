"""Logistic regressions of a search: candidates and folds are columns of one product, each with its own line search."""

import time
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from fasttrain.linear_model._logistic import LogisticRegression
from fasttrain.linear_model._logistic_problem import Minimum, Problem, warn_unless_settled
from fasttrain.training.results import DivergenceError

# Bytes that the memories of fits that are trained together take.
MEMORY_BYTES = 1 << 28
# Outputs of fits that are trained together: more have no more use of one reading of X.
MAX_OUTPUTS = 256
# Vectors as long as a fit's unknowns that it works with.
_VECTORS = 30


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
        """Whether a job's fit is a column: L-BFGS from zeros."""
        model = job.model
        if model.solver != "lbfgs" or model.warm_start or model.verbose or _is_balanced(model):
            return False
        try:
            _, l1_ratio = job.spec("strength", lambda model: model._check_parameters(warn=False))
        except (ValueError, TypeError):
            return False
        return not l1_ratio

    @staticmethod
    def data_of(model):
        """What models over one look at X and y have in common."""
        return ""

    @staticmethod
    def group_of(model):
        """What models in one product have in common."""
        return repr(model.class_weight), bool(model.fit_intercept), float(model.tol), int(model.max_iter)

    def has_all_classes(self, train):
        """Whether the fold's model has the classes of all rows, which are two at least."""
        return len(self.classes) > 1 and (np.bincount(self.codes[train], minlength=len(self.classes)) > 0).all()

    def target(self, model, sample_weight):
        """The :class:`LogisticTarget` of models of one group; ValueError or TypeError where it is refused."""
        weights = self.lead._row_weights(
            sample_weight, self.X, self.y, self.classes, self.codes, model.class_weight)
        return LogisticTarget(self, model, weights)


@dataclass(eq=False)
class LogisticTarget:
    """Weights as the kernel takes them, for models with the same class weights, intercept and end."""

    data: LogisticColumns
    lead: LogisticRegression
    weights: np.ndarray | None

    def train(self, jobs, held, n_threads, tell):
        """Train jobs, ``held`` their folds' held-out rows, some at a time; yields (jobs done, seconds that they took).

        A job whose fit went wrong has ended with its error.
        """
        data, lead = self.data, self.lead
        folds = sorted({job.fold for job in jobs})
        place = {fold: number for number, fold in enumerate(folds)}
        problem = Problem(
            data.X, data.codes, len(data.classes), lead.fit_intercept, [(self.weights, held[fold]) for fold in folds],
            n_threads)
        most = min(MAX_OUTPUTS // problem.n_outputs, MEMORY_BYTES // (8 * _VECTORS * problem.sums.size))
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
        warn_unless_settled("lbfgs", found, lead.max_iter)
        model._adopt(found.x[0, 0], self.data.X.dtype, found.n_iter[0, 0], self.data.classes, problem)


def _is_balanced(model):
    return isinstance(model.class_weight, str) and model.class_weight == "balanced"
