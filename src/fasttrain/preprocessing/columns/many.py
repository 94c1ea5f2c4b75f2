"""Text of many values: each value becomes the mean of the target where it stands, drawn towards the mean of all."""

from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from fasttrain._core.checks import check_same_length
from fasttrain._estimators.registry import enter_record
from fasttrain._tables.categories import encode, unique
from fasttrain._tables.frames import Table, missing_vector
from fasttrain._tables.kinds import as_array
from fasttrain.preprocessing.columns.numbers import Dense, are_plain, are_texts, listed

N_FOLDS = 5
# Values seen less often are taken as one, and with them those that fit does not see.
RARE = 5
# A target of more distinct integers is a quantity, of more distinct labels one that no means are taken of.
MOST_CLASSES = 20
OTHER, MISSING = 0, 1


@dataclass
class TargetColumn(Dense):
    """Categories as means of the target.

    Parameters
    ----------
    reason : str
    values : ndarray of objects
        That were seen, sorted.
    groups : ndarray of int64
        Row of ``encodings`` of each value: 0 for rare ones and those not seen, 1 for missing ones.
    encodings : ndarray of shape (n_groups, n_outputs), float64
    labels : list of str
        One for each output where there are several.
    """

    reason: str
    values: np.ndarray
    groups: np.ndarray
    encodings: np.ndarray
    labels: list
    kind: ClassVar[str] = "target"

    def names(self, name):
        return [f"{name}_{label}" for label in self.labels] if len(self.labels) > 1 else [name]

    def _group_of_rows(self, view, strict):
        values, codes = view.distinct
        places = encode(values, self.values)
        if strict and (places < 0).any():
            raise ValueError(
                f"column {view.name!r} holds {listed(values[places < 0].tolist())}, which the model has not seen; it "
                f"knows {listed(self.values.tolist(), 8)}"
            )
        groups = np.append(np.where(places < 0, OTHER, self.groups[places] if len(self.groups) else OTHER), MISSING)
        return groups[codes]

    def numbers(self, view, strict=False):
        return self.encodings[self._group_of_rows(view, strict)]

    def cross_fitted(self, view, target):
        """As ``numbers``, but each row by the targets of the rows of other folds."""
        groups = self._group_of_rows(view, False)
        folds = folds_of_rows(view.n_rows)
        out = np.empty((view.n_rows, self.encodings.shape[1]))
        for fold in range(N_FOLDS):
            held = folds == fold
            if held.any():
                out[held] = encodings_of(groups[~held], target[~held], len(self.encodings))[groups[held]]
        return out

    def strays(self, view, seen=False):
        values, _ = view.distinct
        wrong = encode(values, self.values) < 0
        return values[wrong].tolist(), int(view.counts[wrong].sum())

    def check(self, require):
        arrays = (self.values, self.groups, self.encodings)
        require(all(isinstance(array, np.ndarray) for array in arrays), "be arrays")
        require(are_plain(self.values) and self.groups.shape == self.values.shape, "have a group for each value")
        require(self.encodings.ndim == 2 and self.encodings.dtype == np.float64 and len(self.encodings) > MISSING,
                "have encodings of groups")
        require(bool(np.isfinite(self.encodings).all()), "have finite encodings")
        good = self.groups.dtype == np.int64
        good = good and (not self.groups.size or 0 <= self.groups.min() <= self.groups.max() < len(self.encodings))
        require(good, f"have groups from 0 to {len(self.encodings) - 1}")
        require(are_texts(self.labels) and len(self.labels) == self.encodings.shape[1], "have a label for each output")


