"""What TablePreprocessor learns of the columns of a table, and the matrix that it makes of them."""


import numpy as np
from scipy import sparse
from sklearn import get_config

from fasttrain._core.checks import all_finite
from fasttrain._core.warned import warn
from fasttrain._tables.categories import encode, unique, unknown_values
from fasttrain._tables.texts import Filled
from fasttrain._tables.moments import column_moments
from fasttrain.preprocessing.columns import memory
from fasttrain.preprocessing.columns.hashed import HashedColumn
from fasttrain.preprocessing.columns.many import TargetColumn
from fasttrain.preprocessing.columns.numbers import Dense, NumberColumn, listed
from fasttrain.preprocessing.columns.recognition import CategoryColumn, LeftOut, recognise, stated
from fasttrain.preprocessing.categories import CodedColumns
from fasttrain.preprocessing.encoding import OneHotEncoder
from fasttrain.preprocessing.ordinal import OrdinalEncoder
from fasttrain.preprocessing.robust import MaxAbsScaler, RobustScaler, column_quantiles
from fasttrain.preprocessing.scaling import MinMaxScaler, StandardScaler

SCALERS = {
    "standard": StandardScaler,
    "minmax": MinMaxScaler,
    "maxabs": MaxAbsScaler,
    "robust": RobustScaler,
}


class ColumnLeftOutWarning(UserWarning):
    """A column takes no part in the matrix, for the reason given."""


class MissingValues(ValueError):
    """``missing="error"`` refuses a column: what it has, its name, its cells that cannot be read, the block's place."""

    def __init__(self, message, *, what="", column=None, strays=(), place=None):
        super().__init__(message)
        self.what, self.column, self.strays, self.place = what, column, strays, place

    def at(self, place):
        """The same of a block that lies there."""
        return MissingValues(
            f"{place}: {self}", what=self.what, column=self.column, strays=self.strays, place=place)


