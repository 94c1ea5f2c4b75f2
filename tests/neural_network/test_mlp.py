"""MLPClassifier and MLPRegressor beyond scikit-learn's answers: input, state, threads, faults, what they add."""

import copy
import pickle
import signal
import threading
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.multiclass import unique_labels
from sklearn_release import SKLEARN

from fasttrain import losses
from fasttrain._kernels.prediction import set_step_per_thread
from fasttrain.activations import LeakyRelu
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.training import DivergenceError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 6))
Y = (X[:, 0] + 0.5 * RNG.normal(size=120) > 0).astype(int)
C = X[:, :3].argmax(axis=1)
L = (X[:, :3] > 0).astype(int)
T = np.sin(X[:, 0]) + X[:, 1]
both = pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def target(cls):
    return Y if cls is MLPClassifier else T


def make(cls, **options):
    return cls(**{"hidden_layer_sizes": (9, 5), "max_iter": 4, "batch_size": 25, "random_state": 0, **options})


def answer(model):
    return [a.tobytes() for a in model.coefs_ + model.intercepts_]


def has_not_changed(model, before):
    assert vars(model).keys() == before.keys()
    for name, value in before.items():
        if name != "_engine":
            assert pickle.dumps(getattr(model, name)) == pickle.dumps(value), name


# ---- scikit-learn's checks ----


@pytest.mark.parametrize(("cls", "n_checks", "skipped"), [
    # 67 of scikit-learn's own and the one that class_weight brings
    (MLPClassifier, 68, {"check_array_api_input", "check_classifiers_multilabel_output_format_decision_function"}),
    (MLPRegressor, 60, {"check_array_api_input"}),
])
def test_check_estimator(cls, n_checks, skipped):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(cls(max_iter=100), on_fail="raise")
    count = Counter(r["status"] for r in results)
    if SKLEARN < (1, 9):
        # older releases have fewer checks
        skipped &= {r["check_name"] for r in results}
        assert n_checks > len(results) > 0.85 * n_checks
        n_checks = len(results)
    assert count == {"passed": n_checks - len(skipped), **({"skipped": len(skipped)} if skipped else {})}
    assert {r["check_name"] for r in results if r["status"] == "skipped"} == skipped


# ---- going on ----


@both
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_partial_fit_goes_on_from_a_copy_as_from_the_model(cls, solver, copied):
    model = make(cls, solver=solver).fit(X, target(cls))
    other = copied(model)
    for _ in range(3):
        model.partial_fit(X, target(cls))
        other.partial_fit(X, target(cls))
    assert answer(other) == answer(model)
    assert other.loss_curve_ == model.loss_curve_
    assert len(model.loss_curve_) == 7
    assert model.t_ == 7 * 120
    assert model.n_iter_ == 1
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


def test_partial_fits_are_the_epochs_of_a_fit():
    whole = make(MLPRegressor, shuffle=False, max_iter=5).fit(X, T)
    parts = make(MLPRegressor, shuffle=False)
    for _ in range(5):
        parts.partial_fit(X, T)
    assert answer(parts) == answer(whole)


@pytest.mark.parametrize("values, dtype", [
    ([False, True], bool), ([-3, 7], np.int64), ([0, 5, 250], np.uint8), ([-(2**62), 3, 2**62], np.int64),
    ([1, 2, 2**64 - 1], np.uint64), (["no", "yes"], None),
], ids=str)
def test_labels_of_every_kind(values, dtype):
    """Classes, predictions and losses are those of the codes."""
    codes, values = np.arange(len(X)) % len(values), np.array(values, dtype=dtype)
    model, coded = (MLPClassifier((4,), max_iter=3, random_state=0) for _ in range(2))
    model.fit(X, values[codes])
    coded.fit(X, codes)
    np.testing.assert_array_equal(model.classes_, values)
    assert model.classes_.dtype == values.dtype
    assert model.loss_curve_ == coded.loss_curve_
    np.testing.assert_array_equal(model.predict(X), values[coded.predict(X)])


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int64, float, "U3", object])
def test_the_classes_of_a_first_partial_fit_are_those_of_scikit_learn(dtype):
    classes = np.array([1, 0, 1, 2, 0]).astype(str if dtype is object else dtype).astype(dtype)
    y = classes[[0, 1] * 60]
    model = make(MLPClassifier).partial_fit(X, y, classes=classes)
    expected = unique_labels(classes)
    np.testing.assert_array_equal(model.classes_, expected)
    assert model.classes_.dtype == expected.dtype
    model.partial_fit(X, y, classes=classes[::-1])
    with pytest.raises(ValueError, match="is not the same as on last call"):
        model.partial_fit(X, y, classes=classes[:1])


