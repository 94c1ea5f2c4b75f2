"""scikit-learn's own functions over fits that are already made.

The batch fits and scores first. Then scikit-learn's function runs over a :class:`StandIn`, whose ``fit`` looks up what
came of the fit (an error is raised anew) and whose scorers look up the score. So results, ranks, messages and the rules
about errors are scikit-learn's, whatever its version.
"""

import numpy as np
from sklearn.base import BaseEstimator


class Answers:
    """Outcomes of a batch, handed out fold by fold: a fold's candidates come in their order.

    Attributes
    ----------
    outcomes : list of lists
        For each candidate, one outcome a fold.
    """

    def __init__(self):
        self.load([])

    def load(self, outcomes):
        self.outcomes = outcomes
        self._taken = {}

    def next(self, fold):
        """The outcome of the next candidate on this fold; None when all were asked for."""
        candidate = self._taken.get(fold, 0)
        self._taken[fold] = candidate + 1
        return self.outcomes[candidate][fold] if candidate < len(self.outcomes) else None


class InOrder(Answers):
    """Outcomes of one candidate, handed out one after the other, whatever the fold."""

    def next(self, fold):
        number = self._taken.get(None, 0)
        self._taken[None] = number + 1
        return self.outcomes[0][number]


class Recorder(BaseEstimator):
    """Notes the rows of each fit and of its test part."""

    def __init__(self, jobs):
        self.jobs = jobs

    def __sklearn_clone__(self):
        return Recorder(self.jobs)

    def fit(self, X, y=None):
        self.job = {"train": X[:, 0]}
        self.jobs.append(self.job)
        return self

    def record_test(self, X, y=None):
        """As a scorer: the test part is asked for before the training part."""
        self.job.setdefault("test", X[:, 0])
        return 0.0


class StandIn(BaseEstimator):
    """In the place of an estimator; X are the folds' numbers."""

    def __init__(self, estimator, answers):
        self.estimator = estimator
        self.answers = answers
        self.outcome = None

    def __sklearn_clone__(self):
        return StandIn(self.estimator, self.answers)

    def __sklearn_tags__(self):
        return self.estimator.__sklearn_tags__()

    def __repr__(self, N_CHAR_MAX=700):
        return repr(self.estimator)

    def set_params(self, **params):
        # the batch has set them, on an estimator that may refuse them
        return self

    def fit(self, X, y=None):
        self.outcome = self.answers.next(int(X[0, 0]))
        if self.outcome is not None and self.outcome.error is not None:
            raise self.outcome.error
        return self

    def score(self, X, y=None):
        raise NotImplementedError("the scores of a batch come from its scorers")


class PredictionStandIn(StandIn):
    """Answers every method with the (prediction, classes) that stand in the place of a score."""

    def __sklearn_clone__(self):
        return PredictionStandIn(self.estimator, self.answers)

    def _found(self):
        found = self.outcome.test[None]
        if isinstance(found, Exception):
            raise found
        return found

    @property
    def classes_(self):
        return self._found()[1]

    def predict(self, X):
        return self._found()[0]

    predict_proba = predict_log_proba = decision_function = predict


class FoldNumbers:
    """A splitter whose fold k is the row k, as train and as test part."""

    def __init__(self, n_folds, n_splits=None):
        self.n_folds = n_folds
        self.n_splits = n_folds if n_splits is None else n_splits

    @property
    def X(self):
        """What it splits."""
        return np.arange(self.n_folds).reshape(-1, 1)

    def split(self, X=None, y=None, groups=None):
        for fold in range(self.n_folds):
            yield np.array([fold]), np.array([fold])

    def get_n_splits(self, X=None, y=None, groups=None):
        return self.n_splits


class _LookUp:
    """A scorer that answers with the batch's score; the test part is asked for first."""

    def __init__(self, key):
        self.key = key

    def __call__(self, estimator, X, y=None):
        outcome = estimator.outcome
        scores = outcome.test if self.key not in outcome.asked else outcome.train
        outcome.asked.add(self.key)
        score = scores[self.key]
        if isinstance(score, Exception):
            raise score
        return score


def look_ups(scoring):
    """Scorers of the same shape as the caller's ``scoring``."""
    if scoring.single:
        return _LookUp(None)
    return {key: _LookUp(key) for key in scoring.scorers}
