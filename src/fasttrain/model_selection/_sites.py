"""Where the jobs of a batch find their data: X itself, or X through the preprocessing that was fitted on a fold."""

from dataclasses import dataclass, field

import numpy as np
from sklearn.base import clone

__all__ = ["Site", "gathered", "sites_of", "take", "transformed"]


@dataclass(eq=False)
class Site:
    """Jobs of one fold behind the same preprocessing steps; ``fitted`` are these steps once they are fitted."""

    fold: int
    steps: list
    jobs: list = field(default_factory=list)
    fitted: list = field(default_factory=list)


def take(X, rows):
    """The rows of a table, a matrix or a list."""
    if X is None:
        return None
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return X[rows] if hasattr(X, "shape") else [X[row] for row in rows]


def steps_of(job):
    """The preprocessing of a job: (name, transformer) pairs."""
    if job.whole is job.model or not hasattr(job.whole, "steps"):
        return []
    return [step for step in job.whole.steps[:-1] if step[1] is not None and step[1] != "passthrough"]


def sites_of(jobs):
    """(sites without preprocessing, sites with), the latter by fold."""
    sites = {}
    for job in jobs:
        steps = steps_of(job)
        key = (job.fold, *((name, type(step), repr(step.get_params())) for name, step in steps))
        if key not in sites:
            sites[key] = Site(job.fold, steps)
        sites[key].jobs.append(job)
    plain = [site for site in sites.values() if not site.steps]
    return plain, sorted((site for site in sites.values() if site.steps), key=lambda site: site.fold)


def transformed(batch, site):
    """X through the site's steps, which are fitted on the fold's rows."""
    train, X = batch.folds[site.fold][0], batch.X
    y = take(batch.y, train)
    for name, step in site.steps:
        fitted = clone(step).fit(take(X, train), y)
        X = fitted.transform(X)
        site.fitted.append((name, fitted))
    return X


def gathered(X):
    """A function from row numbers to these rows of X; it remembers the last ones it was asked for."""
    if not isinstance(X, np.ndarray):
        return None
    latest = {}

    def rows_of(rows):
        if id(rows) not in latest:
            if len(latest) > 1:
                latest.clear()
            # the numbers are kept with their rows, so that their address stays theirs
            latest[id(rows)] = rows, X[rows]
        return latest[id(rows)][1]

    return rows_of
