"""Estimators on sources of blocks: the bytes of arrays for one block, and for several what the blocks alone decide."""

import pickle
import re
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import linear_model as stock
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge as StockRidge
from sklearn.pipeline import make_pipeline

from fasttrain import set_num_threads
from fasttrain._kernels.network import Network
from fasttrain._kernels.prediction import set_step_per_thread
from fasttrain._tables.sketch import POINTS, QuantileSketch
from fasttrain.callbacks import Callback, EarlyStopping, ModelCheckpoint, ProgressBar
from fasttrain.data import Blocks, Replicas, from_arrays, from_callable, from_csv, from_parquet
from fasttrain.keras import utils
from fasttrain.layers import Dense, Input
from fasttrain.linear_model import (
    LinearClassifier, LinearRegression, LinearRegressor, Ridge, SGDClassifier, SGDRegressor,
)
from fasttrain.models import Sequential
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.preprocessing import (
    MaxAbsScaler, MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler, TablePreprocessor,
)
from fasttrain.training.feed import bind
from fasttrain.training.sums import SumTree, objective_of, sums_of_bound

RNG = np.random.default_rng(0)
N = 1500
X = RNG.standard_normal((N, 6)) * [1, 2, 3, 0.5, 1, 1] + 1
Y = X @ RNG.standard_normal(6) + 0.1 * RNG.standard_normal(N)
CLASSES = np.array(["low", "mid", "top"])[np.digitize(Y, np.quantile(Y, [0.5, 0.8]))]
W = RNG.random(N)

REGRESSORS = [
    LinearRegressor(), LinearRegressor("huber"), LinearRegressor("quantile", penalty="l1", alpha=1e-3, max_iter=20),
    LinearRegressor(optimizer="adam", max_iter=3, tol=None),
    LinearRegressor(optimizer="momentum", learning_rate=0.01, batch_size="full", max_iter=5, penalty="elasticnet"),
    LinearRegressor(learning_rate=0.05, max_iter=3), SGDRegressor(max_iter=5),
    SGDRegressor(average=True, learning_rate="adaptive", max_iter=5), SGDRegressor("huber", early_stopping=True),
    MLPRegressor(hidden_layer_sizes=(8,), max_iter=3),
    MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=5),
    MLPRegressor(hidden_layer_sizes=(8,), solver="sgd", batch_norm="before", max_iter=3, dropout=0.1),
    Ridge(), LinearRegression(),
]
CLASSIFIERS = [
    LinearClassifier(), LinearClassifier("hinge", class_weight="balanced", max_iter=20),
    LinearClassifier(optimizer="adam", early_stopping=True, max_iter=3),
    LinearClassifier(batch_size="full", optimizer="nadam", max_iter=4),
    SGDClassifier("log_loss", max_iter=5), SGDClassifier(penalty="l1", class_weight={"low": 2.0}, max_iter=5),
    SGDClassifier(early_stopping=True), MLPClassifier((8,), max_iter=3, class_weight="balanced"),
    MLPClassifier((8,), early_stopping=True, max_iter=3), MLPClassifier((8,), solver="lbfgs", max_iter=5),
]
EVERY = [(model, Y) for model in REGRESSORS] + [(model, CLASSES) for model in CLASSIFIERS]
every = pytest.mark.parametrize(
    "model, y", EVERY, ids=lambda value: "" if hasattr(value, "shape") else repr(value)[:60])


def fresh(model):
    model = clone(model)
    return model.set_params(random_state=0) if "random_state" in model.get_params() else model


def learnt(model):
    """Weights of a fit, and its curve."""
    found = [model.coef_, model.intercept_] if hasattr(model, "coef_") else [*model.coefs_, *model.intercepts_]
    return [*(np.asarray(array) for array in found), np.array(getattr(model, "loss_curve_", []), dtype=object)]


def same(a, b):
    return all(pickle.dumps(x.tolist()) == pickle.dumps(y.tolist()) for x, y in zip(learnt(a), learnt(b), strict=True))


