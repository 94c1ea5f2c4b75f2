"""What the command line says about columns: kinds by name, codes with leading zeros, targets written as text."""

import csv
import io
import re

import pandas as pd

from fasttrain._tables.frames import Table
from fasttrain.preprocessing.columns.numbers import recognise_numbers
from fasttrain.preprocessing.columns.recognition import KINDS, stated
from fasttrain.preprocessing.columns.view import ColumnView

CODE = re.compile("0[0-9]+")
MOST_LINES = 5_000
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


def code_columns(file):
    """Names of the columns of a table's file in which whole numbers have leading zeros: they are to be read as text.

    Looked at are the lines in which bytes that may be such a cell stand, the first ``MOST_LINES`` of them.
    """
    data, separator, encoding = file.text_bytes(), file.separator, file.encoding
    mark = re.escape(separator.encode())
    pattern = re.compile(rb'(?:^|[\r\n"]|' + mark + rb')0[0-9]+(?=[\r\n"]|$|' + mark + rb")")
    lines, stop = [], 0
    for match in pattern.finditer(data):
        if match.start() < stop:
            continue
        start = data.rfind(b"\n", 0, match.end() - 1) + 1
        stop = data.find(b"\n", match.end()) + 1 or len(data)
        lines.append(data[start:stop])
        if len(lines) == MOST_LINES:
            break
    if not lines:
        return []
    try:
        header = next(line for line in csv.reader(io.StringIO(data[:1 << 20].decode(encoding, "replace")),
                                                  delimiter=separator) if line)
        rows = csv.reader(io.StringIO(b"".join(lines).decode("utf-8", "replace")), delimiter=separator)
        found = {i for row in rows if len(row) == len(header) for i, cell in enumerate(row) if CODE.fullmatch(cell)}
    except (csv.Error, StopIteration):
        return []
    return [header[i] for i in sorted(found)]


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
    lines = []
    for fact in columns:
        if fact["kind"] == "drop" and fact["reason"] != "left out as asked":
            keep = f"; --column {fact['name']}={fact['keep']} keeps it" if fact["keep"] else ""
            lines.append(f"{fact['name']!r} {fact['reason']}: left out{keep}")
    return lines
