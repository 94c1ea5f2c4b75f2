"""One view of NumPy arrays, pandas and polars tables for whatever works on rows and columns."""

import sys
from _thread import start_new_thread
from contextlib import contextmanager, suppress

import numpy as np
from scipy.sparse import issparse

from fasttrain._core.checks import check_same_length, raise_for_status
from fasttrain._core.slices import READ_CELLS, slices
from fasttrain._kernels import objects, rows
from fasttrain._kernels.threads import get_num_threads
from fasttrain._tables.categories import coded_column, group_strings
from fasttrain._tables.kinds import as_array, element_strided, is_framed, is_pandas, is_polars

WORDS = {1: np.uint8, 4: np.uint32, 8: np.uint64}
# Cells that are looked at for a missing one before the next.
LOOK_CELLS = 1 << 17
# Bytes of rows that threads move at once, to memory that may only now be given.
TAKEN_BYTES = 1 << 25
# Bytes of rows that are moved whose memory another thread asks for.
AHEAD_BYTES = 1 << 23
KEEP = {"first": 0, "last": 1, False: 2, "none": 2}


def as_rows(value, name):
    """``value`` as something rows can be taken from: an array or a table of pandas or polars, of one or two
    dimensions.
    """
    if issparse(value):
        raise TypeError(
            f"{name} is a sparse matrix; rows are dropped from dense arrays and data frames: use "
            f"{name}.toarray()"
        )
    if is_framed(value):
        return value
    array = np.asarray(value)
    if array.dtype.names is not None:
        raise TypeError(f"{name} is a structured array; pass a plain array or a DataFrame")
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} must have one or two dimensions, got {array.ndim} (shape {array.shape})")
    if type(array) is not np.ndarray:
        array = np.asarray(array)
    return array


def refuse_empty(X):
    """scikit-learn's message for a table without rows or columns."""
    if 0 in X.shape:
        raise ValueError(
            f"Found array with {X.shape[0]} sample(s) and {X.shape[1]} feature(s) (shape={X.shape}) "
            "while a minimum of 1 is required."
        )


def take_rows(value, mask):
    """The rows where ``mask`` is true, order and index kept."""
    if is_polars(value):
        return value.filter(mask)
    if is_pandas(value):
        return take_frame(value, mask)
    return take_array(value, np.flatnonzero(mask)) if value.ndim == 2 else value[mask]


def take_array(array, at):
    """Rows of a matrix; plain numbers are moved as bytes, in the layout they have."""
    plain = array.dtype.kind in "iufb" and array.size
    if plain and array.flags.c_contiguous:
        out = np.empty((at.size, array.shape[1]), dtype=array.dtype)
        for part in slices(at.size if out.size else 0, max(1, array.shape[1] * array.itemsize), TAKEN_BYTES):
            rows.take(array.view(np.int8), at[part], out[part].view(np.int8), get_num_threads())
        return out
    if plain and array.flags.f_contiguous and array.itemsize in WORDS:
        out = np.empty((array.shape[1], at.size), dtype=array.dtype)
        word = WORDS[array.itemsize]
        rows.take_columns(array.T.view(word), at, out.view(word), get_num_threads())
        return out.T
    return array[at]


def take_frame(frame, mask):
    """Rows of a data frame; one block of numbers is moved as one."""
    if not one_block(frame):
        return frame[mask]
    block = frame.to_numpy()
    if not block.flags.f_contiguous and not block.flags.c_contiguous:
        return frame[mask]
    at = np.flatnonzero(mask)
    return frame_of_rows(frame, take_array(block, at), at)


def take_all(values, mask):
    """:func:`take_rows` for X, y and sample_weight; those that are None stay away from the answer."""
    return [take_rows(value, mask) for value in values if value is not None]


def aligned(X, y, sample_weight):
    """X, y, sample_weight as rows of equal number."""
    X = as_rows(X, "X")
    n_rows = X.shape[0]
    if y is not None:
        y = as_rows(y, "y")
        check_same_length(y, "y", n_rows)
    if sample_weight is not None:
        sample_weight = as_rows(sample_weight, "sample_weight")
        check_same_length(sample_weight, "sample_weight", n_rows)
    return X, y, sample_weight


