"""Searches on a cluster: the fits of each fold are a task, and the data are sent once."""

import distributed
from distributed.client import FutureCancelledError

from fasttrain._kernels.threads import num_threads
from fasttrain.data import BlocksLost
from fasttrain.data._dask import threads_of_task
from fasttrain.model_selection.batch.planner import Batch

# How often data that died with their worker are sent again.
SENDINGS = 4


def batch_on(client, timeout, retries):
    """A :class:`Batch` whose folds run on the client's workers."""

    class OnCluster(Batch):
        def __init__(self, estimator, X, y, folds, scoring, **options):
            super().__init__(estimator, X, y, folds, scoring, **options)
            self.asked = scoring

        def run(self, candidates):
            self.jobs = [job for number, params in enumerate(candidates) for job in self._jobs_of(number, params)]
            self.tell()
            options = {
                "scoring": self.asked, "weighted_scores": self.weighted_scores,
                "return_train_score": self.return_train_score, "keep_models": self.keep_models,
                "stop_on_error": self.stop_on_error}
            left = list(range(len(self.folds)))
            for _ in range(SENDINGS):
                left = self._round(left, candidates, options)
                if not left:
                    return self.outcomes(range(len(candidates)))
            raise BlocksLost(f"the workers that had the data died {SENDINGS} times, before folds {left} were through")

        def _round(self, folds, candidates, options):
            """Send the data, and run folds; the folds that were lost with a worker that had the data."""
            data = client.scatter((self.X, self.y, self.weights), broadcast=True, hash=False)
            futures = {
                client.submit(_fits, self.estimator, candidates, data, self.folds[k], options, pure=False,
                              retries=retries): k for k in folds}
            lost = []
            waiting = distributed.as_completed(futures, timeout=timeout)
            try:
                for future in waiting:
                    k = futures[future]
                    try:
                        outcomes = future.result()
                    except FutureCancelledError:
                        lost.append(k)
                        continue
                    for job in self.jobs[k::len(self.folds)]:
                        job.outcome = outcomes[job.candidate]
                        job.model = job.whole = None
                        job.done = True
                    self.tell()
            except TimeoutError:
                raise BlocksLost(f"the folds were not through within timeout={timeout:g} seconds") from None
            except distributed.scheduler.KilledWorker as error:
                raise BlocksLost(f"the cluster has given a task up: {error}") from error
            return sorted(lost)

    return OnCluster


def _fits(estimator, candidates, data, fold, options):
    """What came of each candidate on a fold, on a worker's share of its threads."""
    X, y, weights = data
    options = dict(options)
    threads = threads_of_task()
    with num_threads(threads):
        batch = Batch(
            estimator, X, y, [fold], options.pop("scoring"), weights=weights, n_threads=threads, **options)
        return [outcomes[0] for outcomes in batch.run(candidates)]


__all__ = ["batch_on"]
