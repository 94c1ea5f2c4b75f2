"""Sources of Parquet files, a block for each row group or for some small ones together."""

import os
from contextlib import contextmanager
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any

import numpy as np

from fasttrain._core.checks import check_integer
from fasttrain._kernels.threads import get_num_threads
from fasttrain.data._arrays import BLOCK_BYTES
from fasttrain.data._blocks import Block, Blocks
from fasttrain.data._columns import RowFiller, dtype_of, is_number, target_of, weights_of
from fasttrain.data._files import FileStamp, files_of
from fasttrain.data._options import chosen_dtype, feature_names, needs
from fasttrain.data._room import ROW_BYTES, BlockBytes, require_room

# Rows of a table that are decoded at a time.
_TABLE_ROWS = 1 << 15
# Of numbers some columns at a time are decoded, which have about so many bytes together in the file and as numbers:
# little is held beside the rows, and it is still in a cache when it becomes rows. Fewer columns than the second would
# write lines of the rows again and again.
_PART_BYTES, _PART_COLUMNS = 1 << 23, 16
# With a bound on memory: what allocators keep beside what is in use goes with what is decoded at a time.
_BOUNDED_PART_BYTES = 1 << 21
# Bytes that Arrow's allocator has of the system for one that is in use, where it is asked to give back what it can: up
# to 7.6 of mimalloc's and 3 of the system's, for row groups of 2 to 40 MB read by one thread or two.
_ARROW = 8


