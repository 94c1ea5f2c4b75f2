"""The part of a batch that goes to the per-sample kernel: candidates in lockstep, all folds at once."""

import time
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from fasttrain import _descents
from fasttrain._conversion import own_class
from fasttrain._stochastic_base import SHARED, StochasticLinear
from fasttrain._stochastic_classifier import SGDClassifier, classifier_problems
from fasttrain._stochastic_regressor import SGDRegressor, regressor_problem
from fasttrain._validation import row_weights
from fasttrain.model_selection._sites import gathered, sites_of, transformed

__all__ = ["run"]

# Candidates that share one reading of the rows: their weights have to stay in the fastest cache.
MOST_TOGETHER = 32
CACHE_BYTES = 1 << 15
# Memory of the row orders of all descents that are prepared at once; each row of each has about four int32.
ORDER_BYTES = 1 << 24
# Products of rows and weights in scoring that are worth starting threads for.
WORK_FOR_THREADS = 10_000_000


def run(batch, jobs):
    """Fit and score the per-sample models among ``jobs``; the others, and those that cannot go together, are returned.
    """
    left, able = [], []
    for job in jobs:
        (able if _is_able(job) else left).append(job)
    if not able:
        return left
    plain, changed = sites_of(able)
    try:
        data = _Data(batch, able[0].model, batch.X) if plain else None
    except (ValueError, TypeError):
        # whichever fold it is that the data are wrong in, its own fit says so
        left += [job for site in plain for job in site.jobs]
        plain = []
    if plain:
        _run_sites(batch, plain, data)
    for first in range(0, len(changed), batch.n_threads):
        left += _run_changed(batch, changed[first:first + batch.n_threads])
    return left


def _is_able(job):
    if own_class(job.model) not in (SGDClassifier, SGDRegressor) or job.model.verbose:
        return False
    try:
        job.spec("parameters", StochasticLinear._check_parameters)
    except (ValueError, TypeError):
        return False
    return True


class _Data:
    """X and y as the kernel takes them, checked once for all folds."""

    def __init__(self, batch, model, X):
        self.batch = batch
        self.lead = clone(model)
        self.classifier = isinstance(model, SGDClassifier)
        y = batch.y
        if self.classifier:
            y = column_or_1d(y, warn=True)
            check_classification_targets(y)
            self.X, y = self.lead.check_rows(X, y, reset=True)
            self.classes, self.codes = np.unique(y, return_inverse=True)
            self.n_problems = 1 if len(self.classes) == 2 else len(self.classes)
        else:
            self.X, y = self.lead.check_rows(X, y, reset=True, multi_output=True, y_numeric=True)
            self.n_problems = 1
        self.y = y
        self.rows = _descents.rows_of(self.X)
        self.targets = {}

    def problems(self, group, rows):
        """(problems, adopt) of a group of estimators that share a row order; ``adopt`` takes a model a problem."""
        for estimator in group:
            estimator.n_features_in_ = self.lead.n_features_in_
            if hasattr(self.lead, "feature_names_in_"):
                estimator.feature_names_in_ = self.lead.feature_names_in_
        lead, n_rows, weight = group[0], len(rows), self.batch.weights
        if weight is not None:
            # what is wrong with the fold's own weights is the fold's own error
            row_weights(weight[rows], n_rows, self.X.dtype, all_zero_accepted=self.classifier and lead.early_stopping)
            weight = np.ascontiguousarray(weight, dtype=self.X.dtype)
        if not self.classifier:
            y = lead._check_targets(self.y, self.X.dtype)
            start = lead._fresh(y, self.X, None, None)
            problem = regressor_problem(group, self.X, y, weight, None, start, 1.0, rows=rows, X_rows=self.rows)
            return [problem], lambda estimator, trained: estimator._adopt(trained, 1.0, n_rows)
        present = np.bincount(self.codes[rows], minlength=len(self.classes)) > 0
        classes, codes = self.classes, self.codes
        if not present.all():
            classes = classes[present]
            codes = np.minimum(np.cumsum(present) - 1, len(classes) - 1).clip(0)[codes]
        start = lead._fresh(classes, self.X, None, None)
        problems = classifier_problems(
            group, self.X, self.y[rows], classes, codes, weight, None, start, 1.0, rows=rows, X_rows=self.rows)
        return problems, lambda estimator, trained: estimator._adopt(classes, trained, start, 1.0, n_rows)


def _run_sites(batch, sites, data):
    """Sites over the same data."""
    units = []
    for site in sites:
        units += [(site, group, data) for group in _groups(site.jobs, data)]
    waves = _waves(units, batch)
    for wave in waves:
        _run_wave(batch, wave)