def fit(model, *data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fresh(model).fit(*data, **options)


@every
def test_one_block_is_what_its_arrays_are(model, y):
    plain = fit(model, X, y, sample_weight=W)
    assert same(plain, fit(model, from_arrays([X], [y], [W])))


@every
def test_no_answer_hangs_on_threads_or_reading_ahead(model, y):
    before = set_step_per_thread(0)
    answers = []
    try:
        for threads, read_ahead in ((1, True), (2, False), (2, True)):
            set_num_threads(threads)
            source = from_arrays(X, y, W, block_rows=440, buffer_blocks=3, read_ahead=read_ahead)
            answers.append(fit(model, source))
    finally:
        set_step_per_thread(before)
        set_num_threads(None)
    assert all(same(answers[0], other) for other in answers[1:])
    source = from_arrays(X, y, W, block_rows=440)
    np.testing.assert_array_equal(answers[0].predict(source), answers[0].predict(X))
    assert answers[0].score(source) == pytest.approx(answers[0].score(X, y, sample_weight=W), rel=1e-12)


@pytest.mark.parametrize("model, y", [
    (LinearRegressor(optimizer="adam", shuffle=False, max_iter=3, tol=None), Y),
    (LinearClassifier(optimizer="adagrad", shuffle=False, max_iter=3, tol=None, batch_size=77), CLASSES),
    (MLPRegressor(hidden_layer_sizes=(8, 4), shuffle=False, max_iter=3), Y),
    (MLPClassifier((8,), shuffle=False, max_iter=3, batch_size=130), CLASSES),
], ids=repr)
def test_blocks_are_of_no_consequence_to_rows_in_their_order(model, y):
    plain = fit(model, X, y, sample_weight=W)
    for block_rows, buffer_blocks in ((100, 1), (100, 4), (999, 2), (1, 150)):
        assert same(plain, fit(model, from_arrays(X, y, W, block_rows=block_rows, buffer_blocks=buffer_blocks)))


@pytest.mark.parametrize("model, y, tolerance", [
    (LinearRegressor(tol=1e-10), Y, 1e-9), (LinearRegressor("poisson", tol=1e-9), np.exp(Y / 9), 1e-6),
    (LinearClassifier(tol=1e-9), CLASSES, 1e-6), (LinearClassifier("squared_hinge", tol=1e-9), CLASSES, 1e-6),
    (MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=8), Y, 1e-6),
    (MLPClassifier((8,), solver="lbfgs", max_iter=8), CLASSES, 1e-6),
    (MLPRegressor("poisson", hidden_layer_sizes=(8,), solver="lbfgs", max_iter=8), np.exp(Y / 9), 1e-6),
    (Ridge(), Y, 1e-9), (LinearRegression(), Y, 1e-9), (Ridge(fit_intercept=False, alpha=3.0), Y, 1e-9),
    (LinearRegressor(optimizer="momentum", learning_rate=0.01, batch_size="full", max_iter=20), Y, 1e-12),
], ids=lambda value: repr(value)[:50] if not hasattr(value, "shape") else "")
def test_sums_over_blocks_are_those_over_all_rows(model, y, tolerance):
    plain, blocks = fit(model, X, y, sample_weight=W), fit(model, from_arrays(X, y, W, block_rows=170))
    for a, b in zip(learnt(plain)[:-1], learnt(blocks)[:-1]):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_optimality_over_blocks():
    source = from_arrays(X, CLASSES, block_rows=170)
    found = fit(LinearClassifier(tol=1e-10, max_iter=1000), source)
    reference = stock.LogisticRegression(tol=1e-10, max_iter=10_000).fit((X - X.mean(0)) / X.std(0), CLASSES)
    np.testing.assert_allclose(found.coef_ * X.std(0), reference.coef_, atol=1e-6)
    np.testing.assert_allclose(
        fit(Ridge(alpha=2.0), from_arrays(X, Y, W, block_rows=99)).coef_,
        StockRidge(alpha=2.0).fit(X, Y, sample_weight=W).coef_, rtol=1e-9)


@pytest.mark.parametrize("loss", ["hinge", "log_loss"])
def test_descent_over_blocks_is_the_loop_of_partial_fits(loss):
    source = from_arrays(X, CLASSES, W, block_rows=500, buffer_blocks=1, shuffle=False)
    # steps so small that rounding is not blown up, as it is by the schedule 'optimal' on columns of such scales
    rate = {"learning_rate": "constant", "eta0": 0.01}
    ours = fit(SGDClassifier(loss, max_iter=3, tol=None, **rate), source)
    parts = fresh(SGDClassifier(loss, **rate))
    peer = stock.SGDClassifier(loss=loss, shuffle=False, **rate)
    for _ in range(3):
        parts.partial_fit(source, classes=np.unique(CLASSES))
        for block in source:
            peer.partial_fit(block.X, block.y, classes=np.unique(CLASSES), sample_weight=block.sample_weight)
    np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=1e-9)
    np.testing.assert_array_equal(ours.coef_, parts.coef_)
    assert ours.t_ == parts.t_ == peer.t_


