"""The tutorial's functions against its snippets, their signs and divisors put right, in plain NumPy; minimize against
the losses and optimizers of the vocabulary, step by step."""

import numpy as np
import pytest
import tolerances
from optimizer_rules import RULES

from fasttrain import descent, losses, optimizers, penalties, schedules
from fasttrain.descent import minimize
from fasttrain.training import DivergenceError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5))
Y = X @ np.array([1.0, -2.0, 0.5, 0.0, 3.0]) + 0.1 * RNG.normal(size=60)
RATE, STEPS = 0.05, 40
CLOSE = {"rtol": 1e-10, "atol": 1e-13}


def gradient(theta, x=X, y=Y):
    return 2 / len(y) * x.T @ (x @ theta - y)


def descend(step):
    theta, memory = np.zeros(5), {"v": np.zeros(5), "s": np.zeros(5)}
    for t in range(1, STEPS + 1):
        theta = step(theta, gradient(theta), memory, t)
    return theta


def _momentum(theta, g, memory, t):
    memory["v"] = 0.8 * memory["v"] - RATE * g
    return theta + memory["v"]


def _nesterov(theta, g, memory, t):
    memory["v"] = 0.8 * memory["v"] - RATE * g
    return theta + 0.8 * memory["v"] - RATE * g


def _adagrad(theta, g, memory, t):
    memory["s"] = memory["s"] + np.square(g)
    return theta - RATE * g / (np.sqrt(memory["s"]) + 1e-7)


def _rmsprop(theta, g, memory, t):
    memory["s"] = 0.9 * memory["s"] + 0.1 * np.square(g)
    return theta - RATE * g / (np.sqrt(memory["s"]) + 1e-7)


def _adam(theta, g, memory, t):
    memory["v"] = 0.8 * memory["v"] + 0.2 * g
    memory["s"] = 0.95 * memory["s"] + 0.05 * np.square(g)
    rate = RATE * np.sqrt(1 - 0.95**t) / (1 - 0.8**t)
    return theta - rate * memory["v"] / (np.sqrt(memory["s"]) + 1e-8)


SNIPPETS = {
    "gradient_descent": ((RATE, STEPS), lambda theta, g, memory, t: theta - RATE * g),
    "momentum": ((RATE, 0.8, STEPS), _momentum),
    "nesterov": ((RATE, 0.8, STEPS), _nesterov),
    "adagrad": ((RATE, STEPS), _adagrad),
    "rmsprop": ((RATE, 0.9, STEPS), _rmsprop),
    "adam": ((RATE, STEPS, 0.8, 0.95), _adam),
}


@pytest.mark.parametrize("name", SNIPPETS)
def test_the_tutorials_functions(name):
    arguments, step = SNIPPETS[name]
    theta = getattr(descent, name)(X, Y, *arguments)
    assert theta.shape == (5,)
    assert theta.dtype == np.float64
    np.testing.assert_allclose(theta, descend(step), **CLOSE)


@pytest.mark.parametrize("sample_size, steps", [(7, 40), (60, 5), (20, 3), (20, 4), (59, 3), (1, 130)])
def test_stochastic_gradient_descent(sample_size, steps):
    theta = descent.stochastic_gradient_descent(X, Y, RATE, steps, sample_size, random_state=3)
    rng = np.random.default_rng(3)
    expected, rows = np.zeros(5), np.array([], int)
    for _ in range(steps):
        if not len(rows):
            rows = rng.permutation(60) if sample_size < 60 else np.arange(60)
        sample, rows = rows[:sample_size], rows[sample_size:]
        expected = expected - RATE * gradient(expected, X[sample], Y[sample])
    np.testing.assert_allclose(theta, expected, **CLOSE)


