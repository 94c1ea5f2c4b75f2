"""Tables that memory does not hold, as sources of blocks; ``fasttrain predict`` over them."""

import csv
import gzip
import io
import os
import sys
import tempfile
import zlib
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from fasttrain import data
from fasttrain._files.atomic import file_at
from fasttrain._tables.frames import named
from fasttrain.cli._columns import code_columns
from fasttrain.cli._predicting import predict_table, prepared_model, without_formulas
from fasttrain.cli._screen import shortened
from fasttrain.cli._tables import STDIN
from fasttrain.data._files import files_of
from fasttrain.data._use import stream

# Bytes of memory that a byte of a file becomes on the way to a model, by what the file is.
_GROWTH = {"text": 6, "packed": 20, "parquet": 8}
_HEAD_BYTES = 1 << 22
_PACKED = (".gz", ".bz2", ".xz")
_PARQUET = (".parquet", ".pq")


def is_wanted(options):
    """Whether a table is read in blocks: by --stream, for a folder, and where memory would not hold it."""
    if options.stream:
        return True
    path = Path(options.data)
    if str(options.data) == STDIN or not path.exists():
        return False
    if path.is_dir():
        return True
    name = path.name.lower()
    kind = "packed" if name.endswith(_PACKED) else "parquet" if name.endswith(_PARQUET) else "text"
    return path.stat().st_size * _GROWTH[kind] > available_memory()


def available_memory():
    """Bytes that may be taken without swapping; endless where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024
    return float("inf")


@contextmanager
def source_of(path, separator, encoding, *, not_a_code=None, types=None, **options):
    """The source of a file, a folder or standard input, which is copied to a temporary file first."""
    copy = None
    try:
        if str(path) == STDIN:
            with tempfile.NamedTemporaryFile(prefix="fasttrain-", delete=False) as file:
                copy = file.name
                while part := sys.stdin.buffer.read(1 << 22):
                    file.write(part)
                size = file.tell()
            print(f"fasttrain: standard input was copied to a temporary file, {size / 1e6:.1f} MB", file=sys.stderr)
            path = copy
        elif not os.path.exists(path):
            raise ValueError(f"{path} does not exist")
        maker, reading = reading_of(path, separator, encoding, not_a_code)
        if maker == "from_csv" and types:
            # a column that is not there is for who asks for it to name
            there = _Head(path, reading.get("separator", ","), reading.get("encoding", "utf-8")).names()
            reading["types"] = reading.get("types", {}) | {name: types[name] for name in types if name in there}
        yield getattr(data, maker)(path, **reading, **options)
    except ImportError as error:
        raise ValueError(str(error)) from None
    except ValueError as error:
        if copy is None or copy not in str(error):
            raise
        raise ValueError(str(error).replace(copy, "standard input")) from error
    finally:
        if copy is not None:
            os.unlink(copy)


def reading_of(path, separator, encoding, not_a_code=None):
    """(the name of the maker in :mod:`fasttrain.data`, its options but for the target) for tables of a file or folder.

    Parameters
    ----------
    path : path
    separator, encoding : str or None
        Of text; None is found by the file's name, or UTF-8.
    not_a_code : str, default=None
        A column that stays what it looks like: the others whose numbers are codes are read as text.
    """
    if _is_parquet(path):
        return "from_parquet", {"dtype": "table"}
    tabbed = str(path).removesuffix(".gz").endswith((".tsv", ".tab"))
    separator, encoding = separator or ("\t" if tabbed else ","), encoding or "utf-8"
    codes = [name for name in code_columns(_Head(path, separator, encoding)) if name != not_a_code]
    options = {
        "separator": separator if separator != "," else None, "encoding": encoding if encoding != "utf-8" else None,
        "types": dict.fromkeys(codes, "string") or None,
    }
    return "from_csv", {"dtype": "table"} | {name: value for name, value in options.items() if value is not None}


class _Head:
    """The first megabytes of a text file, or of a folder's first, for :func:`code_columns`."""

    def __init__(self, path, separator, encoding):
        self.path = files_of(path, (".csv", ".csv.gz"))[0] if os.path.isdir(path) else path
        self.separator, self.encoding = separator, encoding

    def text_bytes(self):
        opener = gzip.open if str(self.path).endswith(".gz") else open
        with suppress(EOFError, OSError, zlib.error), opener(self.path, "rb") as file:
            text = file.read(_HEAD_BYTES)
            return text[:text.rfind(b"\n") + 1] or text
        return b""

    def names(self):
        """Of the columns."""
        text = self.text_bytes().decode(self.encoding, errors="replace").removeprefix("\ufeff")
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=self.separator), [])


def _is_parquet(path):
    if os.path.isdir(path):
        return any(name.endswith(_PARQUET) for _, _, names in os.walk(path) for name in names)
    with open(path, "rb") as file:
        return file.read(4) == b"PAR1"


def _output(path):
    return nullcontext(sys.stdout) if path is None else file_at(path, "x", encoding="utf-8", newline="")


def predict(options, interrupts):
    """Predictions of a saved model, block by block, on standard output or in a file that appears when it is whole."""
    model, notes = prepared_model(options.folder, options.unknown, options.proba)
    texts = dict.fromkeys(notes["categorical"], "string")
    separator = options.sep or (None if notes["separator"] == "," else notes["separator"])
    with source_of(options.data, separator, options.encoding or notes.get("encoding"), types=texts) as source, \
            _output(options.out) as file:
        for i, block in enumerate(stream(source, source.block)):
            interrupts.check()
            found = predict_table(
                model, notes, named(block.X), source.where(i), options.missing, options.proba,
                tell=lambda line, i=i: print(f"note: {source.where(i)}: {shortened(line, 2000)}", file=sys.stderr))
            found = without_formulas(found) if options.safe_csv else found
            file.write(found.to_csv(index=False, header=i == 0))
