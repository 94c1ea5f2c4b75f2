"""Optimizers on a user's own arrays: every rule against its twin, what the step promises, and what it
refuses."""

import math
import pickle

import numpy as np
import pytest
import reference
import tolerances
from optimizer_rules import RULES

from fasttrain import optimizers as o
from fasttrain._kernels import threads
from fasttrain.penalties import L1, L2, ElasticNet


def twin_settings(opt, t, penalty=None, learning_rate=None):
    """The spec's fields by the twin's names: a second reading, so that ``settings()`` is under test too."""
    h = {"rule": opt.rule, "learning_rate": opt.learning_rate if learning_rate is None else learning_rate}
    for ours, theirs in [
        ("momentum", "momentum"), ("rho", "beta2"), ("beta_1", "beta1"), ("beta_2", "beta2"),
        ("corrected_root", "corrected_root"), ("momentum_decay", "momentum_decay"),
        ("initial_accumulator", "initial_accumulator"), ("weight_decay", "weight_decay"), ("beta", "epsilon"),
        ("l1", "leader_l1"),
    ]:  # fmt: skip
        if hasattr(opt, ours):
            h[theirs] = getattr(opt, ours)
    if hasattr(opt, "epsilon"):
        h["epsilon_inside" if getattr(opt, "epsilon_mode", "outside") == "inside" else "epsilon"] = (
            opt.epsilon
        )
    if opt.rule == "ftrl":
        h |= {"power": -opt.learning_rate_power, "leader_l2": 2 * opt.l2, "shrinkage": 2 * opt.l2_shrinkage}
    if opt.clip_value is not None:
        h["clip_value"] = opt.clip_value
    if penalty is not None:
        h["l1"], h["l2"] = penalty.l1, penalty.l2
    return h


def run_both(opt, dtype, n_steps=60, penalty=None, rates=None):
    shape = (7, 9)
    rng = np.random.default_rng(3)
    w = rng.normal(size=shape).astype(dtype)
    twin, memory = w.astype(np.longdouble), {}
    state = opt.init(w)
    scale = rng.lognormal(size=shape)
    for t in range(1, n_steps + 1):
        g = (scale * (rng.normal(size=shape) + 0.5)).astype(dtype)
        rate = None if rates is None else rates[t - 1]
        opt.step(w, g, state, penalty=penalty, learning_rate=rate)
        h = twin_settings(opt, t, penalty, rate)
        g = g.astype(np.longdouble)
        if opt.clip_norm is not None:
            h["gradient_scale"] = min(1, opt.clip_norm / np.sqrt((g**2).sum()))
        twin = reference.update(twin, g, memory, t, h)
    return w, twin, state


def test_every_rule_is_here():
    assert {opt.rule for opt in RULES} == set(reference.UPDATES)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("opt", RULES, ids=repr)
def test_steps_are_the_twins(opt, dtype):
    w, twin, state = run_both(opt, dtype)
    np.testing.assert_allclose(w, twin.astype(np.float64), **tolerances.of(tolerances.STEPS, dtype))
    assert state.t == 60


@pytest.mark.parametrize("penalty", [L1(0.05), L2(0.05), ElasticNet(0.1, 0.5)], ids=repr)
@pytest.mark.parametrize("opt", RULES, ids=repr)
def test_penalized_steps_are_the_twins(opt, penalty):
    w, twin, _ = run_both(opt, np.float64, penalty=penalty)
    np.testing.assert_allclose(w, twin.astype(np.float64), **tolerances.of(tolerances.STEPS, np.float64))
    np.testing.assert_array_equal(w == 0, twin == 0)


@pytest.mark.parametrize("clip", [{"clip_norm": 2.0}, {"clip_value": 0.3}, {"clip_norm": 4.0, "clip_value":
0.5},
                                  {"weight_decay": 0.5}])  # fmt: skip
@pytest.mark.parametrize("make", [o.GradientDescent, o.Momentum, o.Adam, o.RMSprop, o.Lion])
def test_clipping_and_decay(make, clip):
    rates = np.linspace(0.05, 0.0, 60)
    w, twin, _ = run_both(make(**clip), np.float64, rates=rates)
    np.testing.assert_allclose(w, twin.astype(np.float64), **tolerances.of(tolerances.STEPS, np.float64))


