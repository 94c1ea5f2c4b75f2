"""Models that choose their penalty by cross-validation need folds."""

import numpy as np
import pytest

from fasttrain import linear_model as ours
from fasttrain._estimators.data import folds_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = X[:, 0] > 0


@pytest.mark.parametrize("cls", [
    ours.ElasticNetCV, ours.LassoCV, ours.MultiTaskElasticNetCV, ours.MultiTaskLassoCV, ours.RidgeCV,
    ours.RidgeClassifierCV])
@pytest.mark.parametrize("none", [list, lambda: iter(())], ids=["a list", "an iterator"])
def test_no_folds_are_refused_by_name(cls, none):
    model = cls(cv=none())
    with pytest.raises(ValueError, match="cv must give at least one pair of rows to train on and to test with"):
        model.fit(X, np.c_[Y, ~Y] if cls.__name__.startswith("MultiTask") else Y)
    assert not hasattr(model, "coef_")


def test_no_folds_of_a_logistic_regression_are_refused_by_name():
    model = ours.LogisticRegressionCV(cv=[], l1_ratios=(0,), scoring="accuracy", use_legacy_attributes=False)
    with pytest.raises(ValueError, match="cv must give at least one pair of rows"):
        model.fit(X, Y)


def test_folds_are_the_splitters():
    rows = [(np.arange(20), np.arange(20, 40)), (np.arange(20, 40), np.arange(20))]
    for found, given in zip(folds_of(X, Y, iter(rows)), rows, strict=True):
        np.testing.assert_array_equal(found, given)
    classes = np.repeat([0, 1], 20)
    for stratified in (False, True):
        seen = [set(classes[test]) for _, test in folds_of(X, classes, 2, classifier=stratified)]
        assert seen == ([{0, 1}, {0, 1}] if stratified else [{0}, {1}])
