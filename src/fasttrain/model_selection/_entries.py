"""What the searches are to scikit-learn, and which functions of its the patch replaces."""

import inspect

from sklearn import get_config, model_selection as stock
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils import indexable

from fasttrain._estimators.conversion import renamed
from fasttrain._estimators.registry import enter, enter_function
from fasttrain.model_selection import curves, validation
from fasttrain.model_selection.batch.planner import parts_of
from fasttrain.model_selection.search import GridSearchCV, RandomizedSearchCV


def _choose(fast, stock, args, kwargs):
    """fasttrain's function for what it makes a batch of, scikit-learn's for all else.

    Where every test part is one row, fasttrain's cross-validation pools the predictions for r2 and its like, which is
    not scikit-learn's answer.
    """
    try:
        given = inspect.signature(stock).bind(*args, **kwargs).arguments
        estimator, X, y = (given.get(name) for name in ("estimator", "X", "y"))
        if y is None or parts_of(estimator) is None or get_config().get("enable_metadata_routing"):
            return stock, kwargs
        if stock.__name__ not in ("cross_validate", "cross_val_score"):
            return fast, kwargs
        splitter = check_cv(given.get("cv"), y, classifier=is_classifier(estimator))
        folds = list(splitter.split(*indexable(X, y, given.get("groups"))))
        alone = all(len(test) == 1 for _, test in folds)
    except (TypeError, ValueError):
        # scikit-learn says what is wrong with them
        return stock, kwargs
    return (stock if alone else fast), {**kwargs, "cv": folds}


for _cls in (GridSearchCV, RandomizedSearchCV):
    _stock = getattr(stock, _cls.__name__)
    enter(_cls, stock=_stock, to_stock=renamed(_stock), holds_estimators=True, replaces={}, saved=False)
for _function in (
    validation.cross_val_predict, validation.cross_val_score, validation.cross_validate, curves.learning_curve,
    curves.validation_curve,
):
    enter_function(_function, getattr(stock, _function.__name__), _choose)
