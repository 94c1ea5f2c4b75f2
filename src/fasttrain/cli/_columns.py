"""What the command line says about columns: kinds by name, codes with leading zeros, targets written as text."""

import re

import pandas as pd

from fasttrain._tables.frames import Table
from fasttrain.preprocessing.columns.numbers import recognise_numbers
from fasttrain.preprocessing.columns.recognition import KINDS, stated
from fasttrain.preprocessing.columns.view import ColumnView

OPTIONS = {
    "numeric": {"decimal-comma": {"decimal": ","}, "decimal-point": {"decimal": "."}},
    "date": {"day-first": {"day_first": True}, "month-first": {"day_first": False}},
}


def kinds_of(entries):
    """``types`` of a TablePreprocessor from texts "NAME=KIND", "NAME=KIND:OPTION" and "NAME=ordered:LOW,...,HIGH"."""
    types = {}
    for entry in entries:
        name, equals, wanted = entry.rpartition("=")
        if not equals or not name:
            raise ValueError(f"--column must be NAME=KIND, KIND one of {', '.join(KINDS)}, got {entry!r}")
        kind, colon, option = wanted.partition(":")
        value = kind
        if colon and kind == "ordered":
            value = [item.strip() for item in option.split(",")]
        elif colon:
            known = OPTIONS.get(kind, {})
            if option not in known:
                listed = ", ".join(known) or "none"
                raise ValueError(f"--column {entry}: {kind!r} has no option {option!r}; it has {listed}")
            value = {"kind": kind, **known[option]}
        try:
            stated(name, value)
        except ValueError as error:
            raise ValueError(str(error).replace(f"types[{name!r}]", f"--column {entry}: the kind", 1)) from None
        types[name] = value
    return types


def with_codes(table, path, separator, encoding):
    """The table of a CSV file whose whole numbers with leading zeros are text again, as they stand in the file."""
    mark = re.escape(separator.encode())
    pattern = re.compile(rb'(?:^|[\r\n"]|' + mark + rb')0[0-9]+(?:[\r\n"]|$|' + mark + rb")")
    if not pattern.search(path.read_bytes()):
        return table
    whole = [name for name in table.columns if pd.api.types.is_integer_dtype(table[name].dtype)
             or pd.api.types.is_float_dtype(table[name].dtype)]  # fmt: skip
    spelled = pd.read_csv(path, sep=separator, index_col=False, encoding=encoding, dtype=str, usecols=whole)
    codes = {
        name: spelled[name] for name in whole if spelled[name].str.fullmatch("0[0-9]+").fillna(False).any()
    }
    return table.assign(**codes)


def written_numbers(column):
    """A column of text that is numbers throughout, as float64; None for any other."""
    view = ColumnView(Table(column), 0)
    if view.storage != "text" or view.missing.all():
        return None
    found, _ = recognise_numbers(view)
    if found is None or found.strays(view)[1]:
        return None
    return pd.Series(found.numbers(view), index=column.index, name=column.name)


def left_out(columns):
    """A line for each column that is no part of the matrix, of ``columns_`` of a TablePreprocessor."""
    return [
        f"{fact['name']!r} {fact['reason']}: left out" + (f"; --column {fact['name']}={fact['keep']} keeps it" if fact["keep"] else "")
        for fact in columns if fact["kind"] == "drop" and fact["reason"] != "left out as asked"
    ]
