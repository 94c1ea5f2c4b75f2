"""Sources of text files of cells, cut into parts at ends of rows."""

import bz2
import gzip
import io
import lzma
import os
import re
import tempfile
import weakref
from contextlib import suppress
from typing import Any

import numpy as np

from fasttrain._core.checks import check_integer
from fasttrain.data._blocks import Block, Blocks
from fasttrain.data._columns import RowFiller, is_number, target_of, weights_of
from fasttrain.data._files import FileStamp, files_of
from fasttrain.data._options import chosen_dtype, feature_names, needs

_PACKED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
# Bytes of text to a block; as numbers they are about as many.
_BLOCK_BYTES = 1 << 24
_READ_BYTES = 1 << 22
_QUOTE, _NEWLINE = ord('"'), ord("\n")


def _unpacked(path):
    """A temporary copy of a packed file, which cannot be entered in the middle; it goes with the object returned."""
    opener = next((opener for ending, opener in _PACKED.items() if path.endswith(ending)), None)
    if opener is None:
        return None
    copy = tempfile.NamedTemporaryFile(prefix="fasttrain-", suffix=".csv", delete=False)  # noqa: SIM115
    try:
        with copy, opener(path, "rb") as file:
            while part := file.read(_READ_BYTES):
                copy.write(part)
    except (OSError, EOFError, lzma.LZMAError) as error:
        os.unlink(copy.name)
        raise ValueError(f"{path} is cut short or damaged: {error}") from error
    return copy.name


def _forget(path):
    with suppress(OSError):
        os.unlink(path)


def _parts_of(path, block_bytes):
    """(first, last) bytes of parts of a file that end where a row does; line ends within quotes are no ends of rows."""
    parts, start, at, inside = [], 0, 0, False
    known = np.empty(0, dtype=np.int64)
    with open(path, "rb") as file:
        while text := file.read(_READ_BYTES):
            cells = np.frombuffer(text, dtype=np.uint8)
            ends = np.flatnonzero(cells == _NEWLINE)
            if inside or b'"' in text:
                quotes = np.flatnonzero(cells == _QUOTE)
                ends = ends[(np.searchsorted(quotes, ends) + inside) % 2 == 0]
                inside = bool((len(quotes) + inside) % 2)
            # the last one before this text too, where the row after it has made the part too long
            known = np.concatenate([known[-1:], ends + at + 1])
            at += len(text)
            while at - start > block_bytes and len(known) and known[-1] > start:
                place = max(int(np.searchsorted(known, start + block_bytes, "right")) - 1, 0)
                if known[place] <= start:
                    place = int(np.searchsorted(known, start, "right"))
                parts.append((start, int(known[place])))
                start = int(known[place])
    if at > start:
        parts.append((start, at))
    return parts


class CsvBlocks(Blocks):
    """What :func:`from_csv` makes."""

    def __init__(self, files, header, names, target, sample_weight, dtype, places, reading, **options):
        super().__init__(**options)
        self.names = names
        self._files = files
        self._header = header
        self._target = target
        self._weight = sample_weight
        self._dtype = dtype
        self._places = places
        self._reading = reading
        self._rows = {}

    @property
    def n_blocks(self):
        return len(self._places)

    def rows(self, i):
        return self._rows.get(i)

    def where(self, i, row=None):
        number, first, last = self._places[i]
        path, text = self._files[number].shown, f"bytes {first} to {last - 1}"
        if row is None:
            return f"{path}, {text}"
        before, k = 0, i - 1
        while k >= 0 and self._places[k][0] == number and before is not None:
            before = None if self._rows.get(k) is None else before + self._rows[k]
            k -= 1
        return f"{path}, {text}, row {row}" + ("" if before is None else f" (row {before + row} of the file)")

    def block(self, i):
        number, first, last = self._places[i]
        with self._files[number].stamp.opened() as file:
            file.seek(first)
            text = file.read(last - first)
        table = self._reading.table(text, self._header, self.where(i))
        n_rows = table.num_rows
        if self._rows.setdefault(i, n_rows) != n_rows:
            raise ValueError(f"{self.where(i)} has {n_rows} rows, and had {self._rows[i]} before")

        def place(row):
            return self.where(i, row)

        if self._dtype is None:
            X = table.select(self.names)
        else:
            X = np.empty((n_rows, len(self.names)), dtype=self._dtype)
            at, rows = 0, RowFiller(table.schema, self.names)
            for batch in table.to_batches():
                rows.fill(batch, X[at:at + batch.num_rows])
                at += batch.num_rows
        y = None if self._target is None else target_of(table, self._target, place)
        return Block(X, y, None if self._weight is None else weights_of(table, self._weight, place))


