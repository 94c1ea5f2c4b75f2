"""Splitters and cross-validation: scikit-learn's, with leave-one-out scored on pooled predictions."""

from sklearn.model_selection import (
    GroupKFold, GroupShuffleSplit, KFold, LeaveOneGroupOut, LeaveOneOut, LeavePGroupsOut, LeavePOut, PredefinedSplit,
    RepeatedKFold, RepeatedStratifiedKFold, ShuffleSplit, StratifiedGroupKFold, StratifiedKFold,
    StratifiedShuffleSplit, TimeSeriesSplit, check_cv, train_test_split,
)

from fasttrain.model_selection.search import GridSearchCV, RandomizedSearchCV
from fasttrain.model_selection.validation import cross_val_predict, cross_val_score, cross_validate

__all__ = [
    "GridSearchCV", "RandomizedSearchCV", "GroupKFold", "GroupShuffleSplit", "KFold", "LeaveOneGroupOut", "LeaveOneOut", "LeavePGroupsOut", "LeavePOut",
    "PredefinedSplit", "RepeatedKFold", "RepeatedStratifiedKFold", "ShuffleSplit", "StratifiedGroupKFold",
    "StratifiedKFold", "StratifiedShuffleSplit", "TimeSeriesSplit", "check_cv", "cross_val_predict", "cross_val_score",
    "cross_validate", "train_test_split",
]
