"""What it means that our transformers and scikit-learn's agree."""

import numpy as np


def assert_same_arrays(mine, theirs):
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs):
        assert (a is None) == (b is None)
        if b is not None:
            assert a.dtype == b.dtype
            np.testing.assert_equal(a.tolist(), b.tolist())


def assert_same_sparse(a, b):
    assert type(a) is type(b)
    for name in ("data", "indices", "indptr"):
        assert getattr(a, name).dtype == getattr(b, name).dtype, name
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.shape == b.shape


def assert_same_state(mine, theirs, rtol, atol=1e-13):
    names = {name for name in vars(theirs) if name.endswith("_") and not name.startswith("_")}
    assert names == {name for name in vars(mine) if name.endswith("_") and not name.startswith("_")}
    for name in names:
        a, b = getattr(mine, name), getattr(theirs, name)
        assert (a is None) == (b is None), name
        if b is not None:
            # scikit-learn counts in integers or in floating point, by version
            if name != "n_samples_seen_":
                assert np.asarray(a).dtype == np.asarray(b).dtype, name
            assert np.shape(a) == np.shape(b), name
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=name)