class Table:
    """Columns of an array or a data frame by position, with their names.

    Parameters
    ----------
    value : ndarray, DataFrame or Series
    subset : sequence of names or positions, or None
        Columns to look at; None is all of them.
    name : str
        What messages call it.
    names : list or None
        Those of the columns, for a data frame of which they have been read.
    """

    def __init__(self, value, subset=None, name="X", names=None):
        self.value = value
        self.n_rows = value.shape[0]
        self.frame = is_framed(value)
        self.flat = value.ndim == 1 if not is_polars(value) else not hasattr(value, "columns")
        if self.flat:
            self.names = [getattr(value, "name", None) or name]
        elif self.frame:
            self.names = list(value.columns) if names is None else names
        else:
            self.names = list(range(value.shape[1]))
        self.positions = self.select(subset, name)
        self._series = None

    def select(self, subset, name="X"):
        """Positions of the columns that ``subset`` names, in its order, each once."""
        if subset is None:
            return list(range(len(self.names)))
        if isinstance(subset, (str, int, np.integer)):
            subset = [subset]
        positions = []
        for item in subset:
            if item in self.names:
                position = self.names.index(item)
            elif not self.frame and isinstance(item, (int, np.integer)) and -len(self.names) <= item < 0:
                position = len(self.names) + int(item)
            else:
                raise ValueError(
                    f"subset names column {item!r}, which {name} lacks; its columns are {self.names}"
                )
            if position not in positions:
                positions.append(position)
        return positions

    def column(self, position):
        """One column as it is: a vector of NumPy, or a Series."""
        if self.flat:
            return self.value
        if is_pandas(self.value):
            if len(self.positions) < len(self.names):
                return self.value.iloc[:, position]
            # pandas makes an object of a column whenever it is asked for one: longer than a look at 1000 rows takes
            if self._series is None:
                self._series = [series for _, series in self.value.items()]
            return self._series[position]
        if is_polars(self.value):
            return self.value.to_series(position)
        return self.value[:, position]

    def is_numeric(self, position):
        """Whether a column holds integers or floats (bool is not a number here)."""
        column = self.column(position)
        if is_polars(column):
            return column.dtype.is_numeric()
        dtype = column.dtype
        # a category of numbers has their kind
        return getattr(dtype, "kind", "O") in "iuf" and (isinstance(dtype, np.dtype) or dtype.name != "category")

    def numbers(self, position):
        """A numeric column as a vector of float32 or float64, missing values as NaN."""
        column = self.column(position)
        if is_polars(column):
            if column.null_count() and column.dtype.is_float():
                column = column.fill_null(float("nan"))
            if column.null_count():
                column = column.cast(sys.modules["polars"].Float64).fill_null(float("nan"))
            column = column.to_numpy()
        elif is_pandas(column):
            if isinstance(column.dtype, np.dtype):
                column = column.to_numpy()
            else:
                column = column.to_numpy(dtype=np.float64, na_value=np.nan)
        if column.dtype not in (np.float32, np.float64):
            column = column.astype(np.float64)
        return element_strided(column)

    def float_block(self):
        """All selected columns as one float matrix without a copy, or None."""
        value = self.value
        if is_polars(value) or len(self.positions) != len(self.names):
            return None
        if is_pandas(value):
            dtypes = [value.dtype] if self.flat else list(value.dtypes)
            if any(
                not isinstance(dtype, np.dtype) or dtype != dtypes[0] or dtype.kind != "f" for dtype in dtypes
            ):
                return None
            value = value.to_numpy()
        if value.dtype not in (np.float32, np.float64) or not value.dtype.isnative:
            return None
        return element_strided(value.reshape(self.n_rows, -1) if self.flat else value)

    def float_column(self, position):
        """A column of floats without nulls as a vector, without a copy; None for any other column."""
        column = self.column(position)
        if is_polars(column):
            if not column.dtype.is_float() or column.null_count():
                return None
            column = column.to_numpy()
        elif is_pandas(column):
            if not isinstance(column.dtype, np.dtype):
                return None
            column = column.to_numpy()
        return element_strided(column) if column.dtype in (np.float32, np.float64) else None

    def gathered_floats(self):
        """The selected columns side by side where all are floats of one type without nulls, else None."""
        parts = [self.float_column(position) for position in self.positions]
        if not parts or any(part is None or part.dtype != parts[0].dtype for part in parts):
            return None
        return np.stack(parts).T

    def missing(self, position, sentinels=()):
        """Where a column is missing: NaN, None, NaT, pd.NA, null, or one of ``sentinels``."""
        column = self.column(position)
        if is_polars(column):
            mask = column.is_null()
            if column.dtype.is_float():
                mask = mask | column.is_nan().fill_null(False)
            mask = mask.to_numpy()
        elif is_pandas(column) and not (isinstance(column.dtype, np.dtype) and column.dtype.kind in "biufcmM"):
            mask = column.isna().to_numpy()
        else:
            mask = missing_vector(as_array(column))
        mask = np.array(mask, dtype=bool)
        for sentinel in sentinels:
            mask |= equals(column, sentinel)
        return mask

    def codes(self, position):
        """A column as int64 such that two cells are equal exactly when their codes are (missing markers
        included).
        """
        column = self.column(position)
        if is_framed(column):
            coded = coded_column(column)
            if coded is not None:
                return coded.codes
        if is_polars(column):
            if column.dtype.is_float():
                return float_bits(element_strided(column.to_numpy()), column.is_null().to_numpy())
            if column.null_count() == 0 and (column.dtype.is_integer() or column.dtype.is_temporal()):
                values = column.to_physical().to_numpy()
                if values.dtype.kind in "iu":
                    return vector_codes(values)
            return column.rank("dense").cast(sys.modules["polars"].Int64).fill_null(-1).to_numpy()
        if is_pandas(column):
            if isinstance(column.dtype, np.dtype):
                return vector_codes(column.to_numpy())
            codes, _ = column.factorize(use_na_sentinel=True)
            return np.asarray(codes, dtype=np.int64)
        return vector_codes(column)


