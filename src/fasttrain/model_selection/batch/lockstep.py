"""The part of a batch that goes to the per-sample kernel: candidates in lockstep, all folds at once."""

import time
from dataclasses import dataclass

import numpy as np

from fasttrain._estimators.registry import fit_rules
from fasttrain.model_selection.batch.folds import score_parts, sites_of, transformed
from fasttrain.model_selection.batch.scores import of_predictions
from fasttrain.training import DivergenceError

# Candidates that share one reading of the rows: their weights have to stay in the fastest cache. Those of CSR rows are
# lanes of cache lines, and of these only a row's are read.
MOST_TOGETHER = 32
# A row takes as long for two together as for three, and longer than for each alone.
TOO_FEW = 2
CACHE_BYTES = 1 << 15
# Memory of the row orders of all descents that are prepared at once, where each row of each has about four int32, and
# of their weights.
ORDER_BYTES = 1 << 24
WEIGHT_BYTES = 1 << 28
# Rows of a test part that make no product worth a call of its own.
FEW_ROWS = 16


def run(batch, jobs):
    """Fit and score the per-sample models among ``jobs``; the others, and those that cannot go together, are returned.
    """
    left, able = [], []
    for job in jobs:
        (able if is_able(job) else left).append(job)
    if not able:
        return left
    plain, changed = sites_of(able)
    try:
        data = _data_of(batch, able[0].model, batch.X) if plain else None
    except (ValueError, TypeError):
        # whichever fold it is that the data are wrong in, its own fit says so
        left += [job for site in plain for job in site.jobs]
        plain = []
    if plain:
        _run_sites(batch, plain, data)
    known = {}
    for part in _turns(changed, batch.n_threads, batch.n_threads):
        left += _run_changed(batch, part, known)
    return left


def is_able(job):
    rules = fit_rules(job.model)
    return rules is not None and rules.lockstep is not None and rules.lockstep.is_able(job)


def walk_of(job):
    """What jobs of a fold that walk together have in common."""
    data_class = fit_rules(job.model).lockstep
    walk = job.spec("walk", data_class.walk_of)
    return (*walk, id(job)) if data_class.draws_alone(job.model) else walk