def test_partial_fit_needs_the_classes_and_holds_to_them():
    with pytest.raises(ValueError, match="must be passed on the first call"):
        make(MLPClassifier).partial_fit(X, C)
    model = make(MLPClassifier)
    with pytest.raises(ValueError, match=r"not in `self\.classes_`"):
        model.partial_fit(X, C, classes=[0, 1])
    assert not hasattr(model, "classes_")
    model.partial_fit(X[C < 2], C[C < 2], classes=[0, 1, 2])
    assert model.predict_proba(X).shape == (120, 3)
    with pytest.raises(ValueError, match="is not the same as on last call"):
        model.partial_fit(X, C, classes=[0, 1, 2, 3])
    with pytest.raises(ValueError, match="class_weight"):
        model.set_params(class_weight="balanced").partial_fit(X, C)


@both
def test_partial_fit_is_for_the_solvers_that_step(cls):
    # the numbers' goes on with a whole fit, as scikit-learn's does
    assert hasattr(make(cls, solver="lbfgs"), "partial_fit") == (cls is MLPRegressor)
    classes = {"classes": [0, 1]} if cls is MLPClassifier else {}
    with pytest.raises(ValueError, match="early_stopping"):
        make(cls, early_stopping=True).partial_fit(X, target(cls), **classes)


@both
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_warm_start_goes_on_from_the_weights(cls, solver):
    model = make(cls, solver=solver, warm_start=True).fit(X, target(cls))
    before, curve = model.loss_, list(model.loss_curve_)
    model.fit(X, target(cls))
    assert model.loss_ < before
    assert model.loss_curve_[:len(curve)] == curve
    assert len(model.loss_curve_) == 2 * len(curve)
    with pytest.raises(ValueError, match="layers must be those of the last fit"):
        model.set_params(hidden_layer_sizes=(3,)).fit(X, target(cls))
    with pytest.raises(ValueError, match="features"):
        model.set_params(hidden_layer_sizes=(9, 5)).fit(X[:, :4], target(cls))


def test_warm_start_from_another_solver():
    model = make(MLPRegressor, warm_start=True, solver="lbfgs").fit(X, T)
    first = model.loss_
    model.set_params(solver="adam", early_stopping=True).fit(X, T)
    assert len(model.validation_scores_) == 4
    model.set_params(solver="sgd", early_stopping=False).fit(X, T)
    assert model.best_loss_ <= first


# ---- the same bytes ----


@both
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("batch_size", [30, 1500])
def test_threads_do_not_change_a_byte(cls, solver, batch_size):
    rng = np.random.default_rng(1)
    data = rng.normal(size=(1500, 6))
    y = data[:, 0] > 0 if cls is MLPClassifier else data[:, 0]
    before = set_step_per_thread(0.0)
    try:
        models = [
            make(cls, solver=solver, batch_size=batch_size, n_threads=n, max_iter=3).fit(data, y) for n in (1, 2, 3)
        ]
    finally:
        set_step_per_thread(before)
    assert answer(models[1]) == answer(models[0])
    assert answer(models[2]) == answer(models[0])
    assert models[1].loss_curve_ == models[0].loss_curve_


@both
def test_layouts_give_the_bytes_of_a_plain_copy(cls):
    plain = make(cls).fit(X, target(cls))
    raw = np.empty(X.nbytes + 1, np.uint8)
    misaligned = raw[1:].view(X.dtype).reshape(X.shape)
    misaligned[...] = X
    frozen = X.copy()
    frozen.flags.writeable = False
    for data in (np.asfortranarray(X), misaligned, frozen, X[::-1].copy()[::-1], X.astype(">f8"), sparse.csr_array(X)):
        model = make(cls).fit(data, target(cls))
        assert answer(model) == answer(plain)
        np.testing.assert_array_equal(model.predict(data), plain.predict(X))


