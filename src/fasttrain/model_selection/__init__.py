"""Splitters, cross-validation and searches: scikit-learn's, with the fits of fasttrain's estimators run as batches.

``validation`` has the functions of cross-validation, ``search`` grid and randomized search, ``racing`` successive
halving over epochs, ``curves`` learning and validation curves; ``batch`` runs their fits all at once. scikit-learn's
own functions then read the answers, so that results, ranks, messages and rules about errors are its own. Splitters
are scikit-learn's. ``_entries`` says which of its searches and functions the patch replaces.
"""

from sklearn.model_selection import (
    GroupKFold, GroupShuffleSplit, KFold, LeaveOneGroupOut, LeaveOneOut, LeavePGroupsOut, LeavePOut, ParameterGrid,
    ParameterSampler, PredefinedSplit, RepeatedKFold, RepeatedStratifiedKFold, ShuffleSplit, StratifiedGroupKFold,
    StratifiedKFold, StratifiedShuffleSplit, TimeSeriesSplit, check_cv, train_test_split,
)

from fasttrain._core.public import publish
from fasttrain.linear_model import LinearRegressorCV
from fasttrain.model_selection.curves import learning_curve, validation_curve
from fasttrain.model_selection.racing import RacingSearchCV
from fasttrain.model_selection.search import GridSearchCV, RandomizedSearchCV
from fasttrain.model_selection.validation import cross_val_predict, cross_val_score, cross_validate
from fasttrain.model_selection import _entries  # noqa: F401  (enters them)

__all__ = [
    "GridSearchCV", "GroupKFold", "GroupShuffleSplit", "KFold", "LeaveOneGroupOut", "LeaveOneOut", "LeavePGroupsOut",
    "LeavePOut", "LinearRegressorCV", "ParameterGrid", "ParameterSampler", "PredefinedSplit", "RacingSearchCV",
    "RandomizedSearchCV", "RepeatedKFold", "RepeatedStratifiedKFold", "ShuffleSplit", "StratifiedGroupKFold",
    "StratifiedKFold", "StratifiedShuffleSplit", "TimeSeriesSplit", "check_cv", "cross_val_predict", "cross_val_score",
    "cross_validate", "learning_curve", "train_test_split", "validation_curve",
]

publish(globals())
