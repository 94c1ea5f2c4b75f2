"""Long calls are cut into slices, between which Ctrl-C is heard; the result is that of one call, to the byte."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from fasttrain._core import slices as core
from fasttrain._kernels.network import Network
from fasttrain._tables import frames
from fasttrain.preprocessing import DropMissing, DropOutliers, OrdinalEncoder, cleaning, drop_missing, ordinal
from fasttrain.training import engine


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 7, 64, 65, 200])
def test_predictions(rows, dtype, monkeypatch):
    rng = np.random.default_rng(0)
    network = Network(9, 3, dtype, hidden=[20, 6], activations=[("relu", 0.0), ("tanh", 0.0)])
    network.parameters[:] = network.pack_layers(
        [rng.normal(size=shape) for shape in ((9, 20), (20, 6), (6, 3))], [rng.normal(size=n) for n in (20, 6, 3)])
    X = rng.normal(size=(rows, 9)).astype(dtype)
    X[rng.random(X.shape) < 0.5] = 0
    matrix = sparse.csr_matrix(X)
    whole, of_sparse = engine.raw_predict(network, X, 1), engine.raw_predict(network, matrix, 1)
    monkeypatch.setattr(engine, "SLICE_ROWS", 16)
    monkeypatch.setattr(engine, "SLICE_MULTIPLY_ADDS", 40 * network.parameters.size)
    for threads in (1, 2):
        assert engine.raw_predict(network, X, threads).tobytes() == whole.tobytes()
        assert engine.raw_predict(network, matrix, threads).tobytes() == of_sparse.tobytes()


def test_the_slices_of_a_sparse_matrix_follow_what_it_holds():
    X, widths = sparse.random(1000, 50_000, 1e-4, format="csr", random_state=0), []

    def product(rows):
        widths.append(rows.shape[0])
        return rows @ np.ones(50_000)

    np.testing.assert_array_equal(core.by_slices(product, X, 2500), X @ np.ones(50_000))
    assert len(widths) == 2
    dense, widths = X[:30].toarray(), []
    core.by_slices(product, dense, 500_000)
    assert widths == [10, 10, 10]


def test_an_interrupt_between_slices_ends_the_call(monkeypatch):
    monkeypatch.setattr(engine, "SLICE_ROWS", 16)
    monkeypatch.setattr(engine, "SLICE_MULTIPLY_ADDS", 1)

    class Interrupted:
        parameters = np.zeros(1)
        calls = 0

        def raw_predict(self, X, threads):
            self.calls += 1
            if self.calls == 2:
                raise KeyboardInterrupt
            return X

    network = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        engine.raw_predict(network, np.zeros((100, 2)), 1)
    assert network.calls == 2


@pytest.mark.parametrize("cells", [1, 12, 50, 1 << 24])
@pytest.mark.parametrize("options", [{}, {"subset": ["a", "c"]}, {"how": "all"}], ids=str)
def test_missing_rows(cells, options, monkeypatch):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(83, 4)), columns=list("abcd"))
    table = table.mask(rng.random(table.shape) < 0.3)
    expected = drop_missing(table, **options)
    of_array = drop_missing(table.to_numpy(), **{k: v for k, v in options.items() if k != "subset"})
    monkeypatch.setattr(core, "SLICE_CELLS", cells)
    monkeypatch.setattr(frames, "READ_CELLS", cells)
    monkeypatch.setattr(frames, "TAKEN_BYTES", 8 * cells)
    pd.testing.assert_frame_equal(drop_missing(table, **options), expected)
    found = drop_missing(table.to_numpy(), **{k: v for k, v in options.items() if k != "subset"})
    assert found.tobytes() == of_array.tobytes()
    at = np.flatnonzero(rng.random(83) < 0.5)
    rows = np.ascontiguousarray(table)
    assert frames.take_array(rows, at).tobytes() == rows[at].tobytes()


@pytest.mark.parametrize("cells", [1, 7, 1 << 24])
@pytest.mark.parametrize("order", ["C", "F"])
def test_copies(cells, order, monkeypatch):
    X = np.asarray(np.random.default_rng(0).normal(size=(50, 3)), dtype=np.float32, order=order)[::2]
    monkeypatch.setattr(core, "SLICE_CELLS", cells)
    for rows in (X, X[:, 0]):
        found = core.copied(rows, np.float64)
        assert found.flags.c_contiguous
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, rows)


def test_codes_are_looked_up_in_slices(monkeypatch):
    X = np.random.default_rng(0).integers(0, 9, (500, 2)).astype(float)
    encoder = OrdinalEncoder().fit(X)
    expected, parts = encoder.transform(X), []

    def told(*shape):
        parts.extend(core.slices(*shape))
        return core.slices(*shape)

    monkeypatch.setattr(core, "SLICE_CELLS", 100)
    monkeypatch.setattr(ordinal, "slices", told)
    assert encoder.transform(X).tobytes() == expected.tobytes()
    assert [part.stop for part in parts] == [*range(50, 501, 50)] * 2


@pytest.mark.parametrize("cells", [1, 7, 1 << 24])
def test_reasons_are_counted_in_slices(cells, monkeypatch):
    X = np.random.default_rng(0).normal(size=(80, 3))
    X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    kinds = DropMissing(), DropOutliers(method="zscore", threshold=1.0)
    reports = [kind.fit(X).mask(X) is not None and kind.report_ for kind in kinds]
    parts = []
    monkeypatch.setattr(core, "SLICE_CELLS", cells)
    monkeypatch.setattr(cleaning, "slices", lambda *shape: parts.append(core.slices(*shape)) or parts[-1])
    for kind, expected in zip(kinds, reports):
        kind.mask(X)
        assert kind.report_.reasons == expected.reasons
    assert expected.reasons == {j: np.count_nonzero(abs(X[:, j] - np.nanmean(X[:, j])) > np.nanstd(X[:, j]))
                                for j in range(3)}
    assert len(parts) == 2
    assert (max(map(len, parts)) > 1) == (cells < 100)