def missing_vector(column):
    """Where a NumPy vector is missing."""
    kind = column.dtype.kind
    if kind in "fc":
        return np.isnan(column)
    if kind in "mM":
        return np.isnat(column)
    if kind == "O":
        return object_codes(column)[0] < 0
    if kind == "T" and hasattr(column.dtype, "na_object"):
        return object_codes(column.astype(object))[0] < 0
    return np.zeros(column.shape[0], dtype=bool)


def equals(column, sentinel):
    """Where a column equals a sentinel value; types that cannot be compared are not equal."""
    if is_polars(column):
        numeric = column.dtype.is_numeric()
        if isinstance(sentinel, str) == numeric:
            return np.zeros(len(column), dtype=bool)
        return (column == sentinel).fill_null(False).to_numpy()
    if not is_pandas(column):
        kind = column.dtype.kind
        if kind in "iufcb" and isinstance(sentinel, (str, bytes)):
            return np.zeros(column.shape[0], dtype=bool)
        if kind in "UST" and not isinstance(sentinel, (str, bytes)):
            return np.zeros(column.shape[0], dtype=bool)
        return np.asarray(column == sentinel, dtype=bool)
    answer = column == sentinel
    return np.asarray(answer.fillna(False) if answer.isna().any() else answer, dtype=bool)


def missing_markers():
    """The objects that stand for a missing value beside None and NaN, with the code each has."""
    pandas = sys.modules.get("pandas")
    return {} if pandas is None else {pandas.NA: -4, pandas.NaT: -5}


def object_codes(values):
    """(codes, table) of an object vector: codes in order of first appearance, below 0 for missing markers."""
    table = missing_markers()
    codes = np.empty(values.shape[0], dtype=np.int64)
    try:
        objects.codes_of_objects(values, table, codes, True)
    except TypeError as error:
        raise TypeError(f"values of an object column must be hashable: {error}") from None
    return codes, table


def float_bits(values, null=None):
    """Canonical bits of floats: NaN once, -0.0 as 0.0; nulls get bits that no float here has."""
    values = np.array(values, dtype=np.float64)
    values += 0.0
    values[np.isnan(values)] = np.nan
    bits = values.view(np.int64)
    if null is not None:
        bits[null] = -1
    return bits


def vector_codes(column):
    """Exact int64 codes of a NumPy vector."""
    kind = column.dtype.kind
    if kind == "f" and column.dtype.itemsize <= 8:
        return float_bits(column)
    if kind in "iub":
        return column.astype(np.int64) if column.dtype != np.uint64 else column.view(np.int64)
    if kind in "mM":
        return np.ascontiguousarray(column).view(np.int64)
    if kind in "fc":
        return np.unique(column, return_inverse=True, equal_nan=True)[1].astype(np.int64)
    if kind in "US":
        return group_strings(column)[0] if column.dtype.itemsize else np.zeros(column.shape[0], dtype=np.int64)
    return object_codes(column if kind == "O" else column.astype(object))[0]


def duplicate_mask(cells, keep):
    """Rows of a float or int64 matrix that repeat another."""
    mask = np.empty(cells.shape[0], dtype=np.uint8)
    raise_for_status(rows.duplicates(cells, KEEP[keep], mask, get_num_threads()))
    return mask.view(bool)


def missing_counts(block, counts=None):
    """How many NaN each row of a float matrix holds, added to ``counts`` where that is given."""
    counts = np.zeros(block.shape[0], dtype=np.int32) if counts is None else counts
    for part in slices(*block.shape, cells=READ_CELLS):
        raise_for_status(rows.missing(block[part], counts[part], get_num_threads()))
    return counts


def rows_lie_plain(X):
    """Whether X is a float matrix whose rows a kernel can move as they lie."""
    return (
        isinstance(X, np.ndarray)
        and X.ndim == 2
        and X.dtype in (np.float32, np.float64)
        and X.strides[1] == X.itemsize
        and element_strided(X) is X
    )