def most_together(X):
    """How many walk these rows together at most."""
    if hasattr(X, "indptr"):
        return MOST_TOGETHER
    return min(MOST_TOGETHER, max(4, CACHE_BYTES // (X.shape[1] * X.dtype.itemsize)))


def _data_of(batch, model, X, targets=None):
    return fit_rules(model).lockstep(model, X, batch.y, batch.weights, targets)


def _turns(units, together, n_threads):
    """Units in lists of ``together``, a multiple of the threads; a last list that leaves threads without work is one
    with that before it, whose threads then share the work of all."""
    starts = list(range(0, len(units), together))
    if len(starts) > 1 and len(units) - starts[-1] < n_threads:
        starts.pop()
    return [units[start:end] for start, end in zip(starts, [*starts[1:], len(units)])]


@dataclass(eq=False, slots=True)
class _Fit:
    """A job's trained models, before they become attributes of its estimator."""

    site: object
    job: object
    plan: object
    models: list


def _run_sites(batch, sites, data):
    """Sites over the same data."""
    units = []
    for site in sites:
        units += [(site, group, data) for group in _groups(site.jobs, data)]
    waves = _waves(units, batch)
    for wave in waves:
        _run_wave(batch, wave)


def _run_changed(batch, sites, known):
    """Sites over data of their own; ``known`` has by the class of the models what is known of y from those before."""
    left, units = [], []
    for site in sites:
        try:
            model = site.jobs[0].model
            data = _data_of(batch, model, transformed(batch, site), known.get(type(model)))
            known[type(model)] = data.targets
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
    for _, _, data in units:
        # a plan knows its data: the two would wait for a collection, and the rows of many sites with them
        data.plans.clear()
    return left


def _groups(jobs, data):
    """Jobs that can walk together, in the order of their first ones."""
    groups = {}
    if len(jobs) == 1:
        return [jobs]
    for job in jobs:
        groups.setdefault(walk_of(job), []).append(job)
    limit = most_together(data.X)
    parts = [group[i:i + limit] for group in groups.values() for i in range(0, len(group), limit)]
    return [one for part in parts for one in ([part] if len(part) > TOO_FEW else [[job] for job in part])]


def _waves(units, batch):
    """Units that are prepared at once; where they are fewer than the threads, whole panels of a group are split off."""
    n_threads = batch.n_threads
    site, _, data = units[0]
    bytes_each = 16 * max(1, len(batch.folds[site.fold][0])) * data.n_problems
    most = max(len(group) for _, group, _ in units) * data.n_problems
    length = min(ORDER_BYTES // bytes_each, WEIGHT_BYTES // (most * data.X.shape[1] * data.X.dtype.itemsize))
    length = max(n_threads, length // n_threads * n_threads)
    panel = 64 // data.X.dtype.itemsize
    for wave in _turns(units, length, n_threads):
        parts = n_threads // len(wave)
        if parts > 1 and data.n_problems == 1:
            split = []
            for site, group, data in wave:
                step = -(-len(group) // (parts * panel)) * panel
                starts = list(range(0, len(group), step))
                # so few walk otherwise, and the number of threads must not show in what comes of them
                if len(group) - starts[-1] <= TOO_FEW < len(group):
                    starts.pop()
                split += [(site, group[i:end], data) for i, end in zip(starts, [*starts[1:], len(group)])]
            wave = split
        yield wave


def _run_wave(batch, wave):
    start = time.perf_counter()
    problems, plans = [], []
    jobs = [job for _, group, _ in wave for job in group]
    for site, group, data in wave:
        rows = np.ascontiguousarray(batch.folds[site.fold][0], dtype=np.int32)
        for part, made, plan in _prepared(group, data, rows):
            plans.append((site, part, plan, slice(len(problems), len(problems) + len(made))))
            problems += made
    trained = wave[0][2].train(problems, batch.n_threads) if problems else []
    fits = []
    for site, group, plan, where in plans:
        results = trained[where]
        width = len(results[0]) // len(group) if len(results) == 1 else 1
        for e, job in enumerate(group):
            models = [result[e] for result in results] if width == 1 else results[0][e::len(group)]
            errors = [model for model in models if isinstance(model, Exception)]
            if errors:
                job.finish(errors[0])
                continue
            plan.warn(job.model, models)
            fits.append(_Fit(site, job, plan, models))
    share = (time.perf_counter() - start) / len(jobs)
    for job in jobs:
        job.outcome.fit_time = share
    _score_wave(batch, fits)
    batch.tell()


def _prepared(group, data, rows):
    """(jobs, problems, plan) of a group; one by one where a candidate is at fault."""
    try:
        return [(group, *data.problems(group, rows))]
    except Exception as error:
        if len(group) == 1:
            group[0].finish(error)
            return []
    return [prepared for job in group for prepared in _prepared([job], data, rows)]


def _score_wave(batch, fits):
    """Small test parts are scored all at once, others fold by fold."""
    start = time.perf_counter()
    small = [fit for fit in fits if _is_scored_together(batch, fit)]
    _score_together(batch, small)
    for fit in small:
        fit.job.outcome.score_time = (time.perf_counter() - start) / len(small)
    sites = {}
    for fit in fits:
        if not fit.job.done:
            try:
                fit.plan.adopt(fit.job.model, fit.models, len(batch.folds[fit.job.fold][0]))
            except DivergenceError as error:
                fit.job.finish(error)
                continue
            sites.setdefault(fit.site, []).append(fit)

    score_parts(batch, [(part[0].plan.data.X, [fit.job for fit in part]) for part in sites.values()])


def _is_scored_together(batch, fit):
    """Whether a fit's scores hang on nothing but its predictions for a few dense rows, and nobody wants its model."""
    plan, model, n_rows = fit.plan, fit.job.model, len(batch.folds[fit.job.fold][1])
    if not 0 < n_rows <= FEW_ROWS or not plan.is_linear(model) or not isinstance(plan.data.X, np.ndarray):
        return False
    if batch.keep_models or batch.return_train_score or not batch.scoring.is_of_predictions:
        return False
    if plan.classes is None:
        return len(fit.models) == 1 and batch.rows_of_y.ndim == 1
    return batch.classes is not None and len(plan.classes) == len(batch.classes)


def _score_together(batch, fits):
    """Those whose metrics have a special case for their rows are left."""
    by_data = {}
    for fit in fits:
        by_data.setdefault((id(fit.plan.data), len(fit.models)), []).append(fit)
    for group in by_data.values():
        data = group[0].plan.data
        tests = [batch.folds[fit.job.fold][1] for fit in group]
        counts = np.array([len(test) for test in tests])
        rows = np.concatenate(tests)
        coef = np.array([[model.coef for model in fit.models] for fit in group]).repeat(counts, axis=0)
        intercept = np.array([[model.intercept for model in fit.models] for fit in group]).repeat(counts, axis=0)
        raw = np.matmul(coef, data.X[rows, :, None])[:, :, 0] + intercept
        starts = np.cumsum(counts) - counts
        if data.classifier:
            predicted = raw.argmax(axis=1) if raw.shape[1] > 1 else raw[:, 0] > 0
            truth = batch.codes[rows]
        else:
            predicted, truth = raw[:, 0], batch.rows_of_y[rows]
        for key, name in batch.scoring.quick.items():
            scores = of_predictions(name, truth, predicted, starts, counts)
            for fit, score in zip(group, scores):
                if score is not None:
                    fit.job.outcome.test[key] = score
        for fit in group:
            if len(fit.job.outcome.test) == len(batch.scoring.scorers):
                fit.job.finish()
                fit.job.model = fit.job.whole = None
