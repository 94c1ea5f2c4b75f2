"""Columns of numbers, kept as such or written as text: with a currency, thousands, per cent, a unit."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from fasttrain._tables.texts import MISSING_WORDS
from fasttrain._estimators.registry import enter_record

# Of the cells of a column of text, how many may be no number: they are read as missing, and told of.
STRAY_SHARE = 0.01
# And of their texts so many are remembered.
MOST_ABSENT = 1000


def listed(values, most=4):
    """A few of some values for a message."""
    values = list(values)
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(shortened(value) for value in values[:most]) + more


def shortened(value, most=60):
    """A value as it is written, its middle left out where that is long."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most - 20]}...{text[-8:]} ({len(text)} characters)"


def stands_for_missing(text):
    return len(text) <= 20 and text.strip().casefold() in MISSING_WORDS


def of_rows(view, of_values):
    """A value for each row from one for each distinct cell; NaN where the row has none."""
    return np.append(of_values, np.nan)[view.pieces[1]]


def unread(view, of_values, absent=()):
    """Distinct texts that were not read and stand for no missing value: (places, rows that have them)."""
    places = [
        i for i in np.flatnonzero(np.isnan(of_values)).tolist()
        if not stands_for_missing(view.pieces[0][i]) and view.pieces[0][i] not in absent
    ]
    return places, int(view.pieces[2][places].sum()) if places else 0


def wanted_rows(view, read):
    """(rows whose cell should have been read, whether too few of them were): ``read`` is a mask of distinct texts."""
    rows, n_read = int(view.pieces[2].sum()), int(view.pieces[2][read].sum())
    other = np.flatnonzero(~read)
    if len(other) - 200 > STRAY_SHARE * rows:
        # More texts than words for a missing value are ever spelled.
        return rows, True
    absent = [i for i in other.tolist() if stands_for_missing(view.pieces[0][i])]
    n_wanted = rows - int(view.pieces[2][absent].sum()) if absent else rows
    return n_wanted, n_read < (1 - STRAY_SHARE) * n_wanted


def are_plain(values):
    """Whether what was read is a vector of strings and numbers, which can be looked up."""
    if not isinstance(values, np.ndarray) or values.ndim != 1:
        return False
    kinds = (str, bytes, bool, int, float, np.generic)
    return values.dtype.kind in "biufU" or all(isinstance(value, kinds) for value in values.tolist())


def are_texts(value):
    """Whether a value that was read is a list of strings."""
    return type(value) is list and all(type(item) is str for item in value)


class Dense:
    """What becomes one or more columns of numbers.

    ``numbers(view, strict)`` gives them as a vector or a matrix with NaN for missing ones; ``strict`` refuses cells
    that could not be read. ``strays(view)`` lists the distinct cells that are read as missing, with how many rows have
    one; those that ``fit`` has seen where ``seen`` is true.
    """

    def names(self, name):
        return [name]

    def strays(self, view, seen=False):
        return [], 0

    def check(self, require):
        """Whether what was read from a file can be used; ``require(condition, what)`` raises."""


