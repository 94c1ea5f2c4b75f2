"""Reading a CSV file that has to be a table."""

import csv
from collections import Counter
from pathlib import Path

import pandas as pd

ENCODING = "utf-8-sig"
# Reading one column costs pandas a tenth of a millisecond, whatever is in it, and what comes after it more.
MOST_COLUMNS = 100_000


def read_table(path, separator=",", as_text=()):
    """The CSV file ``path`` as a data frame.

    Parameters
    ----------
    path : path
    separator : str, default=','
    as_text : collection of str
        Columns that keep their spelling, whatever it looks like.

    Raises
    ------
    ValueError
        When the file is missing, empty, not text, has a column name twice, or a line with more or fewer cells
        than the header; the message names the file and the line.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path} does not exist")
    if not path.is_file():
        raise ValueError(f"{path} is not a file")
    try:
        header, n_rows = _check_shape(path, separator)
        if not n_rows:
            raise ValueError(f"{path} has a header but no rows")
        text = {name: str for name in as_text if name in header}
        return pd.read_csv(path, sep=separator, index_col=False, encoding=ENCODING, dtype=text, low_memory=False)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from None
    except csv.Error as error:
        raise ValueError(f"{path} is not a CSV file: {error}") from None


def _check_shape(path, separator):
    """The header, and the number of rows under it, each as long as it."""
    with open(path, newline="", encoding=ENCODING) as file:
        reader = csv.reader(file, delimiter=separator)
        header = next((line for line in reader if line), None)
        if header is None:
            raise ValueError(f"{path} is empty")
        if len(header) > MOST_COLUMNS:
            raise ValueError(f"{path} has {len(header)} columns, of which at most {MOST_COLUMNS} are read")
        twice = sorted(name for name, count in Counter(header).items() if count > 1)
        if twice:
            raise ValueError(f"{path} has the column {twice[0]!r} twice")
        n_rows = 0
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise ValueError(
                    f"{path} is ragged: line {reader.line_num} has {len(cells)} cells, the header has {len(header)}"
                )
            n_rows += 1
    return header, n_rows