def test_rows_in_order_of_their_label_are_learnt():
    order = np.argsort(CLASSES, kind="stable")
    scaled = (X - X.mean(0)) / X.std(0)
    source = from_arrays(scaled[order], CLASSES[order], block_rows=50, buffer_blocks=8)
    model = SGDClassifier("log_loss", learning_rate="constant", eta0=0.005)
    plain = fit(model, scaled, CLASSES).score(scaled, CLASSES)
    assert fit(model, source).score(scaled, CLASSES) > plain - 0.02
    assert fit(clone(model).set_params(shuffle=False, max_iter=5), source).score(scaled, CLASSES) < plain - 0.02


@pytest.mark.parametrize("model", [
    SGDRegressor(), SGDClassifier(), MLPRegressor(hidden_layer_sizes=(4,), max_iter=3), LinearRegressor(),
])
def test_sparse_blocks(model):
    matrix = sparse.random(600, 40, 0.2, format="csr", random_state=0)
    y = matrix @ np.ones(40)
    y = (y > np.median(y)).astype(int) if isinstance(model, SGDClassifier) else y
    plain = fit(model, matrix, y)
    source = from_arrays(matrix, y, block_rows=70)
    assert same(plain, fit(model, from_arrays([matrix], [y])))
    found = fit(model, source)
    assert found.predict(source).shape == (600,)
    if not isinstance(model, MLPRegressor):
        assert found.score(source) > 0.9
    else:
        unshuffled = clone(model).set_params(shuffle=False)
        assert same(fit(unshuffled, matrix, y), fit(unshuffled, source))


# ---- validation, callbacks, checkpoints ----


VALIDATED = [
    (LinearRegressor(optimizer="adam", max_iter=4), Y), (LinearClassifier(optimizer="adam", max_iter=4), CLASSES),
    (MLPRegressor(hidden_layer_sizes=(8,), max_iter=4), Y), (MLPClassifier((8,), max_iter=4), CLASSES),
]


@pytest.mark.parametrize("model, y", VALIDATED, ids=repr)
def test_validation_data_may_be_a_source(model, y):
    source = from_arrays(X, y, W, block_rows=440)
    arrays = fit(model, source, validation_data=(X[:1000], y[:1000], W[:1000]))
    blocks = fit(model, source, validation_data=from_arrays(X[:1000], y[:1000], W[:1000], block_rows=90))
    np.testing.assert_allclose(arrays.validation_loss_curve_, blocks.validation_loss_curve_, rtol=1e-12)
    np.testing.assert_array_equal(learnt(arrays)[0], learnt(blocks)[0])
    # and of a fit on arrays
    plain = fit(model, X, y, validation_data=from_arrays(X[:1000], y[:1000], W[:1000], block_rows=90))
    np.testing.assert_allclose(
        plain.validation_loss_curve_, fit(model, X, y, validation_data=(X[:1000], y[:1000], W[:1000]))
        .validation_loss_curve_, rtol=1e-12)


@pytest.mark.parametrize("model, y", VALIDATED, ids=repr)
def test_a_fit_goes_on_from_a_checkpoint(model, y, tmp_path):
    source = from_arrays(X, y, W, block_rows=440)
    whole = fit(model, source)
    fit(model.__class__(**{**model.get_params(), "max_iter": 2, "callbacks": ModelCheckpoint(tmp_path / "c")}), source)
    assert same(whole, fit(model, source, resume_from=tmp_path / "c"))
    with pytest.raises(ValueError, match="checkpoint of another training"):
        fit(model, from_arrays(X, y, W, block_rows=200), resume_from=tmp_path / "c")
    with pytest.raises(ValueError, match=r"checkpoint of another training: blocks \[.*\] there, none here"):
        fit(model, X, y, resume_from=tmp_path / "c")


@every
def test_weights_of_zero_are_refused_where_they_are_all(model, y):
    model = fit(model, from_arrays(X, y, np.where(np.arange(N) < 600, 0.0, W), block_rows=300))
    before = learnt(model)
    with pytest.raises(ValueError, match=r"sample_weight must have at least one number > 0, got zeros only"):
        model.fit(from_arrays(X, y, np.zeros(N), block_rows=300))
    assert repr(learnt(model)) == repr(before)


class Rates(Callback):
    """The rate at the end of each epoch."""

    def __init__(self):
        self.rates = []

    def on_epoch_end(self, epoch, logs):
        self.rates.append(logs["learning_rate"])


class Outage(Callback):
    """Ends a fit in its fourth epoch."""

    def on_rows(self, n_done, n_rows):
        if self.training.epoch == 4:
            raise OSError("the power is gone")


