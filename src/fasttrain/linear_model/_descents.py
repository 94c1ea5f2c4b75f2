"""From estimators to per-sample descents: checked rows, scikit-learn's draws, candidates in lockstep, and
their training.
"""

import time
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from fasttrain._core.random_states import check_random_state
from fasttrain._core.warned import warn
from fasttrain._kernels.sgd import LOSSES, SCHEDULES, Descent, Rows, csr_in_range, run
from fasttrain._kernels.threads import thread_budget
from fasttrain.callbacks import StopTraining

LARGEST_SEED = np.iinfo(np.int32).max
# scikit-learn lets the intercept move a hundredth as fast on sparse rows, where features are mostly 0.
SPARSE_INTERCEPT_DECAY = 0.01
MARGIN_LOSSES = ("hinge", "squared_hinge", "perceptron", "modified_huber")
# Candidates of one descent, which is one thread's work: few enough for the first-level cache, and not dependent on
# the number of threads, because the order of a candidate's sums depends on how many walk with it.
CANDIDATES_TOGETHER = 16


def check_csr(X, name="X"):
    """Refuse a CSR matrix whose index arrays point outside it; returns them in the kernels' dtypes."""
    values = np.ascontiguousarray(X.data)
    indices = np.ascontiguousarray(X.indices)
    if indices.dtype not in (np.int32, np.int64):
        indices = indices.astype(np.int64)
    indptr = np.ascontiguousarray(X.indptr, dtype=np.int64)
    narrow = indices.dtype == np.int32
    inside = len(indptr) == X.shape[0] + 1 and csr_in_range(
        indices if narrow else None, None if narrow else indices, indptr, len(values), X.shape[1]
    )
    if not inside:
        raise ValueError(
            f"{name} must be a CSR matrix whose indices are in [0, {X.shape[1]}) and whose indptr ascends "
            "from 0 to "
            f"its number of values, got index arrays that point outside"
        )
    return values, indices, indptr


def check_prediction_rows(X):
    """Refuse a CSR matrix that a product would follow outside its memory; anything else is the product's
    to check.
    """
    if sparse.issparse(X) and X.format == "csr":
        check_csr(X)


def rows_of(X, name="X"):
    """Rows of a validated matrix (float32 or float64; C-contiguous, or CSR)."""
    if sparse.issparse(X):
        return Rows.csr(*check_csr(X, name), X.shape[1])
    return Rows.dense(np.require(X, requirements=["C", "A"]))


@dataclass
class Problem:
    """One row order with its targets, and the models to train on it.

    Parameters
    ----------
    X : Rows
    y : ndarray of shape (n_samples,) or (n_models, n_samples)
        Coded for the loss, in X's dtype.
    loss : str
    seed : int
        Of the shuffle.
    models : list of dict
        Candidates as :class:`fasttrain._kernels.sgd.Descent` takes them.
    starts : list of tuple or None
        For each model ``(coef, intercept, average_coef, average_intercept)``; None to start from zeros.
    """

    X: Rows
    y: np.ndarray
    loss: str
    seed: int
    models: list
    starts: list
    sample_weight: np.ndarray | None = None
    mask: np.ndarray | None = None
    rows: np.ndarray | None = None
    score: tuple | None = None
    options: dict = field(default_factory=dict)

    def on(self, rows):
        """The same models on other rows of X."""
        return Problem(**{**vars(self), "rows": rows})

    def descent(self, first, last):
        y = self.y if self.y.ndim == 1 else np.ascontiguousarray(self.y[first:last])
        score = self.score
        if score is not None:
            X_score, y_score, weight, totals, kind = score
            if y_score.ndim == 2:
                y_score = np.ascontiguousarray(y_score[first:last])
            score = (X_score, y_score, weight, np.ascontiguousarray(totals[first:last]), kind)
        descent = Descent(
            self.X,
            y,
            self.models[first:last],
            self.loss,
            seed=self.seed,
            sample_weight=self.sample_weight,
            mask=self.mask,
            rows=self.rows,
            score=score,
            **self.options,
        )
        for k, start in enumerate(self.starts[first:last]):
            if start is not None:
                descent.begin_from(k, *start)
        return descent


@dataclass
class Trained:
    """A model after its descent."""

    coef: np.ndarray
    intercept: float
    average_coef: np.ndarray | None
    average_intercept: float
    n_iter: int
    loss_curve: list
    validation_scores: list