def test_clip_norm_is_of_all_arrays_together():
    opt = o.GradientDescent(1.0, clip_norm=1.0)
    params = {"a": np.zeros((2, 2)), "b": np.zeros(3, np.float32), "empty": np.zeros(0)}
    grads = {"b": np.full(3, 2.0, np.float32), "a": np.full((2, 2), 1.0), "empty": np.zeros(0)}
    opt.step(params, grads, opt.init(params))
    np.testing.assert_allclose(params["a"], -1 / 4)
    np.testing.assert_allclose(params["b"], -2 / 4)
    small = np.zeros(2)
    opt.step(small, np.array([0.3, 0.4]), opt.init(small))
    np.testing.assert_array_equal(small, [-0.3, -0.4])


@pytest.mark.parametrize("opt", RULES, ids=repr)
def test_structures_step_as_their_arrays_do(opt):
    rng = np.random.default_rng(0)
    shapes = {"w": (5, 3), "b": (3,), "scalar": (), "big": (300, 70)}
    start = {
        key: rng.normal(size=shape).astype(np.float32 if key == "b" else float)
        for key, shape in shapes.items()
    }
    grads = [{k: rng.normal(size=a.shape).astype(a.dtype) for k, a in start.items()} for _ in range(4)]
    alone = {}
    for key in shapes:
        alone[key] = start[key].copy()
        state = opt.init(alone[key])
        for g in grads:
            opt.step(alone[key], np.asarray(g[key]), state)
    as_dict = {key: a.copy() for key, a in start.items()}
    dict_state = opt.init(as_dict)
    as_list = [a.copy() for a in start.values()]
    list_state = opt.init(as_list)
    for g in grads:
        opt.step(dict(reversed(as_dict.items())), g, dict_state)
        opt.step(tuple(as_list), list(g.values()), list_state)
    for key, other in zip(shapes, as_list):
        np.testing.assert_array_equal(as_dict[key], alone[key])
        np.testing.assert_array_equal(other, alone[key])


@pytest.mark.parametrize("opt", RULES, ids=repr)
def test_slots_and_settings_are_what_the_kernel_takes(opt):
    state = opt.init(np.ones(3))
    assert tuple(state.slots) == opt.slots == tuple(opt.initial_state)
    for slot, fill in opt.initial_state.items():
        np.testing.assert_array_equal(state.slots[slot][0], fill)
    assert opt.settings()["rule"] == opt.rule


@pytest.mark.parametrize("opt", RULES, ids=repr)
def test_threads_do_not_change_a_byte(opt):
    start, g = np.random.default_rng(0).normal(size=(2, 300, 301)).astype(np.float32)
    results = []
    for n in (1, 2, 3, 8):
        w = start.copy()
        state = opt.init(w)
        with threads.num_threads(n):
            for _ in range(2):
                opt.step(w, g, state, penalty=ElasticNet(0.05, 0.5))
        results.append([w.tobytes(), *(a.tobytes() for arrays in state.slots.values() for a in arrays)])
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("opt", RULES, ids=repr)
def test_a_checkpoint_goes_on_as_if_nothing_had_been(opt):
    rng = np.random.default_rng(0)
    grads = rng.normal(size=(6, 20))
    w = rng.normal(size=20)
    state = opt.init(w)
    for g in grads[:3]:
        opt.step(w, g, state)
    saved, checkpoint = w.copy(), pickle.loads(pickle.dumps(state.state_dict()))
    for g in grads[3:]:
        opt.step(w, g, state)
    again = opt.init(saved)
    again.load_state_dict(checkpoint)
    for g in grads[3:]:
        opt.step(saved, g, again)
    np.testing.assert_array_equal(saved, w)


@pytest.mark.parametrize("opt", RULES, ids=repr)
def test_nan_reaches_its_parameter_and_no_other(opt):
    w = np.ones(9)
    g = np.ones(9)
    g[4] = np.nan
    opt.step(w, g, opt.init(w), penalty=L1(1e-3))
    np.testing.assert_array_equal(np.isnan(w), np.arange(9) == 4)


def test_nan_norm_reaches_every_parameter():
    opt = o.GradientDescent(clip_norm=1.0)
    w = np.ones(3)
    opt.step(w, np.array([1.0, np.nan, 1.0]), opt.init(w))
    assert np.isnan(w).all()


# ---- optimality: a quadratic with an L1 penalty, its solution by proximal gradient steps of the twin ----

rng = np.random.default_rng(5)
A = rng.normal(size=(40, 8))
H = A.T @ A / 40
CENTRE = np.array([1.0, -0.8, 0.5, 0.0, 0.05, -0.02, 0.0, 2.0])
PENALTY = ElasticNet(alpha=0.2, l1_ratio=0.7)