def test_steps_that_end_within_a_pass_are_one_descent():
    """The schedule, the callback and the sample weights see one training, not two."""
    seen = []
    weight = np.zeros(60)
    weight[:3] = 1.0
    theta = descent.stochastic_gradient_descent(
        X, Y, RATE, 10, 7, random_state=3, sample_weight=weight, schedule="inverse_scaling",
        callback=lambda epoch, logs: seen.append((epoch, logs["learning_rate"])))
    assert seen == [(1, RATE / 9**0.5), (2, RATE / 10**0.5)]
    rng = np.random.default_rng(3)
    rows = np.concatenate([rng.permutation(60), rng.permutation(60)])
    expected = np.zeros(5)
    for t, start in enumerate([*range(0, 60, 7), 60]):
        sample = rows[start:min(start + 7, 60) if start < 60 else 67]
        w = weight[sample]
        if w.sum():
            d = w * (X[sample] @ expected - Y[sample])
            expected = expected - RATE / (t + 1) ** 0.5 * 2 / w.sum() * X[sample].T @ d
    np.testing.assert_allclose(theta, expected, **CLOSE)


def written_out(X, y, loss, opt, penalty, schedule, batches, intercept=True, weight=None):
    """The loss's gradient and the optimizer's steps: what a training is."""
    n_out = 3 if loss.targets == "classes" else 1
    params = {"coef": np.zeros((X.shape[1], n_out)), "intercept": np.zeros(n_out)}
    if not intercept:
        del params["intercept"]
    state = opt.init(params)
    n_steps = sum(map(len, batches))
    rates = schedule.rates(opt.learning_rate, 0, n_steps, len(batches[0]), n_steps)
    for batch, rate in zip((rows for epoch in batches for rows in epoch), rates):
        raw = X[batch] @ params["coef"] + params.get("intercept", 0)
        d = loss.gradient(y[batch] if n_out == 3 else y[batch][:, None], raw, None if weight is None else weight[batch])
        grads = {"coef": X[batch].T @ d, "intercept": d.sum(axis=0)}
        opt.step(
            params, {key: grads[key] for key in params}, state, learning_rate=rate,
            penalty={"coef": penalty, "intercept": None} if intercept else penalty,
        )
    return params["coef"] if n_out == 3 else params["coef"][:, 0], params.get("intercept", np.zeros(n_out))


@pytest.mark.parametrize("opt", [
    *RULES, optimizers.Momentum(0.05, clip_norm=0.3), optimizers.Adam(0.05, clip_value=0.05),
    optimizers.GradientDescent(0.1, weight_decay=0.3),
], ids=repr)
def test_every_optimizer_steps_as_by_itself(opt):
    loss, schedule = losses.HalfSquaredError(), schedules.CosineDecay(final=0.1)
    penalty = penalties.ElasticNet(0.1, 0.5)
    found = minimize(X, Y, loss, opt, penalty, n_iter=40, schedule=schedule)
    coef, _ = written_out(X, Y, loss, opt, penalty, schedule, [[np.arange(60)]] * 40, intercept=False)
    np.testing.assert_allclose(found.coef, coef, **tolerances.of(tolerances.STEPS, np.float64))
    np.testing.assert_array_equal(found.coef == 0, coef == 0)


@pytest.mark.parametrize("name", losses.names())
def test_every_loss_has_its_own_gradient(name):
    loss, opt, penalty, rng = losses.get(name), optimizers.Momentum(0.01), penalties.L2(0.1), np.random.default_rng(1)
    y = {
        "real": Y, "non_negative": rng.poisson(2.0, 60).astype(float), "positive": rng.gamma(2.0, 1.0, 60) + 0.1,
        "probability": rng.random(60).round(),
        "margin": rng.choice([-1.0, 1.0], 60), "classes": rng.integers(0, 3, 60),
    }[loss.targets]
    weight = rng.random(60) + 0.1
    found = minimize(X, y, loss, opt, penalty, n_iter=30, fit_intercept=True, sample_weight=weight)
    expected = written_out(
        X, y, loss, opt, penalty, schedules.Constant(), [[np.arange(60)]] * 30, weight=weight)
    for got, wanted in zip((found.coef, found.intercept), expected):
        np.testing.assert_allclose(got, wanted, **tolerances.of(tolerances.STEPS, np.float64))


