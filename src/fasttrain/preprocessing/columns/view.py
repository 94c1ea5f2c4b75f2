"""One column while it is looked at."""

import datetime
import decimal
import numpy as np

from fasttrain._core.lazily import lazy
from fasttrain._tables.categories import counts_of
from fasttrain._tables.kinds import as_array, is_pandas, is_polars
from fasttrain._tables.texts import Cells, distinct_cells

NUMBERS = (int, float, np.number, np.bool_, decimal.Decimal)
# Rows that are looked at to see whether a column repeats.
SAMPLE = 2000
TIMES = (datetime.date, np.datetime64)


class ColumnView:
    """A column of a :class:`~fasttrain._tables.frames.Table`; what was found in it once is kept.

    Parameters
    ----------
    table : Table
    position : int
    """

    def __init__(self, table, position):
        self.table = table
        self.position = position
        self.name = table.names[position]
        self.n_rows = table.n_rows
        self.read = {}

    @lazy
    def column(self):
        return self.table.column(self.position)

    @lazy
    def is_numeric(self):
        """Whether it is kept as integers or floats."""
        return self.table.is_numeric(self.position)

    @lazy
    def storage(self):
        """ "number", "bool", "time", "duration", "hours", "category", "text" or "object": how the cells are kept.

        "object" cells are neither text nor numbers nor times: bytes, say.
        """
        if self.is_numeric:
            return "number"
        column, dtype = self.column, self.column.dtype
        if is_polars(column):
            name = str(dtype)
            for start, found in (("Datetime", "time"), ("Date", "time"), ("Duration", "duration"), ("Time", "hours")):
                if name.startswith(start):
                    return found
            if name.startswith("Decimal"):
                return "number"
            return {"Boolean": "bool", "String": "text"}.get(name, "category")
        kind, name = getattr(dtype, "kind", "O"), "" if isinstance(dtype, np.dtype) else getattr(dtype, "name", "")
        if name == "category":
            return "category"
        if kind == "c":
            raise ValueError("Complex data not supported: pass real numbers, strings or objects")
        if kind == "b" or name == "boolean":
            return "bool"
        if kind in "mM":
            return "time" if kind == "M" else "duration"
        return self._of_objects() if kind == "O" else "object" if kind == "S" else "text"

    def _of_objects(self):
        if is_pandas(self.column) and getattr(self.column.dtype, "type", None) is str:
            return "text"
        kinds = set(map(type, as_array(self.column).tolist()))
        if not kinds <= {str}:
            kinds = set(map(type, self.distinct[0].tolist()))
        if kinds and all(issubclass(kind, NUMBERS) for kind in kinds):
            return "bool" if kinds <= {bool, np.bool_} else "number"
        if kinds and all(issubclass(kind, TIMES) for kind in kinds):
            return "time"
        if kinds and all(issubclass(kind, datetime.time) for kind in kinds):
            return "hours"
        odd = [kind.__name__ for kind in kinds if not issubclass(kind, (str, bytes, *NUMBERS, np.generic))]
        if odd:
            raise TypeError(
                f"column {self.name!r} holds objects of type {sorted(odd)}; argument must be a string or a number in "
                "every cell"
            )
        return "text" if all(issubclass(kind, str) for kind in kinds) else "object"

    @lazy
    def missing(self):
        """Mask of the rows without a value."""
        if self.is_numeric:
            return np.isnan(self.numbers)
        if "distinct" in vars(self) or (self.storage in ("text", "object", "category") and not self.hardly_repeats):
            return self.distinct[1] < 0
        return self.table.missing(self.position)

    @lazy
    def is_empty(self):
        """Whether no row has a value."""
        if self.is_numeric and self.n_rows and not np.isnan(self.numbers[0]):
            # most columns of numbers are seen through by a look at the first row
            return False
        return bool(self.missing.all())

    @lazy
    def distinct(self):
        """(distinct values as objects, code of each row, -1 for missing)."""
        return distinct_cells(self.column)

    @lazy
    def counts(self):
        """How often each distinct value occurs."""
        values, codes = self.distinct
        return counts_of(codes, len(values))

    @lazy
    def texts(self):
        """The distinct values as text."""
        values = self.distinct[0]
        if set(map(type, values.tolist())) <= {str}:
            return values
        texts = np.empty(len(values), dtype=object)
        texts[:] = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
                    for value in values.tolist()]
        return texts

    @lazy
    def hardly_repeats(self):
        """Whether a long column of text repeats so little that its cells are read as they come."""
        if self.n_rows < 4 * SAMPLE or self.storage != "text" or "distinct" in vars(self):
            return False
        some = slice(None, None, self.n_rows // SAMPLE)
        cells = as_array(self.column[some] if is_polars(self.column) else (
            self.column.iloc[some] if is_pandas(self.column) else self.column[some])).tolist()
        cells = [cell for cell in cells if isinstance(cell, str)]
        return len(set(cells)) > 0.99 * len(cells)

    @lazy
    def pieces(self):
        """(texts, which of them each row has, -1 for missing, how often each occurs), to be read as numbers or times.

        Those of a column that hardly repeats are its rows.
        """
        if not self.hardly_repeats:
            return self.texts, self.distinct[1], self.counts
        texts = np.array(as_array(self.column), dtype=object)
        missing = self.missing
        if missing.any():
            codes = np.cumsum(~missing) - 1
            codes[missing] = -1
            texts = texts[~missing]
        else:
            codes = np.arange(len(texts))
        return texts, codes, np.ones(len(texts), dtype=np.int64)

    @lazy
    def cells(self):
        """The texts of ``pieces``, to be read."""
        return Cells(self.pieces[0])

    @lazy
    def numbers(self):
        """Cells that are kept as numbers or bool, as float64 or float32 with NaN for missing ones."""
        if self.is_numeric:
            return self.table.numbers(self.position)
        values = np.array(as_array(self.column), dtype=object)
        values[self.missing] = np.nan
        return values.astype(np.float64)

    @lazy
    def seconds(self):
        """Cells that are kept as times, durations or times of the day, in seconds; NaN for missing ones."""
        column = self.column
        if is_polars(column):
            return _polars_seconds(column)
        array = np.asarray(column) if not is_pandas(column) else column
        if getattr(array.dtype, "kind", "O") not in "mM" or not isinstance(array.dtype, np.dtype):
            return self._seconds_of_objects()
        return _scaled(np.asarray(array))

    def _seconds_of_objects(self):
        if is_pandas(self.column) and not isinstance(self.column.dtype, np.dtype):
            # With a time zone, or of Arrow: both are microseconds of UTC underneath.
            column = self.column
            if getattr(column.dtype, "kind", "O") == "M":
                # days of Arrow have no zone, and pandas does not say None of it
                if str(column.dtype).startswith("date"):
                    column = column.astype("timestamp[us][pyarrow]")
                if getattr(column.dt, "tz", None) is not None:
                    column = column.dt.tz_convert("UTC").dt.tz_localize(None)
                return _scaled(column.to_numpy(dtype="M8[us]", na_value=np.datetime64("NaT")))
            if getattr(column.dtype, "kind", "O") == "m":
                return _scaled(column.to_numpy(dtype="m8[us]", na_value=np.timedelta64("NaT")))
        values, codes = self.distinct
        seconds = np.array([_seconds_of(value) for value in values.tolist()] + [np.nan])
        return seconds[codes]


def _seconds_of(value):
    if isinstance(value, datetime.time):
        return 3600.0 * value.hour + 60.0 * value.minute + value.second + value.microsecond / 1e6
    if isinstance(value, np.datetime64):
        return float(_scaled(np.array([value]))[0])
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    offset = value.utcoffset() or datetime.timedelta(0)
    return (value.replace(tzinfo=None) - datetime.datetime(1970, 1, 1) - offset).total_seconds()


def _scaled(array):
    """Seconds of a vector of NumPy's times or durations."""
    unit, step = np.datetime_data(array.dtype)
    if unit in ("Y", "M", "generic"):
        array = array.astype(array.dtype.kind + "8[D]")
        unit, step = "D", 1
    length = {"W": 604800.0, "D": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9,
              "ps": 1e-12, "fs": 1e-15, "as": 1e-18}[unit] * step
    whole = np.ascontiguousarray(array).view(np.int64)
    seconds = whole * length if length >= 1 else whole / (1 / length)
    seconds = seconds.astype(np.float64)
    seconds[np.isnat(array)] = np.nan
    return seconds


def _polars_seconds(column):
    name = str(column.dtype)
    if name.startswith("Datetime"):
        physical, per_second = column.dt.timestamp("us"), 1e6
    elif name.startswith("Date"):
        physical, per_second = column.to_physical(), 1 / 86400.0
    elif name.startswith("Duration"):
        physical, per_second = column.dt.total_microseconds(), 1e6
    else:
        physical, per_second = column.to_physical(), 1e9
    whole = np.array(physical.fill_null(0).to_numpy(), dtype=np.float64)
    seconds = whole / per_second
    seconds[column.is_null().to_numpy()] = np.nan
    return seconds
