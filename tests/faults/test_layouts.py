"""However the rows lie in memory, whatever their dtype: the result is that of a plain copy, and they do not change."""

import mmap

import every_estimator
import numpy as np
import pytest
from draws import misaligned, read_only, strided

pytestmark = pytest.mark.filterwarnings("ignore")

DTYPES = ["f2", "f4", "f8", ">f4", ">f8", "i1", "i4", "i8", ">i4", "u1", "u8", "?", "O", "g"]


def mapped(array):
    held = np.frombuffer(mmap.mmap(-1, array.nbytes), dtype=array.dtype).reshape(array.shape)
    held[...] = array
    held.flags.writeable = False
    return held


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "strided": strided,
    "reversed": lambda array: np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1],
    "misaligned": misaligned,
    "read-only": read_only,
    "mapped": mapped,
    "broadcast": lambda array: np.broadcast_to(array[:1], array.shape),
}
NO_OBJECTS = ("misaligned", "mapped")
# Their predictions are a product of BLAS, whose sums follow the layout: equal to rounding.
BLAS = (
    "closed form", "SGD regression", "least squares", "ridge", "ridge, leave-one-out", "ridge, folds",
    "grid of ridges", "Lasso", "elastic net, folds",
    # of rows whose elements do not lie side by side NumPy 1 makes no copy for BLAS
    *(("ridge classes", "SGD", "SGD, averaged", "grid of SGD", "race") if np.__version__ < "2" else ()),
)


def rows(dtype):
    X = every_estimator.table(60, 4)
    if np.dtype(dtype).kind in "ub":
        X = X - X.min() if np.dtype(dtype).kind == "u" else X > 0
    return X.astype(dtype)


def outcome(name, X):
    try:
        model = every_estimator.fit(name, X)
        return every_estimator.answers(model, X), every_estimator.everything(model), model
    except (ValueError, TypeError) as error:
        return type(error).__name__


def check(name, layout, dtype):
    if layout in NO_OBJECTS and dtype == "O":
        return
    X = LAYOUTS[layout](rows(dtype))
    plain = np.array(X, order="C", copy=True)
    before = plain.copy()
    found, expected = outcome(name, X), outcome(name, plain)
    if name in BLAS and not isinstance(expected, str):
        dtype_of_model = getattr(expected[2], "best_estimator_", expected[2]).coef_.dtype
        rounding = 1e-12 if dtype_of_model == np.float64 else 1e-4
        np.testing.assert_allclose(found[2].predict(X), expected[2].predict(plain), rtol=rounding, atol=rounding)
        found, expected = found[1:2], expected[1:2]
    assert found[:2] == expected[:2], (layout, dtype)
    assert np.array_equal(X, before), (layout, dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", every_estimator.ESTIMATORS)
def test_layouts(name, layout):
    for dtype in ("f4", ">f8", "i8"):
        check(name, layout, dtype)


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", every_estimator.ESTIMATORS)
def test_all_layouts_and_dtypes(name, layout, dtype):
    check(name, layout, dtype)


def test_the_padding_of_long_doubles_is_no_difference():
    values = np.linspace(0, 1, 4, dtype="g") / 3
    held = values.view(np.uint8).reshape(4, -1).copy()
    if np.finfo("g").nmant == 63:
        held[:, 10:] = 7
    assert every_estimator.bytes_of(held.reshape(-1).view("g")) == every_estimator.bytes_of(values)
    assert every_estimator.bytes_of(np.nextafter(values, 9)) != every_estimator.bytes_of(values)


def test_most_of_them_are_taken():
    refused = [name for name in every_estimator.ESTIMATORS if isinstance(outcome(name, rows("f4")), str)]
    assert refused == []
