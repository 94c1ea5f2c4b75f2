"""What a table is: of pandas, of polars, or an array, and whether kernels can walk it as it lies."""

import sys

import numpy as np


def is_pandas(value):
    """Whether ``value`` is a pandas DataFrame or Series, without importing pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series))


def is_polars(value):
    """Whether ``value`` is a polars DataFrame or Series, without importing polars."""
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(value, (polars.DataFrame, polars.Series))


def is_framed(value):
    """Whether ``value`` is a DataFrame or Series of either library."""
    return is_pandas(value) or is_polars(value)


def as_array(column):
    """A Series or vector as an array of NumPy."""
    return column.to_numpy() if is_polars(column) else np.asarray(column)


def element_strided(array):
    """``array`` itself when kernels can walk it (native byte order, aligned, strides of whole elements), else
    a copy.
    """
    if (
        array.flags.aligned
        and array.dtype.isnative
        and all(stride % array.itemsize == 0 for stride in array.strides)
    ):
        return array
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="K")