def train(problems, n_threads=None, verbose=0, collect_errors=False, tasks=None):
    """Train every model of every problem; a list of :class:`Trained` for each problem.

    With ``collect_errors`` a model that cannot be used is the exception that says why. ``tasks`` is a
    ``fasttrain._estimators.following.FitTasks``, told of each epoch.

    Raises
    ------
    ValueError
        When the weights of a model left the finite numbers; the first such model in the order of the
        arguments.
    """
    with thread_budget(n_threads) as n_threads:
        descents, places = [], []
        for p, problem in enumerate(problems):
            n_models = len(problem.models)
            for first in range(0, n_models, CANDIDATES_TOGETHER):
                descents.append(problem.descent(first, min(first + CANDIDATES_TOGETHER, n_models)))
                places.append((p, first))
        told = None if tasks is None else _Told(descents, places, problems, tasks)
        listeners = [listener for listener in (_Report(descents) if verbose else None, told) if listener is not None]
        try:
            run(descents, n_threads, _all_of(listeners))
        except StopTraining:
            pass
        finally:
            if told is not None:
                told.finish()
        if told is not None and told.stopped:
            # trained anew for as many epochs as there were: what is in the middle of a descent is no model
            for (owner, number), n_epochs in told.stopped.items():
                problems[owner].models[number]["max_iter"] = n_epochs
            return train(problems, n_threads, collect_errors=collect_errors)
    results = [[] for _ in problems]
    for descent, (owner, _) in zip(descents, places):
        for k in range(descent.n_candidates):
            if not descent.finite(k):
                error = ValueError(
                    f"Floating-point under-/overflow occurred at epoch #{descent.n_iter(k)}. Scaling "
                    "input data with "
                    "StandardScaler or MinMaxScaler might help."
                )
                if not collect_errors:
                    raise error
                results[owner].append(error)
                continue
            results[owner].append(_trained(descent, k))
    return results


def _trained(descent, k):
    dtype = np.float64 if descent.X.is_double else np.float32
    coef = np.empty(descent.X.n_features, dtype)
    descent.write_coef(k, coef)
    average_coef = None
    if descent.has_average:
        average_coef = np.empty(descent.X.n_features, dtype)
        descent.write_coef(k, average_coef, True)
    return Trained(
        coef,
        descent.intercept(k),
        average_coef,
        descent.intercept(k, True),
        descent.n_iter(k),
        descent.objectives[k],
        descent.scores[k],
    )


def _all_of(listeners):
    def each_epoch(position):
        for listener in listeners:
            listener(position)

    return each_epoch if listeners else None


class _Told:
    """Tells scikit-learn's callbacks of each epoch of each model; one of several is a task of its own.

    ``places`` are for each descent the problem it is of and the number of its first model there.
    """

    def __init__(self, descents, places, problems, tasks):
        self.descents = descents
        self.models = [[(owner, first + k) for k in range(descent.n_candidates)]
                       for descent, (owner, first) in zip(descents, places)]
        models = [model for held in self.models for model in held]
        self.alone = len(models) == 1
        self.tasks = {model: tasks if self.alone else tasks.branch("model", i) for i, model in enumerate(models)}
        self.most = {(owner, i): problems[owner].models[i]["max_iter"] for owner, i in models}
        #: by model, after how many epochs a callback ended it
        self.stopped = {}
        for each in self.tasks.values():
            each.on_epoch_begin(1)
        self.epochs = dict.fromkeys(models, 0)

    def __call__(self, position):
        descent = self.descents[position]
        for k, model in enumerate(self.models[position]):
            epoch = descent.n_iter(k)
            if epoch > self.epochs[model] and model not in self.stopped:
                self.epochs[model] = epoch
                self._tell(descent, k, model, epoch)
        if len(self.stopped) == len(self.tasks):
            raise StopTraining

    def _tell(self, descent, k, model, epoch):
        task = self.tasks[model]
        coef = np.empty(descent.X.n_features, np.float64 if descent.X.is_double else np.float32)
        # one of several is no estimator yet
        task.training = (coef, descent.snapshot(k, coef)) if self.alone else None
        if task.on_epoch_end(epoch, {"loss": descent.objectives[k][-1]}):
            self.stopped[model] = epoch
        elif epoch < self.most[model] and descent.finite(k) and not descent.converged(k):
            task.on_epoch_begin(epoch + 1)

    def finish(self):
        for task in self.tasks.values():
            task.training = None
            task.on_train_end(None)
            if not self.alone:
                task.finish()


class _Report:
    """Prints an epoch of each model, as scikit-learn's ``verbose`` does."""

    def __init__(self, descents):
        self.descents = descents
        self.start = time.perf_counter()

    def __call__(self, position):
        descent = self.descents[position]
        for k in range(descent.n_candidates):
            epoch = len(descent.losses[k])
            if descent.n_iter(k) < epoch:
                continue
            coef = np.empty(descent.X.n_features, np.float64 if descent.X.is_double else np.float32)
            intercept = descent.snapshot(k, coef)
            score = f", Validation score: {descent.scores[k][-1]:f}" if descent.scores[k] else ""
            print(f"-- Epoch {epoch}")
            print(
                f"Norm: {np.linalg.norm(coef):.2f}, NNZs: {np.count_nonzero(coef)}, Bias: {intercept:.6f}, "
                f"T: {epoch * descent.n_train}, Avg. loss: {descent.losses[k][-1]:f}, "
                f"Objective: {descent.objectives[k][-1]:f}{score}"
            )
            print(f"Total training time: {time.perf_counter() - self.start:.2f} seconds.")
            if descent.converged(k):
                print(f"Convergence after {epoch} epochs took {time.perf_counter() - self.start:.2f} seconds")