@pytest.mark.parametrize("batch_size", [1, 7, 20, 59])
def test_mini_batches(batch_size):
    loss, opt, schedule = losses.BinaryCrossentropy(), optimizers.Adam(0.02), schedules.ExponentialDecay(0.8)
    y = (Y > 0).astype(float)
    rng = np.random.default_rng(3)
    orders = [rng.permutation(60) for _ in range(5)]
    batches = [[order[i:i + batch_size] for i in range(0, 60, batch_size)] for order in orders]
    found = minimize(
        X, y, loss, opt, n_iter=5, batch_size=batch_size, fit_intercept=True, random_state=3, schedule=schedule)
    expected = written_out(X, y, loss, opt, penalties.NoPenalty(), schedule, batches)
    for got, wanted in zip((found.coef, found.intercept), expected):
        np.testing.assert_allclose(got, wanted, **tolerances.of(tolerances.STEPS, np.float64))


def test_l2_is_subtracted():
    theta = np.zeros(5)
    for _ in range(STEPS):
        theta = theta - RATE * (gradient(theta) + 0.3 * theta)
    got = descent.gradient_descent(X, Y, RATE, STEPS, penalty=penalties.L2(0.3))
    np.testing.assert_allclose(got, theta, **CLOSE)


def test_l1_is_a_proximal_step_with_exact_zeros():
    theta = np.zeros(5)
    for _ in range(300):
        moved = theta - RATE * gradient(theta)
        theta = np.sign(moved) * np.maximum(abs(moved) - RATE * 0.5, 0)
    got = descent.gradient_descent(X, Y, RATE, 300, penalty=penalties.L1(0.5))
    np.testing.assert_allclose(got, theta, **CLOSE)
    assert got[3] == 0.0


def test_every_function_comes_near_the_solution():
    solution = np.linalg.lstsq(X, Y, rcond=None)[0]
    for theta in (
        descent.gradient_descent(X, Y, 0.1, 500), descent.momentum(X, Y, 0.02, 0.9, 500),
        descent.nesterov(X, Y, 0.02, 0.9, 500), descent.adagrad(X, Y, 0.5, 2000), descent.adam(X, Y, 0.05, 2000),
        descent.stochastic_gradient_descent(X, Y, 0.01, 5000, 10, random_state=0),
    ):
        np.testing.assert_allclose(theta, solution, atol=0.02)


@pytest.mark.parametrize("call", [
    lambda x0: descent.momentum(X, Y, RATE, 0.5, 5, x0=x0),
    lambda x0: descent.stochastic_gradient_descent(X, Y, RATE, 5, 60, x0=x0),
    lambda x0: minimize(X, Y, n_iter=5, x0=x0).coef,
])
def test_x0_is_where_it_starts(call):
    solution = np.linalg.lstsq(X, Y, rcond=None)[0]
    before = solution.copy()
    np.testing.assert_allclose(call(solution), solution, atol=1e-12)
    np.testing.assert_array_equal(solution, before)
    assert abs(call(np.zeros(5)) - solution).max() > 0.01


# ---- minimize ----


def test_the_result():
    found = minimize(X, Y, n_iter=7, learning_rate=0.1, fit_intercept=True)
    w, b, curve = np.zeros(5), 0.0, []
    for _ in range(7):
        d = X @ w + b - Y
        curve.append((d**2).mean() / 2)
        w, b = w - 0.1 * X.T @ d / 60, b - 0.1 * d.mean()
    np.testing.assert_allclose(found.coef, w, **CLOSE)
    assert isinstance(found.intercept, float)
    assert found.intercept == pytest.approx(b, rel=1e-10)
    np.testing.assert_allclose(found.loss_curve, curve, rtol=1e-12)
    assert found.loss_curve.dtype == np.float64
    assert found.n_iter == 7
    assert found.converged is False
    assert "n_epochs=7" in found.message
    assert minimize(X, Y, n_iter=1).intercept == 0.0