def _run_changed(batch, sites):
    """One site a thread, each over data of its own."""
    left, units = [], []
    for site in sites:
        try:
            X = transformed(batch, site)
            data = _Data(batch, site.jobs[0].model, X)
        except Exception:
            # a fold's own fit meets it again, or does not, where only held-out rows are at fault
            left += site.jobs
            continue
        for job in site.jobs:
            job.steps = site.fitted
        units += [(site, group, data) for group in _groups(site.jobs, data)]
    if units:
        for wave in _waves(units, batch):
            _run_wave(batch, wave)
    return left


def _groups(jobs, data):
    """Jobs that can walk together, in the order of their first ones."""
    groups = {}
    for job in jobs:
        model = job.model
        key = [getattr(model, name) for name in SHARED]
        seed = model.random_state
        if not isinstance(seed, Integral) and (model.shuffle or model.early_stopping):
            # draws of its own
            key.append(id(job))
        key = (*map(repr, key), model.learning_rate if model.learning_rate in ("pa1", "pa2") else "")
        groups.setdefault(key, []).append(job)
    limit = min(MOST_TOGETHER, max(4, CACHE_BYTES // (data.X.shape[1] * data.X.dtype.itemsize)))
    return [group[i:i + limit] for group in groups.values() for i in range(0, len(group), limit)]


def _waves(units, batch):
    """Units that are prepared at once; the last ones are split so that no thread waits for another for long."""
    n_threads = batch.n_threads
    site, _, data = units[0]
    bytes_each = 16 * max(1, len(batch.folds[site.fold][0])) * data.n_problems
    length = max(n_threads, ORDER_BYTES // bytes_each // n_threads * n_threads)
    for first in range(0, len(units), length):
        wave = units[first:first + length]
        extra = len(wave) % n_threads
        if extra and data.n_problems == 1:
            parts = n_threads // extra
            split = []
            for site, group, data in wave[-extra:]:
                step = -(-len(group) // parts)
                split += [(site, group[i:i + step], data) for i in range(0, len(group), step)]
            wave = wave[:-extra] + split
        yield wave


def _run_wave(batch, wave):
    start = time.perf_counter()
    problems, plans = [], []
    jobs = [job for _, group, _ in wave for job in group]
    for site, group, data in wave:
        rows = np.ascontiguousarray(batch.folds[site.fold][0], dtype=np.int32)
        for part, made, adopt in _prepared(group, data, rows):
            plans.append((site, part, data, adopt, slice(len(problems), len(problems) + len(made))))
            problems += made
    trained = _descents.train(problems, batch.n_threads, collect_errors=True) if problems else []
    for _, group, _, adopt, where in plans:
        results = trained[where]
        width = len(results[0]) // len(group) if len(results) == 1 else 1
        for e, job in enumerate(group):
            models = [result[e] for result in results] if width == 1 else results[0][e::len(group)]
            errors = [model for model in models if isinstance(model, Exception)]
            if errors:
                job.finish(errors[0])
                continue
            adopt(job.model, models)
            job.model.warn_at_end()
    share = (time.perf_counter() - start) / len(jobs)
    for job in jobs:
        job.outcome.fit_time = share
    _score_wave(batch, plans)
    batch.tell()


def _prepared(group, data, rows):
    """(jobs, problems, adopt) of a group; one by one where a candidate is at fault."""
    try:
        return [(group, *data.problems([job.model for job in group], rows))]
    except Exception as error:
        if len(group) == 1:
            group[0].finish(error)
            return []
    return [prepared for job in group for prepared in _prepared([job], data, rows)]


def _score_wave(batch, plans):
    """Each fold's rows are gathered once, for all of its models; folds go to the threads where that is worth it."""
    sites = {}
    for site, group, data, _, _ in plans:
        sites.setdefault(site, (data, []))[1].extend(group)

    def score(part):
        data, jobs = part
        rows = gathered(data.X)
        for job in jobs:
            if not job.done:
                batch.score(job, rows)

    parts = list(sites.values())
    work = sum(len(batch.folds[job.fold][1]) * part[0].X.shape[1] for part in parts for job in part[1])
    if batch.n_threads > 1 and len(parts) > 1 and work > WORK_FOR_THREADS and not batch.scoring.slow:
        with ThreadPoolExecutor(min(batch.n_threads, len(parts))) as pool:
            list(pool.map(score, parts))
    else:
        for part in parts:
            score(part)
