"""What classifiers that are minimized over all rows need of a source: its classes, and blocks with their numbers."""

import numpy as np
from sklearn.utils import compute_class_weight

from fasttrain._estimators.blocks import CheckedBlocks, PreparedBlocks, labels_of
from fasttrain.linear_model._block_losses import codes_of


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
        if isinstance(class_weight, str) and class_weight == "balanced":
            classes = self.classes
            totals = self.counts
            if weighted:
                totals = self.prepared(lambda codes: codes).sum_of(
                    lambda block: np.bincount(block[1], block[2], len(classes)).astype(np.float64))
            if not totals.all():
                raise ValueError("class_weight='balanced' needs a row of weight > 0 of each class")
            return totals.sum() / (len(classes) * totals)
        factors = compute_class_weight(class_weight, classes=self.classes, y=self.classes)
        if (factors < 0).any() or not factors.any():
            raise ValueError(
                f"class_weight must hold numbers >= 0 that leave rows of weight > 0, got {class_weight!r}")
        return factors

    def prepared(self, target, weigh=None):
        """Blocks with ``target(codes)`` of the numbers of their classes, and ``weigh(codes, weights)``."""
        classes = self.classes

        def code(y, weights):
            codes = codes_of(y, classes)
            return target(codes), weights if weigh is None else weigh(codes, weights)

        return PreparedBlocks(self.checked, code)

    def weigh(self, codes, weights):
        """Weights with those of the classes in them."""
        if self.by_class is None:
            return weights
        by_class = self.by_class.astype(self.checked.dtype)[codes]
        return by_class if weights is None else weights * by_class


__all__ = ["ClassesOfBlocks"]