def test_tol_and_callback_end_it():
    found = minimize(X, Y, n_iter=10_000, learning_rate=0.1, tol=1e-6)
    assert found.converged
    assert found.n_iter == len(found.loss_curve) < 10_000
    assert "tol=1e-06" in found.message
    found = minimize(X, Y, n_iter=100, callback=lambda epoch, logs: epoch == 3)
    assert found.converged
    assert found.n_iter == 3


def test_several_outputs_and_classes():
    Y2 = np.column_stack([Y, -Y])
    found = minimize(X, Y2, n_iter=20, fit_intercept=True)
    assert found.coef.shape == (5, 2)
    assert found.intercept.shape == (2,)
    alone = minimize(X, Y, n_iter=20, fit_intercept=True)
    np.testing.assert_allclose(found.coef[:, 0], alone.coef, **CLOSE)
    codes = np.argmax(X[:, :3], axis=1)
    found = minimize(X, codes, "softmax_crossentropy", "lbfgs", "l2")
    assert found.coef.shape == (5, 3)
    assert found.converged
    assert (np.argmax(X @ found.coef + found.intercept, axis=1) == codes).mean() > 0.95
    start = RNG.normal(size=(5, 3))
    near = minimize(X, codes, losses.SoftmaxCrossentropy(), optimizers.GradientDescent(1e-12), n_iter=1, x0=start)
    np.testing.assert_allclose(near.coef, start, atol=1e-10)


@pytest.mark.parametrize("optimizer", ["gradient_descent", "adam", "lbfgs"])
def test_dtype_layout_and_input(optimizer):
    plain = minimize(X, Y, optimizer=optimizer, n_iter=10)
    strided = np.zeros((120, 10))
    strided[::2, ::2] = X
    frozen = X.copy()
    frozen.flags.writeable = False
    odd = np.empty(X.nbytes + 1, np.uint8)[1:].view(np.float64).reshape(X.shape)
    odd[...] = X
    for data in (np.asfortranarray(X), strided[::2, ::2], frozen, odd, X.tolist(), X.astype(">f8")):
        other = minimize(data, Y, optimizer=optimizer, n_iter=10)
        assert other.coef.tobytes() == plain.coef.tobytes()
    small = minimize(X.astype(np.float32), Y, optimizer=optimizer, n_iter=10)
    assert small.coef.dtype == np.float32
    np.testing.assert_allclose(small.coef, plain.coef, rtol=1e-3, atol=1e-4)
    assert minimize((X > 0), Y, optimizer=optimizer, n_iter=3).coef.dtype == np.float64


def test_weights_are_repeated_rows():
    weight = RNG.integers(0, 3, 60)
    weighted = minimize(X, Y, sample_weight=weight, n_iter=50)
    repeated = minimize(np.repeat(X, weight, axis=0), np.repeat(Y, weight), n_iter=50)
    np.testing.assert_allclose(weighted.coef, repeated.coef, **CLOSE)


def test_threads_do_not_change_a_byte():
    data = RNG.normal(size=(30_000, 30))
    found = [minimize(data, data[:, 0], n_iter=3, n_threads=n).coef.tobytes() for n in (1, 2, 3, 8)]
    assert len(set(found)) == 1