class TableColumns:
    """The columns of a table in the order of the matrix: numbers, categories, hashed text.

    Part of :class:`~fasttrain.preprocessing.TablePreprocessor`, whose parameters it reads; ``_columns`` has what each
    column is, ``_names`` what it is called.
    """

    def _recognise(self, views, rules):
        wanted = self.types or {}
        unknown = [name for name in wanted if name not in self._names]
        if unknown:
            raise ValueError(f"types names columns that X lacks: {unknown}; its columns are {self._names}")
        self._columns = []
        for view in views:
            column = recognise(view, wanted.get(view.name), rules)
            if isinstance(column, LeftOut) and stated(view.name, wanted.get(view.name))[0] != "drop":
                keep = f": types={{{view.name!r}: {column.keep!r}}} keeps it" if column.keep else ""
                warn(
                    f"column {view.name!r} {column.reason} and is left out{keep}", ColumnLeftOutWarning
                )
            self._columns.append(column)
        self.types_ = {name: column.kind for name, column in zip(self._names, self._columns)}
        if all(isinstance(column, LeftOut) for column in self._columns):
            reasons = "; ".join(f"{name!r} {column.reason}" for name, column in zip(self._names, self._columns))
            raise ValueError(f"no column is left to make features of: {reasons}")

    def _of(self, kind):
        """(position, column) of the columns of a kind."""
        return [(i, column) for i, column in enumerate(self._columns) if isinstance(column, kind)]

    def _numbers_of(self, view, column, strict=False):
        """What a column of numbers gives, read once."""
        key = ("column", strict)
        if key not in view.read:
            view.read[key] = column.numbers(view, strict)
        return view.read[key]

    def _absent(self, view, column):
        """Mask of the rows that have no value for a column."""
        if isinstance(column, Dense) and not isinstance(column, TargetColumn):
            found = np.isnan(self._numbers_of(view, column))
            return found if found.ndim == 1 else found.any(axis=1)
        return view.missing

    def _missing_rows(self, views):
        mask = np.zeros(views[0].n_rows, dtype=bool)
        for view, column in zip(views, self._columns):
            if not isinstance(column, LeftOut):
                mask |= self._absent(view, column)
        return mask

    def _refuse_missing(self, views):
        if self.missing != "error":
            return
        for view, column in zip(views, self._columns):
            if isinstance(column, LeftOut):
                continue
            count = int(np.count_nonzero(self._absent(view, column)))
            if count:
                cells = column.strays(view, seen=True)[0] if isinstance(column, Dense) else []
                strays = f" ({listed(cells)} among them, as no {column.kind} value)" if cells else ""
                what = f"column {view.name!r} has {count} missing values{strays}"
                raise MissingValues(
                    f"{what}, which missing='error' refuses", what=what, column=view.name, strays=cells)

    def _refuse_missing_rows(self, views):
        absent = [
            view.name for view, column in zip(views, self._columns)
            if not isinstance(column, LeftOut) and self._absent(view, column).any()
        ]
        if absent:
            raise ValueError(
                f"columns {absent} have missing values and missing='drop': transform must keep rows, so drop them "
                "first (split does, or drop_missing), or choose 'mean', 'median' or 'most_frequent'"
            )

    def _fit_numbers(self, views, means):
        self.scaler_ = None
        dense = self._of(Dense)
        self._fill_numbers = np.empty(0, dtype=self.dtype)
        if not dense:
            return None
        block = self._numbers(views, means=means)
        if self.missing == "mean":
            fill = column_moments(block)[1]
        elif self.missing == "most_frequent":
            fill = np.array([most_frequent(column[~np.isnan(column)]) for column in block.T])
        else:
            fill = column_quantiles(block, [0.5])[0]
        names = [name for i, column in dense for name in column.names(self._names[i])]
        self._require_finite(fill, names, block, f"{self.missing} of its values")
        self._fill_numbers = fill
        if self.missing not in ("drop", "error"):
            kept = [not isinstance(column, TargetColumn) for i, column in dense for _ in column.names("")]
            self.fill_.update({name: value for name, value, keep in zip(names, fill.tolist(), kept) if keep})
        fill_missing(block, fill)
        if self.scale is not None:
            self.scaler_ = self._fitted_scaler(block, names)
        return block

    def _fitted_scaler(self, block, names):
        what, make = f"{self.scale} scale", SCALERS[self.scale]
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                scaler = make(copy=False).fit(block)
            except ValueError:
                # The scaler knows no names.
                for at in range(block.shape[1]):
                    try:
                        make().fit(block[:, [at]])
                    except ValueError:
                        self._refuse(at, names, block, what)
                raise
        for learnt in ("mean_", "center_", "min_", "scale_", "data_range_"):
            self._require_finite(getattr(scaler, learnt, None), names, block, what)
        return scaler

    def _require_finite(self, numbers, names, block, what):
        if numbers is not None and not all_finite(numbers):
            self._refuse(int(np.flatnonzero(~np.isfinite(numbers))[0]), names, block, what)

    def _refuse(self, at, names, block, what):
        most = np.nanmax(np.abs(block[:, at]))
        raise ValueError(
            f"column {names[at]!r} must hold finite numbers whose {what} is finite: it goes up to {most:g}; divide it, "
            "or leave it out"
        ) from None

    def _fit_categories(self, views):
        """The encoder; the categorical columns as :meth:`_categories` has them, None where there is none."""
        self.encoder_ = None
        if not self._of(CategoryColumn):
            return None
        coded = self._categories(views, learn=self.missing not in ("drop", "error"))
        self.encoder_ = self._new_encoder().fit(coded)
        return coded

    def _new_encoder(self):
        options = {
            "min_frequency": self.min_frequency,
            "max_categories": self.max_categories,
            "dtype": self.dtype,
        }
        if self.encode == "onehot":
            unknown = "infrequent_if_exist" if self._grouped() else "ignore"
            return OneHotEncoder(sparse_output=False, handle_unknown=unknown, **options)
        return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, **options)

    def _categories(self, views, learn=False):
        """The categorical columns as distinct values and codes, missing ones filled; with ``learn``, by this table."""
        coded = []
        for position, _ in self._of(CategoryColumn):
            view = views[position]
            values, codes = view.distinct
            if learn:
                self.fill_[view.name] = most_frequent_of(values, view.counts)
            coded.append(Filled(values, codes, self.fill_.get(view.name)))
        return CodedColumns(coded, views[0].n_rows)

    def _numbers(self, views, means=None, strict=False):
        """The columns of numbers side by side in this object's type; with ``means``, those of the target across folds.
        """
        dense = self._of(Dense)
        widths = [len(column.names("")) for _, column in dense]
        block = np.empty((views[0].n_rows, sum(widths)), dtype=self.dtype)
        start = 0
        for (position, column), width in zip(dense, widths):
            view = views[position]
            if means is not None and isinstance(column, TargetColumn):
                numbers = column.cross_fitted(view, means.matrix)
            else:
                numbers = self._numbers_of(view, column, strict)
            view.read.pop(("column", strict), None)
            with np.errstate(over="ignore"):
                block[:, start:start + width] = numbers[:, None] if numbers.ndim == 1 else numbers
            start += width
        if not all_finite(block) and np.isinf(block).any():
            at = int(np.flatnonzero(np.isinf(block).any(axis=0))[0])
            name = [self._names[i] for (i, _), width in zip(dense, widths) for _ in range(width)][at]
            raise ValueError(
                f"column {name!r} must hold finite numbers: Input X contains infinity or a value too large for "
                f"{np.dtype(self.dtype)}"
            )
        return block

    def _layout_of(self):
        """[name, output columns] of each column that is not left out, in the order of the output."""
        found = [[self._names[i], len(column.names(""))] for i, column in self._of(Dense)]
        for k, (i, _) in enumerate(self._of(CategoryColumn)):
            width = 1
            if isinstance(self.encoder_, OneHotEncoder):
                grouped = self.encoder_.infrequent_categories_[k] if self._grouped() else None
                width = len(self.encoder_.categories_[k]) - (0 if grouped is None else len(grouped) - 1)
            found.append([self._names[i], width])
        return found + [[self._names[i], column.n_places] for i, column in self._of(HashedColumn)]

    def _widths(self, n_rows, views):
        """(name, output columns, entries of ``n_rows`` rows) of each column that is not left out, in output order."""
        hashed = self._of(HashedColumn)
        entries = [width * n_rows for _, width in self._layout[:len(self._of(Dense))]]
        entries += [n_rows] * len(self._of(CategoryColumn))
        entries += [column.entries(views[i]) for i, column in hashed]
        return [(name, width, count) for (name, width), count in zip(self._layout, entries)]

    def _grouped(self):
        return self.min_frequency is not None or self.max_categories is not None

    def _settle(self, views):
        """Whether the matrix is sparse, and whether there is room for it."""
        n_rows, size = views[0].n_rows, np.dtype(self.dtype).itemsize
        self._layout = self._layout_of()
        widths = self._widths(n_rows, views)
        n_columns, n_entries = sum(width for _, width, _ in widths), sum(entries for _, _, entries in widths)
        self.sparse_output_ = self.sparse_output
        if self.sparse_output == "auto":
            smaller = memory.is_sparse_smaller(n_rows, n_columns, n_entries, size)
            self.sparse_output_ = smaller and not self._gives_frames()
        if isinstance(self.encoder_, OneHotEncoder):
            self.encoder_.sparse_output = self.sparse_output_
        self._refuse_large(n_rows, widths)

    def _gives_frames(self):
        own = getattr(self, "_sklearn_output_config", {}).get("transform")
        return (get_config()["transform_output"] if own is None else own) != "default"

    def _refuse_large(self, n_rows, widths):
        size = np.dtype(self.dtype).itemsize
        n_columns, n_entries = sum(width for _, width, _ in widths), sum(entries for _, _, entries in widths)
        dense, csr = memory.dense_bytes(n_rows, n_columns, size), memory.sparse_bytes(n_rows, n_entries, size)
        needed = csr if self.sparse_output_ else dense
        if self.memory_limit is None and needed <= memory.ANYWHERE:
            return
        limit = memory.limit_of(self.memory_limit)
        if needed <= limit:
            return
        name, width, entries = max(widths, key=lambda item: item[2 if self.sparse_output_ else 1])
        what = []
        if width > self.hash_features:
            what.append(f"types={{{name!r}: 'hashed'}} gives it {self.hash_features} columns")
        what += ["sparse_output=True takes " + memory.told(csr)] if not self.sparse_output_ and csr <= limit else []
        what += [f"types={{{name!r}: 'drop'}} leaves it out", "memory_limit allows more"]
        raise ValueError(
            f"the {'CSR' if self.sparse_output_ else 'dense'} matrix of {n_rows} rows and {n_columns} columns would "
            f"take {memory.told(needed)}, and at most {memory.told(limit)} are allowed; column {name!r} makes {width} "
            f"of its columns: {', or '.join(what)}"
        )

    def _warn_of_strays(self, views):
        if self.handle_unknown == "error":
            return
        for position, column in self._of(Dense):
            if isinstance(column, TargetColumn) or (isinstance(column, NumberColumn) and not column.written):
                # The first knows what to do with them, the second raises.
                continue
            cells, n_rows = column.strays(views[position])
            if cells:
                warn(
                    f"column {self._names[position]!r}: {n_rows} cells count as missing, since they are no "
                    f"{column.kind} value that fit has seen: {listed(cells)}", UserWarning
                )

    def _matrix(self, views, block=None, coded=None):
        """The matrix of a table's columns, whose numbers and categories may have been read already."""
        strict = self.handle_unknown == "error"
        parts = []
        if self._of(Dense):
            if block is None:
                block = self._numbers(views, strict=strict)
                fill_missing(block, self._fill_numbers)
            parts.append(block if self.scaler_ is None else self.scaler_._mapped(block, self.scaler_.copy))
        if self.encoder_ is not None:
            coded = self._categories(views) if coded is None else coded
            if strict:
                for (position, _), column, known in zip(
                    self._of(CategoryColumn), coded.columns, self.encoder_.categories_
                ):
                    refuse_unknown(self._names[position], column, known)
            if self.sparse_output_ or not isinstance(self.encoder_, OneHotEncoder):
                coded = self.encoder_.transform(coded)
            parts.append(coded)
        for position, column in self._of(HashedColumn):
            indptr, indices, values = column.rows(views[position])
            shape = (views[0].n_rows, column.n_places)
            parts.append(sparse.csr_array((values.astype(self.dtype), indices, indptr), shape=shape))
        if self.sparse_output_:
            return joined(parts, self.dtype)
        if len(parts) == 1 and isinstance(parts[0], np.ndarray):
            return parts[0]
        out = np.empty((views[0].n_rows, sum(width for _, width in self._layout)), dtype=self.dtype)
        start = 0
        for part in parts:
            if isinstance(part, CodedColumns):
                self.encoder_._write_dense(part, out, start)
                start += self.encoder_._n_out
                continue
            where = out[:, start:start + part.shape[1]]
            if sparse.issparse(part):
                where[:] = 0
                where[np.repeat(np.arange(part.shape[0]), np.diff(part.indptr)), part.indices] = part.data
            else:
                where[:] = part
            start += part.shape[1]
        return out


