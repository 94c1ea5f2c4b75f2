"""Checks of what callers pass, and every message about it."""

from numbers import Integral

import numpy as np


def real_array(value, name):
    """``value`` as a float32 or float64 array in C order; other real dtypes become float64."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got an array of dtype {array.dtype}")
    dtype = np.float32 if array.dtype.kind == "f" and array.dtype.itemsize == 4 else np.float64
    # np.ascontiguousarray would make a 0-dimensional array 1-dimensional
    return np.asarray(array, dtype=dtype, order="C")


def check_same_shape(array, name, shape, other_name):
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape of {other_name}, {shape}, got {array.shape}")


def check_weights(sample_weight, n_samples, dtype):
    """Sample weights as an array of shape (n_samples,), finite, >= 0, not all 0."""
    weights = real_array(sample_weight, "sample_weight").astype(dtype, copy=False)
    if weights.shape != (n_samples,):
        raise ValueError(f"sample_weight must have shape ({n_samples},), got {weights.shape}")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("sample_weight must hold finite numbers >= 0, got at least one that is not")
    if n_samples and not weights.any():
        raise ValueError("sample_weight must have at least one number > 0, got zeros only")
    return weights


def named_arrays(arrays, argument):
    """From a name for messages to each array of ``arrays``: one array, or a list, tuple or dict of them."""
    if isinstance(arrays, dict):
        return {f"{argument}[{key!r}]": array for key, array in arrays.items()}
    if isinstance(arrays, (list, tuple)):
        return {f"{argument}[{i}]": array for i, array in enumerate(arrays)}
    return {argument: arrays}


def check_parameter(array, name):
    """An array that is updated in place must be float32 or float64, C-contiguous and writeable."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array to be updated in place, got {type(array).__name__}")
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(f"{name} must have dtype float32 or float64, got {array.dtype}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous to be updated in place, got strides {array.strides}")
    if not array.flags.writeable:
        raise ValueError(f"{name} must be writeable to be updated in place, got a read-only array")
    if not array.flags.aligned:
        raise ValueError(f"{name} must be aligned to its dtype to be updated in place")


def gradient_of(gradient, name, parameter):
    """``gradient`` in C order, after checks that it belongs to ``parameter``, whose name is ``name``."""
    if not isinstance(gradient, np.ndarray):
        raise TypeError(f"the gradient of {name} must be a NumPy array, got {type(gradient).__name__}")
    if gradient.shape != parameter.shape:
        raise ValueError(f"the gradient of {name} must have shape {parameter.shape}, got {gradient.shape}")
    if gradient.dtype != parameter.dtype:
        raise TypeError(f"the gradient of {name} must have dtype {parameter.dtype}, got {gradient.dtype}")
    if np.may_share_memory(gradient, parameter):
        raise ValueError(f"the gradient of {name} must not share memory with it")
    return np.require(gradient, requirements=["C", "A"])


def check_batch_size(batch_size, n_samples):
    """Rows of a batch: 'auto' is min(200, n_samples), 'full' all of them, an integer itself."""
    if isinstance(batch_size, str):
        if batch_size == "auto":
            return min(200, n_samples)
        if batch_size == "full":
            return n_samples
        raise ValueError(f"batch_size must be 'auto', 'full' or an integer >= 1, got {batch_size!r}")
    if isinstance(batch_size, bool) or not isinstance(batch_size, Integral):
        raise TypeError(f"batch_size must be 'auto', 'full' or an integer >= 1, got {batch_size!r}")
    if not 1 <= batch_size <= n_samples:
        raise ValueError(f"batch_size must be from 1 to the number of samples, {n_samples}, got {batch_size}")
    return int(batch_size)


def check_design(X):
    """X as a finite, C-contiguous float32 or float64 array of at least one row and one column."""
    X = np.ascontiguousarray(real_array(X, "X"))
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"X must have 2 axes with at least one sample and one feature, got shape {X.shape}")
    if not np.isfinite(X).all():
        raise ValueError("X must hold finite numbers, got NaN or infinity")
    return X


def check_targets(y, loss, X):
    """y for the engine: (n, k) in X's dtype, or class codes (n, 1); the number of outputs; whether y had one axis."""
    y = real_array(y, "y")
    if y.ndim not in (1, 2) or y.shape[0] != len(X) or y.size == 0:
        raise ValueError(f"y must have {len(X)} rows as X has, and 1 or 2 axes, got shape {y.shape}")
    loss.check_targets(y)
    target = np.ascontiguousarray(y.reshape(len(y), -1), dtype=X.dtype)
    if loss.targets == "classes":
        if target.shape[1] != 1:
            raise ValueError(f"y must hold one class code a row for {loss.name}, got shape {y.shape}")
        return target, int(target.max()) + 1, False
    return target, target.shape[1], y.ndim == 1
