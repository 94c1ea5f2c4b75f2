"""Columns of dates and times: days since 1970, and where in the year, the week and the day they fall."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from fasttrain._estimators.registry import enter_record
from fasttrain._kernels.text_times import TRAITS
from fasttrain.preprocessing.columns.numbers import (
    MOST_ABSENT, STRAY_SHARE, Dense, are_texts, listed, unread, wanted_rows,
)

DAY = 86400.0
# Seconds from 1970 to the first day of year 1 and to the last of year 9999.
FIRST, LAST = -62135596800.0, 253402300799.999999
PARTS = ("days", "year_sin", "year_cos", "week_sin", "week_cos", "day_sin", "day_cos")
# A column tells of seasons when it spans at least so many days, of weekdays when it spans two weeks.
SEASON, WEEKS = 180.0, 14.0


@dataclass
class DateColumn(Dense):
    """Dates, times or times of the day.

    Parameters
    ----------
    reason : str
    parts : list of str
        Of ``PARTS``, in that order.
    day_first : bool
        How 1/2/2020 is read.
    hours_only : bool
        Whether the cells are times of the day.
    absent : list of str
        Cells of the training data that were read as missing.
    """

    reason: str
    parts: list
    day_first: bool = False
    hours_only: bool = False
    absent: list = field(default_factory=list)
    kind: ClassVar[str] = "date"

    def names(self, name):
        return [f"{name}_{part}" for part in self.parts]

    def numbers(self, view, strict=False):
        if view.storage in ("time", "hours"):
            return parts_of(in_range(view.seconds), self.parts)
        if view.storage in ("number", "bool"):
            raise ValueError(f"column {view.name!r} must hold dates: it holds numbers")
        seconds = self._of_texts(view)
        if strict:
            places, _ = unread(view, seconds, self.absent)
            if places:
                raise ValueError(
                    f"column {view.name!r} must hold dates: could not read {listed(view.pieces[0][places])}"
                    + (" with the day first" if self.day_first else "")
                )
        table = parts_of(seconds, self.parts)
        return np.vstack((table, np.full((1, len(self.parts)), np.nan)))[view.pieces[1]]

    def _of_texts(self, view):
        day_first, month_first, traits = view.cells.times
        seconds = day_first if self.day_first else month_first
        wrong = ((traits & TRAITS["hours_only"]) > 0) != self.hours_only
        return np.where(wrong, np.nan, seconds)

    def strays(self, view, seen=False):
        if view.storage in ("time", "hours"):
            n = int((np.isnan(in_range(view.seconds)) & ~view.missing).sum())
            return (["times outside the years 1 to 9999"] if n else []), n
        if view.storage in ("number", "bool"):
            return [], 0
        places, n_rows = unread(view, self._of_texts(view), () if seen else self.absent)
        return view.pieces[0][places].tolist(), n_rows

    def check(self, require):
        good = type(self.parts) is list and self.parts == [part for part in PARTS if part in self.parts]
        require(good and len(self.parts) > 0, f"have parts of {', '.join(PARTS)}")
        require(type(self.day_first) is bool and type(self.hours_only) is bool, "say how dates are read")
        require(are_texts(self.absent), "list texts that are missing")


def in_range(seconds):
    """Seconds within the years 1 to 9999; NaN for others."""
    return np.where((seconds >= FIRST) & (seconds <= LAST), seconds, np.nan)


def parts_of(seconds, parts):
    """A matrix of the parts of times; NaN for missing times."""
    out = np.empty((len(seconds), len(parts)))
    days = seconds / DAY
    present = np.isfinite(seconds)
    whole = np.floor(np.where(present, days, 0.0))
    angles = {}
    if any(part.startswith("year") for part in parts):
        dates = whole.astype(np.int64).astype("M8[D]")
        first = dates.astype("M8[Y]")
        length = ((first + 1).astype("M8[D]") - first.astype("M8[D]")).astype(np.float64)
        angles["year"] = ((dates - first.astype("M8[D]")).astype(np.float64) + days - whole) / length
    # 1970 began on a Thursday.
    angles["week"] = ((whole + 3) % 7 + days - whole) / 7
    angles["day"] = days - whole
    for k, part in enumerate(parts):
        if part == "days":
            out[:, k] = days
            continue
        period, _, wave = part.partition("_")
        turn = 2 * np.pi * angles[period]
        out[:, k] = np.sin(turn) if wave == "sin" else np.cos(turn)
    out[~present] = np.nan
    return out


def chosen_parts(seconds, hours_only):
    """Which parts of some times are worth a column."""
    seconds = seconds[np.isfinite(seconds)]
    parts = ["day_sin", "day_cos"]
    if hours_only or not seconds.size:
        return parts if hours_only else ["days"]
    days = seconds / DAY
    span = float(days.max() - days.min())
    chosen = {"days"}
    if span >= SEASON:
        chosen |= {"year_sin", "year_cos"}
    weekday = np.floor(days) % 7
    if span >= WEEKS and (weekday != weekday[0]).any():
        chosen |= {"week_sin", "week_cos"}
    hours = days - np.floor(days)
    if (hours != hours[0]).any():
        chosen |= set(parts)
    return [part for part in PARTS if part in chosen]


def of_times(view):
    """:class:`DateColumn` of a column that is kept as times."""
    seconds = in_range(view.seconds)
    hours_only = view.storage == "hours"
    what = "times of the day" if hours_only else "dates and times"
    out_of_range = int((np.isnan(seconds) & ~view.missing).sum())
    reason = what + (f" ({out_of_range} outside the years 1 to 9999 are missing)" if out_of_range else "")
    return DateColumn(reason, chosen_parts(seconds, hours_only), False, hours_only)


def recognise_times(view, day_first=None, forced=False):
    """(:class:`DateColumn` of a column of text or None, why not); ``day_first`` None decides by the cells."""
    by_day, by_month, traits = view.cells.times
    counts = view.pieces[2]
    read = traits > 0
    if not (forced or read.any()):
        return None, "not dates"
    n_read = int(counts[read].sum())
    n_wanted, few = wanted_rows(view, read)
    if not forced and (few or not n_read):
        return None, "not dates"
    hours_only = int(counts[(traits & TRAITS["hours_only"]) > 0].sum()) * 2 > n_read
    n_day = int(counts[~np.isnan(by_day)].sum())
    n_month = int(counts[~np.isnan(by_month)].sum())
    differ = ((by_day != by_month) & ~(np.isnan(by_day) & np.isnan(by_month))).any()
    said = []
    if day_first is None:
        dotted = int(counts[(traits & TRAITS["dotted"]) > 0].sum()) * 2 > n_read
        day_first = dotted if n_day == n_month else n_day > n_month
        if differ:
            said.append("day before month" if day_first else "month before day")
            if n_day == n_month:
                said.append("which is how every cell can be read, and so is the other order")
    elif differ:
        said.append("day before month" if day_first else "month before day")
    column = DateColumn("", ["days"], bool(day_first), hours_only)
    seconds = column._of_texts(view)
    places, strays = unread(view, seconds)
    if not forced and n_wanted - strays < (1 - STRAY_SHARE) * n_wanted:
        return None, "dates with the day first and with the month first"
    if forced and places:
        raise ValueError(f"column {view.name!r} must hold dates: could not read {listed(view.pieces[0][places])}")
    if strays:
        said.append(f"{strays} cells that are none are missing")
        column.absent = view.pieces[0][places[:MOST_ABSENT]].tolist()
    column.parts = chosen_parts(seconds, hours_only)
    what = "times of the day" if hours_only else "dates"
    column.reason = f"{what} written as text" + (f" ({', '.join(said)})" if said else "")
    return column, ""


enter_record(DateColumn, "date column")
