"""Vector primitives and products of gathered rows, over odd sizes in both precisions, against long
doubles."""

import numpy as np
import pytest
import tolerances

from fasttrain._kernels import primitives as kernel

DTYPES = [np.float32, np.float64]
SIZES = [0, 1, 2, 3, 5, 15, 16, 17, *range(31, 131)]
FEW_SIZES = [0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 129, 130]


def normal(*shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def guarded(shape, dtype, fill=0.0, pad=37):
    """An array inside a buffer of NaN, and a check that the buffer around it was left alone."""
    size = int(np.prod(shape))
    buffer = np.full(size + 2 * pad, np.nan, dtype)
    inside = buffer[pad : pad + size].reshape(shape)
    inside[...] = fill

    def check():
        assert np.isnan(buffer[:pad]).all()
        assert np.isnan(buffer[pad + size :]).all()

    return inside, check


def surrounded(a):
    """The same array with NaN on both sides: reading past an end shows."""
    inside, _ = guarded(a.shape, a.dtype)
    inside[...] = a
    return inside


def long(*arrays):
    return [a.astype(np.longdouble) for a in arrays]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dot_and_axpy(dtype):
    for n in [*SIZES, 1000, 4099]:
        x, y = surrounded(normal(n, dtype=dtype)), surrounded(normal(n, dtype=dtype, seed=1))
        lx, ly = long(x, y)
        bound = tolerances.sum_bound(n, abs(lx * ly).sum(), dtype)
        assert abs(kernel.vector_dot(x, y) - (lx * ly).sum()) <= bound
        out, check = guarded(n, dtype)
        out[...] = y
        kernel.vector_axpy(0.3, x, out)
        check()
        assert (abs(out - (ly + dtype(0.3) * lx)) <= tolerances.sum_bound(1, abs(lx) + abs(ly), dtype)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums(dtype):
    for n in [*SIZES, 1000, 4099]:
        x = surrounded(normal(n, dtype=dtype))
        (lx,) = long(x)
        total, squares, absolute, largest, finite = kernel.vector_sums(x)
        bound = tolerances.sum_bound(n, abs(lx).sum(), np.float64)
        assert abs(total - lx.sum()) <= bound
        assert abs(absolute - abs(lx).sum()) <= bound
        assert abs(squares - (lx**2).sum()) <= tolerances.sum_bound(n, (lx**2).sum(), np.float64)
        assert kernel.sum_of_squares(x) == squares
        assert largest == abs(x).max(initial=0)
        assert finite is True


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [0, 1, 65_536, 65_537, 200_000])
def test_finite(n, dtype):
    x = np.ones(n, dtype)
    assert all(kernel.finite(x, n_threads) for n_threads in (1, 3))
    for place in {0, n // 2, n - 1} if n else ():
        for bad in (np.nan, np.inf, -np.inf):
            x[place] = bad
            assert not any(kernel.finite(x, n_threads) for n_threads in (1, 3))
        x[place] = 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_show_what_is_not_finite_wherever_it_is(bad, dtype):
    for n in (1, 16, 37, 130):
        for i in range(n):
            x = normal(n, dtype=dtype)
            x[i] = bad
            total, squares, absolute, largest, finite = kernel.vector_sums(x)
            assert finite is False
            np.testing.assert_equal(total, bad)
            for value in (squares, absolute, largest):
                np.testing.assert_equal(value, abs(bad))
    assert kernel.vector_sums(np.full(5, np.finfo(dtype).max, dtype))[4] is True


def test_sums_of_single_precision_are_added_up_in_double():
    x = np.full(1_000_003, 0.1, np.float32)
    assert kernel.vector_sums(x)[0] == pytest.approx(1_000_003 * float(np.float32(0.1)), rel=1e-12)


def gathered(n_rows, k, m, dtype):
    """A table with NaN in the rows that are not picked, and an index that picks some rows twice."""
    X = normal(n_rows, k, dtype=dtype, seed=k)
    index = np.random.default_rng(m).choice(n_rows // 2, size=m) * 2
    X[1::2] = np.nan
    return X, index.astype(np.intp)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_out", [1, 2, 5])
def test_rows_dot(n_out, dtype):
    for k in SIZES:
        for m in (0, 1, 3, 4, 5, 11):
            X, index = gathered(20, k, m, dtype)
            w, bias = surrounded(normal(n_out, k, dtype=dtype, seed=2)), normal(n_out, dtype=dtype, seed=3)
            lx, lw, lb = long(X[index], w, bias)
            z, check = guarded((m, n_out + 2), dtype, fill=7.0)
            for b in (bias, None):
                kernel.gathered_dot(X, index, w, b, z, fetch=b is None)
                check()
                exact = lx @ lw.T + (lb if b is not None else 0)
                bound = tolerances.sum_bound(k + 1, abs(lx) @ abs(lw.T) + abs(lb), dtype)
                assert (abs(z[:, :n_out] - exact) <= bound).all()
                assert (z[:, n_out:] == 7.0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_out", [1, 3])
def test_rows_axpy(n_out, dtype):
    for k in SIZES:
        for m in (0, 1, 4, 9):
            X, index = gathered(20, k, m, dtype)
            d = surrounded(normal(m, n_out, dtype=dtype, seed=4))
            for first, last in {(0, k), (k // 3, k), (k // 3, max(k // 3, k - 2))}:
                before = normal(n_out, k, dtype=dtype, seed=5)
                g, check = guarded((n_out, k), dtype)
                g[...] = before
                kernel.gathered_axpy(X, index, first, last, d, g, fetch=first > 0)
                check()
                lx, ld, lg = long(X[index], d, before)
                exact = lg + ld.T @ lx
                bound = tolerances.sum_bound(m + 1, abs(lg) + abs(ld.T) @ abs(lx), dtype)
                inside = slice(first, last)
                assert (abs(g - exact) <= bound)[:, inside].all()
                outside = np.ones(k, bool)
                outside[inside] = False
                np.testing.assert_array_equal(g[:, outside], before[:, outside])


def widths(dtype):
    lanes = kernel.vector_lanes(np.dtype(dtype).itemsize)
    # half vectors where they have 64 bytes
    step = lanes // 2 if lanes * np.dtype(dtype).itemsize == 64 else lanes
    found = []
    for width in range(step, 9 * lanes, step):
        try:
            kernel.gathered_panel(
                np.ones((1, 1), dtype), np.zeros(1, np.intp), np.ones((1, width), dtype), None,
                np.ones((1, width), dtype),
            )  # fmt: skip
        except ValueError:
            break
        found.append(width)
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_panel_widths(dtype):
    assert len(widths(dtype)) in (2, 8)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_panel(dtype):
    for width in widths(dtype):
        for k in FEW_SIZES:
            for m in (0, 1, 2, 3, 5, 6, 7, 8, 13, 14, 29):
                X, index = gathered(40, k, m, dtype)
                panel = surrounded(normal(k, width, dtype=dtype, seed=6))
                bias = surrounded(normal(width, dtype=dtype, seed=7))
                lx, lp, lb = long(X[index], panel, bias)
                z, check = guarded((m, width + 3), dtype, fill=7.0)
                for b in (bias, None):
                    kernel.gathered_panel(X, index, panel, b, z)
                    check()
                    exact = lx @ lp + (lb if b is not None else 0)
                    bound = tolerances.sum_bound(k + 1, abs(lx) @ abs(lp) + abs(lb), dtype)
                    assert (abs(z[:, :width] - exact) <= bound).all()
                    assert (z[:, width:] == 7.0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_panel(dtype):
    for width in widths(dtype):
        for k in FEW_SIZES:
            for m in (0, 1, 2, 5, 17):
                X, index = gathered(40, k, m, dtype)
                d = surrounded(normal(m, width + 3, dtype=dtype, seed=8))
                for first, last in {(0, k), (k // 3, k), (k // 2, max(k // 2, k - 1))}:
                    before = normal(last - first, width, dtype=dtype, seed=9)
                    lx, ld, lg = long(X[index][:, first:last], d[:, :width], before)
                    for accumulate in (False, True):
                        g, check = guarded(before.shape, dtype)
                        g[...] = before if accumulate else np.nan
                        kernel.gathered_columns(X, index, first, last, d, accumulate, g)
                        check()
                        exact = lx.T @ ld + (lg if accumulate else 0)
                        bound = tolerances.sum_bound(m + 1, abs(lg) + abs(lx.T) @ abs(ld), dtype)
                        assert (abs(g - exact) <= bound).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [37, 256, 1024 // 4 + 9], ids="{} features".format)
def test_columns_strip(dtype, k):
    """Panels together have the bytes of each alone, also where rows are a multiple of a kilobyte apart."""
    width = kernel.panel_columns(np.dtype(dtype).itemsize)
    for m in (0, 1, 33, 64, 130, 257):
        X, index = gathered(300, k, m, dtype)
        for count in (1, 2, 3, 4):
            d = surrounded(normal(m, count * width + 3, dtype=dtype, seed=8))
            for first, last in {(0, k), (5, k - 1), (7, 7)}:
                g, check = guarded((count, last - first, width), dtype)
                g[...] = np.nan
                kernel.gathered_columns_strip(X, index, first, last, d, g)
                check()
                for p in range(count):
                    alone = np.empty((last - first, width), dtype)
                    own = np.ascontiguousarray(d[:, p * width:(p + 1) * width])
                    kernel.gathered_columns(X, index, first, last, own, False, alone)
                    np.testing.assert_array_equal(g[p], alone)
                # D's rows far apart, where they are taken together first
                kernel.gathered_columns(X, index, first, last, d, False, alone)
                np.testing.assert_array_equal(g[0], alone)
                kernel.gathered_columns(X, index, first, last, d, True, alone)
                lx, ld = long(X[index][:, first:last], d[:, :width])
                bound = tolerances.sum_bound(2 * m + 1, 2 * (abs(lx.T) @ abs(ld)), dtype)
                assert (abs(alone - 2 * (lx.T @ ld)) <= bound).all()
    with pytest.raises(ValueError, match="1 to 4 panels"):
        kernel.gathered_columns_strip(X, index, 0, 1, d, np.empty((5, 1, width), dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_do_not_depend_on_their_company(dtype):
    """A row has the same bytes alone, in a tile, and anywhere in the batch: splits cannot change a model."""
    lanes = kernel.vector_lanes(np.dtype(dtype).itemsize)
    for k in (1, 7, 33, 130):
        X = normal(29, k, dtype=dtype)
        everything = np.arange(29, dtype=np.intp)
        w, panel = normal(3, k, dtype=dtype, seed=1), normal(k, lanes, dtype=dtype, seed=2)
        z, zp = np.empty((29, 3), dtype), np.empty((29, lanes), dtype)
        kernel.gathered_dot(X, everything, w, None, z)
        kernel.gathered_panel(X, everything, panel, None, zp)
        for i in range(29):
            alone, alone_p = np.empty((1, 3), dtype), np.empty((1, lanes), dtype)
            kernel.gathered_dot(X, everything[i : i + 1], w, None, alone)
            kernel.gathered_panel(X, everything[i : i + 1], panel, None, alone_p)
            assert alone.tobytes() == z[i].tobytes()
            assert alone_p.tobytes() == zp[i].tobytes()
        d = normal(29, lanes, dtype=dtype, seed=3)
        whole, parts = np.empty((k, lanes), dtype), np.empty((k, lanes), dtype)
        kernel.gathered_columns(X, everything, 0, k, d, False, whole)
        for f in range(k):
            kernel.gathered_columns(X, everything, f, f + 1, d, False, parts[f : f + 1])
        assert parts.tobytes() == whole.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_column_sums(dtype):
    for width in FEW_SIZES:
        for m in (0, 1, 7):
            d = surrounded(normal(m, width + 2, dtype=dtype))
            before = normal(width, dtype=dtype, seed=1)
            for accumulate in (False, True):
                s, check = guarded(width, dtype)
                s[...] = before if accumulate else np.nan
                kernel.column_totals(d, accumulate, s)
                check()
                ld, ls = long(d[:, :width], before)
                exact = ld.sum(axis=0) + (ls if accumulate else 0)
                assert (
                    abs(s - exact) <= tolerances.sum_bound(m + 1, abs(ld).sum(axis=0) + abs(ls), dtype)
                ).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_transpose(dtype):
    for m in FEW_SIZES:
        for n in FEW_SIZES:
            for more in (0, 16):
                x = surrounded(normal(m, n + more, dtype=dtype))
                out, check = guarded((n, m + 3), dtype, fill=-1.0)
                kernel.transposed_part(x, m, n, out)
                check()
                np.testing.assert_array_equal(out[:n, :m], x[:, :n].T)
                assert (out[:, m:] == -1).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_states", [0, 1, 2, 3])
def test_touch_adds_to_every_array(n_states, dtype):
    for n in (0, 1, 17, 10_001):
        g = normal(n, dtype=dtype)
        arrays = [guarded(n, dtype) for _ in range(n_states + 1)]
        kernel.touch(g, *(a for a, _ in arrays), n_threads=2)
        for a, check in arrays:
            check()
            np.testing.assert_array_equal(a, g)


def test_bad_arguments():
    X, index, z = np.ones((4, 3)), np.zeros(2, np.intp), np.ones((2, 64))
    lanes = kernel.vector_lanes(8)
    for call, words in [
        (lambda: kernel.vector_dot(np.ones(2), np.ones(3)), "y must have size (2,), got (3,)"),
        (lambda: kernel.gathered_dot(X, index + 4, np.ones((1, 3)), None, z), "rows from 0 to 3, got 4"),
        (lambda: kernel.gathered_dot(X, index - 1, np.ones((1, 3)), None, z), "rows from 0 to 3, got -1"),
        (lambda: kernel.gathered_dot(X, index, np.ones((1, 2)), None, z), "w must have size (3,), got (2,)"),
        (
            lambda: kernel.gathered_dot(X, index, np.ones((65, 3)), None, z),
            "z_out must have 2 rows of at least 65",
        ),
        (
            lambda: kernel.gathered_panel(X, index, np.ones((3, lanes + 1)), None, z),
            "width must be a multiple",
        ),
        (lambda: kernel.touch(np.ones(2), np.ones(2), None, np.ones(2)), "s2_io was given without"),
        (
            lambda: kernel.touch(np.ones(2), np.ones(2), np.ones(2), None, np.ones(2)),
            "s3_io was given without",
        ),
        (lambda: kernel.touch(np.ones(2), np.ones(2), np.ones(3)), "s1_io must have size (2,), got (3,)"),
        (lambda: kernel.gathered_axpy(X, index, 2, 5, np.ones((2, 1)), np.ones((1, 3))), "first and last"),
    ]:
        with pytest.raises(ValueError) as caught:
            call()
        assert words in str(caught.value)
