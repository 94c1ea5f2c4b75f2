"""Reading a file that has to be a table: CSV and its kin, compressed or not, Parquet, standard input."""

import csv
import gzip
import importlib.util
import io
import sys
import zlib
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd

# Reading one column costs pandas a tenth of a millisecond, whatever is in it, and what comes after it more.
MOST_COLUMNS = 100_000
STDIN = "-"
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_TABBED = (".tsv", ".tab")


class TableFile:
    """A table in a file, or on standard input, that may be read more than once.

    Parameters
    ----------
    path : path or "-"
        Standard input is read to its end.
    separator : str or None, default=None
        Between cells; None is the tab for names that end in .tsv or .tab, and the comma else.
    encoding : str, default="utf-8"

    Raises
    ------
    ValueError
        When there is no such file, for an unknown encoding, and for Parquet without pyarrow.
    """

    def __init__(self, path, separator=None, encoding="utf-8"):
        self.name = "standard input" if str(path) == STDIN else str(path)
        self._path = None if str(path) == STDIN else Path(path)
        self._content = sys.stdin.buffer.read() if self._path is None else None
        if self._path is not None:
            if not self._path.exists():
                raise ValueError(f"{path} does not exist")
            if not self._path.is_file():
                raise ValueError(f"{path} is not a file")
        suffixes = [] if self._path is None else [suffix.lower() for suffix in self._path.suffixes]
        named_gzip = suffixes[-1:] == [".gz"]
        with self._raw() as file:
            magic = file.read(4)
        self._is_gzip = magic[:2] == _GZIP
        self.is_parquet = magic == _PARQUET
        if named_gzip and not self._is_gzip:
            raise ValueError(f"{self.name} is not a gzip file, as its name says")
        if suffixes[-1:] in ([".parquet"], [".pq"]) and not self.is_parquet:
            raise ValueError(f"{self.name} is not a Parquet file, as its name says")
        if self.is_parquet and importlib.util.find_spec("pyarrow") is None:
            raise ValueError(f"{self.name} is a Parquet file, which pyarrow reads: pip install 'fasttrain[parquet]'")
        inner = suffixes[:-1] if named_gzip else suffixes
        self.separator = separator or ("\t" if inner[-1:] and inner[-1] in _TABBED else ",")
        try:
            "".encode(encoding)
        except LookupError:
            raise ValueError(
                f"encoding must be one that Python knows, such as utf-8 or latin-1, got {encoding!r}"
            ) from None
        self.encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding

    @contextmanager
    def _raw(self):
        with open(self._path, "rb") if self._content is None else io.BytesIO(self._content) as file:
            yield file

    @contextmanager
    def _opened(self):
        """The bytes of the table, decompressed."""
        with self._raw() as file:
            if self._is_gzip:
                with gzip.GzipFile(fileobj=file) as inner:
                    yield inner
            else:
                yield file

    def text_bytes(self):
        """The bytes of a table that is text, decompressed as far as they can be; none of Parquet."""
        if self.is_parquet:
            return b""
        found = io.BytesIO()
        with suppress(EOFError, zlib.error, gzip.BadGzipFile), self._opened() as file:
            while part := file.read(1 << 20):
                found.write(part)
        return found.getvalue()

    def read(self, as_text=()):
        """The table as a data frame.

        Parameters
        ----------
        as_text : collection of str
            Columns that keep their spelling, whatever it looks like.

        Raises
        ------
        ValueError
            When the file is empty, not text, cut short, has a column name twice, or a line with more or fewer cells
            than the header; the message names the file and the line.
        """
        try:
            return self._read_parquet(as_text) if self.is_parquet else self._read_text(as_text)
        except UnicodeDecodeError as error:
            encoding = "UTF-8" if self.encoding == "utf-8-sig" else self.encoding
            raise ValueError(
                f"{self.name} is not {encoding} text: {error}; --encoding says how it is written, such as latin-1"
            ) from None
        except csv.Error as error:
            raise ValueError(f"{self.name} is not a CSV file: {error}") from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{self.name} is cut short or damaged: {error}") from None

    def _read_text(self, as_text):
        header, n_rows = self._check_shape()
        if not n_rows:
            raise ValueError(f"{self.name} has a header but no rows")
        text = {name: str for name in as_text if name in header}
        with self._opened() as file:
            return pd.read_csv(
                file, sep=self.separator, index_col=False, encoding=self.encoding, dtype=text, low_memory=False,
                compression=None,
            )  # fmt: skip

    def _lines(self, text):
        for number, line in enumerate(text, 1):
            if "\0" in line:
                raise ValueError(f"{self.name} is not a text file: line {number} holds a NUL character")
            yield line

    def _check_shape(self):
        """The header, and the number of rows under it, each as long as it."""
        with self._opened() as file:
            text = io.TextIOWrapper(file, self.encoding, newline="")
            # strict, so that a quote that is never closed does not swallow what follows
            reader = csv.reader(self._lines(text), delimiter=self.separator, strict=True)
            try:
                return self._check_rows(reader)
            except csv.Error as error:
                raise csv.Error(f"line {reader.line_num}: {error}") from None

    def _check_rows(self, reader):
        header = next((line for line in reader if line), None)
        if header is None:
            raise ValueError(f"{self.name} is empty")
        self._check_names(header)
        n_rows = 0
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise ValueError(
                    f"{self.name} is ragged: line {reader.line_num} has {len(cells)} cells, the header has "
                    f"{len(header)}"
                )
            n_rows += 1
        return header, n_rows

    def _check_names(self, names):
        if len(names) > MOST_COLUMNS:
            raise ValueError(f"{self.name} has {len(names)} columns, of which at most {MOST_COLUMNS} are read")
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if twice:
            raise ValueError(f"{self.name} has the column {twice[0]!r} twice")

    def _read_parquet(self, as_text):
        import pyarrow
        from pyarrow import parquet

        try:
            with self._raw() as file:
                found = parquet.ParquetFile(file)
                self._check_names(found.schema_arrow.names)
                table = found.read()
        except (pyarrow.ArrowException, OSError) as error:
            raise ValueError(f"{self.name} is not a Parquet file that can be read: {error}") from None
        if not table.num_columns:
            raise ValueError(f"{self.name} is empty")
        if not table.num_rows:
            raise ValueError(f"{self.name} has columns but no rows")
        for field in table.schema:
            if pyarrow.types.is_nested(field.type):
                raise ValueError(
                    f"the column {field.name!r} of {self.name} holds {field.type}, which is no single value"
                )
        frame = table.to_pandas(ignore_metadata=True)
        for name in frame.columns:
            column = frame[name]
            if isinstance(column.dtype, pd.CategoricalDtype):
                frame[name] = column.astype(column.cat.categories.dtype)
            if name in as_text:
                frame[name] = frame[name].astype(object).map(str, na_action="ignore")
        return frame
