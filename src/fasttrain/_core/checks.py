"""Checks of what callers pass, and every message about it."""

import math
from numbers import Integral, Real

import numpy as np

from fasttrain._core.slices import READ_CELLS, slices
from fasttrain._kernels.primitives import finite
from fasttrain._kernels.threads import get_num_threads

# Cells that are read sooner than a second thread is started.
_SERIAL_CELLS = 1 << 18


def check_real(value, name, *, low=None, high=None, open_low=False, open_high=False, optional=False):
    """``value`` as a float in the interval; else a TypeError or ValueError that names both."""
    if value is None and optional:
        return None
    if type(value) is not float and (isinstance(value, bool) or not isinstance(value, Real)):
        raise TypeError(f"{name} must be {_interval(low, high, open_low, open_high, optional)}, got {value!r}")
    number = float(value)
    inside = math.isfinite(number)
    if low is not None:
        inside = inside and (number > low if open_low else number >= low)
    if high is not None:
        inside = inside and (number < high if open_high else number <= high)
    if not inside:
        raise ValueError(f"{name} must be {_interval(low, high, open_low, open_high, optional)}, got {number!r}")
    return number


def _interval(low, high, open_low, open_high, optional):
    """What :func:`check_real` accepts, in words."""
    bounds = []
    if low is not None:
        bounds.append(f"{'>' if open_low else '>='} {low}")
    if high is not None:
        bounds.append(f"{'<' if open_high else '<='} {high}")
    return " ".join(["a finite number", " and ".join(bounds)]).rstrip() + (" or None" if optional else "")


def check_integer(value, name, *, low, optional=False):
    """``value`` as an int of at least ``low``, or a TypeError or ValueError that names the argument."""
    if value is None and optional:
        return None
    if type(value) is int and value >= low:
        return value
    accepted = f"an integer >= {low}" + (" or None" if optional else "")
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be {accepted}, got {value!r}")
    number = int(value)
    if number < low:
        raise ValueError(f"{name} must be {accepted}, got {number!r}")
    return number


def is_number(value):
    """Whether a value that was read is a real number, NaN and infinities included."""
    return isinstance(value, Real) and not isinstance(value, bool)


def are_numbers(value):
    """Whether a value that was read is a list of real numbers."""
    return type(value) is list and all(map(is_number, value))


def check_seed(value, name="random_state"):
    """TypeError unless the value is None, an integer or a ``numpy.random.RandomState``; nothing is seeded."""
    if not (value is None or isinstance(value, (Integral, np.random.RandomState)) or value is np.random):
        raise TypeError(f"{name} must be an integer, a RandomState or None, got {value!r}")


def real_array(value, name):
    """``value`` as a float32 or float64 array in C order; other real dtypes become float64."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got an array of dtype {array.dtype}")
    dtype = np.float32 if array.dtype.kind == "f" and array.dtype.itemsize == 4 else np.float64
    # np.ascontiguousarray would make a 0-dimensional array 1-dimensional
    array = np.asarray(array, dtype=dtype, order="C")
    return array if array.flags.aligned else array.copy()


def check_flag(value, name):
    """``value`` as a bool if it is True or False, Python's or NumPy's, else a TypeError that names it."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_same_shape(array, name, shape, other_name):
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape of {other_name}, {shape}, got {array.shape}")


def check_weights(sample_weight, n_samples, dtype, *, number=False, negative=False, all_zero=False):
    """Sample weights as a finite, contiguous array of shape (n_samples,).

    Parameters
    ----------
    sample_weight : array-like
    n_samples : int
    dtype : dtype
    number : bool
        Whether one number may stand for all rows.
    negative : bool
        Whether weights may be negative; the message about zeros is then scikit-learn's, which its checks look for.
    all_zero : bool
        Whether all of them may be 0.
    """
    if number and isinstance(sample_weight, Real) and not isinstance(sample_weight, bool):
        sample_weight = np.full(n_samples, sample_weight)
    weights = np.asarray(sample_weight)
    if weights.dtype.kind == "O":
        # pandas' columns that may lack values; float() says which element is no number
        weights = weights.astype(np.float64)
    weights = np.ascontiguousarray(real_array(weights, "sample_weight"), dtype=dtype)
    if weights.shape != (n_samples,):
        wanted = f"be a number or have shape ({n_samples},)" if number else f"have shape ({n_samples},)"
        raise ValueError(f"sample_weight must {wanted}, got {weights.shape}")
    if not np.isfinite(weights).all():
        raise ValueError("sample_weight must hold finite numbers, got NaN or infinity")
    if not negative and (weights < 0).any():
        raise ValueError(f"sample_weight must hold numbers >= 0, got {weights.min()}")
    if not all_zero and n_samples and not weights.any():
        wanted = "Sample weights must contain at least one non-zero number" if negative else (
            "sample_weight must have at least one number > 0")
        raise ValueError(f"{wanted}, got zeros only")
    return weights


