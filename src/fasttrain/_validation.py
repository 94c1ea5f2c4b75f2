"""Checks of what callers pass, and every message about it."""

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
