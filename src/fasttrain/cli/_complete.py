"""Blocks of tables without the rows in which something is missing."""

from fasttrain import data
from fasttrain.data._columns import target_of


class CompleteRows(data.Blocks):
    """A source whose y is a column of another's tables, without the rows that lack it.

    Parameters
    ----------
    tables : Blocks
        Of Arrow tables, the target among the columns.
    target : str
    every_cell : bool
        Whether rows go that lack any cell.

    Attributes
    ----------
    dropped : dict
        From the number of each block that was read to how many of its rows went.
    """

    def __init__(self, tables, target, every_cell):
        super().__init__(buffer_blocks=tables.buffer_blocks, shuffle=tables.shuffle, read_ahead=tables.read_ahead)
        self.tables, self.target, self.every_cell = tables, target, every_cell
        self.random_access, self.concurrent = tables.random_access, tables.concurrent
        self.dropped, self._left = {}, {}

    @property
    def n_blocks(self):
        return self.tables.n_blocks

    def rows(self, i):
        return self._left.get(i)

    def where(self, i, row=None):
        # which row of the file it was is not known once others went
        return self.tables.where(i, None if self.dropped.get(i) else row)

    def block(self, i):
        table = self.tables.block(i).X
        complete = None
        for name in table.column_names if self.every_cell else [self.target]:
            there = _there(table.column(name))
            if there is not None:
                complete = there if complete is None else complete & there
        n_rows = table.num_rows
        if complete is not None:
            table = table.filter(complete)
        self.dropped[i], self._left[i] = n_rows - table.num_rows, table.num_rows
        y = target_of(table, self.target, lambda row: self.where(i, row))
        return data.Block(table.drop_columns([self.target]), y, None)


def _there(column):
    """A mask of the cells that are not missing; None where none is."""
    from pyarrow import compute, types

    floats = types.is_floating(column.type)
    if not (floats or column.null_count):
        return None
    there = compute.is_valid(column) if not floats else compute.invert(compute.is_null(column, nan_is_null=True))
    found = there.to_numpy()
    return None if found.all() else found


__all__ = ["CompleteRows"]
