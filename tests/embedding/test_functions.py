"""The kernels' C functions by address: found, called through ctypes, without the GIL, on nothing at all."""

import ctypes
import threading

import numpy as np
import pytest
import reference
import tolerances

import fasttrain
from fasttrain import embedding
from fasttrain._kernels import activations, losses, updates

REALS = ["float32", "float64"]
OK, BAD_KIND, OUT_OF_RANGE, BAD_STRUCT = 0, 2, 4, 5


class Update(ctypes.Structure):
    """ft_update of ops.h."""

    _fields_ = [("size", ctypes.c_size_t)] + [(name, ctypes.c_double) for name in (
        "gradient_scale", "clip_value", "l2", "l1", "keep", "learning_rate", "l1_rate", "momentum", "beta1", "beta2",
        "epsilon_inside", "epsilon", "step", "step_gradient", "root_scale", "power", "leader_l1", "leader_l2",
        "shrinkage")]  # fmt: skip


def neutral(**settings):
    return Update(**{"size": ctypes.sizeof(Update), "gradient_scale": 1, "clip_value": np.inf, "keep": 1,
                     "root_scale": 1, **settings})


@pytest.mark.parametrize("dtype", REALS)
def test_adam_step(dtype):
    rng = np.random.default_rng(0)
    w, g = rng.normal(size=(2, 1003)).astype(dtype)
    m, v = np.zeros((2, 1003), dtype)
    step = embedding.function("updates", "adam_step", dtype)
    expected, memory = w.astype(float), {}
    h = {"rule": "adam", "learning_rate": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "l1": 0.0, "l2": 0.1}
    for t in range(1, 21):
        expected = reference.update(expected, g.astype(float), memory, t, h)
        assert step(w.ctypes.data, g.ctypes.data, m.ctypes.data, v.ctypes.data, w.size, 0.01, 0.9, 0.999, 1e-8, t,
                    0.0, 0.1, 1) == OK
    np.testing.assert_allclose(w, expected, **tolerances.of(tolerances.STEPS, dtype))


@pytest.mark.parametrize("dtype", REALS)
def test_the_other_array_functions(dtype):
    rng = np.random.default_rng(1)
    z = rng.normal(size=500).astype(dtype)
    a = np.empty_like(z)
    tanh = activations.NAMES.index("tanh")
    forward = embedding.function("activations", "activate_array", dtype)
    assert forward(tanh, 1, z.ctypes.data, a.ctypes.data, 500, 2) == OK
    np.testing.assert_allclose(a, np.tanh(z), rtol=1e-6)
    delta = np.ones_like(z)
    backward = embedding.function("activations", "activate_backward_array", dtype)
    assert backward(tanh, 1, z.ctypes.data, a.ctypes.data, delta.ctypes.data, 500, 2) == OK
    np.testing.assert_allclose(delta, 1 - np.tanh(z)**2, rtol=1e-5, atol=1e-6)

    y = (z > 0).astype(dtype)
    value, gradient = ctypes.c_double(), np.empty_like(z)
    loss = embedding.function("losses", "loss_arrays", dtype)
    kind = losses.NAMES.index("binary_crossentropy")
    assert loss(kind, 1, y.ctypes.data, a.ctypes.data, None, ctypes.addressof(value), gradient.ctypes.data, 500, 1,
                2) == OK
    formula, slope = reference.LOSSES["binary_crossentropy"]
    np.testing.assert_allclose(value.value, formula(y, a, 1).sum(), rtol=1e-5)
    np.testing.assert_allclose(gradient, slope(y, a, 1), rtol=1e-4, atol=1e-6)

    penalty = embedding.function("penalties", "penalty_value", dtype)(z.ctypes.data, 500, 0.5, 2.0)
    np.testing.assert_allclose(penalty, reference.penalty_value(z, 0.5, 2.0), rtol=1e-5)
    added = np.zeros_like(z)
    assert embedding.function("penalties", "penalty_gradient_array", dtype)(
        z.ctypes.data, added.ctypes.data, 500, 0.5, 2.0) == OK
    np.testing.assert_allclose(added, reference.penalty_gradient(z, 0.5, 2.0), rtol=1e-5)
    expected = reference.penalty_prox(z, 0.5, 2.0)
    assert embedding.function("penalties", "penalty_prox_array", dtype)(z.ctypes.data, 500, 0.5, 2.0) == OK
    np.testing.assert_allclose(z, expected, rtol=1e-5, atol=1e-7)


