"""Columns of Arrow as rows of numbers, and what is wrong with those that are none."""

import numpy as np

from fasttrain._kernels.interleaving import interleave, interleave_arrow

_DIRECT = (np.float32, np.float64, np.int32, np.int64)


def is_number(kind):
    """Whether a type of Arrow becomes a number as it is: integers, floats and bool, in a dictionary too."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)


def dtype_of(kinds):
    """float32 where no column would lose digits in it, else float64."""
    from pyarrow import types

    small = all(
        types.is_float32(kind) or types.is_float16(kind) or types.is_boolean(kind)
        or (types.is_integer(kind) and kind.bit_width <= 16) for kind in kinds)
    return np.dtype(np.float32 if small else np.float64)


class RowFiller:
    """Writes columns of batches of Arrow, nulls as NaN, to float matrices of their rows.

    Parameters
    ----------
    schema : pyarrow.Schema
        Of the batches.
    names : list of str
        Columns, in the order of the matrix; one may be there twice.
    """

    def __init__(self, schema, names):
        from pyarrow import types

        places_of = {}
        for place, name in enumerate(names):
            places_of.setdefault(name, []).append(place)
        direct = {types.is_float32: np.float32, types.is_float64: np.float64, types.is_int32: np.int32,
                  types.is_int64: np.int64}
        groups, self._others = {}, []
        for number, field in enumerate(schema):
            if field.name in places_of:
                found = next((dtype for is_one, dtype in direct.items() if is_one(field.type)), None)
                at = self._others if found is None else groups.setdefault(found, [])
                at += [(number, place) for place in places_of[field.name]]
        self._groups = [
            (np.empty(0, dtype), *(np.array(part, dtype=np.intp) for part in zip(*columns)))
            for dtype, columns in groups.items()]

    def fill(self, batch, out):
        """Write a batch to a matrix of as many rows."""
        others = list(self._others)
        if self._groups:
            memory = batch.__arrow_c_array__()[1]
            for like, columns, places in self._groups:
                left = interleave_arrow(memory, like, columns, places, out)
                others += [(columns[k], places[k]) for k in left]
        groups = {}
        for number, place in others:
            values = vector_of(batch.column(int(number)))
            if values.dtype not in _DIRECT:
                values = values.astype(out.dtype)
            arrays, places = groups.setdefault(values.dtype, ([], []))
            arrays.append(np.ascontiguousarray(values))
            places.append(place)
        for arrays, places in groups.values():
            # one thread, beside those that train meanwhile
            interleave(arrays, arrays[0], np.array(places, dtype=np.intp), out, 1)


def vector_of(column):
    """A column of Arrow as an array of NumPy; numbers with nulls become floats with NaN."""
    import pyarrow as pa
    from pyarrow import compute, types

    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if column.null_count and is_number(column.type):
        if not types.is_floating(column.type):
            # rounded to the nearest float, as a column without nulls is
            column = compute.cast(column, pa.float64(), safe=False)
        column = compute.fill_null(column, np.nan)
    return column.to_numpy(zero_copy_only=False)


def target_of(table, names, place):
    """y of a table: (n_rows,) for one column, (n_rows, n_outputs) for a list; ValueError where a cell is missing, NaN
    too."""
    parts = []
    for name in [names] if isinstance(names, str) else names:
        column = table.column(name)
        there = present(column)
        if there is not None:
            missing = np.flatnonzero(~there)
            raise ValueError(
                f"{place(int(missing[0]))}: the target {name!r} is missing in {len(missing)} rows, of which this is "
                "the first")
        parts.append(vector_of(column.combine_chunks() if hasattr(column, "combine_chunks") else column))
    return parts[0] if isinstance(names, str) else np.column_stack(parts)


def weights_of(table, name, place):
    """sample_weight of a table as numbers."""
    column = table.column(name)
    if not is_number(column.type):
        raise ValueError(f"{place(None)}: sample_weight {name!r} must hold numbers, got {column.type}")
    return vector_of(column.combine_chunks() if hasattr(column, "combine_chunks") else column).astype(np.float64)


def present(column):
    """A mask of a column's cells that are not missing, neither null nor NaN; None where all are there."""
    import pyarrow as pa
    from pyarrow import compute, types

    floats = types.is_floating(column.type)
    if not (floats or column.null_count):
        return None
    there = compute.is_valid(column) if not floats else compute.invert(compute.is_null(column, nan_is_null=True))
    there = there.combine_chunks() if isinstance(there, pa.ChunkedArray) else there
    found = there.to_numpy(zero_copy_only=False)
    return None if found.all() else found