def row_weights(sample_weight, n_samples, dtype, all_zero_accepted=False):
    """:func:`check_weights` as the per-sample descent has them, which takes what scikit-learn's does; None stays."""
    if sample_weight is None:
        return None
    return check_weights(sample_weight, n_samples, dtype, number=True, negative=True, all_zero=all_zero_accepted)


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


def is_plain(estimator, X, reset, dtypes):
    """Whether X is an array in which scikit-learn's validate_data would find nothing to do but to look at its numbers:
    on small data, its search for other kinds of tables takes longer than the work. With ``reset``, ``estimator`` then
    knows X's width.
    """
    plain = _is_matrix_for(estimator, X, reset, dtypes)
    if plain and reset:
        estimator.n_features_in_ = X.shape[1]
    return plain


def _is_matrix_for(estimator, X, reset, dtypes):
    if type(X) is not np.ndarray or X.ndim != 2 or X.dtype not in dtypes:
        return False
    flags = X.flags
    if not (flags.c_contiguous and flags.aligned) or 0 in X.shape or hasattr(estimator, "feature_names_in_"):
        return False
    return reset or getattr(estimator, "n_features_in_", 0) == X.shape[1]


def is_ready(estimator, X, y, reset, dtypes, labels=False, unread=False):
    """Whether X and y are arrays in which validate_data would find nothing to do, X as :func:`is_plain` says; with
    ``labels``, y is known to hold them, text too; with ``unread``, the caller is to find NaN and infinities in X.
    """
    if type(y) is not np.ndarray or y.ndim != 1 or not _is_matrix_for(estimator, X, reset, dtypes) or len(X) != len(y):
        return False
    if y.dtype.kind not in "iubf" and not labels:
        return False
    if not (unread or all_finite(X)) or (y.dtype.kind == "f" and not np.isfinite(y).all()):
        return False
    if reset:
        estimator.n_features_in_ = X.shape[1]
    return True


def are_labels(y):
    """Whether a vector holds labels by its type alone: integers, bool or text; of others the values say it."""
    return y.ndim == 1 and (y.dtype.kind in "iubU" or (y.dtype == object and set(map(type, y.tolist())) == {str}))


def require_fitted(estimator, attribute):
    """scikit-learn's ``check_is_fitted``, which asks for much more of an estimator before it looks at the attribute."""
    if not hasattr(estimator, attribute):
        # most of the package does without scikit-learn until there is an estimator
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(estimator, attribute)


def check_rows(X):
    """A dense or CSR matrix that scikit-learn's checks have passed, as the kernels read it.

    CSR: columns ascend without duplicates, arrays are aligned and consistent. The caller's matrix is not changed.
    """
    if not hasattr(X, "indptr"):
        # scikit-learn keeps an array whose elements lie across their boundaries; the kernels must not see one
        return np.require(X, requirements="CA")
    X.check_format(full_check=True)
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    if not X.data.flags.aligned:
        X = X.copy()
    return X


def validation_parts(validation_data):
    """(X, y, sample_weight) of a caller's validation data; no weights are None."""
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        found = f"{len(validation_data)} items" if isinstance(validation_data, (tuple, list)) else type(
            validation_data).__name__
        raise ValueError(f"validation_data must be (X, y) or (X, y, sample_weight), got {found}")
    return (*validation_data, None)[:3]


def all_finite(X):
    """Whether no element of a C-contiguous float32 or float64 array is infinite or NaN: one read, nothing written."""
    cells = X.reshape(-1)
    if len(cells) <= _SERIAL_CELLS:
        return finite(cells)
    threads = get_num_threads()
    return all(finite(cells[part], threads) for part in slices(len(cells), cells=READ_CELLS))


def check_design(X):
    """X as a finite, C-contiguous float32 or float64 array of at least one row and one column."""
    X = real_array(X, "X")
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"X must have 2 axes with at least one sample and one feature, got shape {X.shape}")
    if not all_finite(X):
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


def check_choice(value, name, options):
    """``value`` if it is one of ``options``, strings and constants such as None; else an error that lists them.

    A TypeError where it is of none of their types, a ValueError otherwise.
    """
    for option in options:
        if value is option or (isinstance(value, str) and value == option):
            return value
    listed = ", ".join(repr(option) for option in options if option is not None)
    listed += " or None" if any(option is None for option in options) else ""
    kind = ValueError if isinstance(value, tuple({type(option) for option in options})) else TypeError
    raise kind(f"{name} must be one of {listed}, got {value!r}")


def check_same_length(value, name, n_rows, other="X"):
    """Raise unless ``value`` has ``n_rows`` rows."""
    length = value.shape[0] if hasattr(value, "shape") else len(value)
    if length != n_rows:
        raise ValueError(
            f"{name} must have as many rows as {other}: {other} has {n_rows}, {name} has {length}"
        )


def raise_for_status(status):
    """Raise for a kernel's status that is not zero."""
    if status:
        raise MemoryError("a kernel could not allocate its workspace")
