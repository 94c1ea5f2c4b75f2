"""The closed form of leave-one-out against leaving one out."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.utils.estimator_checks import parametrize_with_checks

from fasttrain import model_selection as ours
from fasttrain.linear_model import LinearRegressor
from fasttrain.model_selection import LinearRegressorCV

X, y = (part[:60] for part in load_diabetes(return_X_y=True))
ALPHAS = [1e-5, 1e-3, 1e-1]


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("shape", ["tall", "wide", "several outputs", "repeated column"])
def test_against_fits(shape, fit_intercept):
    data, target = X + 0.1, y
    if shape == "wide":
        data, target = np.random.RandomState(0).standard_normal((20, 40)), y[:20]
    elif shape == "several outputs":
        target = np.c_[y, y**2 / 100]
    elif shape == "repeated column":
        data = np.c_[data, data[:, :2]]
    n = len(data)
    model = LinearRegressorCV(ALPHAS, fit_intercept=fit_intercept).fit(data, target)
    scores = []
    for alpha in ALPHAS:
        ridge = Ridge(alpha=(n - 1) * alpha, fit_intercept=fit_intercept)
        predictions = cross_val_predict(ridge, data, target, cv=LeaveOneOut())
        scores.append(-np.mean((target - predictions) ** 2))
        if alpha == model.alpha_:
            np.testing.assert_allclose(model.predictions_, predictions, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(model.scores_, scores, rtol=1e-6)
    assert model.alpha_ == ALPHAS[int(np.argmax(scores))]
    final = Ridge(alpha=n * model.alpha_, fit_intercept=fit_intercept).fit(data, target)
    np.testing.assert_allclose(model.coef_, final.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(model.predict(data), final.predict(data), rtol=1e-6)


def test_it_is_what_linear_regressor_converges_to():
    model = LinearRegressorCV([1e-2]).fit(X, y)
    alone = LinearRegressor(penalty="l2", alpha=1e-2, optimizer="lbfgs", max_iter=2000, tol=1e-8)
    np.testing.assert_allclose(
        model.predictions_, ours.cross_val_predict(alone, X, y, cv=LeaveOneOut()), rtol=1e-5)
    np.testing.assert_allclose(model.coef_, alone.fit(X, y).coef_, rtol=1e-4, atol=1e-4)


def test_bad_input():
    for alphas, error in [([], ValueError), ([0.0], ValueError), ([-1.0], ValueError), (["a"], TypeError)]:
        with pytest.raises(error, match="alphas"):
            LinearRegressorCV(alphas).fit(X, y)
    with pytest.raises(TypeError, match="fit_intercept"):
        LinearRegressorCV(fit_intercept=1).fit(X, y)
    with pytest.raises(ValueError, match="minimum of 2"):
        LinearRegressorCV().fit(X[:1], y[:1])


@parametrize_with_checks([LinearRegressorCV()])
def test_scikit_learn_s_checks(estimator, check):
    check(estimator)
