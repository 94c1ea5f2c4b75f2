"""Which fits of a batch hang together: its parts that may be run apart, in other processes, to the same bytes."""

from dataclasses import dataclass

import numpy as np

from fasttrain._estimators.registry import fit_rules
from fasttrain.model_selection.batch import columns, lockstep, sums
from fasttrain.model_selection.batch.folds import site_key, steps_of


@dataclass(eq=False, slots=True)
class Group:
    """Jobs that are run together; ``serial`` where a second thread would cut them anew."""

    jobs: list
    serial: bool = False


def groups_of(batch, jobs, most_alone):
    """Jobs as :class:`Group` lists, the largest first.

    A group is what :meth:`Batch.run` trains together of a fold: candidates in lockstep, columns of one product, points
    of one path; of sums that folds share, all folds. Fits that are made alone are dealt out to ``most_alone`` groups.
    """
    together, alone = {}, []
    for job in jobs:
        key = _key(batch, job)
        if key is None:
            alone.append(job)
        else:
            together.setdefault(key, []).append(job)
    groups = [
        Group(part, serial=key[0] == "lockstep") for key, group in together.items() for part in _cut(batch, key, group)]
    alone.sort(key=batch.size, reverse=True)
    n_alone = min(most_alone, len(alone))
    groups += [Group(alone[first::n_alone]) for first in range(n_alone)]
    return sorted(groups, key=lambda group: sum(map(batch.size, group.jobs)), reverse=True)


def _key(batch, job):
    """What the jobs of a group have in common; None where a job is fitted alone."""
    steps = steps_of(job)
    site = site_key(job.fold, steps)
    if lockstep.is_able(job):
        return "lockstep", site, lockstep.walk_of(job)
    if columns.is_able(batch, job):
        rules = fit_rules(job.model).columns
        return "columns", site, rules, None if steps else rules.data_of(job.model), rules.group_of(job.model)
    if sums.is_able(job):
        rules = fit_rules(job.model).sums
        return "sums", site if steps or rules.by_fold else None, rules, rules.data_of(job.model)
    return None


def _cut(batch, key, group):
    """A group in the parts that walk together, where these can be told: of rows that nothing is done to before."""
    kind, site = key[:2]
    X = batch.X
    if kind != "lockstep" or len(site) > 1 or getattr(X, "dtype", None) not in (np.float32, np.float64):
        return [group]
    limit = lockstep.most_together(X)
    return [group[first:first + limit] for first in range(0, len(group), limit)]


__all__ = ["Group", "groups_of"]