def candidate(estimator, max_iter, weight_positive=1.0, weight_negative=1.0):
    """The kernel's view of an estimator's parameters, which are checked already."""
    penalty, alpha = estimator.penalty, float(estimator.alpha)
    if penalty is None:
        l1_ratio = l2_ratio = 0.0
    else:
        l1_ratio = {"l2": 0.0, "l1": 1.0}.get(penalty, estimator.l1_ratio)
        l2_ratio = 1.0 - l1_ratio
    parameter = {"hinge": 1.0, "squared_hinge": 1.0, "quantile": getattr(estimator, "quantile", 0.5)}.get(
        estimator.loss, 0.0
    )
    if estimator.loss in ("huber", "epsilon_insensitive", "squared_epsilon_insensitive"):
        parameter = float(estimator.epsilon)
    # Bottou's first time: the step at t = 1 is the size of a typical weight, sqrt(1 / sqrt(alpha)). (The
    # slope of every loss at the prediction -typical for the target 1 is at most 0, so scikit-learn's
    # division by max(1, slope) is by 1.)
    shift = 1.0 / (np.sqrt(1.0 / np.sqrt(alpha)) * alpha) if estimator.learning_rate == "optimal" else 0.0
    return {
        "alpha": alpha,
        "l1_ratio": float(l1_ratio),
        "l2_ratio": float(l2_ratio),
        "schedule": estimator.learning_rate,
        "eta0": float(estimator.eta0),
        "eta_shift": float(shift),
        "power_t": float(estimator.power_t),
        "parameter": float(parameter),
        "weight_positive": float(weight_positive),
        "weight_negative": float(weight_negative),
        "average": int(estimator.average),
        "tol": -np.inf if estimator.tol is None else float(estimator.tol),
        "n_iter_no_change": int(estimator.n_iter_no_change),
        "max_iter": int(max_iter),
    }


def shuffle_seed(random_state, dataset_first):
    """The seed of the shuffle, drawn as scikit-learn draws it.

    scikit-learn makes a data set with a seed of its own (never used by the descent) before it draws the
    shuffle's seed in a classifier, and after it in a regressor.
    """
    if dataset_first:
        random_state.randint(1, LARGEST_SEED)
        return int(random_state.randint(LARGEST_SEED))
    seed = int(random_state.randint(0, LARGEST_SEED))
    random_state.randint(1, LARGEST_SEED)
    return seed


def class_seeds(random_state, n_classes):
    """Seeds of one-versus-rest descents, which may run in any order."""
    seeds = check_random_state(random_state).randint(LARGEST_SEED, size=n_classes)
    return [shuffle_seed(check_random_state(seed), dataset_first=True) for seed in seeds]


def validation_mask(y, stratify, fraction, random_state, weighted):
    """Rows that early stopping holds out, as a uint8 array of 0 and 1.

    ``weighted`` says which rows have a weight above 0 (None: all).
    """
    splitter = (StratifiedShuffleSplit if stratify else ShuffleSplit)(
        test_size=fraction, random_state=random_state
    )
    kept, held = next(splitter.split(np.zeros((len(y), 1)), y))
    if weighted is not None and not weighted[held].any():
        raise ValueError(
            "The sample weights for validation set are all zero, consider using a different random state."
        )
    if len(kept) == 0 or len(held) == 0:
        raise ValueError(
            f"Splitting {len(y)} samples into a train set and a validation set with "
            f"validation_fraction={fraction!r} led "
            f"to an empty set ({len(kept)} and {len(held)} samples). Please either change "
            "validation_fraction, increase "
            "number of samples, or disable early_stopping."
        )
    mask = np.zeros(len(y), dtype=np.uint8)
    mask[held] = 1
    return mask


def score_totals(y, weight, kind):
    """What the kernel's sums over the validation rows are measured against: one number for each row of
    ``y``.
    """
    y = np.atleast_2d(np.asarray(y, dtype=np.float64))
    weight = np.ones(y.shape[1]) if weight is None else np.asarray(weight, dtype=np.float64)
    if kind == "accuracy":
        return np.full(len(y), weight.sum())
    if y.shape[1] < 2:
        warn(
            "R^2 score is not well-defined with less than two samples.", UndefinedMetricWarning
        )
    mean = (y * weight).sum(axis=1) / weight.sum()
    return (weight * (y - mean[:, None]) ** 2).sum(axis=1)


__all__ = ["LOSSES", "SCHEDULES", "Problem", "Trained", "candidate", "class_seeds", "rows_of", "train"]
