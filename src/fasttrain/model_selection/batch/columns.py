"""The part of a batch that is full-batch linear: folds and candidates are columns of one matrix product.

What is trained together, and how, is the estimators' own, which enter a class for it (``FitRules.columns``).
"""

import numpy as np

from fasttrain._estimators.registry import fit_rules
from fasttrain._kernels.threads import thread_budget
from fasttrain.model_selection.batch.folds import score_parts, sites_of, transformed


def run(batch, jobs):
    """Fit and score the full-batch linear models among ``jobs``; the others are returned."""
    left, able = [], []
    for job in jobs:
        (able if is_able(batch, job) else left).append(job)
    plain, changed = sites_of(able)
    found = {}
    for site in plain:
        for job in site.jobs:
            columns = fit_rules(job.model).columns
            found.setdefault((columns, columns.data_of(job.model)), []).append(job)
    for group in found.values():
        left += _run_jobs(batch, group, batch.X)
    for site in changed:
        try:
            X = transformed(batch, site, merged=True)
        except Exception:
            # a fold's own fit meets it again, or does not, where only held-out rows are at fault
            left += site.jobs
            continue
        for job in site.jobs:
            job.steps = site.fitted
        rest = _run_jobs(batch, site.jobs, X)
        for job in rest:
            job.steps = []
        left += rest
    return left


def is_able(batch, job):
    """Whether a job is a column."""
    rules = fit_rules(job.model)
    if rules is None or rules.columns is None:
        return False
    return rules.columns.is_able(job, len(batch.folds[job.fold][0]))


def _run_jobs(batch, jobs, X):
    """Jobs over the same rows; those that cannot be stacked are returned."""
    try:
        data = fit_rules(jobs[0].model).columns(jobs[0].model, X, batch.y)
    except (ValueError, TypeError):
        # whichever fold it is that the data are wrong in, its own fit says so
        return jobs
    left, groups = [], {}
    held, able = {}, {}
    for job in jobs:
        if job.fold not in held:
            held[job.fold], able[job.fold] = _held_out(batch.folds[job.fold][0], data)
        if not able[job.fold]:
            left.append(job)
            continue
        groups.setdefault(data.group_of(job.model), []).append(job)
    for group in groups.values():
        left += _run_group(batch, group, data, held)
    return left


def _held_out(train, data):
    """The rows that a fold does not see, and whether it can be stacked: each row once, all classes there."""
    counts = np.bincount(train, minlength=data.X.shape[0])
    return np.flatnonzero(counts == 0).astype(np.int64), bool(counts.max() == 1 and data.has_all_classes(train))


def _run_group(batch, jobs, data, held):
    """Jobs with the same loss, weights and intercept."""
    try:
        target = data.target(jobs[0].model, batch.weights)
    except (ValueError, TypeError):
        return jobs
    weights = target.weights
    if weights is not None and any(not np.delete(weights, held[job.fold]).any() for job in jobs):
        # a fold without weight is for its own fit to refuse
        return jobs
    with thread_budget(batch.n_threads) as n_threads:
        for done, seconds in target.train(jobs, held, n_threads, batch.tell):
            parts = {}
            for job in sorted(done, key=lambda job: job.fold):
                job.outcome.fit_time = seconds / len(done)
                if not job.done:
                    parts.setdefault(job.fold, []).append(job)
            score_parts(batch, [(data.X, part) for part in parts.values()])
            batch.tell()
    return []