def test_every_rule_through_its_struct():
    update = embedding.function("updates", "update_array", "float64")
    for kind, rule in enumerate(updates.NAMES):
        w, w_door = np.ones((2, 40))
        g = np.linspace(-1, 1, 40)
        state = {slot: np.full(40, 0.5) for slot in ("s1", "s2", "s3")}
        state_door = {f"{slot}_io": array.copy() for slot, array in state.items() if slot in updates.SLOTS[rule]}
        h = neutral(learning_rate=0.1, momentum=0.5, beta1=0.9, beta2=0.99, epsilon=1e-6, step=0.1, l2=0.25)
        assert update(kind, ctypes.addressof(h), w.ctypes.data, g.ctypes.data, state["s1"].ctypes.data,
                      state["s2"].ctypes.data, state["s3"].ctypes.data, 40, 1) == OK
        assert not (w == 1).any(), rule
        if rule not in ("adam", "adamax", "amsgrad", "lamb", "nadam"):
            updates.step({"rule": rule, "learning_rate": 0.1, "momentum": 0.5, "beta1": 0.9, "beta2": 0.99,
                          "epsilon": 1e-6, "l2": 0.25}, w_door, g, **state_door)
            np.testing.assert_array_equal(w, w_door, rule)


def test_moments_prepare_the_struct():
    h = neutral(learning_rate=0.1, epsilon=1e-8)
    embedding.function("updates", "adam_moments")(ctypes.addressof(h), 0.1, 0.9, 0.999, 1.0, 0)
    assert h.step == pytest.approx(0.1 * np.sqrt(1 - 0.999) / (1 - 0.9))
    assert (h.beta1, h.beta2, h.root_scale) == (0.9, 0.999, 1)


@pytest.mark.parametrize("dtype", REALS)
def test_bad_kinds_and_structs_are_a_status(dtype):
    def call(module, name, *arguments):
        return embedding.function(module, name, dtype)(*arguments)

    one = np.ones(1, dtype)
    at = one.ctypes.data
    for kind in (-1, 99):
        assert call("activations", "activate_array", kind, 1, at, at, 1, 1) == BAD_KIND
        assert call("activations", "activate_backward_array", kind, 1, at, at, at, 1, 1) == BAD_KIND
        assert call("losses", "loss_arrays", kind, 1, at, at, None, None, at, 1, 1, 1) == BAD_KIND
        assert call("updates", "update_array", kind, ctypes.addressof(neutral()), at, at, at, at, at, 1, 1) == BAD_KIND
    for size in (0, ctypes.sizeof(Update) - 8, ctypes.sizeof(Update) + 8):
        h = neutral(size=size)
        assert call("updates", "update_array", 0, ctypes.addressof(h), at, at, at, at, at, 1, 1) == BAD_STRUCT
    softmax = losses.NAMES.index("softmax_crossentropy")
    raw = np.zeros((1, 3), dtype)
    for code in (-1, 3, np.nan):
        y = np.array([code], dtype)
        assert call("losses", "loss_arrays", softmax, 1, y.ctypes.data, raw.ctypes.data, None, None, None, 1, 3,
                    1) == OUT_OF_RANGE
    assert one == 1


# Numbers, three at most, that a function gives besides its status, by the place of their argument.
ONE_OUTPUT = {"one_hot_rows": 5, "integer_codes": 8, "scale_columns": 13, "loss_arrays": 5, "huber_parts": 5}


def nothing(module, name, dtype, n_threads):
    """The arguments of one call on nothing: every array is NULL and every size 0."""
    text = embedding.signature(module, name, dtype)
    types = [each.strip() for each in text[text.index("(") + 1:-1].split(",")]
    arguments = [None if "*" in each else 0 for each in types]
    if types[-1] == "int":
        arguments[-1] = n_threads
    single = ctypes.create_string_buffer(b"\x7f" * 24, 24)
    if name in ONE_OUTPUT:
        arguments[ONE_OUTPUT[name]] = ctypes.addressof(single)
    return arguments, single


NEED_A_STRUCT = {
    "adam_moments", "adamax_moments", "lamb_moments", "nadam_moments", "trust", "velocity_rate", "update_array"}


def array_functions():
    for module in embedding.MODULES:
        if module in ("dense", "threads"):
            continue
        for name, found in embedding.signatures(module).items():
            if name in NEED_A_STRUCT:
                continue
            for dtype in ("float32", "float64", "int32", "int64"):
                try:
                    embedding.signature(module, name, dtype)
                except ValueError:
                    continue
                yield module, name, dtype
            if isinstance(found, str):
                yield module, name, None


FUNCTIONS = list(array_functions())


def test_there_are_functions_of_every_module():
    assert len(FUNCTIONS) >= 25
    assert {module for module, _, _ in FUNCTIONS} == set(embedding.MODULES) - {"dense", "threads"}


@pytest.mark.parametrize("module, name, dtype", FUNCTIONS)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_nothing_at_all_is_safe(module, name, dtype, n_threads):
    arguments, single = nothing(module, name, dtype, n_threads)
    assert embedding.function(module, name, dtype)(*arguments) == OK
    if name in ONE_OUTPUT:
        assert single.raw[:4] == bytes(4)


