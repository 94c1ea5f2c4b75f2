"""Searches and cross-validation on a cluster: what a batch trains together is a task, and the data are sent once."""

import copy
from contextlib import contextmanager
from queue import Empty, SimpleQueue

import distributed
from distributed.client import FutureCancelledError

from fasttrain._kernels.threads import num_threads
from fasttrain.data import BlocksLost
from fasttrain.data._dask import unpacked, threads_of_task
from fasttrain.data._shipped import Shipped
from fasttrain.model_selection.batch.groups import groups_of
from fasttrain.model_selection.batch.planner import Batch, batches_by
from fasttrain.model_selection.racing import Race

# How often data that died with their worker are sent again.
SENDINGS = 4
# Groups of fits that are made alone, for each thread of the cluster: enough to even out their lengths.
ALONE_EACH = 4


@contextmanager
def batches_on(client, timeout, retries):
    """While the block runs, the fits of a batch are tasks of the client's workers."""
    cluster = Cluster(client, timeout, retries)

    def class_for(batch_class):
        mixed = _RaceOnCluster if issubclass(batch_class, Race) else _BatchOnCluster
        return type(batch_class.__name__, (mixed, batch_class), {"cluster": cluster})

    try:
        with batches_by(class_for):
            yield
    finally:
        cluster.close()


class Cluster:
    """A client, and how tasks of a batch are waited for.

    Parameters
    ----------
    client : distributed.Client
    timeout : float
        Seconds without one finished task after which :class:`BlocksLost` is raised.
    retries : int
    """

    def __init__(self, client, timeout, retries):
        self.client, self.timeout, self.retries = client, timeout, retries
        self.data, self.models = None, []

    def close(self):
        """Let the workers forget data and models."""
        self.data = None
        self.models.clear()

    def n_threads(self):
        """Threads of all workers that there are now."""
        return max(1, sum(self.client.nthreads().values()))

    def send(self, batch):
        """Bring what all tasks read to the workers."""
        data = batch.X, batch.y, batch.weights, batch.folds
        try:
            self.data = self.client.scatter(data, broadcast=True, hash=False, timeout=self.timeout)
        except distributed.TimeoutError as error:
            raise BlocksLost(
                f"the data could not be sent within timeout={self.timeout:g} seconds: {error}. Start workers, or raise "
                "timeout") from error

    def submit(self, function, *args):
        return self.client.submit(function, *args, pure=False, retries=self.retries)

    def run(self, batch, tasks, take):
        """Have tasks done and give their results to ``take(task, result)``, which says whether to go on.

        Parameters
        ----------
        batch : Batch
            Whose data are sent, anew when they were lost with a worker.
        tasks : list
            Of objects with ``submit(cluster)``, which gives a future.
        take : callable
        """
        if self.data is None:
            self.send(batch)
        for _ in range(SENDINGS):
            tasks = self._round(tasks, take)
            if not tasks:
                return
            self.send(batch)
        raise BlocksLost(f"the workers that had the data died {SENDINGS} times, before {len(tasks)} tasks were through")

    def _round(self, tasks, take):
        """The tasks that were lost with a worker that had the data."""
        futures = {task.submit(self): task for task in tasks}
        lost = []
        try:
            for future in self._finished(futures):
                try:
                    result = future.result()
                except FutureCancelledError:
                    lost.append(futures[future])
                    continue
                if not take(futures[future], result):
                    return []
        except distributed.scheduler.KilledWorker as error:
            raise BlocksLost(f"the cluster has given a task up: {error}") from error
        finally:
            self.client.cancel([future for future in futures if not future.done()])
        return lost

    def _finished(self, futures):
        """Futures as they finish, whichever way."""
        done = SimpleQueue()
        for future in futures:
            future.add_done_callback(done.put)
        for _ in range(len(futures)):
            try:
                yield done.get(timeout=self.timeout)
            except Empty:
                raise BlocksLost(
                    f"no task has finished for timeout={self.timeout:g} seconds. Start workers, or raise timeout"
                ) from None


