"""Programs as users write them, for type checkers: mypy and pyright must find nothing in them. Nothing runs them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import fasttrain
from fasttrain import (
    LinearClassifier, LinearRegressor, MLPClassifier, MLPRegressor, SGDClassifier, descent, learning_rate_finder,
    minimize, optimizers, schedules,
)
from fasttrain.activations import LeakyRelu
from fasttrain.callbacks import EarlyStopping
from fasttrain.inspection import input_gradients
from fasttrain.linear_model import Lasso, LinearSVC, LogisticRegression, Ridge, RidgeCV, enet_path
from fasttrain.losses import Huber, Loss
from fasttrain.model_selection import GridSearchCV, RacingSearchCV, cross_val_score, learning_curve
from fasttrain.optimizers import AdamW, Momentum, StepOptimizer
from fasttrain.penalties import L1
from fasttrain.persistence import load, save
from fasttrain.plotting import LossCurveDisplay
from fasttrain.preprocessing import OneHotEncoder, StandardScaler, TablePreprocessor, drop_missing
from fasttrain.schedules import Warmup

rng = np.random.default_rng(0)
X: NDArray[np.float64] = rng.standard_normal((100, 3))
y = (X[:, 0] > 0).astype(int)


def networks() -> float:
    model = MLPClassifier(
        (20, 10), "relu", optimizer=AdamW(0.01, clip_norm=1.0), schedule=Warmup(n_steps=10), dropout=[0.1, 0.2],
        penalties=["l1", None, L1(1e-3)], callbacks=[EarlyStopping(patience=3), lambda epoch, logs: None],
        random_state=0, early_stopping=True)
    fitted: MLPClassifier = model.fit(X, y, validation_data=(X, y))
    shapes: list[tuple[int, ...]] = [coef.shape for coef in fitted.coefs_]
    names = fitted.predict(X)
    curve: list[float] = fitted.loss_curve_
    print(shapes, names.shape, curve[-1], fitted.hidden_layer_sizes, fitted.alpha)
    MLPRegressor(activation=[LeakyRelu(0.1), "tanh"], hidden_layer_sizes=[8, 8]).fit(X.tolist(), y.tolist())
    found = learning_rate_finder(MLPClassifier(), X, y)
    if found.suggestion is not None:
        print(found.suggestion * 2)
    return float(fitted.score(X, y))


def linear() -> None:
    classifier = LinearClassifier(loss="hinge", penalty="l1", alpha=1e-3, random_state=np.random.RandomState(0))
    print(classifier.fit(X, y).decision_function(X).mean(), classifier.classes_)
    robust = LinearRegressor(Huber(delta=1.5), optimizer="adam", schedule="one_cycle", max_iter=50).fit(X, X[:, 1])
    print(robust.coef_, robust.n_iter_, robust.predict(X)[0])
    print(SGDClassifier(loss="log_loss", random_state=0).partial_fit(X, y, classes=[0, 1]).predict_proba(X))
    for model in (Ridge(alpha=0.5), Lasso(0.1), RidgeCV(alphas=(0.1, 1.0))):
        print(model.fit(X, X[:, 0]).predict(X))
    print(LogisticRegression(C=2.0).fit(X, y, sample_weight=np.ones(100)).coef_)
    print(LinearSVC(penalty="l1", dual=False).fit(X, y).coef_)
    alphas, coefs, gaps = enet_path(X, X[:, 0], l1_ratio=0.5)[:3]
    print(alphas.shape, coefs.shape, gaps.shape)


def descents() -> NDArray[Any]:
    result = minimize(X, X[:, 0], loss="huber", optimizer=Momentum(0.01, momentum=0.9), penalty="l2", n_iter=10)
    print(result.coef, result.loss_curve[-1], result.converged)
    state_of: dict[str, NDArray[np.float64]] = {"w": np.ones(3)}
    rule: StepOptimizer = optimizers.Adam(0.01, beta_1=0.9)
    state = rule.init(state_of)
    rule.step(state_of, {"w": np.zeros(3)}, state, penalty="l1")
    loss: Loss = fasttrain.losses.get("huber")
    print(state.t, loss.gradient([0.0, 1.0], [0.5, 0.5]), schedules.names())
    return descent.gradient_descent(X, X[:, 0], learning_rate=0.1, num_iterations=10)


def tables(frame: Any) -> None:
    clean = drop_missing(frame)
    print(clean.shape)
    clean, labels = drop_missing(frame, [0, 1])
    steps = TablePreprocessor(scale="standard", encode="onehot").fit(clean, labels)
    print(steps.transform(clean), steps.n_features_in_)
    print(OneHotEncoder(handle_unknown="ignore").fit_transform([["a"], ["b"]]))
    print(StandardScaler(with_mean=False).fit(X).mean_)


def searches() -> None:
    grid = {"alpha": [1e-4, 1e-3], "hidden_layer_sizes": [(10,), (20,)]}
    search = GridSearchCV(MLPClassifier(), grid, cv=3, scoring="accuracy").fit(X, y)
    print(search.best_params_, search.best_score_, search.cv_results_["mean_test_score"])
    print(RacingSearchCV(MLPClassifier(), grid).fit(X, y).best_estimator_)
    print(cross_val_score(LinearClassifier(), X, y, cv=5).mean(), learning_curve(Ridge(), X, X[:, 0])[0])


def files(path: str) -> None:
    model = MLPRegressor().fit(X, X[:, 0])
    save(model, path)
    print(load(path))
    LossCurveDisplay.from_estimator(model).plot(name="loss")
    print(input_gradients(model, X).shape)


def threads() -> None:
    with fasttrain.num_threads(1):
        networks()
    fasttrain.set_num_threads(2)
    print(fasttrain.show_config("dicts")["threads"], fasttrain.__version__)
    with fasttrain.patched():
        pass