@both
def test_predictions_follow_the_weights(cls):
    """The engine that predicted before knows nothing of what is done to the weights in between."""
    model = make(cls, batch_norm="before").fit(X, target(cls))
    assert model.predict(X).tobytes() == model.predict(X).tobytes()
    before = vars(model).copy()
    model.coefs_[0] *= -3.0
    model.coefs_[1] = model.coefs_[1][:, ::-1].copy()
    model.intercepts_[2] += 1.0
    model.batch_norm_[0]["mean"] += 2.0
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model._raw_predict(X), again._raw_predict(X))
    assert vars(model).keys() == before.keys()
    for other in ({"hidden_layer_sizes": (3,)}, {"activation": "tanh"}, {"dtype": "float32"}, {"batch_norm": None}):
        model.set_params(**other).fit(X, target(cls))
        np.testing.assert_array_equal(model._raw_predict(X), pickle.loads(pickle.dumps(model))._raw_predict(X))


@both
def test_predictions_from_several_threads(cls):
    model = make(cls).fit(X, target(cls))
    expected = model._raw_predict(X)

    def predict(i):
        return all((model._raw_predict(X[i:i + n]) == expected[i:i + n]).all() for n in range(1, 30))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(predict, range(60)))


# ---- bad input ----


@both
@pytest.mark.parametrize(("options", "error", "match"), [
    ({"hidden_layer_sizes": (4, 0)}, ValueError, "hidden_layer_sizes must be > 0"),
    ({"hidden_layer_sizes": (4, 2.5)}, TypeError, "hidden_layer_sizes must hold integers"),
    ({"activation": "swoosh"}, ValueError, "swoosh"),
    ({"activation": "softmax"}, ValueError, "activation of a hidden layer"),
    ({"activation": ["relu"]}, ValueError, "one for each of the 2 hidden layers, got 1"),
    ({"solver": "newton"}, ValueError, "solver must be one of 'lbfgs', 'sgd', 'adam'"),
    ({"learning_rate": "rising"}, ValueError, "learning_rate must be one of"),
    ({"learning_rate_init": 0.0}, ValueError, "learning_rate_init must be a finite number > 0"),
    ({"alpha": -1.0}, ValueError, "alpha must be"),
    ({"momentum": 1.5}, ValueError, "momentum must be"),
    ({"beta_1": 1.0}, ValueError, "beta_1 must be"),
    ({"epsilon": 0.0}, ValueError, "epsilon must be"),
    ({"batch_size": 0}, ValueError, "batch_size must be an integer >= 1"),
    ({"batch_size": "full"}, TypeError, "batch_size must be 'auto' or an integer"),
    ({"max_iter": 0}, ValueError, "max_iter must be"),
    ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change must be"),
    ({"shuffle": 1}, TypeError, "shuffle must be True or False"),
    ({"verbose": "yes"}, TypeError, "verbose must be"),
    ({"dtype": "float16"}, ValueError, "dtype must be float32, float64 or None"),
    ({"n_threads": 0}, ValueError, "n_threads must be"),
    ({"callbacks": 3}, TypeError, "callbacks must be"),
    ({"early_stopping": True, "validation_fraction": 0.005}, ValueError,
     "validation set is too small|test_size = 1 should be"),
])
def test_bad_parameters_are_named_and_change_nothing(cls, options, error, match):
    model = make(cls).fit(X, target(cls))
    model.set_params(**options)
    before = copy.copy(vars(model))
    with pytest.raises(error, match=match):
        model.fit(X, target(cls))
    has_not_changed(model, before)
    fresh = make(cls, **options)
    with pytest.raises(error, match=match):
        fresh.fit(X, target(cls))
    with pytest.raises(NotFittedError):
        fresh.predict(X)


@both
def test_bad_data_is_named(cls):
    y = target(cls)
    holes = X.copy()
    holes[3, 2] = np.nan
    endless = X.copy()
    endless[5, 1] = np.inf
    for data, labels, weight, match in [
        (holes, y, None, "NaN"), (X, y[:-1], None, "inconsistent"), (X[:, 0], y, None, "1D array"),
        (X, y, np.ones(3), "sample_weight"), (X, y, -np.ones(120), ">= 0"), (X, y, np.zeros(120), "> 0"),
    ]:
        with pytest.raises(ValueError, match=match):
            make(cls).fit(data, labels, weight)
    with pytest.raises(ValueError, match="features"):
        make(cls).fit(X, y).predict(X[:, :2])
    for data, match in [(holes, "NaN"), (X[:0], "0 sample"), (X[0], "1D array"), (endless, "infinity")]:
        with pytest.raises(ValueError, match=match):
            make(cls).fit(X, y).predict(data)
    for validation, match in [
        ((X, y, None, 1), "got 4 items"), (X, "got ndarray"), ((X[:, :3], y), "features"),
        ((X, np.stack([y, y], axis=1)), "y "),
    ]:
        with pytest.raises(ValueError, match=match):
            make(cls).fit(X, y, validation_data=validation)
    with pytest.warns(UserWarning, match="It is going to be clipped"):
        make(cls, batch_size=1000).fit(X, y)


