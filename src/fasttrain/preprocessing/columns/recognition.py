"""Which kind a column is, and why."""

import re
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar

import numpy as np

from fasttrain._estimators.registry import enter_record
from fasttrain._tables.kinds import is_framed, is_polars
from fasttrain.preprocessing.columns.hashed import HashedColumn
from fasttrain.preprocessing.columns.many import MeansOf, of_target
from fasttrain.preprocessing.columns.numbers import NumberColumn, listed, recognise_numbers
from fasttrain.preprocessing.columns.times import of_times, recognise_times
from fasttrain.preprocessing.columns.words import OrderedColumn, recognise_booleans

KINDS = ("numeric", "boolean", "date", "categorical", "ordered", "target", "hashed", "text", "drop")
OPTIONS = {"numeric": {"decimal"}, "date": {"day_first"}, "ordered": {"order"}}
# Names of columns that number the rows or name what they are about.
CAMEL = re.compile(r"(?<=[a-z])(?:ID|Id|UUID|Uuid|Index|Key)$")
SNAKE = re.compile(
    r"(?:^|[\W_])(?:id|ids|uuid|guid|index|idx|row|rowid|row_?names?|row_?num(?:ber)?|key|serial|unnamed: 0)$|^$",
    re.IGNORECASE)
# An id has so large a share of distinct values.
DISTINCT = 0.95
# Words of a cell, on average, from which on text is read by its words: of nearly distinct cells, and of any.
WORDS_OF_TEXT, WORDS_OF_SENTENCES = 3.0, 5.0


@dataclass
class CategoryColumn:
    """A category: the encoder has its values."""

    reason: str
    kind: ClassVar[str] = "categorical"

    def check(self, require):
        pass


@dataclass
class LeftOut:
    """No part of the matrix.

    Parameters
    ----------
    reason : str
    keep : str
        The kind that would keep it; empty where none would.
    """

    reason: str
    keep: str = ""
    kind: ClassVar[str] = "drop"

    def check(self, require):
        pass


@dataclass
class Rules:
    """What the parameters of the preprocessor say about recognition."""

    cardinality_threshold: int
    high_cardinality: str
    n_places: int
    means: MeansOf
    rare: int | None
    grouped: bool


def stated(name, value):
    """(kind or None, its options) of an entry of ``types``."""
    where = f"types[{name!r}]"
    if value is None:
        return None, {}
    if isinstance(value, (list, tuple)):
        return "ordered", {"order": list(value)}
    options = {}
    if isinstance(value, dict):
        options = {key: item for key, item in value.items() if key != "kind"}
        if "kind" not in value:
            raise ValueError(f"{where} must have 'kind', one of {', '.join(map(repr, KINDS))}; got {value!r}")
        value = value["kind"]
    if not isinstance(value, str) or value not in KINDS:
        near = get_close_matches(value.lower(), KINDS, n=1) if isinstance(value, str) else []
        near = {"number": ["numeric"], "category": ["categorical"], "bool": ["boolean"]}.get(value, near) if isinstance(
            value, str) else near
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise (ValueError if isinstance(value, str) else TypeError)(
            f"{where} must be one of {', '.join(map(repr, KINDS))}, a list of ordered values or a dict with 'kind', "
            f"got {value!r}{hint}"
        )
    wrong = set(options) - OPTIONS.get(value, set())
    if wrong:
        known = ", ".join(map(repr, sorted(OPTIONS.get(value, ())))) or "none"
        raise ValueError(f"{where}: {value!r} has no option {sorted(wrong, key=str)[0]!r}; it has {known}")
    if options.get("decimal", ".") not in (".", ","):
        raise ValueError(f"{where}: decimal must be '.' or ',', got {options['decimal']!r}")
    if not isinstance(options.get("day_first", True), bool):
        raise TypeError(f"{where}: day_first must be True or False, got {options['day_first']!r}")
    return value, options


def recognise(view, value, rules):
    """What a column is: of the kind that ``value``, an entry of ``types``, states, or by its cells."""
    kind, options = stated(view.name, value)
    if kind == "drop":
        return LeftOut("left out as asked")
    if view.is_empty:
        return LeftOut("holds no value at all")
    if kind is None:
        return _by_cells(view, rules)
    return _of_kind(view, kind, options, rules)


def _of_kind(view, kind, options, rules):
    storage = view.storage
    if kind == "numeric":
        if storage in ("number", "bool", "duration"):
            return NumberColumn("as asked")
        if storage in ("time", "hours"):
            raise ValueError(f"types[{view.name!r}] is 'numeric', but the column holds times: 'date' reads them")
        column, _ = recognise_numbers(view, options.get("decimal"), forced=True)
        column.numbers(view, strict=True)
        column.reason = f"as asked: {column.reason}"
        return column
    if kind == "date":
        if storage in ("time", "hours"):
            return of_times(view)
        if storage in ("number", "bool", "duration"):
            raise ValueError(f"types[{view.name!r}] is 'date', but the column holds {storage}s: convert it to dates")
        column, _ = recognise_times(view, options.get("day_first"), forced=True)
        column.reason = f"as asked: {column.reason}"
        return column
    if kind == "boolean":
        if storage == "bool":
            return NumberColumn("as asked")
        column, _ = recognise_booleans(view, forced=True)
        return column
    if kind == "ordered":
        return _ordered(view, options.get("order"))
    if kind == "target":
        if rules.means.matrix is None:
            raise ValueError(
                f"types[{view.name!r}] is 'target', but {rules.means.why_none}: pass y to fit, or name the target's "
                "column"
            )
        return of_target(view, rules.means, "as asked", rules.rare)
    if kind in ("hashed", "text"):
        return HashedColumn("as asked", kind == "text", rules.n_places)
    return CategoryColumn("as asked")


