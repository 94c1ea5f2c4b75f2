"""What TablePreprocessor learns of blocks: what columns are from a sample of rows, all numbers from one pass."""

import numpy as np

from fasttrain._tables.categories import unique
from fasttrain._tables.frames import named
from fasttrain._tables.kinds import is_pandas, is_polars
from fasttrain._tables.moments import column_extremes, column_moments, merge_moments
from fasttrain._tables.sketch import QuantileSketch
from fasttrain.data._places import placed
from fasttrain.data._use import RawBlocks, at_block, blocks_with_rows, detached, row_of
from fasttrain.preprocessing.columns.fitted import SCALERS, MissingValues, most_frequent_of
from fasttrain.preprocessing.columns.many import TargetColumn
from fasttrain.preprocessing.columns.numbers import Dense
from fasttrain.preprocessing.columns.recognition import CategoryColumn
from fasttrain.preprocessing.categories import CountedColumns, joined_categories

# Rows that are looked at to see what each column is, of so many blocks.
SAMPLE_ROWS = 50_000
SAMPLE_BLOCKS = 8
# Distinct numbers of a column that are counted for its most frequent one.
MOST_NUMBERS = 1 << 17


def sample_of(source):
    """Rows of some blocks, evenly apart, as one table."""
    count = min(source.n_blocks, SAMPLE_BLOCKS)
    parts = []
    for i in np.unique(np.linspace(0, source.n_blocks - 1, count).astype(int)).tolist():
        X = named(source.block(i).X)
        n_rows = X.shape[0]
        at = np.unique(np.linspace(0, n_rows - 1, min(n_rows, -(-SAMPLE_ROWS // count))).astype(int))
        parts.append(X.iloc[at] if is_pandas(X) else X[at])
    if is_pandas(parts[0]):
        import pandas as pd

        return pd.concat(parts, ignore_index=True)
    if is_polars(parts[0]):
        import polars as pl

        return pl.concat(parts)
    return np.concatenate(parts)


def _placed(error, source):
    """What is wrong with a sample, with the place of the first row of which it speaks; itself where there is none."""
    if isinstance(error, MissingValues) or "infinity" in str(error):
        for i, block in blocks_with_rows(source):
            row = row_of(error, named(block.X))
            if row is not None:
                return placed(error, source.where(i, row))
    return error


class Found:
    """What a pass finds of the columns of numbers and of the categories of a block; with ``+`` of both."""

    def __init__(self, n_rows, moments, extremes, sketch, numbers, categories):
        self.n_rows = n_rows
        self.moments = moments
        self.extremes = extremes
        self.sketch = sketch
        self.numbers = numbers
        self.categories = categories

    def __add__(self, other):
        weight, mean, variance = other.moments
        with np.errstate(over="ignore", invalid="ignore"):
            moments = merge_moments(*self.moments, weight, mean, variance * weight)
        low, high = (
            choose(*pair) for choose, pair in zip((np.fmin, np.fmax), zip(self.extremes, other.extremes)))
        joined = [
            [joined_categories(a, b, n, m) for (a, n), (b, m) in zip(*pair)]
            for pair in ((self.numbers, other.numbers), (self.categories, other.categories))
        ]
        return Found(
            self.n_rows + other.n_rows, moments, (low, high),
            None if self.sketch is None else self.sketch + other.sketch, *joined)


class BlockColumns:
    """The part of :class:`~fasttrain.preprocessing.TablePreprocessor` that learns from a source of several blocks."""

    def _fit_blocks(self, source, name):
        self._check_parameters()
        if self.target is not None:
            raise ValueError(
                f"target must be None with a source of blocks, which has its own: say target={self.target!r} where the "
                "source is made")
        if self.missing == "drop":
            raise ValueError("missing must not be 'drop' with a source of blocks, whose rows stay: choose 'median'")
        try:
            self._learn(sample_of(source), None)
        except ValueError as error:
            found = _placed(error, source)
            if found is error:
                raise
            raise found from error
        if any(isinstance(column, TargetColumn) for column in self._columns):
            raise ValueError("types must not be 'target' with a source of blocks: choose 'hashed'")
        table = detached(self)

        def of_block(block):
            i, (X, *_) = block
            X = named(X)
            with at_block(source, i, X):
                views = table._views(X)
                table._refuse_missing(views)
                return table._found(views)

        found = source.sum_of(RawBlocks(source), of_block)
        self.fill_ = {}
        if self._of(Dense):
            self._settle_numbers(found)
        if self._of(CategoryColumn):
            self._settle_categories(found)
        # of one block, as no matrix of all is ever made
        self._settle(self._views(source.block(0).X))
        return self

    def _found(self, views):
        if self._of(Dense):
            block = self._numbers(views)
            weight, mean, squares = column_moments(block)
            with np.errstate(divide="ignore", invalid="ignore"):
                moments = weight, mean, squares / weight
            extremes = column_extremes(block)
            sketched = self.missing == "median" or self.scale == "robust"
            sketch = QuantileSketch.of(block) if sketched else None
            numbers = [unique(column[~np.isnan(column)], counts=True) for column in block.T] if (
                self.missing == "most_frequent") else []
            for (values, _), name in zip(numbers, self._number_names()):
                if len(values) > MOST_NUMBERS:
                    raise ValueError(
                        f"column {name!r} has more than {MOST_NUMBERS} distinct numbers, of which the most frequent is "
                        "not looked for in a source of blocks: choose missing='median' or 'mean'")
        else:
            moments, extremes, sketch, numbers = (np.empty(0),) * 3, (np.empty(0),) * 2, None, []
        categories = []
        for position, _ in self._of(CategoryColumn):
            values, _ = views[position].distinct
            categories.append((values, np.asarray(views[position].counts)))
        return Found(views[0].n_rows, moments, extremes, sketch, numbers, categories)

    def _number_names(self):
        return [name for i, column in self._of(Dense) for name in column.names(self._names[i])]

    def _settle_numbers(self, found):
        """What stands in for missing numbers, and the scaler, from what all blocks together have."""
        names = self._number_names()
        weight, mean, variance = found.moments
        if self.missing == "median":
            fill = found.sketch.quantiles([0.5])[0]
        elif self.missing == "most_frequent":
            fill = np.array([values[counts.argmax()] for values, counts in found.numbers], dtype=np.float64)
        else:
            fill = mean
        low, high = found.extremes
        self._require_finite(fill, names, np.stack([low, high]), f"{self.missing} of its values")
        self._fill_numbers = fill
        if self.missing != "error":
            self.fill_.update(zip(names, fill.tolist()))
        self.scaler_ = None
        if self.scale is None:
            return
        absent = found.n_rows - weight
        scaler = SCALERS[self.scale](copy=False)
        with np.errstate(over="ignore", invalid="ignore"):
            if self.scale == "standard":
                scaler.n_features_in_ = len(names)
                scaler._set_moments(*merge_moments(weight, mean, variance, absent, fill, np.zeros_like(fill)))
                scaler._set_scale()
            elif self.scale == "robust":
                scaler.n_features_in_ = len(names)
                q_min, q_max = scaler.quantile_range
                sketch = found.sketch.with_filled(absent, fill)
                scaler._set_quantiles(sketch.quantiles(np.array([q_min, 50.0, q_max]) / 100), np.dtype(self.dtype))
            else:
                # what stands in for missing numbers lies between the others
                scaler.fit(np.stack([low, high]))
                scaler.n_samples_seen_ = found.n_rows
        for learnt in ("mean_", "var_", "center_", "min_", "scale_", "data_range_"):
            self._require_finite(
                getattr(scaler, learnt, None), names, np.stack([low, high]), f"{self.scale} scale")
        self.scaler_ = scaler

    def _settle_categories(self, found):
        """The encoder, from the categories that all blocks together have."""
        known = []
        for (position, _), (values, counts) in zip(self._of(CategoryColumn), found.categories):
            name = self._names[position]
            recognised = name not in (self.types or {}) and not self._grouped()
            if recognised and len(values) > max(self.cardinality_threshold, self.hash_features):
                raise ValueError(
                    f"column {name!r} has {len(values)} values in all blocks, more than hash_features="
                    f"{self.hash_features}: types={{{name!r}: 'hashed'}} gives it so many columns, and 'categorical' "
                    "one for each value")
            if self.missing != "error":
                self.fill_[name] = most_frequent_of(values, counts)
                counts = counts.copy()
                place = values.tolist().index(self.fill_[name])
                counts[place] += found.n_rows - counts.sum()
            known.append((values, counts))
        self.encoder_ = self._new_encoder().fit(CountedColumns(known, found.n_rows))


__all__ = ["BlockColumns"]