def test_bad_targets_are_named():
    with pytest.raises(ValueError, match="Unknown label type"):
        make(MLPClassifier).fit(X, T)
    with pytest.raises(ValueError, match="class_weight must hold classes of y"):
        make(MLPClassifier, class_weight={0: 1.0, 7: 2.0}).fit(X, Y)
    with pytest.raises(ValueError, match="y must hold finite numbers >= 0"):
        make(MLPRegressor, loss="poisson").fit(X, T)
    with pytest.raises(ValueError, match="regression loss"):
        make(MLPRegressor, loss="hinge").fit(X, T)
    with pytest.raises(ValueError, match="y of validation_data must hold classes"):
        make(MLPClassifier).fit(X, Y, validation_data=(X, Y + 1))


# ---- faults ----


@both
@pytest.mark.parametrize("options", [
    {"solver": "sgd", "learning_rate_init": 1e12, "activation": "identity"}, {"alpha": 1e300, "solver": "sgd"},
])
def test_divergence_is_an_error_and_leaves_the_model(cls, options):
    fresh = make(cls, **options)
    with pytest.raises(DivergenceError, match=(
            r"diverged in epoch 1: the loss is no longer finite \(largest weight: .*\). Scale the features .*, "
            r"or lower the learning rate \(now .*\), or clip gradients")):
        fresh.fit(1e3 * X, target(cls))
    assert not hasattr(fresh, "coefs_")
    model = make(cls, solver="sgd").fit(X, target(cls)).partial_fit(X, target(cls))
    twin = copy.deepcopy(model)
    model.set_params(alpha=1e300, learning_rate_init=1e10)
    before = copy.copy(vars(model))
    loss_curve = list(model.loss_curve_)
    with pytest.raises(DivergenceError):
        model.partial_fit(X, target(cls))
    has_not_changed(model, before)
    assert model.loss_curve_ == loss_curve
    model.set_params(alpha=1e-4, learning_rate_init=0.001)
    assert answer(model.partial_fit(X, target(cls))) == answer(twin.partial_fit(X, target(cls)))


def interrupt():
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_is_raised_from_lbfgs():
    model = make(MLPRegressor, max_iter=3, solver="lbfgs", tol=1e3).fit(X, T)
    before = answer(model)
    model.set_params(max_iter=200, tol=0.0, callbacks=lambda epoch, logs: epoch == 5 and interrupt())
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, T)
    assert answer(model) == before


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}])
def test_ctrl_c_leaves_the_weights_so_far(options):
    until = {**options, "tol": 0.0, "callbacks": lambda epoch, logs: epoch == 5 and interrupt()}
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = make(MLPRegressor, max_iter=200, **until).fit(X, T)
    assert model.n_iter_ == len(model.loss_curve_) == 5
    with pytest.warns(ConvergenceWarning):
        whole = make(MLPRegressor, max_iter=5, tol=0.0, **options).fit(X, T)
    assert answer(model) == answer(whole)


def test_ctrl_c_within_an_epoch():
    rng = np.random.default_rng(2)
    data = rng.normal(size=(2000, 20))
    model = make(MLPRegressor, hidden_layer_sizes=(30,), max_iter=10**6, tol=0.0, n_iter_no_change=np.inf)
    timer = threading.Timer(0.3, interrupt)
    timer.start()
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(data, np.sin(data).sum(axis=1))
    assert model.n_iter_ == len(model.loss_curve_) > 0
    assert np.isfinite(model.predict(data)).all()


# ---- what scikit-learn does not have ----


def test_class_weight_is_a_sample_weight():
    for y in (Y, C):
        plain = make(MLPClassifier).fit(X, y, np.where(y == 0, 3.0, 1.0))
        assert answer(make(MLPClassifier, class_weight={0: 3.0}).fit(X, y)) == answer(plain)
    counts = np.bincount(C)
    plain = make(MLPClassifier).fit(X, C, (120 / (3 * counts))[C])
    model = make(MLPClassifier, class_weight="balanced").fit(X, C)
    np.testing.assert_allclose(model.loss_curve_, plain.loss_curve_, rtol=1e-12)