def slope(w):
    return H @ (w - CENTRE)


def solution():
    w = np.zeros(8)
    for _ in range(20000):
        w = reference.penalty_prox(w - 0.3 * slope(w), 0.3 * PENALTY.l1, 0.3 * PENALTY.l2)
    return w


def kkt_residual(w):
    g = slope(w) + PENALTY.l2 * w
    return np.where(w == 0, np.maximum(abs(g) - PENALTY.l1, 0), abs(g + PENALTY.l1 * np.sign(w))).max()


KKT = [
    o.GradientDescent(0.3),
    o.Momentum(0.1),
    o.Nesterov(0.1),
    o.AdaGrad(0.5),
    o.RMSprop(0.05),
    o.RMSprop(0.02, momentum=0.5),
    o.RMSprop(0.05, centered=True, epsilon=1e-2),
    o.AdaDelta(1.0, epsilon=1e-4),
    o.Adam(0.05),
    o.NAdam(0.05),
    o.Lion(0.02),
    o.AdaMax(0.05),
    o.LAMB(0.05),
    o.FTRL(0.5),
    o.FTRL(0.2, -0.3, beta=0.5),
]


@pytest.mark.parametrize("opt", KKT, ids=repr)
def test_fixed_points_satisfy_the_optimality_conditions(opt):
    n_steps = 2500
    w = np.full(8, 0.3)
    state = opt.init(w)
    # Rules whose steps do not shrink by themselves settle as the rate does.
    rates = opt.learning_rate * 0.5 * (1 + np.cos(np.pi * np.arange(n_steps) / n_steps))
    if opt.rule == "ftrl":
        # a rate that falls draws its weights to zero
        rates[:] = opt.learning_rate
    for rate in rates:
        opt.step(w, slope(w), state, penalty=PENALTY, learning_rate=rate)
    expected = solution()
    assert kkt_residual(expected) < 1e-12
    assert (expected == 0).sum() >= 3
    np.testing.assert_array_equal(w == 0, expected == 0)
    assert kkt_residual(w) < 1e-5


# ---- what is refused, with nothing written ----


def read_only(a):
    a.flags.writeable = False
    return a


@pytest.mark.parametrize(
    "params, grads, error, words",
    [
        ([np.ones(2), np.ones(3)], [np.ones(2), np.ones(4)], ValueError,
         "the gradient of params[1] must have shape (3,), got (4,)"),
        ([np.ones(2), np.ones(3)], [np.ones(2), np.ones(3, np.float32)], TypeError,
         "the gradient of params[1] must have dtype float64, got float32"),
        ([np.ones(2), np.ones(3)], [np.ones(2)], ValueError, "grads must have the structure of params"),
        ([np.ones(2), np.ones(3)], {0: np.ones(2), 2: np.ones(3)}, ValueError, "must have the structure of"),
        ({"a": np.ones(2)}, {"b": np.ones(2)}, ValueError, "with params['a'], got params['b']"),
        (np.ones(2), [1.0, 2.0], ValueError, "grads must have the structure of params"),
        ([np.ones(2)], [[1.0, 2.0]], TypeError, "the gradient of params[0] must be a NumPy array, got list"),
    ],
    ids=range(7),
)  # fmt: skip
def test_bad_gradients_change_nothing(params, grads, error, words):
    opt = o.Adam()
    state = opt.init(params)
    before = pickle.dumps((params, state.state_dict()))
    with pytest.raises(error) as caught:
        opt.step(params, grads, state)
    assert words in str(caught.value)
    assert pickle.dumps((params, state.state_dict())) == before


@pytest.mark.parametrize(
    "param, error, words",
    [
        (np.ones(3, np.int64), TypeError, "params[1] must have dtype float32 or float64, got int64"),
        (np.ones(3, np.float16), TypeError, "params[1] must have dtype float32 or float64, got float16"),
        (np.ones(3, ">f8"), TypeError, "params[1] must have dtype float32 or float64, got >f8"),
        (np.ones(6)[::2], ValueError, "params[1] must be C-contiguous"),
        (np.asfortranarray(np.ones((2, 3))), ValueError, "params[1] must be C-contiguous"),
        (read_only(np.ones(3)), ValueError, "params[1] must be writeable"),
        (
            np.frombuffer(bytearray(25), np.uint8)[1:].view(np.float64),
            ValueError,
            "params[1] must be aligned",
        ),
        ([1.0, 2.0], TypeError, "params[1] must be a NumPy array to be updated in place, got list"),
    ],
    ids=range(8),
)
def test_bad_parameters_change_nothing(param, error, words):
    opt = o.Momentum()
    with pytest.raises(error) as caught:
        opt.init([np.ones(3), param])
    assert words in str(caught.value)
    first = np.ones(3)
    shape = np.shape(param)
    state = opt.init([first, np.ones(shape)])
    with pytest.raises(error) as caught:
        opt.step([first, param], [np.ones(3), np.ones(shape)], state)
    assert words in str(caught.value)
    np.testing.assert_array_equal(first, 1)
    assert state.t == 0