class ParquetBlocks(Blocks):
    """What :func:`from_parquet` makes."""

    concurrent = True
    smaller_blocks = "take fewer buffer_blocks, or write the files with smaller row groups"

    def __init__(self, files, names, target, sample_weight, dtype, places, **options):
        super().__init__(**options)
        self.names = names
        self._files = files
        self._target = target
        self._weight = sample_weight
        self._dtype = dtype
        self._places = places
        self._metadata = {}
        self._fillers = {}

    def __getstate__(self):
        return {**super().__getstate__(), "_metadata": {}, "_fillers": {}}

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

    @property
    def direct(self):
        return self._dtype is not None

    def _targets(self):
        return [self._target] if isinstance(self._target, str) else list(self._target or [])

    def _others(self):
        """Names of the columns beside those of X."""
        return [*self._targets(), *([self._weight] if self._weight else [])]

    def _parts(self, groups, found):
        """(places of the columns of X, rows) that are decoded at a time."""
        n_names, group = len(self.names), max(map(found.row_group, groups), key=attrgetter("num_rows"))
        if self._dtype is None:
            return [slice(0, n_names)], _TABLE_ROWS
        plain = self._dtype.itemsize * group.num_rows
        part_bytes = _PART_BYTES if self.memory is None else _BOUNDED_PART_BYTES
        width = max(_PART_COLUMNS, int(part_bytes // (plain + group.total_byte_size / found.num_columns)))
        # whole tiles of columns, about equally many each time
        n_parts, n_tiles = -(-n_names // width), -(-n_names // _PART_COLUMNS)
        starts = [_PART_COLUMNS * (k * n_tiles // n_parts) for k in range(n_parts)]
        parts = [slice(first, last) for first, last in zip(starts, [*starts[1:], n_names])]
        widest = max(part.stop - part.start for part in parts)
        return parts, -(-group.num_rows // -(-plain * widest // part_bytes))

    def block_bytes(self):
        from pyarrow import parquet

        number, groups, _, n_rows = max(self._places, key=itemgetter(3))
        found = self._metadata.get(number)
        if found is None:
            with self._files[number].opened() as file:
                found = self._metadata[number] = parquet.read_metadata(file)
        used = {*self.names, *self._others()}
        parts, batch_rows = self._parts(groups, found)
        plain, reading = 0, 0
        for group in groups:
            columns = map(found.row_group(group).column, range(found.num_columns))
            sizes = {
                column.path_in_schema: (column.total_compressed_size, column.total_uncompressed_size)
                for column in columns if column.path_in_schema.split(".")[0] in used}
            plain += sum(unpacked for _, unpacked in sizes.values())
            for part in parts:
                packed, unpacked = map(sum, zip(*(sizes.get(name, (0, 0)) for name in self.names[part])))
                # pages of a packed row group are unpacked one after the other, a column's at once at most
                reading = max(reading, packed + (unpacked if packed < unpacked else 0))
        others = n_rows * (8 * len(self._others()) + ROW_BYTES)
        if self._dtype is None:
            return BlockBytes(plain + others, reading)
        width = max(part.stop - part.start for part in parts)
        return BlockBytes(
            n_rows * self._dtype.itemsize * len(self.names) + others,
            int(_ARROW * (reading + width * self._dtype.itemsize * batch_rows)))

    def block(self, i):
        return self.block_into(i, None)

    def block_into(self, i, out):
        import pyarrow as pa

        number, groups, _, n_rows = self._places[i]
        others = self._others()
        with self._opened(i) as found:
            X, kept = self._place(out, n_rows), []
            # where blocks are read ahead a thread reads each: Arrow's own, over its columns, would be beside those
            threads = not self.read_ahead and get_num_threads() > 1
            parts, batch_rows = self._parts(groups, found.metadata)
            for part in parts:
                names = self.names[part]
                wanted = list(dict.fromkeys(names if part is not parts[-1] else [*names, *others]))
                at = 0
                for batch in found.iter_batches(batch_rows, row_groups=groups, columns=wanted, use_threads=threads):
                    if X is not None:
                        self._filler(number, part, batch.schema).fill(batch, X[at:at + batch.num_rows])
                    at += batch.num_rows
                    if part is parts[-1]:
                        kept.append(batch if X is None else batch.select(others))
                if at != n_rows:
                    break
        if self.memory is not None:
            # else Arrow's allocator keeps what the next block can use: 4 to 26 MB, of row groups of 10 to 20 MB
            pa.default_memory_pool().release_unused()
        self._require_rows(i, at)
        table = pa.Table.from_batches(kept) if kept and kept[0].num_columns else None
        if X is None:
            X = table.select(self.names)
        return Block(X, self._target_of(i, table),
                     None if self._weight is None else weights_of(table, self._weight, partial(self.where, i)))

    def block_target(self, i):
        if self._target is None:
            return None
        with self._opened(i) as found:
            table = found.read_row_groups(self._places[i][1], columns=self._targets(), use_threads=False)
        self._require_rows(i, table.num_rows)
        return self._target_of(i, table)

    @contextmanager
    def _opened(self, i):
        """The file of block ``i``; what is wrong with it meanwhile is said of the block."""
        import pyarrow as pa
        from pyarrow import parquet

        number = self._places[i][0]
        try:
            self._files[number].require()
            # by its path, since a file of Python's is read under the lock that training needs; without reading ahead
            # within a row group, which costs copies
            known = self._metadata.get(number)
            with parquet.ParquetFile(self._files[number].path, metadata=known, pre_buffer=False) as found:
                # what a file says of its row groups takes longer to read than one of them, where there are many
                self._metadata[number] = found.metadata
                yield found
        except (pa.ArrowException, OSError, EOFError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise ValueError(f"{self.where(i)} cannot be read: {' '.join(str(error).split())}") from error

    def _require_rows(self, i, found):
        if found != self._places[i][3]:
            raise ValueError(f"{self.where(i)} has {found} rows, and its file says {self._places[i][3]}")

    def _target_of(self, i, table):
        return None if self._target is None else target_of(table, self._target, partial(self.where, i))

    def _filler(self, number, part, schema):
        key = number, part.start, part.stop
        if key not in self._fillers:
            self._fillers[key] = RowFiller(schema, self.names)
        return self._fillers[key]

    def _place(self, out, n_rows):
        """Where the rows go; None for a table."""
        if self._dtype is None:
            return None
        shape = n_rows, len(self.names)
        fits = out is not None and out.shape == shape and out.dtype == self._dtype
        return out if fits else np.empty(shape, dtype=self._dtype)


def from_parquet(
    path: str | os.PathLike[str] | list[Any], *, target: str | list[str] | None = None,
    columns: list[str] | None = None,
    sample_weight: str | None = None, dtype: Any = None, block_rows: int | None = None, buffer_blocks: int = 4,
    shuffle: bool = True, read_ahead: bool = True, memory: int | None = None,
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
    memory : int, default=None
        As for :class:`Blocks`. A row group is read some columns at a time, 16 at least, of which the parts in the file
        and as numbers have some 8 MiB together, 2 MiB with a bound, where 16 have not more; eight times what they have
        is counted, of which Arrow's allocator holds up to 7.6. With a bound it gives back what it has let go of after
        each block. On one thread that costs nothing beyond noise: of 750 000 rows of 100 columns of float32 in row
        groups of 10 MB, not compressed, a pass that only decodes takes 0.345 s of processor and 0.336 without a bound,
        an epoch of ``SGDClassifier`` 0.50 and 0.53 (Zen 4, the least of six that alternate); on two threads decoding
        takes 0.366 and 0.335. A bound so narrow that fewer threads read costs their share.

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
        have changed are named when they are met. When ``memory`` is less than one buffer of blocks and what reading
        the largest takes.

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
            targets = [target] if isinstance(target, str) else list(target or [])
            used = {*names, *targets, *([sample_weight] if sample_weight else [])}
            whole = stamp.path, own, metadata
        else:
            _require_schema((stamp.path, own, metadata), whole, used, targets, columns is None)
        places += _places_of(metadata, len(files), fewest)
        files.append(stamp)
    if not places:
        raise ValueError(f"{files[0].path} has columns but no rows")
    kinds = {name: schema.field(name).type for name in names}
    dtype = chosen_dtype(dtype, kinds, files[0].path, is_number, dtype_of)
    source = ParquetBlocks(files, names, target, sample_weight, dtype, places, buffer_blocks=buffer_blocks,
                           shuffle=shuffle, read_ahead=read_ahead, memory=memory)
    require_room(source)
    return source


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


def _require_schema(own, first, used, targets, whole):
    """ValueError unless a file has the columns that are used, of the types that they have in the first file, and where
    the ``whole`` of that is used, no others; both are (path, schema, metadata)."""
    path, schema, metadata = own
    first_path, wanted, _ = first
    others = [name for name in schema.names if name not in wanted.names]
    if whole and others:
        raise ValueError(
            f"{path} has the column {others[0]!r}, which {first_path} lacks: name those to take in columns")
    for name in [name for name in wanted.names if name in used]:
        if schema.get_field_index(name) < 0:
            raise ValueError(f"{path} lacks the column {name!r}, which {first_path} has")
        found, expected = schema.field(name).type, wanted.field(name).type
        if found != expected:
            lacks = [(place, count) for place, kinds, of in (own, first) if (count := _missing(of, kinds, name))]
            if lacks and is_number(found) and is_number(expected):
                # integers with some missing are written as floats
                what = "the target" if name in targets else "the column"
                raise ValueError(
                    f"{what} {name!r} is missing in {lacks[0][1]} rows of {lacks[0][0]}; it holds {found} in {path}, "
                    f"and {expected} in {first_path}")
            raise ValueError(f"the column {name!r} of {path} holds {found}, and {expected} in {first_path}")


def _missing(metadata, schema, name):
    """Rows of a file in which a column of floats has no number, as far as the file tells."""
    from pyarrow import types

    if not types.is_floating(schema.field(name).type):
        return 0
    columns = [
        metadata.row_group(group).column(k) for group in range(metadata.num_row_groups)
        for k in range(metadata.num_columns) if metadata.schema.column(k).path == name]
    return sum(
        column.statistics.null_count for column in columns
        if column.is_stats_set and column.statistics.has_null_count)
