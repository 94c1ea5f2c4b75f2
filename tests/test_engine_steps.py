"""The engine against the vocabulary: a training is the loss's gradient and the optimizer's steps, written out."""

import numpy as np
import pytest
import tolerances
from test_optimizers import RULES

from fasttrain import losses, schedules
from fasttrain import optimizers as o
from fasttrain.descent import minimize
from fasttrain.penalties import L2, ElasticNet, NoPenalty

EVERY = [
    *RULES,
    o.Momentum(0.05, clip_norm=0.3),
    o.Adam(0.05, clip_value=0.05),
    o.GradientDescent(0.1, weight_decay=0.3),
]


def problem(loss, dtype=np.float64, n=60, n_features=7):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, n_features)).astype(dtype)
    y = {
        "real": lambda: X @ rng.normal(size=n_features) + rng.normal(size=n),
        "non_negative": lambda: rng.poisson(2.0, size=n),
        "probability": lambda: rng.random(n).round(),
        "margin": lambda: rng.choice([-1, 1], size=n),
        "classes": lambda: rng.integers(0, 3, size=n),
    }[loss.targets]()
    return X, np.asarray(y, dtype=float) if loss.targets != "classes" else y


def written_out(X, y, loss, opt, penalty, schedule, n_iter, intercept, weight=None, batches=None):
    n_out = 3 if loss.targets == "classes" else 1
    params = {"coef": np.zeros((X.shape[1], n_out), X.dtype), "intercept": np.zeros(n_out, X.dtype)}
    if not intercept:
        del params["intercept"]
    state = opt.init(params)
    batches = batches or [[np.arange(len(X))]] * n_iter
    per_epoch = len(batches[0])
    rates = schedule.rates(opt.learning_rate, 0, n_iter * per_epoch, per_epoch, n_iter * per_epoch)
    for batch, rate in zip((rows for epoch in batches for rows in epoch), rates):
        raw = X[batch] @ params["coef"] + params.get("intercept", 0)
        d = loss.gradient(
            y[batch] if n_out == 3 else y[batch][:, None], raw, None if weight is None else weight[batch]
        )
        grads = {"coef": X[batch].T @ d, "intercept": d.sum(axis=0)}
        opt.step(
            params, {key: grads[key] for key in params}, state, learning_rate=rate,
            penalty={"coef": penalty, "intercept": None} if intercept else penalty,
        )  # fmt: skip
    coef = params["coef"] if n_out == 3 else params["coef"][:, 0]
    return coef, params.get("intercept", np.zeros(n_out))


@pytest.mark.parametrize("penalty", [NoPenalty(), ElasticNet(0.1, 0.5)], ids=repr)
@pytest.mark.parametrize("opt", EVERY, ids=repr)
def test_every_optimizer(opt, penalty):
    loss, schedule = losses.HalfSquaredError(), schedules.CosineDecay(final=0.1)
    X, y = problem(loss)
    found = minimize(X, y, loss, opt, penalty, n_iter=40, schedule=schedule)
    coef, _ = written_out(X, y, loss, opt, penalty, schedule, 40, False)
    np.testing.assert_allclose(found.coef, coef, **tolerances.of(tolerances.STEPS, np.float64))
    np.testing.assert_array_equal(found.coef == 0, coef == 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", losses.names())
def test_every_loss(name, weighted, dtype):
    loss, opt, schedule = losses.get(name), o.Momentum(0.01), schedules.Constant()
    X, y = problem(loss, dtype)
    weight = np.random.default_rng(1).random(len(X)) + 0.1 if weighted else None
    found = minimize(X, y, loss, opt, L2(0.1), n_iter=30, fit_intercept=True, sample_weight=weight)
    coef, intercept = written_out(X, y, loss, opt, L2(0.1), schedule, 30, True, weight)
    # float32: a sample that a rounding moves over a kink changes the gradient by its whole share of 1 / n
    close = {"rtol": 1e-3, "atol": 1e-3} if dtype == np.float32 else tolerances.of(tolerances.STEPS, dtype)
    np.testing.assert_allclose(found.coef, coef, **close)
    np.testing.assert_allclose(found.intercept, intercept, **close)


@pytest.mark.parametrize("batch_size", [1, 7, 20, 59])
def test_mini_batches(batch_size):
    loss, opt, schedule = losses.BinaryCrossentropy(), o.Adam(0.02), schedules.ExponentialDecay(0.8)
    X, y = problem(loss)
    rng = np.random.default_rng(3)
    orders = [rng.permutation(len(X)) for _ in range(5)]
    batches = [[order[i : i + batch_size] for i in range(0, len(X), batch_size)] for order in orders]
    found = minimize(
        X,
        y,
        loss,
        opt,
        n_iter=5,
        batch_size=batch_size,
        fit_intercept=True,
        random_state=3,
        schedule=schedule,
    )
    coef, intercept = written_out(X, y, loss, opt, NoPenalty(), schedule, 5, True, batches=batches)
    np.testing.assert_allclose(found.coef, coef, **tolerances.of(tolerances.STEPS, np.float64))
    np.testing.assert_allclose(found.intercept, intercept[0], **tolerances.of(tolerances.STEPS, np.float64))