@dataclass
class NumberColumn(Dense):
    """Numbers.

    Parameters
    ----------
    reason : str
    written : bool
        Whether the cells were text.
    decimal_comma : bool
    unit : str
        Currency and unit, as written.
    unit_key : int
    absent : list of str
        Cells of the training data that were read as missing.
    """

    reason: str
    written: bool = False
    decimal_comma: bool = False
    unit: str = ""
    unit_key: int = 0
    absent: list = field(default_factory=list)
    kind: ClassVar[str] = "numeric"

    def _of_texts(self, view):
        values, units = view.cells.numbers(self.decimal_comma)
        wrong = (units != np.uint64(self.unit_key)) & (units != 0)
        if self.unit == "%":
            wrong |= (units == 0) & (values != 0)
        if wrong.any():
            values = np.where(wrong, np.nan, values)
        return values

    def numbers(self, view, strict=False):
        if view.storage in ("number", "bool"):
            return view.numbers
        if view.storage == "duration":
            return view.seconds / 86400.0
        if view.storage in ("time", "hours"):
            raise ValueError(f"column {view.name!r} must hold numbers: it holds times")
        values = self._of_texts(view)
        if strict or not self.written:
            places, _ = unread(view, values, self.absent)
            if places:
                wanted = f"a number with the unit {self.unit!r}" if self.unit else "a number"
                raise ValueError(
                    f"column {view.name!r} must hold numbers: could not convert {listed(view.pieces[0][places])} to "
                    f"{wanted}"
                )
        return of_rows(view, values)

    def strays(self, view, seen=False):
        if view.storage in ("number", "bool", "duration"):
            return [], 0
        values = self._of_texts(view)
        places, n_rows = unread(view, values, () if seen else self.absent)
        return view.pieces[0][places].tolist(), n_rows

    def check(self, require):
        require(type(self.written) is bool and type(self.decimal_comma) is bool, "say whether it was text")
        require(type(self.unit) is str and type(self.unit_key) is int and 0 <= self.unit_key < 2**64, "have a unit")
        require(are_texts(self.absent), "list texts that are missing")


def recognise_numbers(view, decimal=None, forced=False):
    """(:class:`NumberColumn` of a column of text or None, why not).

    Parameters
    ----------
    decimal : {".", ",", None}
        What stands before fractions; None decides by the cells.
    forced : bool
        Whether the caller says that these are numbers, whatever they look like.
    """
    cells = view.cells
    counts = view.pieces[2]
    is_number = cells.traits > 0
    if not (forced or is_number.any()):
        return None, "not numbers"
    n_wanted, few = wanted_rows(view, is_number)
    if few and not forced:
        return None, "not numbers"
    if not forced and (cells.has("leading_zero") & is_number).any():
        return None, "digits with leading zeros are codes"
    point, comma = int(counts[cells.has("point")].sum()), int(counts[cells.has("comma")].sum())
    decimal_comma = comma > point if decimal is None else decimal == ","
    units, first = np.unique(cells.units[is_number], return_index=True)
    at = np.flatnonzero(is_number)[first]
    named = {int(unit): cells.unit_of(i) for unit, i in zip(units[:8].tolist(), at[:8].tolist()) if unit}
    by_rows = {key: int(counts[cells.units == np.uint64(key)].sum()) for key in named}
    key = max(by_rows, key=lambda k: (by_rows[k], -k)) if named else 0
    fits = cells.has("comma" if decimal_comma else "point") & ((cells.units == 0) | (cells.units == np.uint64(key)))
    unit = named.get(key, "")
    if unit == "%":
        values, _ = view.cells.numbers(decimal_comma)
        fits &= (cells.units != 0) | (values == 0)
    n_fit = int(counts[fits].sum())
    if not forced and n_fit < (1 - STRAY_SHARE) * n_wanted:
        if len(named) > 1:
            return None, f"numbers with different units: {listed(named.values())}"
        return None, "numbers with different decimal signs or with and without %"
    said = []
    if cells.has("currency")[is_number].any():
        said.append(f"currency {unit}")
    elif unit == "%":
        said.append("per cent, divided by 100")
    elif unit:
        said.append(f"unit {unit}")
    with_comma = any("," in text for text in view.pieces[0][is_number & cells.has("separated")][:1000].tolist())
    if decimal_comma:
        said.append("decimal comma")
    elif with_comma:
        said.append("comma between thousands")
        if decimal is None and comma == point:
            said.append("which is how every cell can be read, and so is a decimal comma")
    if cells.has("parenthesized").any():
        said.append("negative in parentheses")
    strays = n_wanted - n_fit
    if strays:
        said.append(f"{strays} cells that are none are missing")
    reason = "numbers written as text" + (f" ({', '.join(said)})" if said else "")
    column = NumberColumn(reason, True, decimal_comma, unit, key)
    if not forced and strays:
        column.absent = column.strays(view)[0][:MOST_ABSENT]
    return column, ""


enter_record(NumberColumn, "numeric column")
