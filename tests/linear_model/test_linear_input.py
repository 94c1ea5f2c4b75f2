"""What LinearClassifier and LinearRegressor take and what they refuse."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fasttrain import losses, optimizers, penalties
from fasttrain.callbacks import ProgressBar
from fasttrain.linear_model import LinearClassifier, LinearRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 7))
Y = (X[:, 0] + RNG.logistic(size=90) > 0).astype(int)
T = X @ np.arange(7.0) + 1.0
both = pytest.mark.parametrize("cls", [LinearClassifier, LinearRegressor])


def fit(cls, X=X, y=None, weight=None, **options):
    y = (Y if cls is LinearClassifier else T) if y is None else y
    return cls(**{"max_iter": 3, "tol": None, "batch_size": 20, "random_state": 0, **options}).fit(X, y, weight)


def answer(model):
    return model.coef_.tobytes(), np.asarray(model.intercept_).tobytes(), tuple(model.loss_curve_)


# ---- layouts ----


def _misaligned(a):
    raw = np.empty(a.nbytes + 1, np.uint8)
    out = raw[1:].view(a.dtype).reshape(a.shape)
    out[...] = a
    assert not out.flags.aligned
    return out


def _strided(a):
    wide = np.zeros((2 * len(a), *(2 * n for n in a.shape[1:])), a.dtype)
    out = wide[tuple(slice(None, None, 2) for _ in a.shape)]
    out[...] = a
    return out


def _read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


LAYOUTS = {
    "Fortran": np.asfortranarray, "strided": _strided, "reversed": lambda a: a[::-1].copy()[::-1],
    "read-only": _read_only, "misaligned": _misaligned, "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
}


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("optimizer", ["adam", optimizers.LBFGS(max_iter=3)])
def test_layouts_give_the_bytes_of_a_plain_copy(cls, layout, dtype, optimizer):
    data, y = X.astype(dtype), (Y if cls is LinearClassifier else T).astype(dtype)
    weight = np.linspace(0.5, 2, 90).astype(dtype)
    change = LAYOUTS[layout]
    if layout == "big-endian" and dtype == "float32":
        # scikit-learn turns every dtype that is not a native float into float64
        data, y, weight = data.astype("float64"), y.astype("float64"), weight.astype("float64")
    plain = fit(cls, data, y, weight, optimizer=optimizer)
    given = change(data), change(y), change(weight)
    before = [a.tobytes() for a in given]
    other = fit(cls, *given, optimizer=optimizer)
    assert answer(other) == answer(plain)
    np.testing.assert_array_equal(other.predict(given[0]), plain.predict(data))
    assert [a.tobytes() for a in given] == before
    validation = fit(cls, data, y, weight).fit(data, y, weight, validation_data=given).validation_loss_curve_
    assert validation == fit(cls, data, y, weight).fit(
        data, y, weight, validation_data=(data, y, weight)).validation_loss_curve_


@both
@pytest.mark.parametrize("mode", ["r", "c", "r+"])
def test_a_memory_map(cls, mode, tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode=mode)
    assert answer(fit(cls, mapped)) == answer(fit(cls))
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), X)


@both
@pytest.mark.parametrize("kind", ["int8", "int64", "uint16", "bool", "float16", "longdouble"])
def test_other_numbers_become_float64(cls, kind):
    data = (X > 0) if kind == "bool" else np.round(4 * abs(X)).astype(kind)
    model = fit(cls, data)
    assert model.coef_.dtype == np.float64
    assert answer(model) == answer(fit(cls, data.astype(np.float64)))
    assert model.predict(data).tobytes() == model.predict(data.astype(np.float64)).tobytes()


@both
def test_lists_and_objects_that_are_numbers(cls):
    y = Y if cls is LinearClassifier else T
    assert answer(fit(cls, X.tolist(), y.tolist())) == answer(fit(cls))
    assert answer(fit(cls, X.astype(object))) == answer(fit(cls))


# ---- frames ----


@both
def test_frames_give_names(cls):
    names = list("abcdefg")
    frame = pd.DataFrame(X, columns=names)
    y = pd.Series(Y if cls is LinearClassifier else T, index=np.arange(90)[::-1])
    model = fit(cls, frame, y)
    assert answer(model) == answer(fit(cls))
    assert model.feature_names_in_.tolist() == names
    assert model.n_features_in_ == 7
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[names[::-1]])
    # a fit without names forgets them
    assert not hasattr(model.fit(X, y), "feature_names_in_")


@both
def test_nullable_frames(cls):
    frame = pd.DataFrame(np.round(X * 4)).astype("Int64")
    frame[1] = frame[1].astype("Float64")
    frame[2] = (frame[2] > 0).astype("boolean")
    model = fit(cls, frame)
    assert answer(model) == answer(fit(cls, frame.astype(float).to_numpy()))
    frame.iloc[3, 0] = pd.NA
    with pytest.raises(ValueError, match="NaN"):
        fit(cls, frame)


@pytest.mark.parametrize("y, classes", [
    (pd.Series(Y, dtype="Int64"), [0, 1]),
    (pd.Series(Y, dtype="boolean"), [False, True]),
    (pd.Series(np.array(["no", "yes"])[Y], dtype="string"), ["no", "yes"]),
    (pd.Series(np.array(["no", "yes"])[Y], dtype="category"), ["no", "yes"]),
    (np.array(["no", "yes"])[Y], ["no", "yes"]),
    (np.array(["no", "yes"], dtype=object)[Y], ["no", "yes"]),
    (Y.astype(bool), [False, True]),
    (Y * 10.0 - 3, [-3.0, 7.0]),
    (Y.astype(np.uint8), [0, 1]),
], ids=lambda v: str(getattr(v, "dtype", "")))
def test_classes_of_any_kind(y, classes):
    model = fit(LinearClassifier, y=y)
    assert model.classes_.tolist() == classes
    assert model.coef_.tobytes() == fit(LinearClassifier).coef_.tobytes()
    np.testing.assert_array_equal(model.predict(X), model.classes_[fit(LinearClassifier).predict(X)])
    assert 0.5 < model.score(X, y) <= 1


@pytest.mark.parametrize("y", [pd.Series(np.round(T), dtype="Int64"), pd.Series(np.round(T), dtype="Float32"),
                               np.round(T).astype(int), np.round(T).astype(object)], ids=lambda y: str(y.dtype))
def test_regression_targets_of_any_kind(y):
    assert answer(fit(LinearRegressor, y=y)) == answer(fit(LinearRegressor, y=np.round(T)))


@both
def test_one_column_of_y(cls):
    y = Y if cls is LinearClassifier else T
    with pytest.warns(DataConversionWarning):
        model = fit(cls, y=y.reshape(-1, 1))
    assert answer(model) == answer(fit(cls))
    assert model.predict(X).shape == (90,)


def test_shapes_of_attributes():
    assert fit(LinearRegressor).coef_.shape == (7,)
    assert np.ndim(fit(LinearRegressor).intercept_) == 0
    several = fit(LinearRegressor, y=np.column_stack([T, -T]))
    assert several.coef_.shape == (2, 7)
    assert several.intercept_.shape == (2,)
    assert several.predict(X).shape == (90, 2)
    two = fit(LinearClassifier)
    assert two.coef_.shape == (1, 7)
    assert two.intercept_.shape == (1,)
    assert two.decision_function(X).shape == (90,)
    assert two.predict_proba(X).shape == (90, 2)
    np.testing.assert_allclose(two.predict_proba(X).sum(axis=1), 1)


SPARSE_ROWS = RNG.normal(size=(90, 7)) * (RNG.uniform(size=(90, 7)) < 0.4) + 3.0 * (np.arange(7) == 2)
# ended by the gradient: where the last digits of the loss end it, those are of sums in another order
SPARSE_FITS = [
    ("lbfgs", {"optimizer": "auto", "batch_size": "auto", "max_iter": 200, "tol": 1e-6}),
    ("l1", {"optimizer": "auto", "batch_size": "auto", "max_iter": 200, "tol": 1e-9, "penalty": "l1", "alpha": 0.05}),
    ("no intercept", {"optimizer": "auto", "batch_size": "auto", "max_iter": 200, "tol": 1e-6, "fit_intercept": False}),
    ("adam", {"optimizer": "auto"}),
    ("sgd", {"optimizer": "sgd", "learning_rate": 0.01}),
    ("held out", {"early_stopping": True}),
    ("float32", {"dtype": "float32"}),
]


@both
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("format", ["csr_matrix", "csc_matrix", "csr_array", "coo_matrix", "wide indices"])
@pytest.mark.parametrize("options", [case[1] for case in SPARSE_FITS], ids=[case[0] for case in SPARSE_FITS])
def test_sparse_rows_are_trained_on_as_dense_ones(cls, options, format, weighted):
    # the same whichever tests were run before
    weight = np.random.default_rng(5).integers(0, 3, 90) if weighted else None
    dense = fit(cls, SPARSE_ROWS, weight=weight, **options)
    rows = getattr(sparse, "csr_matrix" if format == "wide indices" else format)(SPARSE_ROWS)
    if format == "wide indices":
        rows.indices, rows.indptr = rows.indices.astype(np.int64), rows.indptr.astype(np.int64)
    model = fit(cls, rows, weight=weight, **options)
    tol = {"rtol": 2e-4, "atol": 1e-5} if "dtype" in options else {"rtol": 1e-7, "atol": 1e-8}
    np.testing.assert_allclose(model.coef_, dense.coef_, **tol)
    np.testing.assert_allclose(model.intercept_, dense.intercept_, **tol)
    predict = "predict" if cls is LinearRegressor else "predict_proba"
    np.testing.assert_allclose(getattr(model, predict)(rows), getattr(dense, predict)(SPARSE_ROWS), **tol)
    assert model.n_iter_ == dense.n_iter_


@both
def test_sparse_rows_may_lie_unsorted_or_be_read_only(cls):
    rows = sparse.csr_matrix(SPARSE_ROWS)
    expected = answer(fit(cls, rows))
    for part in (rows.data, rows.indices, rows.indptr):
        part.flags.writeable = False
    assert answer(fit(cls, rows)) == expected
    places = np.concatenate([np.arange(end - 1, start - 1, -1) for start, end in zip(rows.indptr, rows.indptr[1:])])
    backward = sparse.csr_matrix((rows.data[places], rows.indices[places], rows.indptr), shape=rows.shape)
    before = backward.indices.copy()
    assert answer(fit(cls, backward)) == expected
    np.testing.assert_array_equal(backward.indices, before)


@both
def test_sparse_rows_of_another_width_are_refused(cls):
    model = fit(cls, sparse.csr_matrix(SPARSE_ROWS))
    with pytest.raises(ValueError, match="X has 6 features"):
        model.predict(sparse.csr_matrix(SPARSE_ROWS[:, :6]))


def test_sparse_labels_are_taken():
    marks = np.column_stack([Y, 1 - Y, Y])
    assert answer(fit(LinearClassifier, y=sparse.csr_matrix(marks))) == answer(fit(LinearClassifier, y=marks))


def test_probabilities_of_far_logits():
    model = fit(LinearClassifier)
    far = 1e4 * model.coef_ / (model.coef_**2).sum()
    assert model.predict_log_proba(far)[0, 0] == pytest.approx(-1e4, rel=1e-3)
    assert model.predict_log_proba(-far)[0, 1] == pytest.approx(-1e4, rel=1e-3)
    assert (model.predict_proba(-far) >= 0).all()
    tiny = model.predict_proba(far / 200)[0, 0]
    assert np.log(tiny) == pytest.approx(model.predict_log_proba(far / 200)[0, 0])


def test_no_probabilities_from_margins():
    model = fit(LinearClassifier, loss="hinge")
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "predict_log_proba")
    with pytest.raises(AttributeError, match="predict_proba"):
        model.predict_proba(X)
    assert hasattr(LinearClassifier(), "predict_proba")


def test_inside_scikit_learn():
    pipeline = make_pipeline(StandardScaler(), LinearClassifier(max_iter=5, tol=None)).fit(X, Y)
    assert pipeline.score(X, Y) > 0.5
    voting = VotingClassifier([("a", LinearClassifier(max_iter=5, tol=None))], voting="soft").fit(X, Y)
    assert voting.predict(X).shape == (90,)
    calibrated = CalibratedClassifierCV(LinearClassifier("hinge", max_iter=5, tol=None), cv=3).fit(X, Y)
    assert calibrated.predict_proba(X).shape == (90, 2)


@both
def test_a_constant_column_and_one_feature(cls):
    for data in (np.column_stack([X, np.full(90, 3.0)]), X[:, :1], np.zeros((90, 2))):
        assert np.isfinite(fit(cls, data).coef_).all()


def test_one_row():
    model = LinearRegressor(max_iter=500, tol=None, learning_rate=0.1).fit([[1.0, 2.0]], [3.0])
    assert model.predict([[1.0, 2.0]])[0] == pytest.approx(3.0, abs=1e-3)
    with pytest.raises(ValueError, match="at least 2 classes"):
        LinearClassifier().fit([[1.0, 2.0]], ["a"])


# ---- refusals ----


BAD_DATA = [
    ("nan", lambda: (np.where(X[3, 2] == X, np.nan, X), None), ValueError, "NaN"),
    ("infinity", lambda: (np.where(X[3, 2] == X, np.inf, X), None), ValueError, "infinity"),
    ("empty", lambda: (X[:0], T[:0]), ValueError, "0 sample"),
    ("no features", lambda: (X[:, :0], None), ValueError, "0 feature"),
    ("unequal lengths", lambda: (X[:-1], None), ValueError, "inconsistent numbers of samples"),
    ("one axis", lambda: (X[0], T[:7]), ValueError, "Expected 2D array"),
    ("three axes", lambda: (X[None], T[:1]), ValueError, r"dim(ension)? 3|ndim|\b3\b"),
    ("strings", lambda: (np.full((90, 2), "a"), None), ValueError, "could not convert string to float"),
    ("objects", lambda: (np.full((90, 2), {}, dtype=object), None), (TypeError, ValueError), "dict"),
    ("complex", lambda: (X + 1j, None), ValueError, "Complex data"),
    ("nan in sparse", lambda: (sparse.csr_matrix(np.where(X[3, 2] == X, np.nan, X)), None), ValueError, "NaN"),
    ("too large for float32", lambda: (X * 1e300, None), ValueError, "float32"),
]


@both
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("make, error, match", [case[1:] for case in BAD_DATA], ids=[case[0] for case in BAD_DATA])
def test_bad_data(cls, make, error, match):
    data, y = make()
    if y is not None and cls is LinearClassifier:
        y = (y > 0).astype(int)
    model = cls(dtype="float32" if match == "float32" else None)
    with pytest.raises(error, match=match):
        model.fit(data, (Y if cls is LinearClassifier else T) if y is None else y)
    assert not [name for name in vars(model) if name.endswith("_")]
    if match in ("NaN", "infinity", "float32"):
        other = fit(cls, X[:, :7].astype(np.float32))
        with pytest.raises(ValueError, match=match):
            other.predict(data)


BAD_PARAMETERS = [
    ({"loss": "no such loss"}, ValueError, "names"),
    ({"loss": 3}, TypeError, "loss"),
    ({"optimizer": "adamm"}, ValueError, "did you mean 'adam'"),
    ({"optimizer": None}, TypeError, "optimizer"),
    ({"penalty": "l3"}, ValueError, "l1, l2, elasticnet"),
    ({"schedule": "sine"}, ValueError, "cosine"),
    ({"alpha": -1.0}, ValueError, "alpha must be .* >= 0, got -1"),
    ({"alpha": "much"}, TypeError, "alpha"),
    ({"l1_ratio": 1.5}, ValueError, "l1_ratio"),
    ({"learning_rate": -0.1}, ValueError, "learning_rate must be .* > 0.*got -0.1"),
    ({"learning_rate": 0}, ValueError, "learning_rate"),
    ({"learning_rate": "fast"}, TypeError, "learning_rate"),
    ({"batch_size": 91}, ValueError, "batch_size must be from 1 to the number of samples, 90, got 91"),
    ({"batch_size": 0}, ValueError, "batch_size"),
    ({"batch_size": 2.5}, TypeError, "batch_size"),
    ({"batch_size": "all"}, ValueError, "'auto', 'full'"),
    ({"max_iter": 0}, ValueError, "max_iter must be an integer >= 1, got 0"),
    ({"max_iter": 2.0}, TypeError, "max_iter"),
    ({"tol": -1.0}, ValueError, "tol"),
    ({"tol": "small"}, TypeError, "tol"),
    ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change"),
    ({"validation_fraction": 1.0}, ValueError, "validation_fraction"),
    ({"random_state": "seed"}, ValueError, "seed"),
    ({"dtype": "float16"}, ValueError, "dtype must be float32, float64 or None, got 'float16'"),
    ({"dtype": "numbers"}, ValueError, "dtype must be float32, float64 or None, got 'numbers'"),
    ({"n_threads": 0}, ValueError, "n_threads"),
    ({"n_threads": 1.5}, TypeError, "n_threads"),
    ({"callbacks": 5}, TypeError, "callbacks must be .*got int"),
    ({"callbacks": [5]}, TypeError, "callbacks must be .*got int"),
    ({"callbacks": "progress"}, TypeError, "callbacks must be .*got str"),
    ({"callbacks": [ProgressBar]}, TypeError, "callbacks must be .*got the class ProgressBar"),
    ({"fit_intercept": "no"}, TypeError, "fit_intercept must be True or False, got 'no'"),
    ({"shuffle": 1}, TypeError, "shuffle must be True or False"),
    ({"early_stopping": None}, TypeError, "early_stopping must be True or False"),
    ({"warm_start": "yes"}, TypeError, "warm_start must be True or False"),
]


@both
@pytest.mark.parametrize("parameters, error, match", BAD_PARAMETERS, ids=[str(case[0]) for case in BAD_PARAMETERS])
def test_bad_parameters(cls, parameters, error, match):
    model = cls(**parameters)
    with pytest.raises(error, match=match):
        model.fit(X, Y if cls is LinearClassifier else T)
    assert not [name for name in vars(model) if name.endswith("_")]


@pytest.mark.parametrize("class_weight", [{0: -1.0, 1: 1.0}, {0: 0.0, 1: 0.0}])
def test_bad_class_weights(class_weight):
    with pytest.raises(ValueError, match="class_weight must hold numbers >= 0"):
        LinearClassifier(class_weight=class_weight).fit(X, Y)


def test_losses_of_the_other_kind():
    with pytest.raises(ValueError, match="classification loss, got 'huber'"):
        LinearClassifier("huber").fit(X, Y)
    with pytest.raises(ValueError, match="regression loss, got 'hinge'"):
        LinearRegressor("hinge").fit(X, T)


@both
@pytest.mark.parametrize("weight, match", [
    (np.ones(89), r"shape \(90,\), got \(89,\)"), (np.ones((90, 1)), "shape"), (-np.ones(90), ">= 0"),
    (np.full(90, np.nan), "finite"), (np.zeros(90), "zeros only"),
], ids=["length", "axes", "negative", "nan", "zero"])
def test_bad_weights(cls, weight, match):
    with pytest.raises(ValueError, match=f"sample_weight must .*{match}"):
        fit(cls, weight=weight)


@both
@pytest.mark.parametrize("validation, match", [
    (X, "validation_data must be"), ((X,), "got 1 items"), ((X[:, :3], T[:]), "3 features"),
    ((X, T[:-1]), "inconsistent"),
], ids=["array", "one item", "features", "lengths"])
def test_bad_validation_data(cls, validation, match):
    if isinstance(validation, tuple) and len(validation) == 2 and cls is LinearClassifier:
        validation = (validation[0], (validation[1] > 0).astype(int))
    with pytest.raises(ValueError, match=match):
        cls().fit(X, Y if cls is LinearClassifier else T, validation_data=validation)


def test_validation_targets_must_fit():
    with pytest.raises(ValueError, match=r"classes of the fit, \[0, 1\], got \[5\]"):
        LinearClassifier().fit(X, Y, validation_data=(X, np.full(90, 5)))
    with pytest.raises(ValueError, match="must have 2 columns as y, got 1"):
        LinearRegressor().fit(X, np.column_stack([T, T]), validation_data=(X, T))
    with pytest.raises(ValueError, match="2 columns of labels"):
        LinearClassifier().fit(X, np.column_stack([Y, Y]), validation_data=(X, Y))
    with pytest.raises(ValueError, match="zeros only"):
        LinearRegressor().fit(X, T, validation_data=(X, T, np.zeros(90)))


@pytest.mark.parametrize("y, match", [
    (np.zeros(90), "at least 2 classes, got 1 class: "),
    (T, "continuous"),
    (np.column_stack([Y, Y + 1, Y]), "one class a row, or 0 and 1 in columns"),
    (np.column_stack([2 * Y - 1, Y * 2 - 1]), "0 and 1 only"),
    (np.full(90, np.nan), "NaN"),
], ids=["one class", "continuous", "classes in columns", "labels of -1", "nan"])
def test_bad_classes(y, match):
    with pytest.raises(ValueError, match=match):
        fit(LinearClassifier, y=y)


@pytest.mark.parametrize("y, options, match", [
    (np.where(T[0] == T, np.nan, T), {}, "NaN"), (np.where(T[0] == T, np.inf, T), {}, "infinity"),
    (np.full(90, "a"), {}, "a"), (T, {"loss": "poisson"}, "y must hold finite numbers >= 0"),
], ids=["nan", "infinity", "strings", "negative counts"])
def test_bad_regression_targets(y, options, match):
    with pytest.raises(ValueError, match=match):
        fit(LinearRegressor, y=y, **options)


def test_partial_fit_refusals():
    model = LinearClassifier()
    with pytest.raises(ValueError, match="classes must be passed"):
        model.partial_fit(X, Y)
    with pytest.raises(ValueError, match=r"classes of the fit, \[0, 1\], got \[2\]"):
        model.partial_fit(X, Y + 1, classes=[0, 1])
    assert not [name for name in vars(model) if name.endswith("_")]
    model.partial_fit(X, Y, classes=[0, 1, 2])
    assert model.coef_.shape == (3, 7)
    with pytest.raises(ValueError, match="not the same as on last call"):
        model.partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(ValueError, match="7 features"):
        model.partial_fit(X[:, :4], Y)
    with pytest.raises(ValueError, match=r"y should be a 1d array|column"):
        model.partial_fit(X, np.column_stack([Y, Y]))
    with pytest.raises(ValueError, match="class_weight must be a dict or None for partial_fit"):
        LinearClassifier(class_weight="balanced").partial_fit(X, Y, classes=[0, 1])
    labels = LinearClassifier().partial_fit(X, np.column_stack([Y, Y, Y]), classes=[0, 1, 2])
    for bad in (Y, np.column_stack([Y, Y])):
        with pytest.raises(ValueError, match="3 columns of labels"):
            labels.partial_fit(X, bad)
    with pytest.raises(ValueError, match="LBFGS"):
        LinearRegressor(optimizer="lbfgs").partial_fit(X, T)
    several = LinearRegressor().partial_fit(X, np.column_stack([T, T]))
    with pytest.raises(ValueError, match="2 outputs"):
        several.partial_fit(X, T)


@both
def test_an_unfitted_model(cls):
    with pytest.raises(NotFittedError):
        cls().predict(X)


@pytest.mark.parametrize("loss, parameter", [(losses.Huber(2.0), 2.0), ("huber", 1.0), (losses.Huber, 1.0)], ids=str)
def test_specs_names_and_classes_are_the_same(loss, parameter):
    assert answer(fit(LinearRegressor, loss=loss)) == answer(fit(LinearRegressor, loss=losses.Huber(parameter)))


def test_a_warning_is_no_part_of_a_good_fit():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LinearRegressor(optimizer="lbfgs", penalty=penalties.L2(0.1), max_iter=1000).fit(X, T)
    assert model.converged_
