"""Sources of Parquet files, a block for each row group or for some small ones together."""

import os
from typing import Any

import numpy as np

from fasttrain._core.checks import check_integer
from fasttrain._kernels.threads import get_num_threads
from fasttrain.data._arrays import BLOCK_BYTES
from fasttrain.data._blocks import Block, Blocks
from fasttrain.data._columns import dtype_of, fill_rows, is_number, target_of, weights_of
from fasttrain.data._files import FileStamp, files_of
from fasttrain.data._options import chosen_dtype, feature_names, needs

# Rows that are decoded at a time: what Arrow holds of a row group beside the block.
_BATCH_ROWS = 1 << 15


class ParquetBlocks(Blocks):
    """What :func:`from_parquet` makes."""

    concurrent = True

    def __init__(self, files, names, target, sample_weight, dtype, places, **options):
        super().__init__(**options)
        self.names = names
        self._files = files
        self._target = target
        self._weight = sample_weight
        self._dtype = dtype
        self._places = places
        self._metadata = {}

    def __getstate__(self):
        return {**super().__getstate__(), "_metadata": {}}

    @property
    def n_blocks(self):
        return len(self._places)

    def rows(self, i):
        return self._places[i][3]

    def where(self, i, row=None):
        number, groups, first, _ = self._places[i]
        path = self._files[number].path
        text = f"{path}, row group {groups[0]}"
        if len(groups) > 1:
            text = f"{path}, row groups {groups[0]} to {groups[-1]}"
        return text if row is None else f"{text}, row {row} (row {first + row} of the file)"

    def block(self, i):
        import pyarrow as pa
        from pyarrow import parquet

        number, groups, _, n_rows = self._places[i]
        others = [*([self._target] if isinstance(self._target, str) else self._target or []),
                  *([self._weight] if self._weight else [])]
        try:
            self._files[number].require()
            # by its path, since a file of Python's is read under the lock that training needs; without reading ahead
            # within a row group, which costs copies
            known = self._metadata.get(number)
            with parquet.ParquetFile(self._files[number].path, metadata=known, pre_buffer=False) as found:
                # what a file says of its row groups takes longer to read than one of them, where there are many
                self._metadata[number] = found.metadata
                wanted = list(dict.fromkeys([*self.names, *others]))
                X = None if self._dtype is None else np.empty((n_rows, len(self.names)), dtype=self._dtype)
                kept, at = [], 0
                # where blocks are read ahead a thread reads each: Arrow's own, over its columns, would be beside those
                threads = not self.read_ahead and get_num_threads() > 1
                for batch in found.iter_batches(
                        _BATCH_ROWS, row_groups=groups, columns=wanted, use_threads=threads):
                    if X is not None:
                        fill_rows(batch, self.names, X[at:at + batch.num_rows])
                    at += batch.num_rows
                    kept.append(batch if X is None else batch.select(others))
        except (pa.ArrowException, OSError, EOFError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise ValueError(f"{self.where(i)} cannot be read: {error}") from error
        if at != n_rows:
            raise ValueError(f"{self.where(i)} has {at} rows, and its file says {n_rows}")
        table = pa.Table.from_batches(kept) if kept and kept[0].num_columns else None

        def place(row):
            return self.where(i, row)

        if X is None:
            X = table.select(self.names)
        y = None if self._target is None else target_of(table, self._target, place)
        return Block(X, y, None if self._weight is None else weights_of(table, self._weight, place))


def from_parquet(
    path: str | os.PathLike[str] | list[Any], *, target: str | list[str] | None = None,
    columns: list[str] | None = None,
    sample_weight: str | None = None, dtype: Any = None, block_rows: int | None = None, buffer_blocks: int = 4,
    shuffle: bool = True, read_ahead: bool = True,
) -> Blocks:
    """A source of Parquet files, of which one row group at a time is decoded. Needs pyarrow.

    Parameters
    ----------
    path : path, pattern, folder or list of them
        The .parquet files of a folder, those of folders in it too, are taken in the order of their names.
    target : str or list of str, default=None
        The column that is y, or columns for several outputs.
    columns : list of str, default=None
        Those of X, in this order; None takes all but the target and the weights, in the order of the first file.
    sample_weight : str, default=None
        The column of weights.
    dtype : {'float32', 'float64', 'table'} or None, default=None
        What X is read as: a matrix, in which a missing number is NaN, or with 'table' an Arrow table, which
        :class:`fasttrain.preprocessing.TablePreprocessor` takes. None is a table where a column is neither number nor
        bool, else float32 where all columns are of 32 bits or less, integers of 16, and float64 where not.
    block_rows : int, default=None
        Row groups of a file that follow one another become one block until it has so many rows; None until it has
        32 MiB. A larger row group is one block, since a file cannot be entered in the middle of one.
    buffer_blocks, shuffle, read_ahead
        As for :class:`Blocks`.

    Returns
    -------
    Blocks

    Raises
    ------
    ImportError
        Without pyarrow.
    ValueError
        When a column is not there, holds text where numbers are asked for, or a file has not the columns and types of
        the first; the message names file and column. Row groups that cannot be read, missing targets and files that
        have changed are named when they are met.

    Examples
    --------
    >>> import os, tempfile
    >>> import pandas as pd
    >>> from fasttrain.data import from_parquet
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = pd.DataFrame({"size": [1.0, 2.0, 3.0], "rooms": [2.0, 2.0, 4.0], "price": [10.0, 15.0, 30.0]})
    ...     table.to_parquet(os.path.join(folder, "part-0.parquet"), row_group_size=2)
    ...     source = from_parquet(folder, target="price", block_rows=1)
    ...     source.n_blocks, source.names, source.block(1).X.tolist(), source.block(1).y.tolist()
    (2, ['size', 'rooms'], [[3.0, 4.0]], [30.0])
    """
    parquet = needs("pyarrow.parquet", "from_parquet")
    import pyarrow as pa

    block_rows = check_integer(block_rows, "block_rows", low=1, optional=True)
    files, places, schema = [], [], None
    for file_path in files_of(path, (".parquet", ".pq")):
        stamp = FileStamp(file_path)
        try:
            with stamp.opened() as file, parquet.ParquetFile(file) as found:
                own, metadata = found.schema_arrow, found.metadata
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{os.fspath(file_path)} is not a Parquet file that can be read: {error}") from error
        if schema is None:
            schema = own
            names = feature_names(columns, target, sample_weight, schema.names, stamp.path)
            row_bytes = 8 * max(1, len(names))
            fewest = block_rows or max(1, BLOCK_BYTES // row_bytes)
            used = {*names, *([target] if isinstance(target, str) else target or []),
                    *([sample_weight] if sample_weight else [])}
        else:
            _require_schema(own, schema, used, stamp.path, files[0].path)
        places += _places_of(metadata, len(files), fewest)
        files.append(stamp)
    if not places:
        raise ValueError(f"{files[0].path} has columns but no rows")
    kinds = {name: schema.field(name).type for name in names}
    dtype = chosen_dtype(dtype, kinds, files[0].path, is_number, dtype_of)
    return ParquetBlocks(files, names, target, sample_weight, dtype, places, buffer_blocks=buffer_blocks,
                         shuffle=shuffle, read_ahead=read_ahead)


def _places_of(metadata, number, fewest):
    """(file, row groups, first row of the file, rows) of each block of a file."""
    places, groups, first, count = [], [], 0, 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if rows:
            groups.append(group)
            count += rows
        if groups and (count >= fewest or group == metadata.num_row_groups - 1):
            places.append((number, groups, first, count))
            groups, first, count = [], first + count, 0
    if groups:
        places.append((number, groups, first, count))
    return places


def _require_schema(own, schema, used, path, first):
    """ValueError unless a file has the columns that are used, of the types that they have in the first file."""
    for name in [name for name in schema.names if name in used]:
        if own.get_field_index(name) < 0:
            raise ValueError(f"{path} lacks the column {name!r}, which {first} has")
        if own.field(name).type != schema.field(name).type:
            raise ValueError(
                f"the column {name!r} of {path} holds {own.field(name).type}, and {schema.field(name).type} in {first}")