def _ordered(view, order):
    if order is None:
        order = declared_order(view.column)
        if order is None:
            raise ValueError(
                f"types[{view.name!r}] is 'ordered', but the column has no order of its own: pass the values from low "
                "to high, as a list"
            )
        return OrderedColumn("an ordered category", order)
    values = np.empty(len(order), dtype=object)
    values[:] = order
    if not len(order) or len(set(order)) < len(order):
        raise ValueError(f"types[{view.name!r}] must list each value once, got {order!r}")
    column = OrderedColumn("ordered as asked", values)
    column.numbers(view, strict=True)
    return column


def declared_order(column):
    """The categories of an ordered Categorical of pandas, from low to high; None for other columns."""
    if not is_framed(column) or is_polars(column):
        return None
    dtype = column.dtype
    pandas = sys.modules["pandas"]
    if not isinstance(dtype, pandas.CategoricalDtype) or not dtype.ordered:
        return None
    values = np.empty(len(dtype.categories), dtype=object)
    values[:] = dtype.categories.tolist()
    return values


def _by_cells(view, rules):
    storage = view.storage
    if storage in ("time", "hours"):
        column = of_times(view)
        constant = _constant(view, view.seconds)
        return constant or column
    if storage in ("number", "bool", "duration"):
        numbers = view.seconds if storage == "duration" else view.numbers
        reason = {"number": "numbers", "bool": "true and false", "duration": "durations, in days"}[storage]
        return _constant(view, numbers) or _row_id(view, numbers, rules) or NumberColumn(reason)
    order = declared_order(view.column) if storage == "category" else None
    if order is None and not view.hardly_repeats and len(view.counts) < 2 and _repeats(view):
        return LeftOut(f"has the one value {listed(view.distinct[0].tolist())}{_and_missing(view)}")
    if order is not None:
        return OrderedColumn("an ordered category", order)
    why = {"category": "declared a category", "object": "neither text nor numbers"}.get(storage, "")
    if storage == "text":
        for find in (recognise_booleans, recognise_numbers, recognise_times):
            column, not_so = find(view)
            if column is not None:
                if find is recognise_numbers:
                    numbers = column.numbers(view)
                    return _constant(view, numbers) or _row_id(view, numbers, rules) or column
                return column
            if not_so.startswith(("numbers", "dates", "digits")):
                why = not_so
    return _of_text(view, rules, why)


def _of_text(view, rules, why):
    values = len(view.counts)
    rows = int(view.counts.sum())
    few = values <= rules.cardinality_threshold
    said = f"{values} values" + (f": {why}" if why else "")
    if few or rules.grouped or rules.high_cardinality == "onehot" or view.storage == "object":
        return CategoryColumn(said)
    if view.storage == "text":
        words = words_of_a_cell(view.texts)
        nearly_distinct = values >= DISTINCT * rows
        if words >= WORDS_OF_SENTENCES or (words >= WORDS_OF_TEXT and values >= 0.5 * rows):
            told = f"free text, {words:.0f} words a cell: hashed to {rules.n_places} places"
            return HashedColumn(told, True, rules.n_places)
        if nearly_distinct:
            return LeftOut(f"has {values} distinct values in {rows} rows, which name the rows", "hashed")
    if rules.high_cardinality == "target" and rules.means.matrix is not None:
        return of_target(view, rules.means, said, rules.rare)
    if values <= rules.n_places and rules.high_cardinality == "target":
        return CategoryColumn(said)
    because = f", {rules.means.why_none}" if rules.high_cardinality == "target" else ""
    return HashedColumn(f"{said}{because}: hashed to {rules.n_places} places", False, rules.n_places)


def words_of_a_cell(texts, most=2000):
    """Words between spaces of a text, on average over some of them."""
    some = texts[:: max(1, len(texts) // most)].tolist()
    return sum(len(text[:5000].split()) for text in some) / max(1, len(some))


def _repeats(view):
    return view.n_rows - int(np.count_nonzero(view.missing)) > 1


def _and_missing(view):
    n = int(np.count_nonzero(view.missing))
    return f" in {view.n_rows - n} rows, and {n} are missing" if n else " in every row"


def _constant(view, numbers):
    """:class:`LeftOut` where a column of numbers has one value, in more than one row."""
    first, last = numbers[0], numbers[-1]
    if first < last or first > last:
        # two values: most columns are seen through by a look at them
        return None
    present = numbers[~np.isnan(numbers)]
    if present.size < 2 or not np.isfinite(present[0]) or (present != present[0]).any():
        return None
    value = present[0] if view.storage == "number" else view.distinct[0].tolist()[0]
    return LeftOut(f"has the one value {shown(value)}{_and_missing(view)}")


def shown(value):
    return f"{value:g}" if isinstance(value, (float, np.floating)) else listed([value])


def _row_id(view, numbers, rules):
    """:class:`LeftOut` where integers that hardly repeat have the name of an id."""
    name = view.name
    if not isinstance(name, str) or not (SNAKE.search(name.strip()) or CAMEL.search(name.strip())):
        return None
    present = numbers[~np.isnan(numbers)]
    if present.size <= rules.cardinality_threshold or (present != np.floor(present)).any():
        return None
    n = len(unique_numbers(present))
    if n < DISTINCT * present.size:
        return None
    return LeftOut(f"has {n} distinct whole numbers in {present.size} rows and the name of an id", "numeric")


def unique_numbers(numbers):
    ordered = np.sort(numbers)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])]


enter_record(CategoryColumn, "categorical column")
enter_record(LeftOut, "column left out")
