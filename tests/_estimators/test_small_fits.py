"""What makes small fits quick must not be seen: the same draws, names, labels and messages as the long way gives."""

import copy
import pickle
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state as stock_check_random_state

from fasttrain import losses, penalties
from fasttrain._core.random_states import check_random_state
from fasttrain.linear_model import LinearClassifier, LogisticRegression
from fasttrain.preprocessing import StandardScaler, TablePreprocessor


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**32 - 1, np.int64(7), np.uint8(3)])
def test_random_states_draw_as_numpys_own(seed):
    ours, stock = check_random_state(seed), np.random.RandomState(seed)
    for part, other in zip(ours.get_state(), stock.get_state()):
        np.testing.assert_array_equal(part, other)
    for state in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours), ours):
        again = np.random.RandomState(seed)
        np.testing.assert_array_equal(state.permutation(50), again.permutation(50))
        assert state.normal() == again.normal()


def test_random_states_that_are_no_int():
    state = np.random.RandomState(0)
    assert check_random_state(state) is state
    assert check_random_state(None) is stock_check_random_state(None)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "a"])
def test_random_states_that_are_refused(seed):
    with pytest.raises(ValueError) as ours:
        check_random_state(seed)
    with pytest.raises(ValueError) as stock:
        stock_check_random_state(seed)
    assert str(ours.value) == str(stock.value)


def test_parameters_are_those_of_scikit_learn():
    model = LinearClassifier(alpha=0.5, class_weight={0: 1.0, 1: 2.0})
    for deep in (True, False):
        assert model.get_params(deep) == BaseEstimator.get_params(model, deep)
    assert clone(model).get_params() == model.get_params()

    class Wider(LinearClassifier):
        def __init__(self, scaler=None, alpha=1e-4):
            super().__init__(alpha=alpha)
            self.scaler = scaler

    wider = Wider(StandardScaler(with_mean=False), 0.25)
    assert wider.get_params(False) == {"alpha": 0.25, "scaler": wider.scaler}
    assert wider.get_params() == BaseEstimator.get_params(wider)
    assert wider.get_params()["scaler__with_mean"] is False
    assert "scaler" not in model.get_params()


def test_specs_of_a_name_are_one_value():
    assert penalties.get("l2") is penalties.get("ridge") or penalties.get("l2") == penalties.get("ridge")
    assert losses.get("log_loss") is losses.get("log_loss")
    with pytest.raises(AttributeError):
        penalties.get("l2").alpha = 1.0


LABELS = {
    "int64": np.array([3, 7, 7, 3, 9, 9] * 5),
    "bool": np.array([True, False] * 15),
    "float": np.array([1.0, 2.0] * 15),
    "text": np.array(["b", "a", "c"] * 10),
    "objects": np.array(["b", "a", "c"] * 10, dtype=object),
    "mixed widths": np.array(["bb", "a", "cccc"] * 10, dtype=object),
}


@pytest.mark.parametrize("kind", LABELS)
def test_classes_whatever_labels_are(kind):
    y = LABELS[kind]
    rng = np.random.default_rng(0)
    classes, codes = np.unique(y, return_inverse=True)
    X = np.eye(len(classes))[codes] + 0.1 * rng.standard_normal((len(y), len(classes)))
    settings = {"optimizer": "adam", "max_iter": 30, "tol": None, "batch_size": 10, "random_state": 0}
    model = LinearClassifier(**settings).fit(X, y)
    long_way = LinearClassifier(**settings).fit(X.tolist(), y.tolist())
    by_codes = LinearClassifier(**settings).fit(X, codes)
    np.testing.assert_array_equal(model.classes_, classes)
    assert model.classes_.dtype == y.dtype
    for other in (long_way, by_codes):
        np.testing.assert_array_equal(model.coef_, other.coef_)
    np.testing.assert_array_equal(model.predict(X), y)
    weighted = {c: float(i + 1) for i, c in enumerate(classes.tolist())}
    by_code = {i: float(i + 1) for i in range(len(classes))}
    np.testing.assert_array_equal(
        LinearClassifier(**settings, class_weight=weighted).fit(X, y).coef_,
        LinearClassifier(**settings, class_weight=by_code).fit(X, codes).coef_)


@pytest.mark.parametrize("y, what", [
    (np.linspace(0, 1, 30), "Unknown label type"),
    (np.array(["a", 1] * 15, dtype=object), "."),
    (np.array(["a"] * 30, dtype=object), "at least 2 classes"),
    (np.array([np.nan, 1.0] * 15), "NaN"),
])
def test_labels_that_are_refused(y, what):
    with pytest.raises((ValueError, TypeError), match=what):
        LinearClassifier().fit(np.random.default_rng(0).standard_normal((30, 2)), y)


