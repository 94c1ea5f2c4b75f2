"""Distinct cells of a column, and text as the kernels read it: bytes one cell after the other."""

import numpy as np

from fasttrain._core.lazily import lazy
from fasttrain._kernels import text_numbers, text_times, text_words
from fasttrain._tables.categories import Coded, coded_column, group_strings, unique
from fasttrain._tables.frames import missing_vector, object_codes
from fasttrain._tables.kinds import as_array, is_framed

# Characters that a number or a time may have.
LONGEST = 64
# Words that stand for a missing number or time, whatever their case.
MISSING_WORDS = frozenset(
    ("", "-", "--", ".", "?", "na", "n/a", "#n/a", "nan", "nat", "null", "none", "nil", "missing", "unknown")
)


def distinct_cells(column):
    """The distinct cells of a column that are not missing, and which of them each row has.

    Parameters
    ----------
    column : Series or ndarray of shape (n,)

    Returns
    -------
    values : ndarray of objects
        Of one type where they can be compared: numbers beside text become text.
    codes : ndarray of shape (n,), int64
        -1 where the column is missing.
    """
    coded = coded_column(column) if is_framed(column) else None
    if coded is not None:
        return _of_coded(coded)
    array = as_array(column)
    if array.dtype.kind in "US" and array.dtype.itemsize and array.size:
        codes, first = group_strings(array)
        return array[first].astype(object), codes
    if array.dtype.kind not in "OT":
        present = ~missing_vector(array)
        values, found = unique(array[present], inverse=True)
        codes = np.full(array.shape[0], -1, dtype=np.int64)
        codes[present] = found
        return _objects(values.tolist()), codes
    codes, table = object_codes(array.astype(object, copy=False))
    np.maximum(codes, -1, out=codes)
    return _of_one_type([value for value, code in table.items() if code >= 0], codes)


def _of_coded(coded):
    missing = [i for i, value in enumerate(coded.values[-1:].tolist(), len(coded.values) - 1) if _is_missing(value)]
    n = len(coded.values) - len(missing)
    codes = np.where(coded.codes < n, coded.codes, -1)
    return _of_one_type(coded.values[:n].tolist(), codes)


def _is_missing(value):
    if value is None or isinstance(value, (str, bytes, float)):
        return value is None or value != value
    return bool(missing_vector(_objects([value]))[0])


def _of_one_type(values, codes):
    kinds = set(map(type, values))
    if len(kinds) > 1 and any(issubclass(kind, str) for kind in kinds):
        places = {}
        merged = np.array([places.setdefault(str(value), len(places)) for value in values] + [-1], dtype=np.int64)
        values, codes = list(places), merged[codes]
    return _objects(values), codes


def _objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


class Filled(Coded):
    """Distinct cells and codes without a missing one: those take ``fill``."""

    def __init__(self, values, codes, fill):
        if fill is not None and (codes < 0).any():
            places = [i for i, value in enumerate(values.tolist()) if value == fill]
            if not places:
                values = _objects([*values.tolist(), fill])
                places = [len(values) - 1]
            codes = np.where(codes < 0, places[0], codes)
        super().__init__(values, codes)


def packed(values, most=None):
    """(bytes of all texts in UTF-8 as one array, where each stops); those longer than ``most`` characters are empty."""
    values = values.tolist()
    if most is not None and max(map(len, values), default=0) > most:
        values = [value if len(value) <= most else value.strip() for value in values]
        values = [value if len(value) <= most else "" for value in values]
    joined = "".join(values)
    if joined.isascii():
        data, lengths = joined.encode(), map(len, values)
    else:
        parts = [value.encode("utf-8", "surrogatepass") for value in values]
        data, lengths = b"".join(parts), map(len, parts)
    stops = np.cumsum(np.fromiter(lengths, dtype=np.int64, count=len(values)))
    return np.frombuffer(data or b"\0", dtype=np.uint8), stops


class Cells:
    """Distinct texts to be read as numbers or times; what was read once is kept.

    Attributes
    ----------
    traits : ndarray of uint32
        What each text shows as a number; 0 where it is none.
    units : ndarray of uint64
        Key of currency and unit; 0 for none.
    times : (seconds from 1970 on with the day first, with the month first, traits)
    """

    def __init__(self, values):
        self.values = values
        self._numbers = {}

    @lazy
    def _packed(self):
        return packed(self.values, LONGEST)

    @lazy
    def _scanned(self):
        n = len(self.values)
        traits, units = np.zeros(n, dtype=np.uint32), np.zeros(n, dtype=np.uint64)
        spans = np.zeros((n, 4), dtype=np.int32)
        text_numbers.scan_numbers(*self._packed, traits, units, spans)
        return traits, units, spans

    @property
    def traits(self):
        return self._scanned[0]

    @property
    def units(self):
        return self._scanned[1]

    def has(self, trait):
        return (self.traits & text_numbers.TRAITS[trait]) > 0

    def unit_of(self, i):
        """Currency and unit of a text as they are written."""
        if self.traits[i] & text_numbers.TRAITS["percent"]:
            return "%"
        data, stops = self._packed
        cell = data[stops[i - 1] if i else 0:stops[i]].tobytes()
        a, b, c, d = self._scanned[2][i]
        parts = [cell[a:b].decode("utf-8", "replace"), cell[c:d].decode("utf-8", "replace")]
        return " ".join(part.strip() for part in parts if part.strip())

    def numbers(self, decimal_comma):
        """(float64 of each text, NaN where it is no number; key of its unit)."""
        if decimal_comma not in self._numbers:
            data, stops = self._packed
            n = len(self.values)
            out, units, rounded = np.empty(n), np.empty(n, dtype=np.uint64), np.empty(n, dtype=np.uint8)
            text_numbers.parse_numbers(data, stops, decimal_comma, out, units, rounded)
            for i in np.flatnonzero(rounded).tolist():
                start = int(stops[i - 1]) if i else 0
                out[i] = float(text_numbers.digits_of(data, start, int(stops[i]), decimal_comma))
            self._numbers[decimal_comma] = out, units
        return self._numbers[decimal_comma]

    @lazy
    def times(self):
        n = len(self.values)
        day_first, month_first, traits = np.empty(n), np.empty(n), np.empty(n, dtype=np.uint8)
        text_times.parse_times(*self._packed, day_first, month_first, traits)
        return day_first, month_first, traits


def hashed_words(values, n_places):
    """(indptr, indices, values) of the words of each text, counted at ``n_places`` places."""
    data, stops = packed(_lowered(values))
    indptr = np.zeros(len(values) + 1, dtype=np.int64)
    text_words.hash_words(data, stops, n_places, indptr, np.empty(0, dtype=np.int32), np.empty(0))
    indices, counts = np.empty(indptr[-1], dtype=np.int32), np.empty(indptr[-1])
    if len(indices):
        text_words.hash_words(data, stops, n_places, indptr, indices, counts)
    return indptr, indices, counts


def _lowered(values):
    """Texts in lower case as far as the kernel does not see to it: it knows ASCII."""
    return _objects([value if value.isascii() else value.lower() for value in values.tolist()])


def hashed_cells(values, n_places):
    """The place of each text among ``n_places``."""
    data, stops = packed(values)
    places = np.empty(len(values), dtype=np.int64)
    text_words.hash_cells(data, stops, n_places, places)
    return places