@pytest.mark.parametrize("model", [
    LinearRegressor(optimizer="sgd", learning_rate=0.01, schedule="cosine", batch_size=50, max_iter=6, tol=None),
    MLPRegressor(hidden_layer_sizes=(4,), schedule="cosine", batch_size=50, max_iter=6, tol=0.0),
], ids=lambda model: type(model).__name__)
def test_schedules_go_with_the_rows_of_an_epoch(model, tmp_path):
    """However many parts it has, and with replicas, which go through it side by side."""
    model.set_params(callbacks=Rates())
    whole = fit(model, X, Y).callbacks.rates
    assert len(whole) == 6
    for replicas in (None, Replicas(1, 10**9), Replicas(3, 100)):
        for buffer_blocks in (1, 2):
            source = from_arrays(X, Y, block_rows=250, buffer_blocks=buffer_blocks)
            source.replicas = replicas
            found = fit(model, source)
            np.testing.assert_allclose(found.callbacks.rates, whole, rtol=1e-12, atol=1e-12)
            if isinstance(model, LinearRegressor):
                assert found.t_ == 6 * N // 50
            with pytest.raises(OSError, match="the power is gone"):
                fit(clone(model).set_params(callbacks=[ModelCheckpoint(tmp_path / "c"), Outage()]), source)
            resumed = fit(model, source, resume_from=tmp_path / "c")
            np.testing.assert_allclose(resumed.callbacks.rates, whole[3:], rtol=1e-12, atol=1e-12)
            assert same(found, resumed)


class Seen(Callback):
    """Rows told of, and epochs."""

    def __init__(self):
        self.rows, self.epochs = [], 0

    def on_rows(self, n_done, n_rows):
        self.rows.append((n_done, n_rows))

    def on_epoch_end(self, epoch, logs):
        self.epochs = epoch


def test_callbacks_see_rows_and_may_stop():
    seen = Seen()
    source = from_arrays(X, Y, block_rows=500, buffer_blocks=2)
    LinearRegressor(optimizer="adam", max_iter=2, callbacks=[seen], tol=None, random_state=0).fit(source)
    assert seen.rows == [(1000, N), (N, N)] * 2
    early = EarlyStopping(monitor="loss", min_delta=1e9, patience=1)
    assert fit(LinearRegressor(optimizer="adam", max_iter=50, tol=None, callbacks=early), source).n_iter_ == 2
    stopped = fit(LinearRegressor(optimizer="adam", max_iter=9, callbacks=lambda epoch, logs: epoch == 2), source)
    assert stopped.n_iter_ == 2