def folds_of_rows(n):
    """The fold of each row: by chance as far as the data goes, and the same whenever there are as many rows."""
    rows = np.arange(n, dtype=np.uint64)
    rows = (rows ^ (rows >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(0x9E3779B97F4A7C15)
    rows = (rows ^ (rows >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((rows ^ (rows >> np.uint64(31))) % np.uint64(N_FOLDS)).astype(np.int64)


def encodings_of(groups, target, n_groups):
    """Mean of each target in each group, drawn towards the mean of all by empirical Bayes [1]_.

    With n_i rows, mean m_i and variance s_i^2 in group i, and mean m and variance s^2 of all rows, the encoding is
    ``w m_i + (1 - w) m`` with ``w = n_i s^2 / (n_i s^2 + s_i^2)``.

    .. [1] Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes in classification and
       prediction problems", SIGKDD Explorations 3.1, 2001, section 3.3.
    """
    present = np.isfinite(target[:, 0])
    if not present.all():
        groups, target = groups[present], target[present]
    out = np.zeros((n_groups, target.shape[1]))
    if not len(groups):
        return out
    counts = np.bincount(groups, minlength=n_groups).astype(np.float64)
    for k in range(target.shape[1]):
        y = target[:, k]
        mean = y.mean()
        centred = y - mean
        variance = np.mean(centred * centred)
        means = np.bincount(groups, centred, n_groups) / np.maximum(counts, 1)
        spread = centred - means[groups]
        within = np.bincount(groups, spread * spread, n_groups) / np.maximum(counts, 1)
        weight = counts * variance
        total = weight + within
        share = np.divide(weight, total, out=np.ones(n_groups), where=total > 0)
        out[:, k] = mean + np.where(counts > 0, share * means, 0.0)
    return out


class MeansOf:
    """What means are taken of: y as a matrix, which is made when a column asks for it.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or None
    n_rows : int
    """

    def __init__(self, y, n_rows):
        self._y = y if y is None or hasattr(y, "shape") else np.asarray(y)
        self._n_rows = n_rows
        self._kept = None
        if y is not None:
            check_same_length(self._y, "y", n_rows)

    @cached_property
    def _found(self):
        matrix, labels, why_none = _target_matrix(self._y, self._n_rows)
        return matrix if matrix is None or self._kept is None else matrix[self._kept], labels, why_none

    @property
    def matrix(self):
        """Of shape (n_rows, n_outputs), or None."""
        return self._found[0]

    @property
    def labels(self):
        """Of the columns of the matrix."""
        return self._found[1]

    @property
    def why_none(self):
        """In words, where there is no matrix."""
        return self._found[2]

    def among(self, kept):
        """The same of those rows where ``kept`` is true."""
        part = copy(self)
        vars(part).pop("_found", None)
        part._kept = kept
        return part


def _target_matrix(y, n_rows):
    """(matrix of what means are taken of, labels of its columns, why there is none).

    Classes become indicators: one of two, as many as there are of more. Rows without a target are NaN.
    """
    if y is None:
        return None, [], "no target was given"
    if len(y.shape) > 1:
        if len(y.shape) > 2 or y.shape[1] != 1:
            return None, [], "there are several targets"
        y = np.asarray(y).ravel()
    table = Table(y, name="y")
    if table.is_numeric(0):
        numbers = table.numbers(0).astype(np.float64)
        known = numbers[~np.isnan(numbers)]
        if not known.size:
            return None, [], "the target has no value"
        whole = bool(np.isfinite(known).all()) and bool((known == np.round(known)).all())
        if not np.isfinite(known).all():
            return None, [], "the target is not finite"
        if not whole or len(unique(known)) > MOST_CLASSES:
            if np.abs(known).max() > 1e150:
                return None, [], "the target is too large to take means of"
            return numbers[:, None], [""], ""
        classes, codes = unique(numbers, inverse=True)
        classes = classes[~np.isnan(classes)]
    else:
        values = as_array(y)
        values = values.astype(object) if values.dtype.kind in "OUST" else values
        missing = table.missing(0) if values.dtype != object else missing_vector(values)
        codes = np.full(n_rows, -1, dtype=np.int64)
        try:
            classes, codes[~missing] = unique(values[~missing], inverse=True)
        except TypeError:
            return None, [], "the target's labels are of several types"
        codes[missing] = len(classes)
    if not 2 <= len(classes) <= MOST_CLASSES:
        return None, [], f"the target has {len(classes)} classes"
    shown = range(1, 2) if len(classes) == 2 else range(len(classes))
    matrix = np.stack([(codes == k).astype(np.float64) for k in shown], axis=1)
    matrix[codes >= len(classes)] = np.nan
    return matrix, [str(classes[k]) for k in shown], ""


def of_target(view, means, reason, rare=None):
    """:class:`TargetColumn` of a column and what its means are taken of."""
    values, codes = view.distinct
    order = np.argsort(values)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    counts = view.counts[order]
    frequent = np.flatnonzero(counts >= (RARE if rare is None else rare))
    groups = np.full(len(order), OTHER, dtype=np.int64)
    groups[frequent] = np.arange(len(frequent)) + MISSING + 1
    of_rows = np.append(groups[rank], MISSING)[codes]
    encodings = encodings_of(of_rows, means.matrix, len(frequent) + MISSING + 1)
    n_rare = len(order) - len(frequent)
    told = f"{reason}: means of the target" + (f", {n_rare} rare values as one" if n_rare else "")
    return TargetColumn(told, values[order], groups, encodings, list(means.labels))


enter_record(TargetColumn, "target column")
