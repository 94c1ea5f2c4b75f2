"""Unique values of a column and codes by them: one function for each question, whatever the column's type."""

import sys

import numpy as np

from fasttrain._core.checks import raise_for_status
from fasttrain._kernels import categories as kernels, objects
from fasttrain._kernels.distinct import MOST_FEW, few_floats
from fasttrain._kernels.threads import get_num_threads
from fasttrain._tables.kinds import element_strided, is_polars

# A table over the range of integers is worth its memory up to this many entries a value.
SPAN_PER_VALUE = 8
SMALL_SPAN = 1 << 16
# Up to so many strings of pandas are sooner looked up as objects than its factorize has begun.
FEW_CELLS = 2000


def is_nan(value):
    """Whether a scalar is a float NaN."""
    return isinstance(value, (float, np.floating)) and value != value


def integers(values):
    """``values`` as int64 with the same order when they are integers or bool that fit, else None."""
    if values.dtype.kind not in "iub" or (values.dtype.kind == "u" and values.dtype.itemsize == 8):
        return None
    if (
        values.dtype == np.int64
        and values.dtype.isnative
        and values.flags.aligned
        and values.strides[0] % 8 == 0
    ):
        return values
    return values.astype(np.int64)


def worth_a_table(span, n_values):
    """Whether a table over ``span`` integers is worth its memory for so many values."""
    return span <= max(SMALL_SPAN, SPAN_PER_VALUE * n_values)


def inverse_permutation(order):
    """The place of each index in ``order``."""
    places = np.empty(order.size, dtype=np.int64)
    places[order] = np.arange(order.size)
    return places


def counts_of(codes, n_values):
    """How often each of the codes 0 ... n_values - 1 occurs."""
    counts = np.zeros(n_values, dtype=np.int64)
    kernels.count_codes(codes, counts)
    return counts


def only_asked(uniques, codes, counts):
    """What :func:`unique` returns: those that are not None, alone where it is one."""
    answer = tuple(part for part in (uniques, codes, counts) if part is not None)
    return answer if len(answer) > 1 else uniques


def not_uniform(values):
    types = sorted(kind.__qualname__ for kind in {type(value) for value in values})
    return TypeError(
        f"Encoders require their input argument must be uniformly strings or numbers. Got {types}"
    )


def unique_objects(values, want_codes):
    """(sorted values with None and NaN last, codes in that order or None)."""
    table = {}
    codes = np.empty(values.shape[0], dtype=np.int64)
    try:
        objects.codes_of_objects(values, table, codes, True)
        uniques = sorted(table)
    except TypeError:
        raise not_uniform(values) from None
    order = np.empty(len(table) + 2, dtype=np.int64)
    for rank, value in enumerate(uniques):
        order[table[value]] = rank
    lowest = codes.min() if codes.size else 0
    if lowest == objects.CODE_NONE:
        order[objects.CODE_NONE] = len(uniques)
        uniques.append(None)
    if lowest < 0 and (codes == objects.CODE_NAN).any():
        order[objects.CODE_NAN] = len(uniques)
        uniques.append(np.nan)
    answer = np.empty(len(uniques), dtype=object)
    answer[:] = uniques
    return answer, order[codes] if want_codes else None


def keys_of(values):
    """64-bit keys of numbers, equal exactly where the numbers are (NaN with NaN, -0.0 with 0.0), or None."""
    if values.dtype.kind == "f" and values.dtype.itemsize <= 8:
        keys = np.empty(values.shape[0], dtype=np.int64)
        widened = values if values.dtype.itemsize > 2 else values.astype(np.float32)
        kernels.keys_of_floats(element_strided(widened), keys)
        return keys
    if values.dtype == np.uint64:
        return np.ascontiguousarray(values).view(np.int64)
    return integers(values)


def numbers_of(keys, dtype):
    """What has such keys. Sorted, NaN goes last, once because its key is one."""
    return (keys.view(np.float64) if dtype.kind == "f" else keys).astype(dtype)