def test_progress_tells_of_rows(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    source = from_arrays(X, Y, block_rows=500, buffer_blocks=2)
    LinearRegressor(optimizer="adam", max_iter=1, tol=None, callbacks=ProgressBar(), random_state=0).fit(source)
    told = capsys.readouterr().err
    assert re.search(r"epoch 1/1  1,000 of 1,500 rows, [\d,]+ a second, \d+ s left", told), told


def test_early_stopping_holds_rows_of_each_block_out():
    source = from_arrays(X, Y, block_rows=300)
    model = fit(LinearRegressor(optimizer="adam", early_stopping=True, validation_fraction=0.2, max_iter=5), source)
    assert len(model.validation_loss_curve_) == 5
    # 240 of each block's 300 rows
    assert model.t_ == 5 * 6


@pytest.mark.parametrize("model", [
    LinearRegressor(), SGDRegressor(), MLPRegressor(hidden_layer_sizes=(4,), max_iter=3),
])
def test_what_is_raised_in_a_block_leaves_the_model_as_it_was(model):
    good = fit(model, X, Y)
    before = learnt(good)

    def block(i):
        if i == 5:
            raise OSError("the disk is gone")
        return X[i * 150:i * 150 + 150], Y[i * 150:i * 150 + 150]

    with pytest.raises(OSError, match="the disk is gone"):
        good.fit(from_callable(block, n_blocks=10))
    assert all((a == b).all() for a, b in zip(before, learnt(good)))


def test_y_and_weights_belong_to_the_source():
    source = from_arrays(X, Y, block_rows=500)
    for options in ({"y": Y}, {"sample_weight": W}):
        with pytest.raises(ValueError, match=f"{next(iter(options))} must be left out of fit where X is a source"):
            LinearRegressor().fit(source, **options)
    with pytest.raises(ValueError, match="y must be left out of score"):
        fit(LinearRegressor(), source).score(source, Y)
    with pytest.raises(ValueError, match=r"block 0 of the arrays: the block has no y"):
        LinearRegressor().fit(from_arrays(X, block_rows=500))


@pytest.mark.parametrize("model", [LinearClassifier(), SGDClassifier(), MLPClassifier((4,))], ids=repr)
def test_classes_of_all_blocks_are_found_and_kept(model):
    order = np.argsort(CLASSES)
    source = from_arrays(X[order], CLASSES[order], block_rows=500)
    found = fit(model, source)
    assert found.classes_.tolist() == ["low", "mid", "top"]
    assert source.facts["labels"].counts.sum() == N
    with pytest.raises(ValueError, match="y must hold classes"):
        fresh(model).fit(from_arrays(X, Y, block_rows=500))
    with pytest.raises(ValueError, match=r"[Cc]lasses has to be greater than one|at least 2 classes|class"):
        LinearClassifier().fit(from_arrays(X, np.zeros(N), block_rows=500))


def test_blocks_with_one_class_empty_blocks_and_unknown_numbers_of_rows():
    parts = [X[:10], X[:0], X[10:11], X[11:]]
    targets = [CLASSES[:10], CLASSES[:0], CLASSES[10:11], CLASSES[11:]]
    plain = fit(LinearClassifier(tol=1e-9), X, CLASSES)
    for source in (from_arrays(parts, targets), from_callable(lambda: zip(parts, targets))):
        np.testing.assert_allclose(fit(LinearClassifier(tol=1e-9), source).coef_, plain.coef_, atol=1e-6)


def cut(array, *sizes):
    return np.split(array, np.cumsum(sizes))


@every
def test_blocks_without_a_row_are_left_out(model, y):
    filled = from_arrays(cut(X, 400, 600), cut(y, 400, 600))
    sizes = (0, 400, 0, 600, 500)
    for shuffle in (True, False):
        filled.shuffle = shuffle
        given = [from_arrays(cut(X, *sizes), cut(y, *sizes)),
                 from_callable(lambda i: (cut(X, *sizes)[i], cut(y, *sizes)[i]), n_blocks=6)]
        for source in given:
            source.shuffle = shuffle
            found = fit(model, source)
            assert found.predict(source).shape == y.shape
            assert found.score(source) == pytest.approx(found.score(X, y))
    # rows in their order; what is drawn of blocks hangs on their numbers
    assert model.get_params().get("early_stopping") or same(found, fit(model, filled))


def test_parts_and_maps_of_blocks_without_a_row():
    source = from_arrays(cut(X, 600, 0, 2), cut(Y, 600, 0, 2))
    train, held = source.split(0.2)
    assert [held.rows(i) for i in range(4)] == [120, 0, 0, 180]
    pipeline = make_pipeline(StandardScaler(), LinearRegressor()).fit(train)
    assert pipeline.score(held) > 0.9
    assert pipeline.predict(held).shape == (300,)
    model = network()
    train, held = (part.map(np.abs) for part in from_arrays(cut(X, 600, 0, 2), cut(Y > 0, 600, 0, 2)).split(0.2))
    model.fit(train, validation_data=held, epochs=1, verbose=0)
    assert model.predict(held).shape == (300, 1)
    for model in (LinearRegressor(optimizer="adam", early_stopping=True), SGDRegressor(early_stopping=True),
                  MLPRegressor(early_stopping=True)):
        with pytest.raises(ValueError, match=r"validation_fraction=0.1 .* 6 in all, leaves none to validate with"):
            model.fit(from_arrays(cut(X[:6], 2, 2), cut(Y[:6], 2, 2)))
    empty = from_arrays([X[:0], X[:0]], [Y[:0], Y[:0]])
    for method in (LinearRegressor().fit, StandardScaler().fit, pipeline.predict, pipeline.score):
        with pytest.raises(ValueError, match="the source must have at least one row, got none"):
            method(empty)


@pytest.mark.parametrize("model", [
    LinearRegressor(), LinearRegressor(optimizer="sgd"), LinearRegressor(optimizer="sgd", batch_size="full"),
    SGDRegressor(), MLPRegressor(), MLPRegressor(solver="lbfgs"), Ridge(), "Sequential",
], ids=lambda value: repr(value)[:60])
def test_blocks_of_another_kind_than_the_first(model):
    two = np.clip(np.column_stack([Y, Y]), 0, 1)
    lists = [cut(array, 500, 500) for array in (X, np.clip(Y, 0, 1), W)]

    def changed(part, value):
        return [[*lists[k][:1], value, *lists[k][2:]] if k == part else lists[k] for k in range(3)]

    cases = [
        (changed(1, two[500:1000]), "must have y of 1 column as block 0 of the arrays has, got y of 2 columns"),
        (changed(2, None), "must have sample_weight as block 0 of the arrays has, got no sample_weight"),
        (changed(0, sparse.csr_matrix(X[500:1000])), "must have dense X as block 0 of the arrays has, got sparse X")]
    learn = network().fit if model == "Sequential" else fresh(model).fit
    for arrays, message in cases:
        source = from_arrays(*arrays)
        with pytest.raises(ValueError, match="^block 1 of the arrays: every block " + message):
            learn(source)


# ---- the engine's sums ----


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_blocks_against_numpy(dtype):
    network = Network(6, 1, dtype)
    network.set_loss("half_squared_error")
    network.set_penalty(0.02, 0.3)
    network.parameters[:] = network.pack(np.arange(6.0)[None].astype(dtype), np.array([0.5], dtype))
    tree = SumTree()
    for part in np.array_split(np.arange(N), 7):
        bind(network, X[part].astype(dtype), Y[part, None].astype(dtype), W[part].astype(dtype))
        tree.add(sums_of_bound(network, 2))
    sums = tree.total()
    w = np.arange(6.0)
    residual = X @ w + 0.5 - Y
    tolerance = 1e-4 if dtype == np.float32 else 1e-11
    assert sums.loss == pytest.approx((W * residual**2).sum() / 2, rel=tolerance)
    assert sums.weight == pytest.approx(W.sum(), rel=tolerance)
    assert sums.n_rows == N
    coef, intercept = network.unpack(sums.gradient.astype(dtype))
    np.testing.assert_allclose(coef[0], X.T @ (W * residual), rtol=tolerance)
    np.testing.assert_allclose(intercept, (W * residual).sum(), rtol=tolerance)
    value, gradient = objective_of(network, sums)
    assert value == pytest.approx(sums.loss / sums.weight + 0.02 * w.sum() + 0.15 * (w**2).sum(), rel=tolerance)
    coef, _ = network.unpack(gradient.astype(dtype))
    np.testing.assert_allclose(coef[0], X.T @ (W * residual) / W.sum() + 0.02 * np.sign(w) + 0.3 * w, rtol=tolerance)


def test_the_tree_hangs_on_the_number_of_things_alone():
    values = RNG.standard_normal(37).astype(np.float32)
    tree = SumTree()
    for value in values:
        tree.add(value)
    whole = tree.total()
    # four at a time, added elsewhere
    apart = SumTree()
    for first in range(0, 36, 4):
        a, b, c, d = values[first:first + 4]
        apart.add((a + b) + (c + d), level=2)
    apart.add(values[36])
    assert apart.total() == whole
    assert SumTree().total() is None


# ---- Sequential ----


def network():
    utils.set_random_seed(0)
    model = Sequential([Input(shape=(6,)), Dense(8, activation="relu"), Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"], weighted_metrics=["mse"])
    return model


def test_sequential(tmp_path):
    x, y, w = X.astype(np.float32), (Y > 0).astype(np.float32), W.astype(np.float32)
    plain = network()
    history = plain.fit(x, y, sample_weight=w, epochs=2, verbose=0).history
    one = network()
    assert one.fit(from_arrays([x], [y], [w]), epochs=2, verbose=0).history == history
    assert all((a == b).all() for a, b in zip(plain.get_weights(), one.get_weights()))
    source = from_arrays(x, y, w, block_rows=440)
    in_order, blocks = network(), network()
    in_order.fit(x, y, sample_weight=w, epochs=2, verbose=0, shuffle=False)
    found = blocks.fit(source, epochs=2, verbose=0, shuffle=False, validation_data=source).history
    assert all((a == b).all() for a, b in zip(in_order.get_weights(), blocks.get_weights()))
    assert set(found) == {*history, *(f"val_{name}" for name in history)}
    np.testing.assert_allclose(blocks.evaluate(source, verbose=0), blocks.evaluate(x, y, sample_weight=w, verbose=0),
                               rtol=1e-6)
    np.testing.assert_array_equal(blocks.predict(source), blocks.predict(x))
    shuffled = []
    for read_ahead in (True, False):
        # the order of the rows is drawn from what the seed was set for
        shuffled.append(network())
        shuffled[-1].fit(from_arrays(x, y, w, block_rows=440, read_ahead=read_ahead), epochs=2, verbose=0)
    assert all((a == b).all() for a, b in zip(*(model.get_weights() for model in shuffled)))
    network().fit(source, epochs=1, verbose=0, callbacks=ModelCheckpoint(tmp_path / "c"))
    resumed = network()
    resumed.fit(source, epochs=2, verbose=0, resume_from=tmp_path / "c")
    assert all((a == b).all() for a, b in zip(shuffled[0].get_weights(), resumed.get_weights()))
    nothing = network()
    nothing.fit(from_arrays(x, y, 0 * w, block_rows=440), epochs=1, verbose=0)
    assert all((a == b).all() for a, b in zip(network().get_weights(), nothing.get_weights()))
    source.replicas = Replicas(2, 90)
    with pytest.raises(ValueError, match=r"n_replicas must be None for Sequential.*; got 2"):
        network().fit(source, epochs=1, verbose=0)
    source.replicas = None
    with pytest.raises(ValueError, match="validation_split must be 0 with a source of blocks"):
        network().fit(source, validation_split=0.1, verbose=0)


class StopsAt(Callback):
    """Ends a training with this batch of its epoch."""

    wants_batches = True

    def __init__(self, batch):
        self.batch, self.rows = batch, []

    def on_batch_end(self, batch, logs):
        return batch == self.batch

    def on_rows(self, n_done, n_rows):
        self.rows.append(n_done)


@pytest.mark.parametrize("batch", [1, 4, 6])
def test_a_callback_may_end_an_epoch_in_the_middle_of_a_block(batch):
    """What is told then is told of the rows that steps were made on."""
    x, y = X.astype(np.float32), (Y > 0).astype(np.float32)
    source = from_arrays(x, y, block_rows=500, buffer_blocks=1, shuffle=False)
    answers = []
    for data in ((x, y), (source,)):
        model, stop = network(), StopsAt(batch)
        answers.append(model.fit(*data, batch_size=100, epochs=2, verbose=0, shuffle=False, callbacks=stop).history)
        answers[-1]["weights"] = model.get_weights()
    assert stop.rows[-1] == 100 * batch
    for name in ("loss", "accuracy", "mse"):
        np.testing.assert_allclose(answers[0][name], answers[1][name], rtol=1e-6)
    assert all((a == b).all() for a, b in zip(*(answer["weights"] for answer in answers)))
    counts = np.abs(np.round(Y))
    poisson = MLPRegressor(hidden_layer_sizes=(4,), loss="poisson", batch_size=100, shuffle=False, max_iter=1)
    stopped = fit(poisson.set_params(callbacks=StopsAt(batch)), from_arrays(X, counts, block_rows=500, buffer_blocks=1))
    rows = 100 * batch
    only = fit(poisson.set_params(callbacks=None), X[:rows], counts[:rows])
    assert stopped.loss_ == pytest.approx(only.loss_)


# ---- transformers ----


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler()], ids=repr)
def test_scalers(scaler):
    holes = X.copy()
    holes[::7, 2] = np.nan
    source = from_arrays(holes, block_rows=200)
    plain, blocks = clone(scaler).fit(holes), clone(scaler).fit(source)
    np.testing.assert_allclose(blocks.transform(holes), plain.transform(holes), rtol=1e-9, atol=1e-9)
    one = clone(scaler).fit(from_arrays([holes]))
    np.testing.assert_array_equal(one.transform(holes), plain.transform(holes))
    lazy = blocks.transform(source)
    assert isinstance(lazy, Blocks)
    np.testing.assert_array_equal(lazy.block(3).X, blocks.transform(holes[600:800]))
    assert isinstance(clone(scaler).fit_transform(source), Blocks)
    broken = holes.copy()
    broken[417, 3] = np.inf
    with pytest.raises(ValueError, match=r"row 17 \(row 417 of them\).*infinity"):
        clone(scaler).fit(from_arrays(broken, block_rows=200))


@pytest.mark.parametrize("n_parts", [3, 70])
def test_quantiles_of_parts_keep_their_bound(n_parts):
    values = np.column_stack([RNG.standard_cauchy(n_parts * 3000), np.sort(RNG.random(n_parts * 3000))])
    tree = SumTree()
    for part in np.array_split(values, n_parts):
        tree.add(QuantileSketch.of(part))
    fractions = np.linspace(0.01, 0.99, 99)
    found = tree.total().quantiles(fractions)
    levels = 1 if n_parts <= 32 else 2 if n_parts <= 1024 else 3
    for column, quantiles in zip(values.T, found.T):
        ranks = np.searchsorted(np.sort(column), quantiles) / len(column)
        assert abs(ranks - fractions).max() <= levels / (2 * POINTS) + 1 / len(column) + 1e-4


@pytest.mark.parametrize("encoder", [
    OneHotEncoder(), OneHotEncoder(min_frequency=0.2), OneHotEncoder(categories=[["a", "b", "c"], [1, 2, 3]]),
    OrdinalEncoder(), OrdinalEncoder(max_categories=2),
], ids=repr)
def test_encoders(encoder):
    frame = pd.DataFrame({"word": RNG.choice(["a", "b", "c"], N, p=[0.7, 0.2, 0.1]), "number": RNG.integers(1, 4, N)})
    source = from_arrays(frame, block_rows=200)
    plain, blocks = clone(encoder).fit(frame), clone(encoder).fit(source)
    for a, b in zip(plain.categories_, blocks.categories_):
        np.testing.assert_array_equal(a, b)
    a, b = plain.transform(frame[:200]), blocks.transform(source).block(0).X
    np.testing.assert_array_equal(a.toarray() if sparse.issparse(a) else a, b.toarray() if sparse.issparse(b) else b)


def table():
    size = np.where(RNG.random(N) < 0.1, np.nan, RNG.standard_normal(N) * 9)
    return pd.DataFrame({
        "size": size, "kind": RNG.choice(["a", "b", "c", None], N), "yes": RNG.choice(["yes", "no"], N),
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(RNG.integers(0, 900, N), "D"),
        "y": np.nan_to_num(size) + RNG.standard_normal(N),
    })


@pytest.mark.parametrize("options", [
    {}, {"missing": "mean"}, {"encode": "ordinal", "scale": "minmax", "missing": "most_frequent"},
    {"min_frequency": 0.3, "scale": "maxabs"},
], ids=repr)
def test_tables(options):
    frame = table().drop(columns="y")
    source = from_arrays(frame, block_rows=250)
    plain, blocks = TablePreprocessor(**options).fit(frame), TablePreprocessor(**options).fit(source)
    assert plain.types_ == blocks.types_
    assert plain.get_feature_names_out().tolist() == blocks.get_feature_names_out().tolist()
    np.testing.assert_allclose(blocks.transform(frame), plain.transform(frame), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_pipelines_transform_block_by_block(tmp_path, kind):
    frame = table()
    if kind == "parquet":
        frame.to_parquet(tmp_path / "t.parquet", row_group_size=250)
        source = from_parquet(tmp_path / "t.parquet", target="y", block_rows=250)
    else:
        frame.to_csv(tmp_path / "t.csv", index=False)
        source = from_csv(tmp_path / "t.csv", target="y", block_bytes=9000)
    assert source.n_blocks > 5
    plain = make_pipeline(TablePreprocessor(missing="mean"), LinearRegressor(tol=1e-9)).fit(
        frame.drop(columns="y"), frame["y"])
    blocks = make_pipeline(TablePreprocessor(missing="mean"), LinearRegressor(tol=1e-9)).fit(source)
    np.testing.assert_allclose(
        blocks.predict(source), plain.predict(frame.drop(columns="y")), rtol=1e-6, atol=1e-6)
    assert blocks.score(source) == pytest.approx(plain.score(frame.drop(columns="y"), frame["y"]), rel=1e-6)


def test_tables_that_cannot_be_learnt_in_blocks():
    frame = table()
    source = from_arrays(frame.drop(columns="y"), frame["y"], block_rows=250)
    with pytest.raises(ValueError, match="target must be None with a source of blocks"):
        TablePreprocessor(target="y").fit(source)
    with pytest.raises(ValueError, match="missing must not be 'drop' with a source of blocks"):
        TablePreprocessor(missing="drop").fit(source)
    with pytest.raises(ValueError, match=r"column 'size' has \d+ missing values, which missing='error' refuses"):
        TablePreprocessor(missing="error").fit(source)


@pytest.mark.parametrize(("model", "y", "other"), [
    (SGDClassifier(), CLASSES, "LinearClassifier"), (SGDRegressor(), Y, "LinearRegressor"),
])
def test_steps_of_single_rows_have_no_replicas(model, y, other):
    source = from_arrays(X, y, block_rows=200)
    source.replicas = Replicas(3, 100)
    with pytest.raises(ValueError, match=f"n_replicas must be None for SGD.*take {other} with optimizer='sgd'.*got 3"):
        model.fit(source)
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize("model", [LinearRegression(), Ridge()], ids=repr)
@pytest.mark.parametrize("n_targets", [None, 1, 2])
def test_shapes_are_those_of_an_array(model, n_targets):
    y = Y if n_targets is None else np.stack([Y] * n_targets, axis=1)
    whole, blocks = fit(model, X, y), fit(model, from_arrays(X, y, block_rows=99))
    for name in ("coef_", "intercept_"):
        assert np.shape(getattr(blocks, name)) == np.shape(getattr(whole, name))
    assert blocks.predict(from_arrays(X, block_rows=99)).shape == whole.predict(X).shape
