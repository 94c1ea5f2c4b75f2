import numpy as np
import pytest
from reference_columns import layouts

from fasttrain._kernels import quantiles

FRACTIONS = np.array([0.0, 0.1, 0.25, 0.5, 0.501, 0.75, 1.0])


def kernel(X, fractions, n_threads):
    out = np.full((len(fractions), X.shape[1]), -1.0)
    assert quantiles.quantiles(X, np.array(fractions, dtype=float), out, n_threads) == 0
    return out


def columns(n, dtype):
    """Columns that select differently: spread, repeated, constant, empty, denormal, signed zeros, huge,
    infinite.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 11)).astype(dtype)
    X[:, 1] = np.round(X[:, 1])
    X[:, 2] = 7
    X[:, 3] = np.nan
    X[:, 4] = np.where(rng.random(n) < 0.5, 0.0, -0.0)
    X[:, 5] *= np.finfo(dtype).tiny / 8
    X[:, 6] *= np.finfo(dtype).max / 8
    X[rng.random(n) < 0.3, 7] = np.nan
    X[:, 8] = 1e8 + X[:, 8]
    X[:, 9] = np.arange(n)
    X[n // 2 :, 10] = 5
    return X


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 3, 31, 33, 1000, 20_001, 300_000])
def test_quantiles_are_numpy_s(n, dtype):
    X = columns(n, dtype)
    with np.errstate(all="ignore"):
        present = [X[~np.isnan(X[:, j]), j].astype(float) for j in range(X.shape[1])]
        expected = np.array([np.quantile(x, FRACTIONS) if x.size else np.full(7, np.nan) for x in present]).T
    for name, view in layouts(X).items():
        for n_threads in (1, 2, 3):
            got = kernel(view, FRACTIONS, n_threads)
            np.testing.assert_array_equal(got, expected, err_msg=f"{name} {n_threads}")
    np.testing.assert_array_equal(kernel(X, FRACTIONS[::-1], 1), expected[::-1])


def test_infinities_have_their_rank():
    X = np.array([[np.inf], [1.0], [-np.inf], [2.0], [3.0]])
    assert kernel(X, [0, 0.5, 1], 1).ravel().tolist() == [-np.inf, 2, np.inf]
