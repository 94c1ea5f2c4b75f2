"""Without ``scoring`` a batch scores by what the estimator's ``score`` is: R^2 and accuracy are not everybody's."""

import numpy as np
import pytest
import sklearn.model_selection as theirs
from sklearn.pipeline import make_pipeline

from fasttrain import model_selection as ours
from fasttrain.linear_model import (
    GammaRegressor, LogisticRegressionCV, PoissonRegressor, Ridge, RidgeClassifier, SGDClassifier, TweedieRegressor,
)
from fasttrain.preprocessing import StandardScaler

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 4))
RAW = X @ [0.3, -0.6, 0.2, 0.0]
COUNTS = RNG.poisson(np.exp(RAW)).astype(float)
AMOUNTS = RNG.gamma(2.0, np.exp(RAW) / 2)
LABELS = np.array(["no", "yes"])[(RAW + RNG.standard_normal(90) > 0).astype(int)]


class Tenth(Ridge):
    """Scored in a way of its own."""

    def score(self, X, y, sample_weight=None):
        return 0.1 * super().score(X, y, sample_weight)


CASES = [
    (PoissonRegressor(), {"alpha": [0.01, 1.0]}, COUNTS), (GammaRegressor(), {"alpha": [0.01, 1.0]}, AMOUNTS),
    (TweedieRegressor(power=1.5), {"alpha": [0.01, 1.0]}, COUNTS), (Tenth(), {"alpha": [0.1, 10.0]}, RAW),
    (LogisticRegressionCV(cv=3, l1_ratios=(0,), scoring="neg_log_loss", use_legacy_attributes=False),
     {"Cs": [[0.1, 1.0], [3.0]]}, LABELS),
    (Ridge(), {"alpha": [0.1, 10.0]}, RAW), (RidgeClassifier(), {"alpha": [0.1, 10.0]}, LABELS),
    (SGDClassifier(random_state=0), {"alpha": [1e-4, 1e-2]}, LABELS),
]


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("model", "grid", "y"), CASES, ids=lambda value: type(value).__name__)
def test_scores_are_the_estimators_own(model, grid, y, scaled):
    if scaled:
        name = type(model).__name__.lower()
        grid = {f"{name}__{key}": values for key, values in grid.items()}
        model = make_pipeline(StandardScaler(), model)
    found, wanted = (
        package.GridSearchCV(model, grid, cv=3, return_train_score=True).fit(X, y).cv_results_
        for package in (ours, theirs))
    for key in ("mean_test_score", "mean_train_score", "split1_test_score"):
        np.testing.assert_allclose(found[key], wanted[key], rtol=1e-6)
    np.testing.assert_allclose(
        ours.cross_validate(model, X, y, cv=3)["test_score"], theirs.cross_validate(model, X, y, cv=3)["test_score"],
        rtol=1e-6)