@pytest.mark.parametrize(("cls", "y"), [(MLPClassifier, Y), (MLPClassifier, C), (MLPClassifier, L), (MLPRegressor, T),
                                        (MLPRegressor, np.stack([T, -T], axis=1))])
def test_validation_data_is_scored_after_each_epoch(cls, y):
    rows, held = slice(0, 90), slice(90, 120)
    weight = np.linspace(0.5, 2.0, 30)
    seen = []
    model = make(cls, alpha=0.0, callbacks=lambda epoch, logs: seen.append(logs["validation_loss"]))
    model.fit(X[rows], y[rows], validation_data=(X[held], y[held], weight))
    plain = make(cls, alpha=0.0).fit(X[rows], y[rows])
    assert answer(plain) == answer(model)
    assert plain.validation_scores_ is None
    np.testing.assert_allclose(model.validation_scores_[-1], model.score(X[held], y[held], weight), rtol=1e-12)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == 4
    assert seen == model.validation_loss_curve_
    if cls is MLPRegressor:
        expected = 0.5 * np.average((model.predict(X[held]) - y[held]) ** 2, weights=weight, axis=0).mean()
    else:
        log = model.predict_log_proba(X[held])
        rest = np.log1p(-np.exp(log))
        cross = np.where(y[held] == 1, log, rest).sum(axis=1) if y.ndim == 2 else log[np.arange(30), y[held]]
        expected = -np.average(cross, weights=weight)
    np.testing.assert_allclose(model.validation_loss_curve_[-1], expected, rtol=1e-10)


def test_early_stopping_on_validation_data_keeps_the_best_weights():
    model = make(MLPRegressor, early_stopping=True, max_iter=300, learning_rate_init=0.05, n_iter_no_change=3)
    model.fit(X[:60], T[:60], validation_data=(X[60:], T[60:]))
    assert model.n_iter_ < 300
    assert model.t_ == 60 * model.n_iter_
    np.testing.assert_allclose(model.score(X[60:], T[60:]), model.best_validation_score_, rtol=1e-12)
    assert model.best_validation_score_ > model.validation_scores_[-1]


@both
def test_activations_by_layer(cls):
    """The forward pass by hand, with an activation that scikit-learn does not have."""
    model = make(cls, activation=["tanh", LeakyRelu(0.3)]).fit(X, target(cls))
    a = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
    z = a @ model.coefs_[1] + model.intercepts_[1]
    raw = (np.where(z > 0, z, 0.3 * z) @ model.coefs_[2] + model.intercepts_[2])[:, 0]
    if cls is MLPRegressor:
        np.testing.assert_allclose(model.predict(X), raw, rtol=1e-10)
    else:
        np.testing.assert_allclose(model.predict_proba(X)[:, 1], 1 / (1 + np.exp(-raw)), rtol=1e-10)
    same = make(cls, activation=["tanh", "tanh"]).fit(X, target(cls))
    assert answer(same) == answer(make(cls, activation="tanh").fit(X, target(cls)))


@pytest.mark.parametrize(("loss", "expected"), [
    ("absolute_error", lambda r: abs(r)),
    ("huber", lambda r: np.where(abs(r) <= 1, r**2 / 2, abs(r) - 0.5)),
    (losses.Quantile(0.8), lambda r: np.where(r >= 0, 0.8 * r, -0.2 * r)),
    (losses.SquaredError(), lambda r: r**2),
])
@pytest.mark.parametrize("y", [T, np.stack([T, 2 * T], axis=1)])
def test_other_losses(loss, expected, y):
    """The loss of a full batch's first epoch is that of the initial weights; training makes it smaller."""
    options = {"loss": loss, "batch_size": 120, "alpha": 0.0, "learning_rate_init": 0.01}
    start = make(MLPRegressor, **{**options, "learning_rate_init": 1e-300}, max_iter=1).fit(X, y)
    value = expected(y.reshape(120, -1) - start.predict(X).reshape(120, -1)).sum(axis=1).mean()
    np.testing.assert_allclose(start.loss_, value, rtol=1e-10)
    assert make(MLPRegressor, **options, max_iter=200).fit(X, y).loss_ < 0.7 * value
    found = make(MLPRegressor, **{**options, "solver": "lbfgs"}, max_iter=200).fit(X, y)
    assert found.loss_ < 0.7 * value