def _in_words(message, header):
    """What Arrow says of a text, its columns by their names and its rows counted from 0; on one line, and not all of a
    damaged one."""
    message = "".join(letter if letter.isprintable() else " " for letter in message)
    message = re.sub(r"^CSV parse error: Row #(\d+)", lambda found: f"row {int(found[1]) - 1}", message)
    if header is not None and (found := re.match(r"In CSV column #(\d+): (?:Row #(\d+): )?", message)):
        row = "" if found[2] is None else f"row {int(found[2]) - 1}, "
        message = f"{row}column {header[int(found[1])]!r}: {message[found.end():]}"
    message = " ".join(message.split())
    return message if len(message) <= 300 else message[:300] + " ..."


class _CsvFile:
    """A file, and its copy where it is packed."""

    def __init__(self, path):
        self.shown = os.fspath(path)
        copy = _unpacked(self.shown)
        self.stamp = FileStamp(self.shown if copy is None else copy)
        if copy is not None:
            self._end = weakref.finalize(self, _forget, copy)

    def __getstate__(self):
        if hasattr(self, "_end"):
            raise TypeError(f"a source of the packed file {self.shown} cannot be pickled, as its copy is temporary")
        return vars(self)


class _Reading:
    """How text becomes a table."""

    def __init__(self, separator, encoding, types):
        self.separator = separator
        self.encoding = encoding
        self.types = types

    def table(self, text, header, place):
        import pyarrow as pa
        from pyarrow import csv

        read = csv.ReadOptions(
            column_names=header, encoding=self.encoding, block_size=max(1 << 20, len(text) + 1))
        parse = csv.ParseOptions(delimiter=self.separator, newlines_in_values=True)
        convert = csv.ConvertOptions(
            column_types=self.types, include_columns=list(self.types) or None, strings_can_be_null=True,
            quoted_strings_can_be_null=False)
        try:
            return csv.read_csv(io.BytesIO(text), read, parse, convert)
        except (pa.ArrowException, UnicodeDecodeError) as error:
            found = str(error)
            if header is not None:
                # on one thread Arrow knows of which row it speaks
                read.use_threads = False
                with suppress(UnicodeDecodeError):
                    try:
                        csv.read_csv(io.BytesIO(text), read, parse, convert)
                    except pa.ArrowException as placed:
                        found = str(placed)
            raise ValueError(f"{place}: {_in_words(found, header)}") from error


def from_csv(
    path: str | os.PathLike[str] | list[Any], *, target: str | list[str] | None = None,
    columns: list[str] | None = None,
    sample_weight: str | None = None, dtype: Any = None, separator: str = ",", encoding: str = "utf8",
    types: dict[str, Any] | None = None, block_bytes: int | None = None, buffer_blocks: int = 4, shuffle: bool = True,
    read_ahead: bool = True,
) -> Blocks:
    """A source of text files of cells, of which a part at a time is read. Needs pyarrow.

    The first pass over each file looks for the ends of rows, so that any part may be read alone; quoted cells may hold
    line ends. What a column holds is decided by the first part of the first file.

    Parameters
    ----------
    path : path, pattern, folder or list of them
        The .csv files of a folder, and those of it that are packed, are taken in the order of their names. Each has the
        same header. A .gz, .bz2 or .xz file is unpacked to a temporary file first.
    target : str or list of str, default=None
        The column that is y, or columns for several outputs.
    columns : list of str, default=None
        Those of X, in this order; None takes all but the target and the weights.
    sample_weight : str, default=None
        The column of weights.
    dtype : {'float32', 'float64', 'table'} or None, default=None
        What X is read as: a matrix, in which an empty cell is NaN, or with 'table' an Arrow table, which
        :class:`fasttrain.preprocessing.TablePreprocessor` takes. None is a table where a column is neither number nor
        bool, else float64.
    separator : str, default=','
    encoding : str, default='utf8'
    types : dict, default=None
        Column to a type of Arrow or its name, where that of the first part is not wanted: ``{"code": "string"}``.
    block_bytes : int, default=None
        Bytes of a block's text; None is 16 MiB.
    buffer_blocks, shuffle, read_ahead
        As for :class:`Blocks`.

    Returns
    -------
    Blocks
        Its rows are not known before they have been read.

    Raises
    ------
    ImportError
        Without pyarrow.
    ValueError
        When a column is not there, or another file has another header. Rows of another length, text in a column of
        numbers and missing targets are named, with file and bytes, when they are met.

    Examples
    --------
    >>> import os, tempfile
    >>> from fasttrain.data import from_csv
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "flats.csv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("size,rooms,price\\n1,2,10\\n2,2,15\\n3,4,30\\n")
    ...     source = from_csv(path, target="price", block_bytes=8)
    ...     source.n_blocks, source.block(2).X.tolist(), source.block(2).y.tolist()
    (3, [[3.0, 4.0]], [30])
    """
    needs("pyarrow.csv", "from_csv")
    import pyarrow as pa

    if not isinstance(separator, str) or len(separator) != 1:
        raise ValueError(f"separator must be one character, got {separator!r}")
    if not separator.isascii() or separator in '\r\n"\0':
        raise ValueError(f"separator must be an ASCII character that ends no row and quotes nothing, got {separator!r}")
    _check_encoding(encoding)
    if types is not None and not isinstance(types, dict):
        raise TypeError(f"types must be a dict from columns to types of Arrow or None, got {type(types).__name__}")
    block_bytes = check_integer(block_bytes, "block_bytes", low=1, optional=True) or _BLOCK_BYTES
    files, places, header = [], [], None
    plain = _Reading(separator, encoding, {})
    for file_path in files_of(path, (".csv", ".csv.gz", ".csv.bz2", ".csv.xz")):
        file = _CsvFile(file_path)
        own, first = _header_of(file, plain)
        if header is None:
            header = own
        elif own != header:
            raise ValueError(f"{file.shown} has the header {own}, and {files[0].shown} has {header}")
        places += [(len(files), *part) for part in _rest_of(_parts_of(file.stamp.path, block_bytes), first)]
        files.append(file)
    if not places:
        raise ValueError(f"{files[0].shown} has a header but no rows")
    names = feature_names(columns, target, sample_weight, header, files[0].shown)
    kinds = _kinds_of(files, places[0], header, plain, types)
    targets = [] if target is None else [target] if isinstance(target, str) else list(target)
    used = [*names, *targets, *([sample_weight] if sample_weight else [])]
    dtype = chosen_dtype(
        dtype, {name: kinds[name] for name in names}, files[0].shown, is_number, lambda _: np.dtype(np.float64))
    if dtype is not None:
        # a column whose first part has whole numbers may have others later
        kinds.update(dict.fromkeys(set(names) - set(types or {}), pa.float64()))
    reading = _Reading(separator, encoding, {name: kinds[name] for name in used})
    return CsvBlocks(files, header, names, target, sample_weight, dtype, places, reading, buffer_blocks=buffer_blocks,
                     shuffle=shuffle, read_ahead=read_ahead)