def test_no_rows_with_structs():
    h = neutral()
    for dtype in REALS:
        update = embedding.function("updates", "update_array", dtype)
        assert update(0, ctypes.addressof(h), None, None, None, None, None, 0, 2) == OK
        value = ctypes.c_double(7)
        loss = embedding.function("losses", "loss_arrays", dtype)
        for n, k in ((0, 3), (0, 0), (5, 0)):
            assert loss(0, 1, None, None, None, ctypes.addressof(value), None, n, k, 2) == OK
            assert value.value == 0


def test_threads_without_the_gil_give_the_same_bytes():
    """ctypes lets go of the GIL: eight threads step on arrays of their own, all at once."""
    n, n_threads, n_steps = 20_000, 8, 30
    rng = np.random.default_rng(3)
    g = rng.normal(size=n)
    step = embedding.function("updates", "adam_step", "float64")
    loss = embedding.function("losses", "loss_arrays", "float64")
    prox = embedding.function("penalties", "penalty_prox_array", "float64")
    start = threading.Barrier(n_threads)
    results = [None] * n_threads

    def work(number, together=True):
        w, m, v = np.ones(n), np.zeros(n), np.zeros(n)
        gradient, value = np.empty(n), ctypes.c_double()
        statuses, values = set(), []
        if together:
            start.wait()
        for t in range(1, n_steps + 1):
            statuses.add(loss(0, 1, g.ctypes.data, w.ctypes.data, None, ctypes.addressof(value), gradient.ctypes.data,
                              n, 1, 1 + number % 2))
            values.append(value.value)
            statuses.add(step(w.ctypes.data, gradient.ctypes.data, m.ctypes.data, v.ctypes.data, n, 0.01, 0.9, 0.999,
                              1e-8, t, 0.0, 0.0, 1 + number % 2))
            statuses.add(prox(w.ctypes.data, n, 1e-3, 1e-3))
        results[number] = w.tobytes(), tuple(values), statuses

    threads = [threading.Thread(target=work, args=(i,)) for i in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = results[:]
    work(0, together=False)
    assert results[0][2] == {OK}
    assert all(result == results[0] for result in together)


@pytest.mark.parametrize("module, name, dtype, message", [
    ("nothing", "adam_step", None, "module must be one of activations, categories"),
    ("os.path", "join", None, "module must be one of"),
    ("primitives", "ops_f64", None, "name must be one of none in primitives, got 'ops_f64'"),
    ("updates", "adam", "float64", "name must be one of adam_moments, adam_step"),
    ("updates", "adam_step", None, "dtype of updates.adam_step must be one of float32, float64, got None"),
    ("updates", "adam_step", "int32", "must be one of float32, float64, got 'int32'"),
    ("updates", "adam_moments", "float64", "one type only: dtype must be None, got 'float64'"),
])
def test_what_is_not_there_is_named(module, name, dtype, message):
    with pytest.raises(ValueError, match=message):
        embedding.address(module, name, dtype)


def test_versions_of_integer_functions():
    assert embedding.signature("categories", "one_hot_rows", "int64").startswith("int (const int64_t *")
    assert embedding.signature("rows", "mark_duplicates", np.dtype("int64")).startswith("int (const int64_t *")
    addresses = {embedding.address("rows", "mark_duplicates", dtype) for dtype in ("float32", "float64", "int64")}
    assert len(addresses) == 3


def test_a_numba_function_type_takes_the_address():
    """As docs/embedding.md has it; without Numba the same call through the C calling convention alone."""
    pointer = embedding.address("penalties", "penalty_prox_array", "float64")
    convention = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_double, ctypes.c_double)
    w = np.array([2.0, -0.25])
    assert convention(pointer)(w.ctypes.data, 2, 0.5, 0.0) == OK
    assert w.tolist() == [1.5, 0.0]


def test_the_include_folder_has_what_the_pxd_files_name():
    import os
    import re

    folder = fasttrain.get_include()
    kernels = os.path.dirname(folder)
    headers = set()
    for file in os.listdir(kernels):
        if file.endswith(".pxd"):
            with open(os.path.join(kernels, file)) as text:
                headers |= set(re.findall(r'cdef extern from "([\w.]+)"', text.read()))
    assert {"ops.h", "scalar.h", "threads.h"} <= headers
    for header in headers:
        assert os.path.isfile(os.path.join(folder, header)), header


def test_the_cython_of_the_documentation_is_what_is_compiled():
    """The blocks of docs/embedding.md stand in the package that the tests build against the wheel."""
    import re
    from pathlib import Path

    here = Path(__file__)
    page = (here.parents[2] / "docs" / "embedding.md").read_text()
    blocks = re.findall(r"^```cython\n(.*?)^```$", page, re.M | re.S)
    downstream = here.parent / "downstream"
    compiled = [(downstream / file).read_text() for file in ("setup.py", "src/downstream/model.pyx")]
    assert len(blocks) == 7
    for block in blocks:
        assert any(block in text for text in compiled), block[:60]