class _OnCluster:
    """Mixed into a batch: what its workers are told of it."""

    def __init__(self, estimator, X, y, folds, scoring, **options):
        super().__init__(estimator, X, y, folds, scoring, **options)
        self.asked = scoring

    def set_folds(self, folds):
        super().set_folds(folds)
        self.cluster.data = None

    def settings(self):
        """What the batch in a worker is made with, beside the data."""
        return {
            "estimator": self.estimator, "scoring": self.asked, "weighted_scores": self.weighted_scores,
            "return_train_score": self.return_train_score, "keep_models": self.keep_models,
            "stop_on_error": self.stop_on_error}

    def take(self, jobs, outcomes):
        """Note what came of jobs; whether others are to go on."""
        for job, outcome in zip(jobs, outcomes):
            job.outcome = outcome
            job.model = job.whole = None
            job.done = True
        self.tell()
        errors = [job.outcome.error for job in jobs if job.outcome.error is not None]
        if not (errors and self.stop_on_error):
            return True
        for job in self.jobs:
            if not job.done:
                job.finish(errors[0])
        return False


class _BatchOnCluster(_OnCluster):
    def run(self, candidates):
        self.jobs = self.jobs_of(enumerate(candidates))
        self.tell()
        tasks = [
            _Fits(self, group, candidates)
            for group in groups_of(self, self.jobs, ALONE_EACH * self.cluster.n_threads())]
        self.cluster.run(self, tasks, lambda task, outcomes: self.take(task.jobs, outcomes))
        return self.outcomes(range(len(candidates)))


class _Fits:
    """The task of a group."""

    def __init__(self, batch, group, candidates):
        # in the order in which the batch has them
        self.jobs = sorted(group.jobs, key=lambda job: (job.candidate, job.fold))
        wanted = {(job.candidate, job.fold) for job in self.jobs}
        self.asked = Shipped(
            (batch.settings(), {job.candidate: candidates[job.candidate] for job in self.jobs}, wanted, group.serial))

    def submit(self, cluster):
        return cluster.submit(_fits, self.asked, cluster.data)


class _RaceOnCluster(_OnCluster):
    """Models stay with the workers from rung to rung; what a dead one had is trained again from the start."""

    def enter(self, candidates):
        super().enter(candidates)
        self.runs = self.cluster.models
        self.runs += [[_Run(self, job) for job in jobs] for jobs in self.lanes]

    def advance(self, numbers, epochs):
        self.begin(numbers)
        self.tell()
        tasks = [run.going_on(epochs) for number in numbers for run in self.runs[number]]
        self.cluster.run(self, tasks, lambda run, outcome: self.take([run.job], [outcome]))
        for number in set(range(len(self.runs))) - set(numbers):
            # those are out, and their models may go
            self.runs[number] = []
        return self.outcomes_of(numbers)


class _Run:
    """A model of a race: a task for each rung that it has come to."""

    def __init__(self, batch, job):
        self.settings, self.job = Shipped(batch.settings()), job
        self.start = Shipped(copy.copy(job))
        self.epochs, self.state = [], None

    def going_on(self, epochs):
        self.epochs.append(epochs)
        return self

    def submit(self, cluster):
        epochs = self.epochs[-1:]
        if self.state is None or self.state.status in ("cancelled", "lost"):
            self.state, epochs = cluster.submit(unpacked, self.start), self.epochs
        for more in epochs:
            self.state = cluster.submit(_advanced, self.settings, self.state, more, cluster.data)
        return cluster.submit(_outcome_of, self.state)


# ---- what runs in the workers ----


def _batch_of(batch_class, settings, data, n_threads):
    X, y, weights, folds = data
    return batch_class(X=X, y=y, folds=folds, weights=weights, n_threads=n_threads, **settings)


def _fits(asked, data):
    """What came of each job of a group, on a worker's share of its threads."""
    settings, candidates, wanted, serial = asked()
    threads = threads_of_task()
    with num_threads(threads):
        batch = _batch_of(Batch, settings, data, 1 if serial else threads)
        return batch.run_some(candidates, wanted)


def _advanced(settings, job, epochs, data):
    """A job of a race after more epochs; the one given stays as it was."""
    threads = threads_of_task()
    with num_threads(threads):
        race = _batch_of(Race, settings(), data, 1)
        race.lanes = {job.candidate: [copy.deepcopy(job)]}
        race.advance([job.candidate], epochs)
        return race.lanes[job.candidate][0]


def _outcome_of(job):
    return job.outcome


__all__ = ["batches_on"]
