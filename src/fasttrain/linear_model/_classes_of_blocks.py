"""What classifiers that are minimized over all rows need of a source: its classes, and blocks with their numbers."""

import numpy as np

from fasttrain._estimators.blocks import CheckedBlocks, Labels, PreparedBlocks, class_weight_factors, labels_of
from fasttrain._tables.categories import encode


class ClassesOfBlocks:
    """The blocks of a source, checked, and its classes, which are two at least.

    Parameters
    ----------
    estimator : estimator
        With ``class_weight``.
    source : Blocks
    dtype : dtype or list of dtypes
    weighted : bool, default=True
        Whether 'balanced' is by the weights of a class's rows, not by how many they are.

    Attributes
    ----------
    checked : CheckedBlocks
    classes : array of shape (n_classes,)
    by_class : array of shape (n_classes,) or None
        Factors of the weights of rows.
    counts : array of shape (n_classes,)
        Rows of each.
    """

    def __init__(self, estimator, source, dtype, weighted=True):
        self.checked = CheckedBlocks(estimator, source, dtype, True, accept_sparse="csr")
        labels = labels_of(self.checked)
        self.classes, self.counts = labels.values, labels.counts
        if len(self.classes) < 2:
            raise ValueError(
                "This solver needs samples of at least 2 classes in the data, but the data contains only one class: "
                f"{self.classes[0]!r}")
        self.by_class = self._factors(estimator.class_weight, weighted)

    def _factors(self, class_weight, weighted):
        if class_weight is None:
            return None
        totals = self.counts
        if weighted and isinstance(class_weight, str) and class_weight == "balanced":
            totals = self.prepared(lambda codes: codes).sum_of(
                lambda block: np.bincount(block[1], block[2], len(self.classes)).astype(np.float64))
            if not totals.all():
                raise ValueError("class_weight='balanced' needs a row of weight > 0 of each class")
        return class_weight_factors(class_weight, Labels(self.classes, totals))

    def prepared(self, target, weigh=None):
        """Blocks with ``target(codes)`` of the numbers of their classes, and ``weigh(codes, weights)``."""
        classes = self.classes

        def code(y, weights):
            codes = _codes(y, classes)
            return target(codes), weights if weigh is None else weigh(codes, weights)

        return PreparedBlocks(self.checked, code)

    def weigh(self, codes, weights):
        """Weights with those of the classes in them."""
        if self.by_class is None:
            return weights
        by_class = self.by_class.astype(self.checked.dtype)[codes]
        return by_class if weights is None else weights * by_class


def _codes(y, classes):
    y = np.asarray(y).ravel()
    codes = encode(y.astype(str) if y.dtype.kind == "O" else y, classes)
    if codes.min(initial=0) < 0:
        unknown = np.unique(y[codes < 0])[:5].tolist()
        raise ValueError(f"y must hold the classes of the pass that found them, {classes.tolist()}, got {unknown}")
    return codes


__all__ = ["ClassesOfBlocks"]