def test_other_refusals_change_nothing():
    opt = o.Adam()
    w, g = np.ones(3), np.ones(3)
    state = opt.init(w)
    for call, error, words in [
        (lambda: opt.step(w, w, state), ValueError, "must not share memory"),
        (lambda: opt.step(w, g, None), TypeError, "state must be what init(params) returned, got NoneType"),
        (lambda: opt.step(w, g, o.Lion().init(w)), ValueError, "state must be of 'adam'"),
        (
            lambda: o.RMSprop(momentum=0.5).step(w, g, o.RMSprop().init(w)),
            ValueError,
            "with slots ('s1', 's3')",
        ),
        (lambda: opt.step([w], [g], state), ValueError, "params must hold params as when the state was made"),
        (lambda: opt.step(np.ones(4), np.ones(4), state), ValueError, "as when the state was made, got (4,)"),
        (
            lambda: opt.step(w, g, state, learning_rate=-1),
            ValueError,
            "learning_rate must be a finite number >= 0",
        ),
        (lambda: opt.step(w, g, state, learning_rate=math.nan), ValueError, "learning_rate must be"),
        (lambda: opt.step(w, g, state, penalty="l3"), ValueError, "got 'l3'"),
        (
            lambda: opt.step(w, g, state, penalty=["l1"]),
            ValueError,
            "penalty must have the structure of params",
        ),
    ]:
        with pytest.raises(error) as caught:
            call()
        assert words in str(caught.value)
    np.testing.assert_array_equal(w, 1)
    assert state.t == 0
    assert not state.slots["s1"][0].any()
    assert not hasattr(o.LBFGS(), "step")


def test_a_penalty_for_each_array():
    opt = o.GradientDescent(1.0)
    params = {"w": np.array([0.5, 2.0]), "b": np.array([0.5])}
    grads = {"w": np.zeros(2), "b": np.zeros(1)}
    opt.step(params, grads, opt.init(params), penalty={"w": L1(1.0), "b": None})
    np.testing.assert_array_equal(params["w"], [0.0, 1.0])
    np.testing.assert_array_equal(params["b"], [0.5])


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s.pop("t"), "state lacks t"),
        (lambda s: s.update(rule="lion"), "state must be of rule 'adam', got 'lion'"),
        (lambda s: s.update(t=-1), "t of the state must be an integer >= 0"),
        (lambda s: s["slots"].pop("s2"), "state must have the slots ('s1', 's2'), got ('s1',)"),
        (lambda s: s["slots"]["s2"].pop(), "slot s2 of the state must hold 1 arrays, got 0"),
        (lambda s: s["slots"].update(s2=[np.ones(4)]), "slot s2 of params must have shape (3,)"),
        (lambda s: s["slots"].update(s2=[np.ones(3, np.float32)]), "slot s2 of params must have shape (3,)"),
        (lambda s: s["slots"].update(s2=[np.array([0.0, 1.0, -1.0])]), "s2 of params must hold numbers >= 0, got -1.0"),
    ],
    ids=range(8),
)
def test_bad_checkpoints_change_nothing(change, words):
    opt = o.Adam()
    w = np.ones(3)
    state = opt.init(w)
    opt.step(w, np.ones(3), state)
    before = pickle.dumps(state.state_dict())
    bad = state.state_dict()
    bad["slots"]["s1"][0][:] = 7
    change(bad)
    with pytest.raises(ValueError) as caught:
        state.load_state_dict(bad)
    assert words in str(caught.value)
    assert pickle.dumps(state.state_dict()) == before


def test_gradients_may_be_read_only_and_strided():
    opt = o.GradientDescent(1.0)
    w = np.zeros((2, 3))
    g = read_only(np.arange(6.0).reshape(3, 2)).T
    opt.step(w, g, opt.init(w))
    np.testing.assert_array_equal(w, -g)
