"""The fits of a cross-validation, all candidates over all folds: grouped, trained together, scored together.

Per-sample descents that share a row order walk it in lockstep, and all folds of such groups go to the kernel at once
(:mod:`.lockstep`). Full-batch linear fits are columns of one matrix product (:mod:`.columns`). Least squares is solved
from the sums of each fold (:mod:`.sums`). Everything else is fitted one to a thread, the largest first.
"""

import copy
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property, partial
from numbers import Integral, Number

import numpy as np
from joblib.parallel import get_active_backend
from scipy import sparse
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils import assert_all_finite

from fasttrain._core.pools import as_completed, thread_pool
from fasttrain._core.specs import Spec
from fasttrain._estimators.registry import fit_rules, step_rules
from fasttrain._estimators.rows import RowsOf
from fasttrain._kernels.threads import get_num_threads, num_threads
from fasttrain.callbacks import Callback, as_callbacks
from fasttrain.model_selection.batch import columns, lockstep, sums
from fasttrain.model_selection.batch.folds import FoldMoments, take_rows
from fasttrain.model_selection.batch.scores import Scoring, of_prediction, of_probabilities


LOCAL_BACKENDS = ("LokyBackend", "MultiprocessingBackend", "ThreadingBackend", "SequentialBackend")
# How long a fit that was told to stop is waited for; some have to come to the end of a call that hears nothing.
PATIENCE_SECONDS = 0.5
# Rows that are copied together to be predicted, and weights that are multiplied with sparse ones together.
ROWS_AT_ONCE = 4096
WEIGHTS_AT_ONCE = 1 << 22


def _itself(batch_class):
    return batch_class


# From the class of a batch to one that runs its fits elsewhere.
_class_for = ContextVar("class_for", default=_itself)


@contextmanager
def batches_by(class_for):
    """While the block runs, batches are of the class that ``class_for`` makes of theirs."""
    token = _class_for.set(class_for)
    try:
        yield
    finally:
        _class_for.reset(token)


def runs_elsewhere():
    """Whether this is within :func:`batches_by`."""
    return _class_for.get() is not _itself


def require_batch():
    """Within :func:`batches_by`, TypeError where what is asked for is no batch."""
    if runs_elsewhere():
        raise TypeError(
            "a cluster runs the fits of fasttrain's estimators, alone or behind its scalers and encoders in a "
            "Pipeline, with y and metrics of scikit-learn's kind; what was asked for is scikit-learn's to run: "
            "joblib.parallel_config('dask') brings its fits to the workers")


@dataclass(slots=True)
class Outcome:
    """What came of one fit: an error, or scores by the metric's key (each a number, a dict or an exception)."""

    error: Exception | None = None
    test: dict = field(default_factory=dict)
    train: dict = field(default_factory=dict)
    fit_time: float = 0.0
    score_time: float = 0.0
    model: object = None
    asked: set = field(default_factory=set)

    @property
    def is_plain(self):
        """Whether the fit went well and every score is a number."""
        scores = (*self.test.values(), *self.train.values())
        return self.error is None and all(type(score) is float for score in scores)


@dataclass(slots=True, eq=False)
class Job:
    """One candidate on one fold.

    ``model`` is the estimator that is fitted, without the preprocessing; ``steps`` are the fitted transformers;
    ``specs`` is shared by the jobs of a candidate whose parameters are the same objects in all of them; ``data(rows)``
    gives rows of X as the model takes them, where these are not taken from the batch's own X; ``epoch_seconds`` is what
    an epoch of a model that goes on took of late.
    """

    candidate: int
    fold: int
    whole: object
    model: object
    outcome: Outcome
    steps: list = field(default_factory=list)
    specs: dict = field(default_factory=dict)
    data: object = None
    done: bool = False
    epoch_seconds: float | None = None

    def spec(self, name, make):
        """``make(model)``, or what it gave for another fold of this candidate; its error is raised each time."""
        if name not in self.specs:
            try:
                self.specs[name] = make(self.model)
            except (ValueError, TypeError) as error:
                self.specs[name] = error
        if isinstance(self.specs[name], Exception):
            raise self.specs[name]
        return self.specs[name]

    def finish(self, error=None):
        self.outcome.error = error
        self.done = True


class _Cancel(Callback):
    """Ends a training after its epoch when the batch was given up."""

    def __init__(self, event):
        self.event = event

    def on_epoch_end(self, epoch, logs):
        return self.event.is_set()


