"""Where the jobs of a batch find their data: X itself, or X through the preprocessing that was fitted on a fold."""

from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import LeaveOneOut

from fasttrain._core.folds import share_out
from fasttrain._core.pools import thread_pool
from fasttrain._estimators.registry import step_rules
from fasttrain._tables.moments import column_moments, merge_moments

# Products of rows and weights in scoring that are worth starting threads for.
WORK_FOR_THREADS = 10_000_000


@dataclass(eq=False)
class Site:
    """Jobs of one fold behind the same preprocessing steps; ``fitted`` are these steps once they are fitted."""

    fold: int
    steps: list
    jobs: list = field(default_factory=list)
    fitted: list = field(default_factory=list)


def take_rows(X, rows):
    """The rows of a table, a matrix or a list."""
    if X is None:
        return None
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return X[rows] if hasattr(X, "shape") else [X[row] for row in rows]


def folds_of(splitter, X, y, groups):
    """The splitter's folds, as a list of (train, test)."""
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    if type(splitter) is not LeaveOneOut or n_rows < 2:
        return list(splitter.split(X, y, groups))
    rows = np.arange(n_rows)
    return [(np.concatenate((rows[:row], rows[row + 1:])), rows[row:row + 1]) for row in range(n_rows)]


def steps_of(job):
    """The preprocessing of a job: (name, transformer) pairs."""
    if job.whole is job.model or not hasattr(job.whole, "steps"):
        return []
    return [step for step in job.whole.steps[:-1] if step[1] is not None and step[1] != "passthrough"]


def site_key(fold, steps):
    """What jobs of a site have in common."""
    return fold, *((name, type(step), repr(step.get_params())) for name, step in steps)


def sites_of(jobs):
    """(sites without preprocessing, sites with), the latter by fold."""
    sites = {}
    for job in jobs:
        steps = steps_of(job)
        key = site_key(job.fold, steps)
        if key not in sites:
            sites[key] = Site(job.fold, steps)
        sites[key].jobs.append(job)
    plain = [site for site in sites.values() if not site.steps]
    return plain, sorted((site for site in sites.values() if site.steps), key=lambda site: site.fold)


def transformed(batch, site, merged=False):
    """X through the site's steps, which are fitted on the fold's rows.

    With ``merged`` the statistics of a first StandardScaler come from one pass for all folds, which rounds otherwise
    than a fold's own pass: not for per-sample descents, some of which magnify a last digit into another model.
    """
    train, X = batch.folds[site.fold][0], batch.X
    y = take_rows(batch.y, train)
    for number, (name, step) in enumerate(site.steps):
        fitted = batch.moments.fitted(step, site.fold) if merged and number == 0 else None
        if fitted is None:
            fitted = clone(step).fit(take_rows(X, train), y)
        X = fitted.transform(X)
        site.fitted.append((name, fitted))
    return X


class FoldMoments:
    """Means and variances of every fold's rows from one pass over X.

    Where the test parts share out the rows and each training part is the rest, the moments of the test parts are taken
    once; a fold's are those of the parts before and after its own, merged (Chan, Golub and LeVeque, 1983): nothing is
    subtracted, so nothing cancels.
    """

    def __init__(self, X, folds):
        self.X, self.folds = X, folds
        self.merged = None

    @cached_property
    def able(self):
        """Whether there is one pass for these rows and folds."""
        plain = type(self.X) is np.ndarray and self.X.dtype in (np.float32, np.float64)
        return plain and self.X.ndim == 2 and self.X.shape[1] > 0 and share_out(self.folds, len(self.X))

    def fitted(self, step, fold):
        """A transformer like ``step``, fitted on the fold's training rows; None where it has to be fitted itself."""
        rules = step_rules(step)
        if rules is None or rules.from_moments is None or not self.able:
            return None
        return rules.from_moments(step, partial(self._of, fold))

    def _of(self, fold):
        if self.merged is None:
            self._merge()
        return self.merged[fold]

    def _merge(self):
        n_features = self.X.shape[1]
        parts = [column_moments(self.X[test]) for _, test in self.folds]
        nothing = np.zeros(n_features), np.zeros(n_features), np.zeros(n_features)
        before = [nothing]
        for part in parts[:-1]:
            before.append(merge_moments(*before[-1], *part))
        after = nothing
        self.merged = [None] * len(parts)
        for fold in range(len(parts) - 1, -1, -1):
            weight, mean, var = after
            self.merged[fold] = merge_moments(*before[fold], weight, mean, var * weight)
            after = merge_moments(*after, *parts[fold])


def gathered(X):
    """A function from row numbers to these rows of X; it remembers the last ones it was asked for."""
    if not isinstance(X, np.ndarray) and not (sparse.issparse(X) and X.format == "csr"):
        return None
    latest = {}

    def rows_of(rows):
        if id(rows) not in latest:
            if len(latest) > 1:
                latest.clear()
            # the numbers are kept with their rows, so that their address stays theirs
            latest[id(rows)] = rows, np.ascontiguousarray(X[rows]) if isinstance(X, np.ndarray) else X[rows]
        return latest[id(rows)][1]

    return rows_of


def score_parts(batch, parts):
    """Score fitted jobs: ``parts`` are pairs of an X, as models take it, and the jobs of one fold over it.

    A fold's test rows are gathered once for all of its models, and folds go to the threads where that is worth it.
    """

    def score(part):
        X, jobs = part
        rows = gathered(X)
        for job, predicted in zip(jobs, batch.predict_ahead(jobs, rows)):
            if batch.cancel.is_set():
                return
            batch.score(job, rows, predicted)

    work = sum(len(batch.folds[job.fold][1]) * X.shape[1] for X, jobs in parts for job in jobs)
    if batch.n_threads > 1 and len(parts) > 1 and work > WORK_FOR_THREADS and not batch.scoring.slow:
        with thread_pool(min(batch.n_threads, len(parts)), batch.cancel.set) as pool:
            list(pool.map(score, parts))
    else:
        for part in parts:
            score(part)
