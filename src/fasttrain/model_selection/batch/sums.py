"""The part of a batch that is least squares: what is made once for each fold, and gives every fit of it.

Sums of the folds' rows, or with L1 a descent along all penalties (``FitRules.sums``).
"""

import time

from fasttrain._estimators.registry import fit_rules
from fasttrain.model_selection.batch.folds import gathered, sites_of, transformed


def run(batch, jobs):
    """Fit and score the least-squares models among ``jobs``; the others are returned."""
    left, able = [], []
    for job in jobs:
        (able if is_able(job) else left).append(job)
    plain, changed = sites_of(able)
    found = {}
    for site in plain:
        for job in site.jobs:
            sums = fit_rules(job.model).sums
            found.setdefault((sums, sums.data_of(job.model)), []).append(job)
    for group in found.values():
        left += _run_jobs(batch, group, batch.X, batch.folds, range(len(batch.folds)))
    for site in changed:
        try:
            X = transformed(batch, site, merged=True)
        except Exception:
            # a fold's own fit meets it again, or does not, where only held-out rows are at fault
            left += site.jobs
            continue
        groups = {}
        for job in site.jobs:
            job.steps = site.fitted
            groups.setdefault(fit_rules(job.model).sums.data_of(job.model), []).append(job)
        for group in groups.values():
            rest = _run_jobs(batch, group, X, [batch.folds[site.fold]], [site.fold])
            for job in rest:
                job.steps = []
            left += rest
    return left


def is_able(job):
    """Whether much of a job's fit is done once for its fold."""
    rules = fit_rules(job.model)
    return rules is not None and rules.sums is not None and rules.sums.is_able(job)


def _run_jobs(batch, jobs, X, folds, numbers):
    """Jobs over the same sums; ``numbers`` are those of ``folds`` in the batch. Those left for a fit are returned."""
    start = time.perf_counter()
    try:
        data = fit_rules(jobs[0].model).sums(jobs[0].model, X, batch.y, batch.weights, folds)
        place = {number: fold for fold, number in enumerate(numbers)}
        data.prepare([(job.model, place[job.fold]) for job in jobs])
    except (ValueError, TypeError):
        # whichever fold it is that the data are wrong in, its own fit says so
        return jobs
    share = (time.perf_counter() - start) / len(jobs)
    left, rows = [], gathered(data.X)
    for job in sorted(jobs, key=lambda job: job.fold):
        start, fold = time.perf_counter(), place[job.fold]
        try:
            done = data.is_able_on(fold) and data.fit(job.model, fold)
        except (ValueError, TypeError, ArithmeticError):
            done = False
        if not done:
            left.append(job)
            continue
        job.outcome.fit_time = share + time.perf_counter() - start
        batch.score(job, rows)
        job.done = True
        batch.tell()
    return left