def parts_of(estimator):
    """(preprocessing steps, model) of what a batch can fit; None for anything else."""
    if fit_rules(estimator) is not None:
        return [], estimator
    if type(estimator) is not Pipeline or estimator.memory is not None or not estimator.steps:
        return None
    if getattr(estimator, "transform_input", None) is not None or fit_rules(estimator.steps[-1][1]) is None:
        return None
    steps = [step for step in estimator.steps[:-1] if step[1] is not None and step[1] != "passthrough"]
    return (steps, estimator.steps[-1][1]) if all(step_rules(step) is not None for _, step in steps) else None


def threads_of(n_jobs):
    """Threads that ``n_jobs`` asks for, in joblib's way of counting; None when joblib should run the jobs itself."""
    backend, context_jobs = get_active_backend()
    if type(backend).__name__ not in LOCAL_BACKENDS:
        return None
    if n_jobs is None:
        n_jobs = context_jobs
    if n_jobs is None:
        return get_num_threads()
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, Integral) or n_jobs == 0:
        return None
    return int(n_jobs) if n_jobs > 0 else max(1, get_num_threads() + 1 + int(n_jobs))


def is_routed(params, groups=None):
    """Whether scikit-learn's metadata routing decides where ``params`` and ``groups`` go."""
    return bool(get_config().get("enable_metadata_routing")) and (bool(params) or groups is not None)