def unique_keys(values, want_codes):
    """(sorted unique numbers, codes or None) by hashing; (None, None) where most values are distinct, since sorting is
    as good there."""
    if not values.size:
        return None, None
    found = np.empty(max(16, values.shape[0] // 8), dtype=np.int64)
    codes = None
    if not want_codes and values.dtype in (np.float32, np.float64):
        n = kernels.distinct_floats(element_strided(values), found)
    else:
        keys = keys_of(values)
        if keys is None:
            return None, None
        codes = np.empty(values.shape[0], dtype=np.int64)
        n = kernels.group_keys(keys, codes, found)
    if n < 0:
        return None, None
    uniques = numbers_of(found[:n], values.dtype)
    order = np.argsort(uniques)
    if not want_codes:
        return uniques[order], None
    return uniques[order], inverse_permutation(order)[codes]


def unique_integers(numbers, low, high, inverse, counts, dtype):
    """:func:`unique` of int64 numbers from ``low`` to ``high``, by a table over that range."""
    occurrences = np.zeros(high - low + 1, dtype=np.int64)
    kernels.count_integers(numbers, low, occurrences)
    present = np.flatnonzero(occurrences)
    codes = None
    if inverse:
        table = np.zeros(occurrences.size, dtype=np.int64)
        table[present] = np.arange(present.size)
        codes = np.empty(numbers.shape[0], dtype=np.int64)
        kernels.codes_of_integers(numbers, low, table, codes, get_num_threads())
    return only_asked((present + low).astype(dtype), codes, occurrences[present] if counts else None)


def group_strings(values, want_codes=True):
    """(codes in order of first appearance or None, row where each came first) of a vector of NumPy's fixed-width
    strings."""
    cells = values.astype(values.dtype.newbyteorder("="), copy=False)[:, None].view(np.int8)
    codes = np.empty(cells.shape[0], dtype=np.int64) if want_codes else None
    first = np.empty(cells.shape[0], dtype=np.int64)
    n = kernels.group_cells(cells, codes, first)
    raise_for_status(n < 0)
    return codes, first[:n].copy()


class Coded:
    """A column as its distinct values and a code a row: what data frames of Arrow, categories and strings give without
    making an object of every cell.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        Distinct; some may occur in no row.
    codes : ndarray of shape (n_rows,), integers
    """

    def __init__(self, values, codes):
        self.values = values
        self.codes = np.ascontiguousarray(codes, dtype=np.int64)
        self.dtype = values.dtype
        self.shape = self.codes.shape

    def __len__(self):
        return len(self.codes)

    def __getitem__(self, at):
        return self.values[self.codes[at]]

    def unique(self, inverse, counts):
        """As the function :func:`unique`."""
        occurrences = counts_of(self.codes, len(self.values))
        present = np.flatnonzero(occurrences)
        uniques, order = unique(self.values[present], inverse=True)
        codes = sorted_counts = None
        if inverse:
            rank = np.full(len(self.values), -1, dtype=np.int64)
            rank[present] = order
            codes = rank[self.codes]
        if counts:
            sorted_counts = np.empty(len(uniques), dtype=np.int64)
            sorted_counts[order] = occurrences[present]
        return only_asked(uniques, codes, sorted_counts)


def coded_column(series):
    """A Series of categories or strings as :class:`Coded`; None for what is read as an array anyway."""
    if is_polars(series):
        polars = sys.modules["polars"]
        if series.dtype not in (polars.String, polars.Categorical, polars.Enum):
            return None
        present = series.unique().drop_nulls()
        if series.dtype == polars.String:
            codes = series.cast(polars.Enum(present)).to_physical()
        else:
            codes = series.to_physical()
        small = np.empty(len(present) + 1, dtype=object)
        small[:-1] = present.to_list()
        small[-1] = None
        codes = codes.cast(polars.Int64).fill_null(-1).to_numpy()
        if series.dtype != polars.String:
            # Their numbers are shared with other columns.
            numbers = present.to_physical().to_numpy()
            place = np.full(int(numbers.max(initial=0)) + 2, len(present), dtype=np.int64)
            place[numbers] = np.arange(len(present))
            return Coded(small, place[codes])
        return Coded(small, np.where(codes < 0, len(present), codes))
    pandas = sys.modules["pandas"]
    if isinstance(series.dtype, pandas.CategoricalDtype):
        codes = series.cat.codes.to_numpy(dtype=np.int64)
        n = len(series.cat.categories)
        missing = bool((codes < 0).any())
        kept = [*range(n), -1] if missing else [*range(n)]
        small = np.asarray(pandas.Categorical.from_codes(kept, dtype=series.dtype))
        return Coded(small, np.where(codes < 0, n, codes) if missing else codes)
    if isinstance(series.dtype, pandas.StringDtype) or (
        isinstance(series.dtype, pandas.ArrowDtype) and series.dtype.kind in "OU"
    ):
        codes, values = _factorized(series)
        small = np.empty(len(values) + 1, dtype=object)
        small[:-1] = values
        small[-1] = np.nan
        return Coded(small, np.where(codes < 0, len(values), codes))
    return None


def _factorized(series):
    """(code of each cell of a Series of strings, -1 for missing; list of the distinct ones)."""
    if len(series) > FEW_CELLS:
        codes, values = series.factorize()
        return codes, values.tolist()
    table, codes = {}, np.empty(len(series), dtype=np.int64)
    objects.codes_of_objects(series.to_numpy(dtype=object, na_value=np.nan), table, codes, True)
    return codes, list(table)


def unique(values, *, inverse=False, counts=False):
    """Sorted unique values of a vector, NaN once and last, None before it.

    Parameters
    ----------
    values : ndarray of shape (n,)
    inverse, counts : bool
        Whether to return the codes of ``values``, and how often each unique value occurs.

    Returns
    -------
    uniques : ndarray
    codes, counts : ndarray of int64
        Only those asked for.
    """
    if isinstance(values, Coded):
        return values.unique(inverse, counts)
    values = np.asarray(values)
    codes = None
    if values.dtype == object:
        uniques, codes = unique_objects(values, inverse or counts)
    elif values.dtype.kind in "US" and values.size and values.dtype.itemsize:
        codes, first = group_strings(values, inverse or counts)
        found = values[first]
        order = np.argsort(found)
        uniques = found[order]
        if inverse or counts:
            codes = inverse_permutation(order)[codes]
    else:
        numbers = integers(values)
        if numbers is not None and numbers.size:
            low, high = kernels.integer_range(numbers)
            if worth_a_table(high - low + 1, numbers.size):
                return unique_integers(numbers, low, high, inverse, counts, values.dtype)
        uniques, codes = unique_keys(values, inverse or counts)
        if uniques is None:
            if inverse or counts:
                uniques, codes = np.unique(values, return_inverse=True)
            else:
                uniques = np.unique(values)
    occurrences = counts_of(codes.astype(np.int64, copy=False), len(uniques)) if counts else None
    return only_asked(uniques, codes if inverse else None, occurrences)


def unique_of_columns(X):
    """:func:`unique` of each column of a float32 or float64 matrix, which threads read together."""
    keys, counts = np.empty((X.shape[1], MOST_FEW), dtype=np.int64), np.empty(X.shape[1], dtype=np.int64)
    few_floats(element_strided(X), keys, counts, get_num_threads())
    return [
        unique(X[:, j]) if n < 0 else np.sort(numbers_of(keys[j, :n], X.dtype)) for j, n in enumerate(counts.tolist())]


def distinct_labels(labels):
    """The classes that a caller names, in order.

    scikit-learn's ``unique_labels``, whose first look in a process for kinds of tables takes 30 ms; integers of Python
    and NumPy are known without.
    """
    array = labels
    if type(labels) in (list, tuple) and all(isinstance(label, (int, np.integer, np.bool_)) for label in labels):
        array = np.asarray(labels)
    if type(array) is np.ndarray and array.ndim == 1 and array.dtype.kind in "iub" and len(array):
        return unique(array)
    from sklearn.utils.multiclass import unique_labels

    found = unique_labels(labels)
    if not len(found):
        raise ValueError("classes must hold at least one label, got none")
    return found


def encode(values, uniques):
    """Codes of a vector by its categories.

    Parameters
    ----------
    values : ndarray of shape (n,)
    uniques : ndarray
        Categories; sorted, NaN last, unless they are objects or strings.

    Returns
    -------
    ndarray of shape (n,), int64
        -1 for values that are no category.
    """
    if isinstance(values, Coded):
        return encode(values.values, uniques)[values.codes]
    values = np.asarray(values)
    if values.dtype.kind in "US" and values.shape[0] > 1 and values.dtype.itemsize:
        codes, first = group_strings(values)
        return encode(values[first].astype(object), uniques)[codes]
    codes = np.empty(values.shape[0], dtype=np.int64)
    if values.size == 0 or len(uniques) == 0:
        codes[:] = -1
        return codes
    if values.dtype.kind in "OUST" or uniques.dtype.kind in "OUST":
        values = values.astype(object, copy=False)
        # Objects of NumPy's own string types hash as what they hold, so one dict serves str and numpy.str_.
        table = {value: rank for rank, value in enumerate(uniques.tolist()) if not is_nan(value)}
        try:
            objects.codes_of_objects(values, table, codes, False)
        except TypeError:
            raise not_uniform(values) from None
        if codes.min() < 0:
            nan_code = len(uniques) - 1 if is_nan(uniques[-1]) else -1
            codes[codes == objects.CODE_NAN] = nan_code
            codes[codes < 0] = -1
        return codes
    numbers, known = integers(values), integers(uniques)
    whole = values.dtype.kind in "iub" and uniques.dtype.kind in "iub"
    if whole and values.dtype != uniques.dtype and np.uint64 in (values.dtype, uniques.dtype):
        # The one pair of integer types that has no common key.
        return encode(values.astype(object), uniques.astype(object))
    if numbers is not None and known is not None:
        low, high = int(known.min()), int(known.max())
        span = high - low + 1
        if worth_a_table(span, numbers.shape[0]):
            table = np.full(span, -1, dtype=np.int64)
            table[known - low] = np.arange(known.shape[0])
            kernels.codes_of_integers(numbers, low, table, codes, get_num_threads())
            return codes
    keys, known = keys_of(values), keys_of(uniques)
    if keys is not None and known is not None and (values.dtype.kind == "f") == (uniques.dtype.kind == "f"):
        kernels.look_up_keys(keys, known, codes)
        return codes
    codes = np.minimum(np.searchsorted(uniques, values), len(uniques) - 1)
    found = uniques[codes]
    equal = found == values
    if values.dtype.kind in "fc" and uniques.dtype.kind in "fc" and np.isnan(uniques[-1]):
        equal |= np.isnan(values)
        codes[np.isnan(values)] = len(uniques) - 1
    codes[~equal] = -1
    return codes


def unknown_values(values, codes):
    """The distinct values of a vector whose code is -1, as a list, missing ones last."""
    return unique(values[codes < 0]).tolist()
