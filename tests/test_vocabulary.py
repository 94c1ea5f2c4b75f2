"""The specs: values that check themselves, are found by name, and do what their formulas say."""

import copy
import doctest
import pickle

import numpy as np
import pytest
from identifiers import without_address

from fasttrain import activations, losses, optimizers, penalties, schedules
from fasttrain._kernels import activations as activation_kernel
from fasttrain._kernels import losses as loss_kernel
from fasttrain._kernels import updates as update_kernel

MODULES = [activations, losses, optimizers, penalties, schedules]
EVERY = [
    pytest.param(m, name, id=f"{m.__name__.split('.')[-1]}-{name}") for m in MODULES for name in m.names()
]


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_examples_in_docstrings_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("module, name", EVERY)
def test_specs_are_values(module, name):
    spec = module.get(name)
    assert module.get(spec) is spec
    assert module.get(type(spec)) == spec
    assert module.get(name.upper()) == spec
    assert eval(repr(spec), vars(module)) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert copy.deepcopy(spec) == spec
    assert hash(copy.deepcopy(spec)) == hash(spec)
    with pytest.raises(AttributeError):
        spec.learning_rate = 3.0


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_unknown_names_list_the_known_ones(module):
    with pytest.raises(ValueError, match="got 'no such thing'") as caught:
        module.get("no such thing")
    for name in module.names():
        assert name in str(caught.value)
    for wrong in (3, int, object()):
        with pytest.raises(TypeError, match="must be"):
            module.get(wrong)


def test_a_near_miss_is_named():
    with pytest.raises(ValueError, match="did you mean 'momentum'"):
        optimizers.get("momentun")


def test_every_kernel_name_has_a_spec():
    assert {losses.get(name).name for name in losses.names()} == set(loss_kernel.NAMES)
    names = {activations.get(name).name for name in activations.names()}
    assert names == {*activation_kernel.NAMES, "softmax"}
    rules = {optimizers.get(name).rule for name in optimizers.names()} | {
        optimizers.RMSprop(centered=True).rule, optimizers.Adam(amsgrad=True).rule
    }
    assert rules == {*update_kernel.NAMES, "lbfgs"}


@pytest.mark.parametrize(
    "module, alias, spec",
    [
        (losses, "mse", losses.SquaredError()),
        (losses, "mean_squared_error", losses.SquaredError()),
        (losses, "mae", losses.AbsoluteError()),
        (losses, "log_loss", losses.BinaryCrossentropy()),
        (losses, "sparse_categorical_crossentropy", losses.SoftmaxCrossentropy()),
        (losses, "perceptron", losses.Hinge(threshold=0.0)),
        (losses, "pinball", losses.Quantile()),
        (activations, "linear", activations.Identity()),
        (activations, "sigmoid", activations.Logistic()),
        (activations, "swish", activations.Silu()),
        (optimizers, "sgd", optimizers.GradientDescent()),
        (penalties, "elastic_net", penalties.ElasticNet()),
        (penalties, None, penalties.NoPenalty()),
        (schedules, "invscaling", schedules.InverseScaling()),
        (schedules, None, schedules.Constant()),
    ],
)
def test_aliases(module, alias, spec):
    assert module.get(alias) == spec


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: losses.Huber(delta=0), ValueError, "delta of Huber must be a finite number > 0, got 0.0"),
        (lambda: losses.Huber(delta=np.nan), ValueError, "delta of Huber"),
        (lambda: losses.Huber("1"), TypeError, "delta of Huber must be a finite number > 0, got '1'"),
        (lambda: losses.Huber(True), TypeError, "delta of Huber"),
        (
            lambda: losses.Quantile(1.0),
            ValueError,
            "quantile of Quantile must be a finite number > 0 and < 1",
        ),
        (lambda: losses.EpsilonInsensitive(-0.1), ValueError, "epsilon of EpsilonInsensitive"),
        (lambda: activations.LeakyRelu(1.0), ValueError, "negative_slope of LeakyRelu"),
        (lambda: penalties.L1(-1), ValueError, "alpha of L1 must be a finite number >= 0, got -1.0"),
        (lambda: penalties.ElasticNet(l1_ratio=1.5), ValueError, "l1_ratio of ElasticNet"),
        (lambda: penalties.L2(np.inf), ValueError, "alpha of L2"),
        (lambda: optimizers.Adam(learning_rate=0), ValueError, "learning_rate of Adam"),
        (
            lambda: optimizers.Adam(beta_2=1),
            ValueError,
            "beta_2 of Adam must be a finite number >= 0 and < 1",
        ),
        (
            lambda: optimizers.Adam(clip_norm=0),
            ValueError,
            "clip_norm of Adam must be a finite number > 0 or None",
        ),
        (
            lambda: optimizers.Adam(corrected_root=1),
            TypeError,
            "corrected_root of Adam must be True or False",
        ),
        (lambda: optimizers.RMSprop(epsilon_mode="under"), ValueError, "epsilon_mode of RMSprop"),
        (
            lambda: optimizers.LBFGS(history=2.5),
            TypeError,
            "history of LBFGS must be an integer >= 1, got 2.5",
        ),
        (
            lambda: schedules.StepDecay(step_size=0),
            ValueError,
            "step_size of StepDecay must be an integer >= 1",
        ),
        (lambda: schedules.Warmup(n_steps=1, n_epochs=1), ValueError, "n_steps or n_epochs"),
        (lambda: schedules.Warmup(then="nothing"), ValueError, "got 'nothing'"),
        (lambda: schedules.Warmup(then="plateau"), ValueError, "then of Warmup"),
    ],
)
def test_bad_settings_are_named(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert words in str(caught.value)


def test_numpy_numbers_become_python_numbers():
    spec = optimizers.Adam(learning_rate=np.float32(0.5), corrected_root=np.True_)
    assert repr(spec) == (
        "Adam(learning_rate=0.5, beta_1=0.9, beta_2=0.999, epsilon=1e-08, corrected_root=True)"
    )
    assert type(spec.learning_rate) is float


# Arrays that a loss of each kind of targets takes.
def targets_and_raw(loss, dtype=np.float64, n=40, k=3):
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(n, k)).astype(dtype)
    y = {
        "real": rng.normal(size=(n, k)),
        "non_negative": rng.poisson(2.0, size=(n, k)),
        "positive": rng.gamma(2.0, size=(n, k)) + 0.1,
        "probability": rng.random((n, k)),
        "margin": rng.choice([-1, 1], size=(n, k)),
        "classes": rng.integers(0, k, size=n),
    }[loss.targets]
    return y, raw