def joined(parts, dtype):
    """Dense and CSR matrices side by side as one CSR matrix; numbers of the dense ones are entries, zeros too."""
    n_rows, width = parts[0].shape[0], sum(part.shape[1] for part in parts)
    lengths = [np.diff(part.indptr) if sparse.issparse(part) else np.full(n_rows, part.shape[1]) for part in parts]
    indptr = np.concatenate(([0], np.cumsum(sum(lengths))))
    index = np.int32 if max(int(indptr[-1]), width) <= np.iinfo(np.int32).max else np.int64
    data, indices = np.empty(indptr[-1], dtype=dtype), np.empty(indptr[-1], dtype=index)
    even = all((length == length[0]).all() for length in lengths)
    rows = (data.reshape(n_rows, -1), indices.reshape(n_rows, -1)) if even else ()
    at, place, left = indptr[:-1].copy(), 0, 0
    for part, length in zip(parts, lengths):
        entries = (part.data, part.indices + index(left)) if sparse.issparse(part) else (
            part, np.arange(left, left + part.shape[1], dtype=index))
        if even:
            for out, entry in zip(rows, entries):
                out[:, place:place + length[0]] = entry if entry.ndim == 1 and len(entry) == length[0] else (
                    entry.reshape(n_rows, length[0]))
        else:
            places = np.arange(length.sum()) + np.repeat(at + length - np.cumsum(length), length)
            data[places] = entries[0].reshape(-1)
            indices[places] = entries[1] if sparse.issparse(part) else np.tile(entries[1], n_rows)
            at += length
        place, left = place + length[0], left + part.shape[1]
    kind = sparse.csr_array if get_config().get("sparse_interface", "spmatrix") == "sparray" else sparse.csr_matrix
    return kind((data, indices, indptr.astype(index)), shape=(n_rows, width))


def refuse_unknown(name, values, known):
    codes = encode(values, known)
    if codes.size and codes.min() < 0:
        raise ValueError(
            f"column {name!r} holds {listed(unknown_values(values, codes), 8)}, which the model has not seen; "
            f"it knows {listed(known.tolist(), 8)}"
        )


def most_frequent(values):
    """The value seen most often, the smallest of those."""
    uniques, counts = unique(values, counts=True)
    return uniques[counts.argmax()]


def most_frequent_of(values, counts):
    """The value that occurs most often, the smallest of those."""
    return min(value for value, count in zip(values.tolist(), counts.tolist()) if count == counts.max())


def fill_missing(block, fill):
    if all_finite(block):
        return
    absent = np.isnan(block)
    for k in np.flatnonzero(absent.any(axis=0)).tolist():
        block[absent[:, k], k] = fill[k]