def is_followed(estimator):
    """Whether callbacks of scikit-learn are to be told of every single fit, which a batch does not make."""
    steps = [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else []
    return any("_skl_callbacks" in getattr(part, "__dict__", {}) for part in [estimator, *steps])


def batch_for(estimator, X, y, folds, scoring, *, n_jobs, error_score=np.nan, params=None, batch_class=None,
              **options):
    """A :class:`Batch`, or None when the work is for scikit-learn's own function."""
    n_threads = threads_of(n_jobs)
    if n_threads is None or parts_of(estimator) is None or y is None or not folds:
        return None
    if params:
        if set(params) != {"sample_weight"} or isinstance(estimator, Pipeline):
            return None
        options["weights"] = np.asarray(params["sample_weight"])
        if options["weights"].shape != (len(np.asarray(y)),) or options["weights"].dtype.kind not in "fiub":
            return None
    if not Scoring.accepts(scoring) or is_followed(estimator):
        return None
    if error_score != "raise" and not isinstance(error_score, Number):
        return None
    return _class_for.get()(batch_class or Batch)(
        estimator, X, y, folds, scoring, n_threads=n_threads, stop_on_error=error_score == "raise", **options)


class Batch:
    """Fits candidates over folds and scores them.

    Parameters
    ----------
    estimator : estimator
        One that :func:`parts_of` knows. Never fitted itself.
    X, y : tables, matrices or lists of n_samples rows
    folds : list of (train, test)
        Row numbers.
    scoring : None, str, callable, list, tuple, set, dict
    weights : array of shape (n_samples,), optional
        Of the rows in the fits.
    weighted_scores : bool
        Whether scorers get the weights too, which all of them have to take.
    return_train_score, keep_models : bool
    n_threads : int
    stop_on_error : bool
        A fit's error ends the batch; the jobs that were not begun get it as theirs.
    progress : callable, optional
        ``progress(n_done, n_jobs)`` now and then.

    Attributes
    ----------
    tasks : object or None
        Told with ``begin_fits(batch)``, ``tell()`` and ``end_fits()`` of the jobs under way.
    """

    tasks = None

    def __init__(self, estimator, X, y, folds, scoring, *, weights=None, weighted_scores=False,
                 return_train_score=False, keep_models=False, n_threads=1, stop_on_error=False, progress=None):
        self.estimator = estimator
        self.X, self.y, self.weights = X, y, weights
        self.rows_of_y = np.asarray(y)
        self.set_folds(folds)
        self.weighted_scores = weighted_scores
        self.scoring = Scoring(estimator, scoring)
        if weighted_scores:
            self.scoring.quick.clear()
        self.return_train_score = return_train_score
        self.keep_models = keep_models
        self.n_threads = n_threads
        self.stop_on_error = stop_on_error
        self.progress = progress
        self.is_classifier = is_classifier(estimator)
        self.cancel = threading.Event()
        self.classes = self.codes = None
        if self.is_classifier and self.scoring.quick and self.rows_of_y.ndim == 1:
            try:
                self.classes, self.codes = np.unique(self.rows_of_y, return_inverse=True)
            except TypeError:
                # labels without an order: the fits say what they think of them
                self.scoring.quick.clear()
        self.jobs = []

    def set_folds(self, folds):
        """Take these folds in place of those given before."""
        folds = [(np.asarray(train), np.asarray(test)) for train, test in folds]
        self.folds = [tuple(np.flatnonzero(p) if p.dtype == bool else p for p in fold) for fold in folds]
        self.moments = FoldMoments(self.X, self.folds)

    def run(self, candidates):
        """Fit and score every candidate, a dict of parameters, on every fold.

        Returns
        -------
        list of lists of Outcome
            For each candidate, one a fold. Also in :attr:`jobs` when Ctrl-C ends it.
        """
        self.jobs = self.jobs_of(enumerate(candidates))
        with self.telling():
            self._fit_and_score()
        return self.outcomes(range(len(candidates)))

    def run_some(self, candidates, wanted):
        """Outcomes of some (candidate, fold) pairs, in the candidates' order; ``candidates`` are their parameters."""
        self.jobs = [job for job in self.jobs_of(candidates.items()) if (job.candidate, job.fold) in wanted]
        self._fit_and_score()
        return [job.outcome for job in self.jobs]

    def jobs_of(self, candidates):
        """A job for each fold of each (number, parameters) of ``candidates``."""
        return [job for number, params in candidates for job in self._jobs_of(number, params)]

    def _fit_and_score(self):
        self._run_pool(sums.run(self, columns.run(self, lockstep.run(self, self.jobs))))

    def outcomes(self, numbers):
        """Those of some candidates."""
        n_folds = len(self.folds)
        return [[job.outcome for job in self.jobs[n * n_folds:(n + 1) * n_folds]] for n in numbers]

    def finished(self):
        """Numbers of the candidates that are through with all folds."""
        n_folds = len(self.folds)
        return [
            number for number in range(len(self.jobs) // n_folds)
            if all(job.done for job in self.jobs[number * n_folds:(number + 1) * n_folds])
        ]

    def _jobs_of(self, number, params):
        whole = clone(self.estimator)
        if params:
            whole.set_params(**clone(params, safe=False))
        plain, specs, parts = _is_plain(whole), {}, parts_of(whole)
        for fold in range(len(self.folds)):
            own = whole if plain else clone(whole)
            if not plain:
                parts = parts_of(own)
            model = own if parts is None else parts[1]
            if plain and parts is not None:
                model = _same(model)
            yield Job(number, fold, own, model, Outcome(), specs=specs if plain else {})

    @contextmanager
    def telling(self):
        """While the block runs the jobs, whoever follows them is told."""
        if self.tasks is not None:
            self.tasks.begin_fits(self)
        self.tell()
        yield
        if self.tasks is not None:
            self.tasks.end_fits()

    def tell(self):
        """Let the caller know how far the batch is."""
        if self.tasks is not None:
            self.tasks.tell()
        if self.progress is not None:
            self.progress(sum(job.done for job in self.jobs), len(self.jobs))

    # ---- one fit to a thread ----

    def _run_pool(self, jobs, fit=None):
        """Call ``fit(job)`` for each of ``jobs`` in their order on the threads, and score what was fitted; without
        ``fit`` it is an ordinary one, of the largest first."""
        if not jobs:
            return
        if fit is None:
            fit, jobs = self._fit_one, sorted(jobs, key=self.size, reverse=True)

        def work(job):
            fit(job)
            # only scorers from outside wait for the caller's thread
            if job.outcome.error is None and not self.scoring.slow and not self.cancel.is_set():
                with num_threads(1):
                    self.score(job, job.data)

        with thread_pool(min(self.n_threads, len(jobs)), self.cancel.set, PATIENCE_SECONDS) as pool:
            pending = {pool.submit(work, job): job for job in jobs}
            for future in as_completed(list(pending)):
                job = pending.pop(future, None)
                if job is None:  # called off
                    continue
                future.result()
                if job.outcome.error is None and not job.done:
                    # a second thread would take a core from a fit, and wait for more work there when it is done
                    with num_threads(max(1, self.n_threads - len(pending))):
                        self.score(job, job.data)
                job.done = True
                self.tell()
                if job.outcome.error is not None and self.stop_on_error:
                    pending = self._give_up(pending, job.outcome.error)

    def _give_up(self, pending, error):
        """What is left to wait for after the fits that have not begun were called off."""
        running = {}
        for future, job in pending.items():
            if future.cancel():
                job.finish(error)
            else:
                running[future] = job
        return running

    def size(self, job):
        """Of a fit, in multiply-adds up to a factor."""
        model = job.model
        hidden = np.atleast_1d(getattr(model, "hidden_layer_sizes", 1))
        try:
            weights = float(np.sum(hidden)) + float(np.sum(hidden[1:] * hidden[:-1])) / 64
            return len(self.folds[job.fold][0]) * weights * float(getattr(model, "max_iter", 1))
        except (TypeError, ValueError):
            return 0.0

    def _fit_one(self, job):
        """In a thread of the pool: one fit as scikit-learn makes it."""
        if self.cancel.is_set():
            return
        start = time.perf_counter()
        parts = parts_of(job.whole)
        model = job.whole if parts is None else parts[1]
        if parts is not None:
            if not parts[0] and job.whole is not job.model:
                job.whole = model = job.model
            elif parts[0]:
                job.whole = clone(job.whole)
                model = parts_of(job.whole)[1]
        train, _ = self.folds[job.fold]
        callbacks = getattr(model, "callbacks", None)
        try:
            with num_threads(1):
                try:
                    if hasattr(model, "callbacks"):
                        model.callbacks = [*as_callbacks(callbacks), _Cancel(self.cancel)]
                    options = {} if self.weights is None else {"sample_weight": self.weights[train]}
                    job.whole.fit(self._training_rows(job, train), take_rows(self.y, train), **options)
                finally:
                    if hasattr(model, "callbacks"):
                        model.callbacks = callbacks
        except Exception as error:
            job.outcome.error = error
        job.model = job.whole
        job.outcome.fit_time = time.perf_counter() - start

    @cached_property
    def matrix(self):
        """X when a fit can take it as it stands: nothing in it is left to check or to convert; else None."""
        X = self.X
        if type(X) is not np.ndarray or X.dtype not in (np.float32, np.float64) or X.ndim != 2:
            return None
        if not X.flags.c_contiguous or not X.flags.aligned:
            return None
        try:
            assert_all_finite(X)
        except ValueError:
            return None
        return X

    def _training_rows(self, job, train):
        """What a fit reads: numbers of rows where it can, since X must not be copied for each fold."""
        model = job.whole
        if getattr(fit_rules(model), "takes_rows", False) and self.matrix is not None:
            return RowsOf(self.matrix, train)
        return take_rows(self.X, train)

    # ---- scores ----

    def score(self, job, data=None, predicted=None):
        """Scores of a fitted job. ``data(rows)`` gives rows of X as its model takes them, checked and dense.

        ``predicted`` is what :meth:`predict_ahead` gave for the test rows, if anything.
        """
        outcome = job.outcome
        start = time.perf_counter()
        parts = self.folds[job.fold]
        self._score_part(job, parts[1], outcome.test, data, {} if predicted is None else {"predict": predicted})
        if self.return_train_score:
            outcome.score_time = time.perf_counter() - start
            self._score_part(job, parts[0], outcome.train, data, {})
        else:
            outcome.score_time = time.perf_counter() - start
        if self.keep_models:
            outcome.model = self.whole_of(job)
        self._release(job)
        job.done = True

    def _release(self, job):
        """Let go of what a scored job holds."""
        job.model = job.whole = None

    def predict_ahead(self, jobs, data):
        """Predictions of jobs of one fold for its test rows, which are gathered once for all; None for each where they
        must be had otherwise, or are not asked for.
        """
        rows = self.folds[jobs[0].fold][1]
        asked = self.rows_of_y.ndim == 1 and any(name != "neg_log_loss" for name in self.scoring.quick.values())
        if data is None or not asked or not all(_direct(job.model, "predict") for job in jobs):
            return [None] * len(jobs)
        models = [job.model for job in jobs]
        found = [[] for _ in jobs]
        for part in parts_of_rows(rows):
            if self.cancel.is_set():
                return [None] * len(jobs)
            X = data(part)
            several = _predicted_from_sparse(models, X) if sparse.issparse(X) else (
                _predicted(model, "predict", X, _direct(model, "predict")) for model in models)
            for predictions, predicted in zip(found, several):
                predictions.append(predicted)
        return [np.concatenate(predictions) for predictions in found]

    def _score_part(self, job, rows, scores, data, predictions):
        for key, name in self.scoring.quick.items():
            if self.rows_of_y.ndim != 1:
                break
            method = "predict_proba" if name == "neg_log_loss" else "predict"
            direct = None if data is None else _direct(job.model, method)
            if direct is not None or (data is not None and not hasattr(job.model, "feature_names_in_")):
                model, rows_of = job.model, data
            else:
                model, rows_of = self.whole_of(job), partial(take_rows, self.X)
            if not hasattr(model, method):
                continue
            try:
                if method not in predictions:
                    predictions[method] = _predicted_in_parts(model, method, rows_of, rows, direct)
                score = self._quick(name, model, rows, predictions[method])
            except Exception:
                # whatever it is, the scorer meets it again and scikit-learn's rules say what becomes of it
                continue
            if score is not None:
                scores[key] = score
        missing = [key for key in self.scoring.scorers if key not in scores]
        if not missing:
            return
        model = self.whole_of(job)
        X, y = take_rows(self.X, rows), take_rows(self.y, rows)
        options = {"sample_weight": self.weights[rows]} if self.weighted_scores else {}
        for key in missing:
            try:
                scores[key] = self.scoring.scorers[key](model, X, y, **options)
            except Exception as error:
                scores[key] = error

    def _quick(self, name, model, rows, prediction):
        if not is_classifier(model):
            return of_prediction(name, self.rows_of_y[rows], prediction)
        codes = self.codes[rows]
        if len(model.classes_) != len(self.classes):
            if name != "accuracy":
                return None
            prediction = np.searchsorted(self.classes, model.classes_)[prediction]
        return of_prediction(name, codes, prediction) if name == "accuracy" else of_probabilities(codes, prediction)

    def whole_of(self, job):
        """The fitted estimator of a job, its preprocessing included."""
        if not job.steps or isinstance(job.model, Pipeline):
            return job.model
        whole = copy.copy(job.whole)
        fitted = dict(job.steps)
        last = len(whole.steps) - 1
        whole.steps = [
            (name, job.model if i == last else fitted.get(name, step)) for i, (name, step) in enumerate(whole.steps)
        ]
        return whole


def _same(model):
    """An estimator with the same parameters, the very objects: what copy.copy gives, in a tenth of its time."""
    new = object.__new__(type(model))
    vars(new).update(vars(model))
    return new


def _direct(model, method):
    """A function to a fitted model's raw predictions of checked, dense rows without its own checks, if there is one."""
    predictions = getattr(fit_rules(model), "predictions", None)
    return None if predictions is None or method != "predict" else predictions(model)


def parts_of_rows(rows):
    """Row numbers in parts that may be copied."""
    return [rows[first:first + ROWS_AT_ONCE] for first in range(0, max(1, len(rows)), ROWS_AT_ONCE)]


def _predicted_in_parts(model, method, rows_of, rows, direct):
    """:func:`_predicted` of ``rows_of(rows)``, of which there is never a copy as large as a fold."""
    found = [_predicted(model, method, rows_of(part), direct) for part in parts_of_rows(rows)]
    return found[0] if len(found) == 1 else np.concatenate(found)


def _predicted(model, method, X, direct):
    """What a model says of X; classes as numbers."""
    if direct is None or X.dtype != model.coef_.dtype:
        found = getattr(model, method)(X)
        return np.searchsorted(model.classes_, found) if method == "predict" and is_classifier(model) else found
    return _decided(model, direct(X))


def _predicted_from_sparse(models, X):
    """The predictions of linear models, several from one product: its time is that of reading X."""
    at_once = max(1, WEIGHTS_AT_ONCE // max(1, models[0].coef_.size))
    for first in range(0, len(models), at_once):
        part = models[first:first + at_once]
        coef = np.concatenate([np.atleast_2d(model.coef_) for model in part])
        raw = X @ np.ascontiguousarray(coef.T)
        begin = 0
        for model in part:
            end = begin + len(np.atleast_2d(model.coef_))
            own = raw[:, begin:end] + model.intercept_
            yield _decided(model, own[:, 0] if model.coef_.ndim == 1 else own)
            begin = end


def _decided(model, raw):
    """What raw predictions say; classes as numbers."""
    if not is_classifier(model):
        return raw
    if raw.ndim == 1 or raw.shape[1] == 1:
        return (raw.reshape(-1) > 0).astype(np.intp)
    return raw.argmax(axis=1)


def _is_plain(estimator):
    """Whether copies of an estimator may share its parameters: nothing in them changes in a fit."""
    whole = isinstance(estimator, Pipeline)
    for name, value in estimator.get_params(deep=whole).items():
        if whole and (name in ("steps", "memory") or "__" not in name):
            continue
        if isinstance(value, np.random.RandomState | np.random.Generator | np.random.BitGenerator):
            return False
        if value is not None and not isinstance(value, str | Number | Spec | tuple | bool | dict):
            return False
    return True