@pytest.mark.parametrize("name", losses.names())
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_is_a_mean_and_gradient_its_gradient(name, weighted):
    loss = losses.get(name)
    y, raw = targets_and_raw(loss)
    weight = np.random.default_rng(1).random(len(raw)) if weighted else None
    value, gradient = loss.value_and_gradient(y, raw, weight)
    assert value == loss.loss(y, raw, weight)
    np.testing.assert_array_equal(gradient, loss.gradient(y, raw, weight))
    assert gradient.shape == raw.shape
    h = 1e-4
    for i, c in [(0, 0), (7, 2), (39, 1)]:

        def at(step, i=i, c=c):
            moved = raw.copy()
            moved[i, c] += step
            return loss.loss(y, moved, weight)

        difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
        assert gradient[i, c] == pytest.approx(difference, abs=1e-9)


@pytest.mark.parametrize("name", losses.names())
def test_loss_weights_are_repetitions(name):
    loss = losses.get(name)
    y, raw = targets_and_raw(loss)
    weight = np.arange(len(raw)) % 3
    repeated = loss.loss(np.repeat(y, weight, axis=0), np.repeat(raw, weight, axis=0))
    assert loss.loss(y, raw, weight) == pytest.approx(repeated, rel=1e-12)


@pytest.mark.parametrize("name", losses.names())
def test_loss_of_one_output_takes_vectors(name):
    loss = losses.get(name)
    if loss.targets == "classes":
        return_shape = (40, 3)
        y, raw = targets_and_raw(loss, np.float32)
    else:
        return_shape = (40,)
        y, raw = (a[:, 0] for a in targets_and_raw(loss, np.float32))
    gradient = loss.gradient(y, raw)
    assert gradient.shape == return_shape
    assert gradient.dtype == np.float32
    prediction = loss.predict(raw)
    assert prediction.shape == return_shape
    expected = {
        "identity": lambda z: z,
        "exponential": np.exp,
        "logistic": lambda z: 1 / (1 + np.exp(-z)),
        "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
    }[loss.inverse_link](raw.astype(np.float64))
    np.testing.assert_allclose(prediction, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (
            lambda: losses.Poisson().loss([-1.0], [0.0]),
            ValueError,
            "y must hold finite numbers >= 0 for poisson",
        ),
        (
            lambda: losses.Hinge().loss([0.0], [0.0]),
            ValueError,
            "y must hold -1 and 1 only for hinge, got 0.0",
        ),
        (
            lambda: losses.BinaryCrossentropy().loss([2.0], [0.0]),
            ValueError,
            "y must hold numbers from 0 to 1",
        ),
        (lambda: losses.SquaredError().loss([np.nan], [0.0]), ValueError, "y must hold finite numbers"),
        (
            lambda: losses.SoftmaxCrossentropy().loss([3], [[0.0, 1.0, 2.0]]),
            ValueError,
            "codes from 0 to 2, got 3.0",
        ),
        (lambda: losses.SoftmaxCrossentropy().loss([0.5], [[0.0, 1.0]]), ValueError, "class codes"),
        (
            lambda: losses.SoftmaxCrossentropy().loss([0], [0.0]),
            ValueError,
            "raw_prediction must have shape (n, k)",
        ),
        (
            lambda: losses.SquaredError().loss([1.0], [1.0, 2.0]),
            ValueError,
            "y must have the shape of raw_prediction",
        ),
        (lambda: losses.SquaredError().loss([], []), ValueError, "raw_prediction must have a sample"),
        (lambda: losses.SquaredError().loss(["a"], [1.0]), TypeError, "y must hold real numbers"),
        (
            lambda: losses.SquaredError().loss([1.0], [1.0], [1.0, 2.0]),
            ValueError,
            "sample_weight must have shape (1,)",
        ),
        (lambda: losses.SquaredError().loss([1.0], [1.0], [-1.0]), ValueError, "sample_weight must hold"),
        (lambda: losses.SquaredError().loss([1.0], [1.0], [0.0]), ValueError, "at least one number > 0"),
        (lambda: activations.Softmax().derivative([1.0]), TypeError, "no elementwise derivative"),
        (lambda: activations.Relu()([1j]), TypeError, "z must hold real numbers"),
        (lambda: penalties.L1().prox([1.0], -1.0), ValueError, "step must be a finite number >= 0"),
    ],
)
def test_bad_arrays_are_named(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


@pytest.mark.parametrize("name", [name for name in activations.names() if name != "softmax"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_take_any_shape(name, dtype):
    activation = activations.get(name)
    z = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(dtype).transpose(2, 0, 1)
    before = z.copy()
    a = activation(z)
    assert a.shape == z.shape
    assert a.dtype == dtype
    np.testing.assert_array_equal(z, before)
    np.testing.assert_array_equal(a[3, 1, 2], activation(z[3, 1, 2]))
    h = 1e-3
    z = z.astype(np.float64)
    difference = (
        8 * (activation(z + h) - activation(z - h)) - (activation(z + 2 * h) - activation(z - 2 * h))
    ) / (12 * h)
    smooth = abs(z) > 3 * h
    np.testing.assert_allclose(activation.derivative(z)[smooth], difference[smooth], atol=1e-9)


def test_softmax_of_a_vector_and_of_a_stack():
    z = np.random.default_rng(0).normal(size=(2, 3, 4))
    a = activations.Softmax()(z)
    np.testing.assert_allclose(a.sum(axis=-1), 1.0)
    np.testing.assert_array_equal(activations.Softmax()(z[1, 2]), a[1, 2])


@pytest.mark.parametrize("name", penalties.names())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_penalties(name, dtype):
    penalty = penalties.get(name)
    w = np.random.default_rng(0).normal(size=(6, 7)).astype(dtype)
    w[0, :3] = 0
    w[1, 0] = 1e-5
    exact = w.astype(np.float64)
    value = penalty.l1 * abs(exact).sum() + 0.5 * penalty.l2 * (exact**2).sum()
    assert penalty.value(w) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(
        penalty.gradient(w),
        penalty.l1 * np.sign(exact) + penalty.l2 * exact,
        rtol=1e-6 if dtype == np.float32 else 1e-14,
    )
    moved = penalty.prox(w, 2.0)
    expected = np.sign(exact) * np.maximum(abs(exact) - 2 * penalty.l1, 0) / (1 + 2 * penalty.l2)
    np.testing.assert_allclose(moved, expected, rtol=1e-6 if dtype == np.float32 else 1e-14, atol=1e-7)
    assert moved.dtype == dtype
    if penalty.l1 > 0.5e-5:
        assert moved[1, 0] == 0


# ---- schedules ----

GRID = {"steps_per_epoch": 5, "total_steps": 40}


@pytest.mark.parametrize(
    "schedule, rate",
    [
        (schedules.Constant(), lambda s: 0.5),
        (schedules.StepDecay(step_size=2, gamma=0.5), lambda s: 0.5 * 0.5 ** (s // 10)),
        (schedules.ExponentialDecay(0.9), lambda s: 0.5 * 0.9 ** (s / 5)),
        (schedules.ExponentialDecay(0.9, staircase=True), lambda s: 0.5 * 0.9 ** (s // 5)),
        (schedules.InverseScaling(0.5), lambda s: 0.5 / np.sqrt(s + 1)),
        (
            schedules.CosineDecay(0.1),
            lambda s: 0.5 * (0.1 + 0.9 * 0.5 * (1 + np.cos(np.pi * min(s, 40) / 40))),
        ),
        (schedules.Warmup(n_steps=4), lambda s: 0.5 * min(1, (s + 1) / 4)),
        (schedules.Warmup(n_epochs=2), lambda s: 0.5 * min(1, (s + 1) / 10)),
        (schedules.Warmup(), lambda s: 0.5 * min(1, (s + 1) / 5)),
        (
            schedules.Warmup(n_steps=8, then="cosine"),
            lambda s: 0.5 * (s + 1) / 8 if s < 8 else 0.25 * (1 + np.cos(np.pi * min(s - 8, 32) / 32)),
        ),
        (schedules.ReduceOnPlateau(), lambda s: 0.5),
    ],
    ids=without_address,
)
def test_rates(schedule, rate):
    expected = [rate(s) for s in range(60)]
    np.testing.assert_allclose(schedule.rates(0.5, 0, 60, **GRID), expected, rtol=1e-13, atol=1e-17)
    parts = [schedule.rates(0.5, start, 7, **GRID) for start in range(0, 56, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), schedule.rates(0.5, 0, 56, **GRID))
    assert schedule.rates(0.5, 3, 0, **GRID).shape == (0,)
    assert schedule.rates(0.5, 0, 1, 1, 1).shape == (1,)


def test_one_cycle_rises_to_the_peak_and_falls_to_the_end():
    schedule = schedules.OneCycle(max_learning_rate=2.0, pct_start=0.25, div_factor=10, final_div_factor=100)
    rates = schedule.rates(0.5, 0, 50, **GRID)
    assert rates[0] == pytest.approx(0.2)
    assert np.argmax(rates) == 9
    assert rates[9] == pytest.approx(2.0)
    assert (np.diff(rates[:10]) > 0).all()
    assert (np.diff(rates[9:40]) < 0).all()
    np.testing.assert_allclose(rates[39:], 0.002)
    assert schedules.OneCycle().rates(0.5, 0, 40, **GRID).max() == pytest.approx(0.5)
    assert np.isfinite(schedules.OneCycle().rates(0.5, 0, 3, 1, 1)).all()


@pytest.mark.parametrize("name", schedules.names())
def test_rates_checks_its_numbers(name):
    schedule = schedules.get(name)
    for bad, words in [
        ({"base": -1.0}, "base must be a finite number >= 0"),
        ({"first_step": -1}, "first_step must be an integer >= 0"),
        ({"count": -1}, "count must be an integer >= 0"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be an integer >= 1"),
        ({"total_steps": 0}, "total_steps must be an integer >= 1"),
    ]:
        arguments = {"base": 0.1, "first_step": 0, "count": 1, "steps_per_epoch": 1, "total_steps": 1} | bad
        with pytest.raises(ValueError, match=words):
            schedule.rates(**arguments)


def test_plateau():
    schedule = schedules.ReduceOnPlateau(factor=0.1, patience=2, min_learning_rate=0.004, tol=0.01)
    state = schedule.start(0.1)
    factors = [state.update(loss) for loss in (5.0, 4.0, 3.995, 4.1, np.nan)]
    assert factors == [1.0, 1.0, 1.0, 1.0, 0.1]
    copy_of = schedule.start(0.1)
    copy_of.load_state_dict(state.state_dict())
    for each in (state, copy_of):
        assert each.update(1.0) == 0.1
        assert [each.update(1.0) for _ in range(6)] == pytest.approx([0.1, 0.1, 0.04, 0.04, 0.04, 0.04])
    with pytest.raises(ValueError, match="state lacks best"):
        state.load_state_dict({"factor": 1.0, "waited": 0})


def test_plateau_of_a_score():
    state = schedules.ReduceOnPlateau(factor=0.5, patience=0, mode="max").start()
    assert [state.update(score) for score in (0.5, 0.6, 0.6, 0.7)] == [1.0, 1.0, 0.5, 0.5]
