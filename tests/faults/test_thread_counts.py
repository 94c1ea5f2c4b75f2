"""The same bytes for any number of threads, whoever asks for it, also again and again."""

import every_estimator
import numpy as np
import pytest

import fasttrain
from fasttrain._kernels import threads

pytestmark = [pytest.mark.filterwarnings("ignore"),
              pytest.mark.skipif(not threads.has_openmp(), reason="built without OpenMP: there is one thread")]


def check(name, X, counts):
    before = fasttrain.set_num_threads(1)
    try:
        expected = every_estimator.result(name, X, 1)
        for count in counts:
            fasttrain.set_num_threads(count)
            assert every_estimator.result(name, X, count) == expected, count
    finally:
        fasttrain.set_num_threads(before)


@pytest.mark.parametrize("name", every_estimator.ESTIMATORS)
def test_bytes(name):
    check(name, every_estimator.table(500, 12), [2, 3, 8])


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", every_estimator.ESTIMATORS)
def test_bytes_of_larger_tables_five_times(name, dtype):
    X = np.round(np.random.default_rng(0).normal(size=(6000, 40)), 1).astype(dtype)
    if name in ("one-hot encoder", "ordinal encoder"):
        X = np.round(X)
    check(name, X, [*range(1, 9)] * 5)