@both
def test_dtype_computes_in_it(cls):
    model = make(cls, dtype="float32").fit(X, target(cls))
    assert {a.dtype for a in model.coefs_ + model.intercepts_} == {np.dtype("float32")}
    assert answer(model) == answer(make(cls).fit(X.astype(np.float32), target(cls)))
    assert make(cls, dtype="float64").fit(X.astype(np.float32), target(cls)).coefs_[0].dtype == np.float64


@both
def test_callbacks_see_each_epoch_and_can_stop(cls):
    seen = []

    def stop(epoch, logs):
        seen.append((epoch, logs["loss"]))
        return epoch == 2

    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = make(cls, callbacks=stop).fit(X, target(cls))
    assert seen == list(enumerate(model.loss_curve_, start=1))
    assert model.n_iter_ == 2


@both
def test_a_clone_fits_the_same(cls):
    model = make(cls, activation=["tanh", "relu"], early_stopping=True).fit(X, target(cls))
    assert answer(clone(model).fit(X, target(cls))) == answer(model)


def test_log_probabilities_are_finite_where_probabilities_are_zero():
    model = make(MLPClassifier, solver="lbfgs", max_iter=200, alpha=0.0).fit(X, C)
    far = 1e4 * X
    assert (model.predict_proba(far) == 0).any()
    assert np.isfinite(model.predict_log_proba(far)).all()
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X), rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", [(), (1,), (7, 130), (64, 3), (257,)], ids=str)
@pytest.mark.parametrize("outputs", [1, 3, 6, 40])
def test_a_row_alone_gives_the_bytes_of_a_batch(outputs, hidden, dtype):
    rng = np.random.default_rng(outputs)
    X, y = rng.normal(size=(30, 37)).astype(dtype), rng.normal(size=(30, outputs)).astype(dtype)
    activation = [("tanh", "silu", "relu")[i % 3] for i in range(len(hidden))] or "relu"
    model = MLPRegressor(
        hidden_layer_sizes=hidden, activation=activation, max_iter=2, tol=0.0, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y.ravel() if outputs == 1 else y)
    whole = model.predict(X)
    for _ in range(2):
        for i in (0, 29):
            assert model.predict(X[i:i + 1].copy()).tobytes() == whole[i:i + 1].tobytes()
    # weights that were changed, and weights that do not lie as the engine reads them
    model.coefs_[0][3] += 1
    changed = model.predict(X)
    assert model.predict(X[4:5].copy()).tobytes() == changed[4:5].tobytes() != whole[4:5].tobytes()
    model.coefs_ = [np.asfortranarray(coef) for coef in model.coefs_]
    assert model.predict(X[4:5].copy()).tobytes() == changed[4:5].tobytes()


@pytest.mark.parametrize("labels", [[2, 5], ["a", "b"], [True, False], np.array([2.0, 5.0])], ids=str)
def test_the_first_partial_fit_knows_labels_by_their_type(labels, monkeypatch):
    """The classes and the weights of the long way round, which a list goes."""
    y = np.asarray(labels)[Y]
    expected = make(MLPClassifier).partial_fit(X, list(y), classes=labels)
    if y.dtype.kind in "iubU":
        monkeypatch.setattr("fasttrain.neural_network._classifier.type_of_target", None)
    found = make(MLPClassifier).partial_fit(X, y, classes=labels).partial_fit(X, y)
    np.testing.assert_array_equal(found.classes_, expected.classes_)
    assert found.classes_.dtype == expected.classes_.dtype
    assert answer(found) == answer(expected.partial_fit(X, list(y)))


@pytest.mark.parametrize(("labels", "message"), [([], "must hold at least one label"), ([[0], [1, 2]], "legacy")])
def test_the_first_partial_fit_says_what_is_wrong_with_classes(labels, message):
    with pytest.raises(ValueError, match=message):
        make(MLPClassifier).partial_fit(X, Y, classes=labels)


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
@pytest.mark.parametrize("y", [Y, C, Y.astype(bool), C.astype(np.uint8)], ids=["two", "three", "bool", "uint8"])
def test_classes_that_are_their_own_numbers(y, loss):
    expected = make(MLPClassifier, loss=loss).fit(X, y.astype(np.int64) * 2 + 5)
    found = make(MLPClassifier, loss=loss).fit(X, y)
    assert answer(found) == answer(expected)
    assert found.predict(X).tobytes() == ((expected.predict(X) - 5) // 2).astype(y.dtype).tobytes()