def _check_encoding(encoding):
    """An error unless Python knows the encoding, and a line end in it is the byte by which files are cut in parts."""
    if not isinstance(encoding, str):
        raise TypeError(f"encoding must be the name of an encoding, such as 'latin-1', got {encoding!r}")
    try:
        plain = b",\n".decode(encoding) == ",\n"
    except LookupError:
        raise ValueError(f"encoding must be one that Python knows, such as 'latin-1', got {encoding!r}") from None
    except UnicodeDecodeError:
        plain = False
    if not plain:
        raise ValueError(
            f"encoding must have a byte for a line end, as utf8 and latin-1 have, got {encoding!r}: write the file in "
            "such a one")


def _header_of(file, reading):
    """(names of the columns, bytes of the line that has them)."""
    with file.stamp.opened() as opened:
        lines, inside = [], False
        # a quoted name may hold line ends
        while inside or not (lines and lines[-1].strip()):
            lines.append(opened.readline())
            if not lines[-1]:
                what = "has a header in which a quote is not closed" if inside else "is empty"
                raise ValueError(f"{file.shown} {what}")
            inside ^= lines[-1].count(b'"') % 2 == 1
        line = b"".join(lines)
        first = opened.tell()
    table = reading.table(line.lstrip(b"\xef\xbb\xbf"), None, f"{file.shown}, its header")
    try:
        return table.column_names, first
    except UnicodeDecodeError as error:
        raise ValueError(_no_text(f"{file.shown}: its header", reading)) from error


def _no_text(what, reading):
    return f"{what} is not {reading.encoding} text: encoding says how it is written, such as latin-1"


def _rest_of(parts, first):
    """The parts without the header."""
    return [(max(start, first), end) for start, end in parts if end > first]


def _kinds_of(files, place, header, reading, types):
    """Types of the columns as the first part has them."""
    import pyarrow as pa

    number, first, last = place
    with files[number].stamp.opened() as file:
        file.seek(first)
        table = reading.table(file.read(last - first), header, files[number].shown)
    kinds = dict(zip(table.column_names, table.schema.types))
    for name, kind in kinds.items():
        if pa.types.is_null(kind):
            kinds[name] = pa.float64()
        elif pa.types.is_binary(kind):
            # what Arrow makes of bytes that are no text
            raise ValueError(_no_text(f"{files[0].shown}: the column {name!r}", reading))
    for name, kind in (types or {}).items():
        if name not in kinds:
            raise ValueError(f"types names the column {name!r}, which {files[0].shown} lacks")
        try:
            kinds[name] = pa.type_for_alias(kind) if isinstance(kind, str) else kind
            known = isinstance(kinds[name], pa.DataType)
        except ValueError:
            known = False
        if not known:
            raise ValueError(f"types must hold types of Arrow or their names, got {kind!r} for {name!r}") from None
    return kinds
