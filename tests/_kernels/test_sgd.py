"""The per-sample kernel against its twin, in every layout, dtype and number of candidates and threads."""

import numpy as np
import pytest
import reference_sgd
from scipy import sparse

from fasttrain._kernels import sgd

LOSSES = sorted(reference_sgd.LOSSES)
SHAPES = [(1, 1), (7, 3), (23, 4), (40, 16), (40, 17), (30, 31), (25, 64), (25, 100), (20, 131)]


def model(**changes):
    base = {
        "alpha": 1e-3,
        "l1_ratio": 0.0,
        "l2_ratio": 1.0,
        "schedule": "constant",
        "eta0": 0.01,
        "eta_shift": 0.0,
        "power_t": 0.25,
        "parameter": 1.0,
        "weight_positive": 1.0,
        "weight_negative": 1.0,
        "average": 0,
        "tol": -np.inf,
        "n_iter_no_change": 5,
        "max_iter": 3,
    }
    return {**base, **changes}


def data(n, features, loss, dtype=np.float64, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n, features)) / np.sqrt(features)
    X[rng.uniform(size=X.shape) < 0.4] = 0
    score = X @ rng.standard_normal(features) + 0.1 * rng.standard_normal(n)
    if loss == "log_loss":
        y = (score > 0) * 1.0
    elif loss in ("hinge", "squared_hinge", "modified_huber"):
        y = np.where(score > 0, 1.0, -1.0)
    elif loss == "poisson":
        y = rng.poisson(np.exp(score)) * 1.0
    else:
        y = score
    return X.astype(dtype), y.astype(dtype)


def fit(matrix, y, models, loss, *, seed=3, n_threads=1, average=False, **options):
    descent = sgd.Descent(matrix, y, models, loss, seed=seed, **options)
    sgd.run([descent], n_threads)
    dtype = np.float64 if matrix.is_double else np.float32
    coef = np.empty((len(models), matrix.n_features), dtype)
    for k in range(len(models)):
        descent.write_coef(k, coef[k], average)
    intercept = np.array([descent.intercept(k, average) for k in range(len(models))])
    return coef, intercept, descent