BAD = [
    ({"X": X[:0], "y": Y[:0]}, ValueError, "X must have 2 axes with at least one sample"),
    ({"X": X[0]}, ValueError, "X must have 2 axes"),
    ({"X": np.where(X[0, 0] == X, np.nan, X)}, ValueError, "X must hold finite numbers"),
    ({"X": X.astype(str)}, TypeError, "X must hold real numbers"),
    ({"X": np.full((60, 5), None)}, TypeError, "X must hold real numbers"),
    ({"y": Y[:-1]}, ValueError, "y must have 60 rows"),
    ({"y": np.full(60, np.nan)}, ValueError, "y must hold finite numbers"),
    ({"y": Y, "loss": "hinge"}, ValueError, "y must hold -1 and 1 only"),
    ({"y": Y, "loss": "poisson"}, ValueError, "y must hold finite numbers >= 0"),
    ({"y": Y, "loss": "softmax_crossentropy"}, ValueError, "class codes"),
    ({"y": np.zeros((60, 2)), "loss": "softmax_crossentropy"}, ValueError, "one class code a row"),
    ({"loss": "mean"}, ValueError, "names half_squared_error"),
    ({"optimizer": "sgdd"}, ValueError, "did you mean"),
    ({"penalty": "l0"}, ValueError, "l1, l2"),
    ({"penalty": "l1", "optimizer": "lbfgs"}, ValueError, "no l1 part"),
    ({"n_iter": 0}, ValueError, "n_iter must be an integer >= 1, got 0"),
    ({"n_iter": 1.5}, TypeError, "n_iter"),
    ({"batch_size": 61}, ValueError, "number of samples, 60, got 61"),
    ({"batch_size": 0}, ValueError, "batch_size"),
    ({"sample_weight": np.ones(59)}, ValueError, r"sample_weight must have shape \(60,\)"),
    ({"x0": np.zeros(4)}, ValueError, r"x0 must be finite and have shape \(5,\), got shape \(4,\)"),
    ({"x0": np.full(5, np.inf)}, ValueError, "x0 must be finite"),
    ({"x0": np.full(5, "a")}, TypeError, "x0 must hold real numbers"),
    ({"learning_rate": -1.0}, ValueError, "learning_rate must be .* > 0"),
    ({"learning_rate": "fast"}, TypeError, "learning_rate"),
    ({"schedule": "sine"}, ValueError, "schedule"),
    ({"tol": -1.0}, ValueError, "tol must be"),
    ({"n_threads": 0}, ValueError, "n_threads"),
    ({"fit_intercept": "yes"}, TypeError, "fit_intercept must be True or False"),
    ({"callback": 3}, TypeError, "callback"),
]


@pytest.mark.parametrize("arguments, error, match", BAD, ids=[f"{i}-{'-'.join(case[0])}" for i, case in enumerate(BAD)])
def test_bad_input(arguments, error, match):
    with pytest.raises(error, match=match):
        minimize(**{"X": X, "y": Y, **arguments})


def test_bad_arguments_of_the_functions():
    with pytest.raises(ValueError, match="learning_rate of GradientDescent must be"):
        descent.gradient_descent(X, Y, -0.1, 5)
    with pytest.raises(ValueError, match="num_iterations must be an integer >= 1, got 0"):
        descent.gradient_descent(X, Y, 0.1, 0)
    with pytest.raises(ValueError, match="momentum of Momentum must be"):
        descent.momentum(X, Y, 0.1, 1.0, 5)
    with pytest.raises(ValueError, match="number of samples, 60, got 61"):
        descent.stochastic_gradient_descent(X, Y, 0.1, 5, 61)
    with pytest.raises(TypeError, match="sample_size"):
        descent.stochastic_gradient_descent(X, Y, 0.1, 5, "auto")
    with pytest.raises(TypeError, match="num_iterations"):
        descent.stochastic_gradient_descent(X, Y, 0.1, 2.5, 6)


def test_divergence():
    with pytest.raises(DivergenceError, match=r"epoch \d+.*learning rate \(now 100\)"):
        descent.gradient_descent(X, Y, 100.0, 1000)


def test_ctrl_c_is_the_callers():
    def press(epoch, logs):
        raise KeyboardInterrupt

    for optimizer in ("gradient_descent", "lbfgs"):
        with pytest.raises(KeyboardInterrupt):
            minimize(X, Y, optimizer=optimizer, callback=press)