def test_labels_that_look_like_a_quantity_are_told_of():
    X = np.random.default_rng(0).standard_normal((30, 2))
    with pytest.warns(UserWarning, match="greater than 50% of the number"):
        LinearClassifier(max_iter=1, tol=None).fit(X, np.arange(30) % 20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for y in (np.arange(30) % 2 * 1000, np.arange(30) % 10, np.array(list("abc"))[np.arange(30) % 3]):
            LinearClassifier(max_iter=1, tol=None).fit(X, y)
        LinearClassifier(optimizer="adam").partial_fit(X, np.arange(30) % 2, classes=np.arange(25))


def told_of_a_quantity(fit):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit()
    return [one for one in told if "greater than 50% of the number" in str(one.message)]


@pytest.mark.parametrize("labels", [np.arange(25), np.array([f"c{k:02}" for k in range(25)])], ids=["int", "str"])
def test_a_fit_tells_once_of_labels_that_look_like_a_quantity(labels):
    X, y = np.random.default_rng(0).standard_normal((30, 2)), labels[np.arange(30) % 25]
    for model in (LinearClassifier(max_iter=1, tol=None), LogisticRegression(max_iter=1)):
        assert len(told_of_a_quantity(partial(model.fit, X, y))) == 1
    # a part of the rows tells nothing of how many there are to a class
    assert not told_of_a_quantity(lambda: LinearClassifier(optimizer="adam").partial_fit(X, y, classes=labels))


def frame():
    return pd.DataFrame({"size": [1.0, np.nan, 3.0, 5.0], "kind": ["a", "b", None, "a"], "n": [1, 2, 3, 5]})


def test_columns_of_a_table_keep_their_names():
    table = TablePreprocessor().fit(frame())
    assert table.feature_names_in_.tolist() == ["size", "kind", "n"]
    assert table.feature_names_in_.dtype == object
    with pytest.raises(ValueError, match="should match those that were passed during fit"):
        table.transform(frame()[["kind", "size", "n"]])
    with pytest.raises(ValueError, match="Feature names"):
        table.transform(frame().rename(columns={"n": "m"}))
    numbered = TablePreprocessor().fit(frame().set_axis(range(3), axis=1))
    assert not hasattr(numbered, "feature_names_in_")
    with pytest.raises(ValueError, match="X must have a name of its own for each column, got 'a' 2 times"):
        TablePreprocessor().fit(frame().set_axis(["a", "a", "b"], axis=1))


@pytest.mark.parametrize("n", [5, 1999, 2001])
@pytest.mark.parametrize("dtype", ["str", "string[python]", "string[pyarrow]", object, "category"])
def test_text_of_few_rows_and_of_many(n, dtype):
    cells = [None if i % 7 == 3 else "xyz"[i % 3] for i in range(n)]
    column = pd.DataFrame({"kind": pd.Series(cells, dtype=dtype), "number": np.arange(n) * 0.5})
    table = TablePreprocessor(scale=None).fit(column)
    present = [cell for cell in cells if cell is not None]
    most = min(set(present), key=lambda value: (-present.count(value), value))
    filled = np.array([most if cell is None else cell for cell in cells])
    wanted = (filled[:, None] == np.unique(filled)).astype(float)
    np.testing.assert_array_equal(table.transform(column)[:, 1:], wanted)


def test_a_target_is_read_only_where_means_are_taken():
    X = frame()
    with pytest.raises(ValueError, match="y must have as many rows as X"):
        TablePreprocessor().fit(X, [1, 2])
    rng = np.random.default_rng(0)
    words = rng.choice([f"w{i}" for i in range(60)], 600)
    y = rng.integers(0, 2, 600)
    many = pd.DataFrame({"word": words, "x": np.where(np.arange(600) % 9, 1.5, np.nan) * rng.standard_normal(600)})
    kept = many["x"].notna().to_numpy()
    dropping = TablePreprocessor(missing="drop").fit(many, y)
    alone = TablePreprocessor(missing="drop").fit(many[kept], y[kept])
    assert dropping.types_ == alone.types_ == {"word": "target", "x": "numeric"}
    np.testing.assert_array_equal(dropping.transform(many[kept])[:, 1:], alone.transform(many[kept])[:, 1:])


def test_scalers_know_plain_arrays_from_others():
    X = np.random.default_rng(0).standard_normal((20, 3))
    scaler = StandardScaler().fit(X)
    np.testing.assert_array_equal(scaler.transform(X), StandardScaler().fit(np.asfortranarray(X)).transform(X.tolist()))
    with pytest.raises(ValueError, match="features"):
        scaler.transform(X[:, :2])
    with pytest.raises(ValueError, match="Reshape your data"):
        scaler.transform(X[0])
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        StandardScaler().fit(X[:0])
    with pytest.raises(ValueError, match="infinity"):
        StandardScaler().fit(np.where(X > 1.0, np.inf, X))
    named = StandardScaler().fit(pd.DataFrame(X, columns=list("abc")))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        named.transform(X)


@pytest.mark.parametrize("warm_start", [False, True])
def test_partial_fits_go_on_after_a_fit_that_failed(warm_start):
    """A fit makes an engine of its own, so that what the last one remembers need not be copied for it."""
    def fail(epoch, logs):
        raise RuntimeError("as asked")

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.integers(0, 3, 60)
    model, other = (LinearClassifier(optimizer="adam", warm_start=warm_start, random_state=0) for _ in range(2))
    for one in (model, other):
        one.partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(RuntimeError, match="as asked"):
        model.set_params(callbacks=[fail]).fit(10 * X, y)
    with pytest.raises(ValueError, match="NaN"):
        model.set_params(callbacks=None).fit(np.full_like(X, np.nan), y)
    for one in (model, other):
        one.partial_fit(X, y)
    assert model.coef_.tobytes() == other.coef_.tobytes()
    assert model.intercept_.tobytes() == other.intercept_.tobytes()
    assert model.t_ == other.t_