def columns_lie_plain(X):
    """Whether X is a float matrix of some rows whose columns lie one after the other."""
    plain = X.ndim == 2 and X.dtype in (np.float32, np.float64) and X.size > 0
    return plain and X.strides[0] == X.itemsize and element_strided(X) is X


def take_present(X, most, absent):
    """(rows with at most ``most`` missing values and not ``absent``, mask of them), in one pass over X, a matrix of
    plain rows or columns or a frame of one; None for any other table.
    """
    if is_framed(X):
        return _take_present_frame(X, most, absent)
    by_rows = rows_lie_plain(X)
    if not by_rows and not columns_lie_plain(X):
        return None
    keep = np.ones(X.shape[0], dtype=np.uint8) if absent is None else (~absent).view(np.uint8)
    if not by_rows:
        return _take_present_columns(X, most, keep), keep.view(bool)
    out, n = np.empty(X.shape, dtype=X.dtype), 0
    for part in slices(*X.shape):
        room = out[n:n + len(X[part])]
        with pages_given(room):
            n += rows.take_present(X[part], most, keep[part], room)
    out.resize((n, X.shape[1]), refcheck=False)
    return out, keep.view(bool)


@contextmanager
def pages_given(out):
    """Have another thread ask for the memory of rows that are written meanwhile, or next. It is not waited for: that
    would be long where other processes have the cores."""
    done = np.zeros(1, dtype=np.intc)
    if out.nbytes >= AHEAD_BYTES and get_num_threads() > 1:
        # without it, where no thread can be had
        with suppress(RuntimeError):
            start_new_thread(rows.give_pages, (out, done))
    try:
        yield
    finally:
        done[0] = 1


def _take_present_columns(X, most, keep):
    """Rows of a matrix that lies column by column, in a matrix that does; ``keep`` becomes the mask of them."""
    out, n = np.empty(X.shape[::-1], dtype=X.dtype), 0
    for part in slices(*X.shape):
        end = n + part.stop - part.start
        # each column goes on in pages of its own, all of which are needed at once
        with pages_given(out[:, end:2 * end - n]):
            n += rows.take_present_columns(X[part].T, most, keep[part], out[:, n:end])
    # what was not needed stays behind the columns, unless it is much
    return (out[:, :n] if 2 * n > len(X) else out[:, :n].copy()).T


def _take_present_frame(frame, most, absent):
    if not one_block(frame):
        return None
    block = frame.to_numpy()
    if copies_when_written() and (absent is None or not absent.any()) and all_present(block, most):
        return frame.copy(deep=False), np.ones(len(frame), dtype=bool)
    found = take_present(block, most, absent)
    if found is None:
        return None
    taken, mask = found
    return frame_of_rows(frame, taken, np.flatnonzero(mask)), mask


def copies_when_written():
    """Whether frames of pandas share memory until one of them is written to, so that to copy one costs nothing."""
    return int(sys.modules["pandas"].__version__.split(".")[0]) >= 3


def all_present(X, most):
    """Whether X is a float matrix without a row of more than ``most`` missing values; ends at the first such row."""
    return X.dtype in (np.float32, np.float64) and element_strided(X) is X and all(
        missing_counts(X[part]).max() <= most for part in slices(*X.shape, cells=LOOK_CELLS))


def one_block(frame):
    """Whether a pandas frame, of no class derived from DataFrame, holds numbers of one type."""
    if not is_pandas(frame) or type(frame) is not sys.modules["pandas"].DataFrame or not frame.shape[1]:
        return False
    kinds = set(frame.dtypes)
    return len(kinds) == 1 and isinstance(kind := kinds.pop(), np.dtype) and kind.kind in "fi"


def frame_of_rows(frame, taken, at):
    """A frame of the rows ``at`` of another, whose cells are ``taken``."""
    index, columns = frame.index.take(at), frame.columns
    out = sys.modules["pandas"].DataFrame(taken, index=index, columns=columns, copy=False)
    out.attrs = frame.attrs.copy()
    return out


def named(X):
    """Structured arrays and Arrow tables as data frames; any other table as it is."""
    arrow = sys.modules.get("pyarrow")
    is_arrow = arrow is not None and isinstance(X, (arrow.Table, arrow.RecordBatch))
    if not is_arrow and (not isinstance(X, np.ndarray) or X.dtype.names is None):
        return X
    try:
        import pandas as pd
    except ImportError:
        what = "an Arrow table" if is_arrow else "a structured array"
        raise TypeError(f"X is {what}, which needs pandas: pip install pandas, or pass a polars DataFrame") from None
    if is_arrow:
        return X.to_pandas(types_mapper=pd.ArrowDtype)
    if X.ndim != 1 or any(X.dtype[name].shape for name in X.dtype.names):
        raise ValueError("a structured array must have one dimension and one value a field")
    return pd.DataFrame({name: X[name] for name in X.dtype.names})