def csr_rows(X, index_dtype):
    matrix = sparse.csr_array(X)
    return sgd.Rows.csr(
        matrix.data, matrix.indices.astype(index_dtype), matrix.indptr.astype(np.int64), X.shape[1]
    )


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"schedule": "optimal", "eta_shift": 9000.0, "average": 1},
        {"schedule": "invscaling", "l1_ratio": 0.3, "l2_ratio": 0.7, "alpha": 0.01},
        {
            "schedule": "invscaling",
            "power_t": 0.37,
            "l1_ratio": 1.0,
            "l2_ratio": 0.0,
            "alpha": 0.02,
            "weight_positive": 1.7,
        },
        {"l2_ratio": 0.0, "average": 5, "weight_negative": 0.3},
    ],
    ids=["l2", "optimal-average", "elasticnet", "l1", "no-penalty-average"],
)
def test_descent_is_its_twin(loss, changes):
    parameter = {
        "quantile": 0.3,
        "huber": 0.2,
        "epsilon_insensitive": 0.05,
        "squared_epsilon_insensitive": 0.05,
    }
    one = model(parameter=parameter.get(loss, 1.0), **changes)
    for n, features in SHAPES:
        X, y = data(n, features, loss)
        weight = np.random.RandomState(1).uniform(0, 2, n)
        for rows in (sgd.Rows.dense(X), csr_rows(X, np.int32), csr_rows(X, np.int64)):
            expected = reference_sgd.descend(
                X, y, one, loss, 3, 3, sample_weight=weight, sparse=rows.is_sparse
            )
            coef, intercept, descent = fit(rows, y, [one], loss, sample_weight=weight)
            scale = np.abs(expected[0]).max() + 1e-12
            np.testing.assert_allclose(coef[0], expected[0], rtol=1e-9, atol=1e-12 * scale)
            np.testing.assert_allclose(intercept[0], expected[1], rtol=1e-9, atol=1e-13)
            np.testing.assert_allclose(descent.objectives[0], expected[4], rtol=1e-9)
            if one["average"]:
                average = np.empty(features)
                descent.write_coef(0, average, True)
                np.testing.assert_allclose(average, expected[2], rtol=1e-8, atol=1e-11 * scale)
                np.testing.assert_allclose(descent.intercept(0, True), expected[3], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("schedule", ["pa1", "pa2"])
@pytest.mark.parametrize("loss", ["hinge", "epsilon_insensitive"])
def test_passive_aggressive_is_its_twin(schedule, loss):
    X, y = data(60, 12, loss)
    X[5] = 0
    one = model(schedule=schedule, eta0=0.3, parameter=1.0 if loss == "hinge" else 0.01)
    for rows in (sgd.Rows.dense(X), csr_rows(X, np.int32)):
        expected = reference_sgd.descend(X, y, one, loss, 3, 3, sparse=rows.is_sparse)
        coef, intercept, descent = fit(rows, y, [one], loss)
        np.testing.assert_allclose(coef[0], expected[0], rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(intercept[0], expected[1], rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(descent.objectives[0], expected[4], rtol=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("features", [3, 17, 100])
def test_float32_is_near_float64(loss, features):
    X, y = data(50, features, loss)
    one = model(alpha=0.01, l1_ratio=0.2, l2_ratio=0.8, average=3, parameter=0.5)
    for make in (sgd.Rows.dense, lambda X: csr_rows(X, np.int32)):
        exact = fit(make(X), y, [one], loss)
        coef, intercept, _ = fit(make(X.astype(np.float32)), y.astype(np.float32), [one], loss)
        assert coef.dtype == np.float32
        np.testing.assert_allclose(coef, exact[0], rtol=1e-3, atol=2e-4 * np.abs(exact[0]).max())
        np.testing.assert_allclose(intercept, exact[1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", ["dense", "csr32", "csr64"])
@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_error", "poisson"])
@pytest.mark.parametrize("n_models", [2, 5, 8, 19])
def test_lockstep_is_separate_descents(dtype, layout, loss, n_models):
    X, y = data(70, 37, loss, dtype)
    rows = (
        sgd.Rows.dense(X) if layout == "dense" else csr_rows(X, np.int32 if layout == "csr32" else np.int64)
    )
    rng = np.random.RandomState(n_models)
    models = []
    for k in range(n_models):
        l1 = [0.0, 0.4, 1.0][k % 3]
        schedule = ["constant", "optimal", "invscaling", "adaptive"][k % 4]
        models.append(
            model(
                alpha=10 ** rng.uniform(-4, -1),
                l1_ratio=l1,
                l2_ratio=1 - l1 if k % 5 else 0.0,
                schedule=schedule,
                eta0=10 ** rng.uniform(-3, -1.5),
                eta_shift=1e4,
                power_t=[0.25, 0.4][k % 2],
                average=[0, 1, 30][k % 3],
                tol=[-np.inf, 1e-2][k % 2],
                n_iter_no_change=2,
                max_iter=3 + k,
                weight_positive=1 + 0.1 * k,
            )
        )
    together = fit(rows, y, models, loss)
    tolerance = 1e-10 if dtype == np.float64 else 2e-5
    for k, one in enumerate(models):
        coef, intercept, descent = fit(rows, y, [one], loss)
        np.testing.assert_allclose(
            together[0][k], coef[0], rtol=tolerance, atol=tolerance * np.abs(coef).max()
        )
        np.testing.assert_allclose(together[1][k], intercept[0], rtol=tolerance, atol=tolerance)
        assert together[2].n_iter(k) == descent.n_iter(0)
        assert len(together[2].objectives[k]) == descent.n_iter(0)
        np.testing.assert_allclose(together[2].objectives[k], descent.objectives[0], rtol=tolerance * 10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_error"])
@pytest.mark.parametrize("n_models", [6, 11, 16, 22, 35])
@pytest.mark.parametrize("features", [1, 6, 37])
@pytest.mark.parametrize("averages", [(0,), (1, 30, 0, 141, 2)], ids=["last", "averaged"])
@pytest.mark.parametrize("l1_ratios", [(0.0,), (1.0, 0.3, 0.0)], ids=["l2", "l1"])
def test_lockstep_in_panels_is_separate_descents(dtype, loss, n_models, features, averages, l1_ratios):
    """Candidates are trained as lanes of a vector, at times a part of them. Some end early, some shrink so fast that
    the scale of their weights is folded in; averages begin at once, within four rows taken together, or late; with L1
    terms the same weights are exact zeros.
    """
    X, y = data(70, features, loss, dtype)
    rng = np.random.RandomState(n_models)
    models = [
        model(
            alpha=[1e-4, 1e-2, 3.0, 60.0][k % 4] * rng.uniform(0.5, 1),
            l1_ratio=l1_ratios[k % len(l1_ratios)],
            l2_ratio=1.0 - l1_ratios[k % len(l1_ratios)] if k % 5 else 0.0,
            schedule=["constant", "invscaling"][k % 2],
            eta0=10 ** rng.uniform(-3, -1.5),
            max_iter=2 + k % 7,
            weight_positive=1 + 0.1 * k,
            average=averages[k % len(averages)],
        )
        for k in range(n_models)
    ]
    rows = sgd.Rows.dense(X)
    start = rng.standard_normal((n_models, features)).astype(dtype)
    start_average = rng.standard_normal((n_models, features)).astype(dtype)
    together = sgd.Descent(rows, y, models, loss, seed=3)
    for k in range(n_models):
        together.begin_from(k, start[k], 0.1, start_average[k], 0.2)
    sgd.run([together], 1)
    tolerance = 1e-10 if dtype == np.float64 else 5e-5
    coef, expected = np.empty(features, dtype), np.empty(features, dtype)
    for k, one in enumerate(models):
        alone = sgd.Descent(rows, y, [one], loss, seed=3)
        alone.begin_from(0, start[k], 0.1, start_average[k], 0.2)
        sgd.run([alone], 1)
        together.write_coef(k, coef)
        alone.write_coef(0, expected)
        np.testing.assert_allclose(coef, expected, rtol=tolerance, atol=tolerance * np.abs(start[k]).max())
        np.testing.assert_array_equal(coef == 0, expected == 0)
        np.testing.assert_allclose(together.intercept(k), alone.intercept(0), rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(together.objectives[k], alone.objectives[0], rtol=tolerance * 10)
        if one["average"]:
            # the average is a difference of two vectors, which grow where the weights shrink fast: in float32 up to 1e6
            shrinks = one["alpha"] > 1
            if shrinks and dtype == np.float32:
                continue
            together.write_coef(k, coef, True)
            alone.write_coef(0, expected, True)
            loose = 1e-8 if shrinks else tolerance
            np.testing.assert_allclose(coef, expected, rtol=loose, atol=loose * np.abs(start[k]).max())
            np.testing.assert_allclose(
                together.intercept(k, True), alone.intercept(0, True), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("changes", [
    {}, {"l1_ratio": 0.3, "l2_ratio": 0.7}, {"average": 5}, {"l1_ratio": 1.0, "l2_ratio": 0.0, "average": 1},
    {"schedule": "pa1"}, {"schedule": "pa2", "average": 3},
], ids=str)
@pytest.mark.parametrize("n_models", [2, 3, 8, 9, 12, 16, 19])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_sparse_lockstep_in_lines_is_separate_descents(changes, n_models, index):
    """Candidates are lanes beside one another; some end early, some shrink so fast that their scale is folded in. A row
    has no value, another one twice the same index.
    """
    X, y = data(70, 37, "hinge")
    X[5] = 0
    matrix = sparse.csr_array(X)
    matrix.indices[matrix.indptr[3]] = matrix.indices[matrix.indptr[3] + 1]
    rows = sgd.Rows.csr(matrix.data, matrix.indices.astype(index), matrix.indptr.astype(np.int64), X.shape[1])
    rng = np.random.RandomState(n_models)
    models = [
        model(**{
            "alpha": [1e-4, 1e-2, 60.0][k % 3] * rng.uniform(0.5, 1), "eta0": 10 ** rng.uniform(-2, -1),
            "max_iter": 2 + k % 7, "schedule": ["constant", "invscaling"][k % 2], "weight_positive": 1 + 0.1 * k,
            **changes,
        })
        for k in range(n_models)
    ]
    start = 0.1 * rng.standard_normal((2, n_models, 37))
    totals = np.full(n_models, 70.0)

    def trained(numbers):
        descent = sgd.Descent(rows, y, [models[k] for k in numbers], "hinge", seed=3, intercept_decay=0.01,
                              score=(rows, y, None, totals[:len(numbers)], "accuracy"))
        for place, k in enumerate(numbers[::2]):
            descent.begin_from(2 * place, start[0, k], 0.1, start[1, k], 0.2)
        sgd.run([descent], 1)
        coef = np.empty((2, len(numbers), 37))
        for k in range(len(numbers)):
            descent.write_coef(k, coef[0, k])
            if descent.has_average:
                descent.write_coef(k, coef[1, k], True)
        return descent, coef[:1 + descent.has_average]

    together, found = trained(range(n_models))
    for k in range(0, n_models, 2):
        alone, expected = trained([k])
        np.testing.assert_allclose(found[0, k], expected[0, 0], rtol=1e-10, atol=1e-12)
        # the average is a difference of two vectors, which grow where the weights shrink fast
        np.testing.assert_allclose(found[1:, k], expected[1:, 0], rtol=1e-8, atol=1e-9)
        for average in (False, True):
            np.testing.assert_allclose(
                together.intercept(k, average), alone.intercept(0, average), rtol=1e-10, atol=1e-12)
        np.testing.assert_array_equal(together.scores[k], alone.scores[0])
        np.testing.assert_allclose(together.objectives[k], alone.objectives[0], rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("changes", [
    {}, {"l1_ratio": 0.3, "l2_ratio": 0.7, "average": 5}, {"schedule": "pa1"},
], ids=str)
def test_where_a_sparse_candidate_stands_does_not_show(dtype, index, changes):
    """Weights are the same bytes in a whole cache line and packed behind it, also after they have changed places."""
    X, y = data(60, 23, "hinge", dtype)
    rows = csr_rows(X, index)
    rng = np.random.RandomState(0)
    models = [model(**{"alpha": 10 ** rng.uniform(-4, -1), "eta0": 10 ** rng.uniform(-2, -1), "max_iter": 2 + k % 5,
                       **changes}) for k in range(45)]
    start = 0.1 * rng.standard_normal((45, 23)).astype(dtype)

    def trained(numbers):
        descent = sgd.Descent(rows, y, [models[k] for k in numbers], "hinge", seed=3)
        for place, k in enumerate(numbers[::2]):
            descent.begin_from(2 * place, start[k], 0.1)
        sgd.run([descent], 1)
        coef = np.empty((1 + descent.has_average, len(numbers), 23), dtype)
        for k in range(len(numbers)):
            for average in range(len(coef)):
                descent.write_coef(k, coef[average, k], bool(average))
        return coef, [descent.intercept(k) for k in range(len(numbers))], descent.objectives

    # so many that each stands in a line of its own length, with and without a rest of either size
    expected = trained(range(32))
    for n_models in (2, 3, 4, 5, 6, 9, 10, 12, 13, 17, 18, 20, 24, 25, 26, 45):
        coef, intercepts, objectives = trained(range(n_models))
        same = min(n_models, 32)
        np.testing.assert_array_equal(coef[:, :same], expected[0][:, :same])
        assert intercepts[:same] == expected[1][:same]
        for found, other in zip(objectives[:same], expected[2]):
            np.testing.assert_allclose(found, other, rtol=1e-14)


def test_lockstep_targets_of_their_own():
    X, _ = data(60, 20, "squared_error")
    y = np.random.RandomState(2).standard_normal((3, 60))
    rows = sgd.Rows.dense(X)
    together = fit(rows, y, [model()] * 3, "squared_error")[0]
    for k in range(3):
        np.testing.assert_allclose(together[k], fit(rows, y[k], [model()], "squared_error")[0][0], rtol=1e-12)


@pytest.mark.parametrize("shuffle", [True, False])
def test_row_numbers_are_a_copy_of_rows(shuffle):
    X, y = data(80, 13, "hinge")
    numbers = np.random.RandomState(0).permutation(80)[:55].astype(np.int32)
    by_number = fit(sgd.Rows.dense(X), y, [model()], "hinge", rows=numbers, shuffle=shuffle)
    copied = fit(sgd.Rows.dense(X[numbers]), y[numbers], [model()], "hinge", shuffle=shuffle)
    np.testing.assert_array_equal(by_number[0], copied[0])
    np.testing.assert_array_equal(by_number[1], copied[1])


def test_masked_rows_are_drawn_but_not_trained_on():
    X, y = data(50, 9, "squared_error")
    mask = (np.arange(50) % 5 == 0).astype(np.uint8)
    order = reference_sgd.shuffled(range(50), 3)
    kept = np.array([row for row in order if not mask[row]], dtype=np.int32)
    masked = fit(sgd.Rows.dense(X), y, [model(max_iter=1)], "squared_error", mask=mask)
    in_order = fit(sgd.Rows.dense(X), y, [model(max_iter=1)], "squared_error", rows=kept, shuffle=False)
    np.testing.assert_array_equal(masked[0], in_order[0])
    assert masked[2].n_train == 40


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_give_the_same_bytes(dtype):
    X, y = data(400, 30, "log_loss", dtype)
    rows = sgd.Rows.dense(X)
    results = []
    for n_threads in (1, 2, 3, 8):
        descents = [
            sgd.Descent(rows, y, [model(max_iter=40, alpha=10.0**-k)], "log_loss", seed=k + 1)
            for k in range(5)
        ]
        sgd.run(descents, n_threads)
        coef = np.empty((5, 30), dtype)
        for k, descent in enumerate(descents):
            descent.write_coef(k, coef[k])
        results.append(coef.tobytes())
    assert len(set(results)) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", ["hinge", "log_loss", "squared_error"])
@pytest.mark.parametrize("features", [1, 7, 16, 33, 100, 150])
def test_company_does_not_show(dtype, loss, features):
    """Fits that a thread takes side by side are the same bytes as alone: some end early, some have blocks of other
    lengths, because the scale of their weights is folded in, one is of fewer rows, one leaves the finite numbers.
    """
    X, y = data(619, features, loss, dtype)
    rows = sgd.Rows.dense(X)
    huge = sgd.Rows.dense(X * dtype(1e20 if dtype == np.float32 else 1e160))
    fewer = np.arange(500, dtype=np.int32)
    mask = (np.arange(619) % 7 == 0).astype(np.uint8)

    def descents():
        return [
            sgd.Descent(rows, y, [model(max_iter=3)], loss, seed=1),
            sgd.Descent(rows, y, [model(max_iter=5, alpha=50.0)], loss, seed=2),
            sgd.Descent(rows, y, [model(max_iter=2, schedule="optimal", eta_shift=1e4)], loss, seed=3, mask=mask),
            sgd.Descent(rows, y, [model(max_iter=6, tol=1e-2, n_iter_no_change=2)], loss, seed=4, fit_intercept=False),
            sgd.Descent(huge, y, [model(max_iter=2, eta0=1e10)], loss, seed=5),
            sgd.Descent(rows, y, [model(max_iter=4, alpha=20.0)], loss, seed=6, rows=fewer),
            sgd.Descent(rows, y, [model(max_iter=3, schedule="invscaling")], loss, seed=7, pause_each_epoch=True),
        ]

    def results(fits):
        coef = np.empty((len(fits), features), dtype)
        for k, descent in enumerate(fits):
            descent.write_coef(k=0, out=coef[k])
        return coef.tobytes(), [(fit.intercept(0), fit.objectives, fit.n_iter(0), fit.finite(0)) for fit in fits]

    alone = descents()
    for descent in alone:
        sgd.run([descent], 1)
    expected = results(alone)
    for n_threads in (1, 2, 3):
        together = descents()
        sgd.run(together, n_threads)
        found = results(together)
        assert found[0] == expected[0]
        assert repr(found[1]) == repr(expected[1])


def test_rows_at_any_address_and_read_only():
    X, y = data(33, 21, "hinge")
    expected = fit(sgd.Rows.dense(X), y, [model(average=2)], "hinge")[0]
    buffer = np.zeros(X.nbytes + 64, dtype=np.uint8)
    for offset in (8, 16, 24, 40):
        moved = buffer[offset : offset + X.nbytes].view(np.float64).reshape(X.shape)
        moved[...] = X
        moved.flags.writeable = False
        before = buffer.copy()
        np.testing.assert_array_equal(fit(sgd.Rows.dense(moved), y, [model(average=2)], "hinge")[0], expected)
        np.testing.assert_array_equal(buffer, before)


def test_rows_next_to_nan_are_not_read():
    """A vector load may touch what lies after a row, but nothing of it may reach the weights."""
    X, y = data(40, 5, "squared_error")
    wide = np.full((44, 5), np.nan)
    wide[:40] = X
    numbers = np.arange(40, dtype=np.int32)
    coef = fit(
        sgd.Rows.dense(wide), np.concatenate([y, np.zeros(4)]), [model()], "squared_error", rows=numbers
    )[0]
    np.testing.assert_array_equal(coef, fit(sgd.Rows.dense(X), y, [model()], "squared_error")[0])


def test_repeated_indices_of_a_sparse_row_add_up():
    values = np.array([1.0, 2.0, 0.5, 3.0, -1.0])
    indices = np.array([2, 2, 0, 1, 1], dtype=np.int32)
    rows = sgd.Rows.csr(values, indices, np.array([0, 3, 5], dtype=np.int64), 3)
    dense = np.array([[0.5, 0.0, 3.0], [0.0, 2.0, 0.0]])
    y = np.array([1.0, -1.0])
    one = model(l1_ratio=0.0, l2_ratio=0.0)
    np.testing.assert_allclose(
        fit(rows, y, [one], "squared_error")[0],
        fit(sgd.Rows.dense(dense), y, [one], "squared_error")[0],
        rtol=1e-13,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("l1_ratio, average", [(0.0, 0), (1.0, 0), (0.3, 1)])
def test_repeated_indices_are_moved_each_time_and_cut_once(dtype, index, l1_ratio, average):
    """Neighbours in a row, and far from each other; rows of every length from none to two dozen."""
    rng = np.random.RandomState(4)
    lengths = np.arange(50) % 25
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    indices = rng.randint(6, size=indptr[-1]).astype(index)
    values = rng.standard_normal(len(indices)).astype(dtype)
    X = np.zeros((50, 6), dtype)
    np.add.at(X, (np.repeat(np.arange(50), lengths), indices), values)
    y = rng.standard_normal(50).astype(dtype)
    one = model(l1_ratio=l1_ratio, l2_ratio=1 - l1_ratio, alpha=0.02, average=average)
    found = fit(sgd.Rows.csr(values, indices, indptr, 6), y, [one], "squared_error")
    expected = fit(csr_rows(X, np.int32), y, [one], "squared_error")
    rtol = 1e-11 if dtype == np.float64 else 2e-4
    np.testing.assert_allclose(found[0], expected[0], rtol=rtol, atol=rtol * np.abs(expected[0]).max())
    np.testing.assert_allclose(found[1], expected[1], rtol=rtol, atol=rtol)


@pytest.mark.parametrize(
    "indices, indptr, inside",
    [
        ([0, 2, 1], [0, 2, 3], True),
        ([], [0, 0, 0], True),
        ([0, 3, 1], [0, 2, 3], False),
        ([0, -1, 1], [0, 2, 3], False),
        ([0, 2, 1], [0, 2, 4], False),
        ([0, 2, 1], [1, 2, 3], False),
        ([0, 2, 1], [0, 3, 2], False),
    ],
)
def test_csr_in_range(indices, indptr, inside):
    pointers = np.array(indptr, dtype=np.int64)
    narrow, wide = np.array(indices, dtype=np.int32), np.array(indices, dtype=np.int64)
    assert sgd.csr_in_range(narrow, None, pointers, len(narrow), 3) is inside
    assert sgd.csr_in_range(None, wide, pointers, len(wide), 3) is inside


@pytest.mark.parametrize("rows_of", [sgd.Rows.dense, lambda X: csr_rows(X, np.int32)], ids=["dense", "csr"])
@pytest.mark.parametrize("changes", [{}, {"l1_ratio": 0.5, "l2_ratio": 0.5}], ids=["l2", "elasticnet"])
def test_weights_that_overflow_are_reported_with_their_epoch(rows_of, changes):
    X, y = data(30, 4, "squared_error")
    models = [model(eta0=1e10, max_iter=9, **changes), model(eta0=1e-300, alpha=0.0)]
    rows = rows_of(X * 1e160)
    descent = sgd.Descent(rows, y, models, "squared_error")
    alone = sgd.Descent(rows, y, models[:1], "squared_error")
    sgd.run([descent, alone], 1)
    for fit in (descent, alone):
        assert not fit.finite(0)
        assert fit.n_iter(0) == 1
    assert descent.finite(1)


@pytest.mark.parametrize("dtype, scale, eta0, loss", [
    (dtype, scale, eta0, loss)
    for dtype, scale, eta0 in (
        (np.float64, 1e150, 1e-301), (np.float64, 1e155, 1e-301), (np.float64, 1e160, 1e-301),
        (np.float32, 1e18, 1e-37), (np.float32, 1e20, 1e-41),
    )
    for loss in ("hinge", "log_loss", "modified_huber", "squared_error")
    # a step size that lets this one converge on larger rows would be no normal number
    if loss != "squared_error" or scale < 1e155
])
@pytest.mark.parametrize("large", [slice(None), slice(7, 8), slice(100, None)], ids=["all", "one", "later"])
def test_products_of_rows_that_overflow_are_not_needed(dtype, scale, eta0, loss, large):
    """Two rows may have a product that is not finite where their products with the weights are; the scale of the
    weights of some models is folded in meanwhile.
    """
    models = [
        model(eta0=eta0, average=average, alpha=alpha, max_iter=2)
        for average, alpha in ((0, 1e-3), (5, 1e-3), (0, 0.06 / eta0))
    ]
    for features in (3, 20, 300):
        X, y = data(200, features, loss)
        X[X != 0] += np.copysign(0.1, X[X != 0])
        X[large] *= scale
        X, y = X.astype(dtype), y.astype(dtype)
        rows = sgd.Rows.dense(X)
        fits = [fit(rows, y, models, loss)] + [fit(rows, y, [one], loss) for one in models]
        for k, one in enumerate(models):
            with np.errstate(over="ignore"):
                expected = reference_sgd.descend(X, y, one, loss, 3, 2)
            for (coef, intercept, descent), place in ((fits[0], k), (fits[1 + k], 0)):
                rtol = 1e-9 if dtype == np.float64 else 1e-3
                assert descent.finite(place)
                np.testing.assert_allclose(coef[place], expected[0], rtol=rtol, atol=rtol * np.abs(expected[0]).max())
                np.testing.assert_allclose(intercept[place], expected[1], rtol=rtol, atol=1e-2 * rtol * one["eta0"])
                if one["average"]:
                    descent.write_coef(place, coef[place], True)
                    np.testing.assert_allclose(
                        coef[place], expected[2], rtol=rtol, atol=rtol * np.abs(expected[2]).max())


def test_large_sparse_weights_are_finite():
    """Squares that overflow are no reason to refuse weights that do not."""
    X, y = data(30, 4, "squared_error", np.float32)
    models = [model(eta0=1e9, max_iter=2, l2_ratio=0.0) for _ in range(3)]
    for n in (1, 3):
        descent = sgd.Descent(csr_rows(X, np.int32), y * np.float32(1e26), models[:n], "squared_error")
        sgd.run([descent], 1)
        coef = np.empty(4, np.float32)
        descent.write_coef(0, coef)
        assert np.abs(coef).max() > 1e19
        assert all(descent.finite(k) for k in range(n))


def test_history_longer_than_its_buffer():
    X, y = data(5, 2, "squared_error")
    descent = fit(
        sgd.Rows.dense(X), y, [model(max_iter=700), model(max_iter=300), model(max_iter=256)], "squared_error"
    )[2]
    assert [len(curve) for curve in descent.objectives] == [700, 300, 256]
