"""Data as Keras's methods take it, and what they give back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fasttrain._core.checks import all_finite, check_real, check_weights, real_array
from fasttrain._kernels import activations as kernels
from fasttrain._kernels.threads import get_num_threads
from fasttrain.data._use import at_block, block_rows, stream

_FEW_CELLS = 4096


@dataclass
class Rows:
    """Checked rows.

    Attributes
    ----------
    x : array of shape (n, n_features)
    y : array
        As the metrics see it.
    target : array of shape (n, k) or (n, 1)
        As the engine sees it.
    weight : array of shape (n,) or None
    """

    x: np.ndarray
    y: np.ndarray
    target: np.ndarray
    weight: np.ndarray | None

    @property
    def n_rows(self):
        return len(self.x)

    def parts(self):
        """The rows as one part."""
        return iter([self])

    def part(self, start, stop):
        """Rows [start, stop)."""
        weight = None if self.weight is None else self.weight[start:stop]
        return Rows(self.x[start:stop], self.y[start:stop], self.target[start:stop], weight)


class RowBlocks:
    """Checked rows of a source of blocks.

    Parameters
    ----------
    source : Blocks
    rows : callable
        From the X, y and weights of a block to its :class:`Rows`.
    kind : BlockKind
        Of the source's first block.

    Attributes
    ----------
    rows : list of int
        Of each block.
    """

    def __init__(self, source, rows, kind):
        self.source = source
        self._rows = rows
        self._kind = kind
        self.rows = block_rows(source)
        self.n_rows = sum(self.rows)

    def _part(self, i):
        block = self.source.block(i)
        with at_block(self.source, i, block.X):
            if block.y is None:
                raise ValueError("the block has no y")
            self._kind.require(block)
            return self._rows(*block)

    # What an X becomes is known only when it is there.
    like = None

    def load(self, i, out=None):
        """Block ``i`` as a feed takes it: features, targets, weights, and y as metrics see it."""
        part = self._part(i)
        return part.x, part.target, part.weight, part.y

    def parts(self):
        """:class:`Rows` of each block."""
        return stream(self.source, self._part, [i for i, n in enumerate(self.rows) if n])


def _array(value, name):
    """An array-like of real numbers; sparse matrices become dense, frames lose their names."""
    if hasattr(value, "toarray"):
        value = value.toarray()
    if value is None:
        raise ValueError(f"{name} must be given")
    # a data set may have a length and items, too, but as many of them as it is asked for
    if not hasattr(value, "__array__") and (isinstance(value, str) or not isinstance(value, Sequence)):
        raise TypeError(
            f"{name} must be an array, a list, a data frame or a sparse matrix, got {type(value).__name__}"
        )
    return real_array(value, name)


def features(x, input_shape, dtype):
    """x as a finite, C-contiguous array of the model's dtype, (n, ...) with the shape of its rows."""
    x = _array(x, "x")
    if input_shape is not None:
        wanted = input_shape[1:]
        if x.ndim == len(wanted) and wanted[-1] == 1:
            x = x[..., None]
        if x.shape[1:] != wanted:
            raise ValueError(f"x must have rows of shape {wanted}, got an array of shape {x.shape}")
    if x.ndim < 2 or x.size == 0:
        raise ValueError(f"x must have at least one row and one feature, got an array of shape {x.shape}")
    if x.dtype != dtype or not x.flags.c_contiguous:
        with np.errstate(over="ignore"):
            x = np.ascontiguousarray(x, dtype=dtype)
    if not all_finite(x):
        raise ValueError(f"x must hold finite numbers of {x.dtype.name}, got NaN or infinity")
    return x


def flat(x):
    """Rows of one axis."""
    return x.reshape(len(x), -1)


def rows(x, y, sample_weight, class_weight, objective):
    """Checked :class:`Rows` for what a model minimizes; ``x`` comes from :func:`features`."""
    n = len(x)
    y = _array(y, "y")
    if y.ndim == 0 or len(y) != n:
        raise ValueError(f"y must have {n} rows as x has, got shape {y.shape}")
    target = objective.loss.encode(y, n, objective.k, x.dtype)
    weight = None
    if class_weight is not None:
        if sample_weight is not None:
            raise ValueError("only one of class_weight and sample_weight may be given")
        weight = _class_weights(y, class_weight, max(2, objective.k))
    elif sample_weight is not None:
        weight = _array(sample_weight, "sample_weight")
        weight = check_weights(weight[:, 0] if weight.shape == (n, 1) else weight, n, x.dtype, all_zero=True)
    weight = None if weight is None else np.ascontiguousarray(weight, dtype=x.dtype)
    return Rows(flat(x), y, target, weight)


def _class_weights(y, class_weight, n_classes):
    """A weight for each row from that of its class."""
    if not isinstance(class_weight, dict):
        raise TypeError(f"class_weight must be a dict from class codes to weights, got {class_weight!r}")
    codes = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)
    codes = np.round(codes).astype(np.intp)
    table = np.ones(max(n_classes, int(codes.max()) + 1))
    for code, weight in class_weight.items():
        if isinstance(code, bool) or not isinstance(code, (int, np.integer)) or not 0 <= code < n_classes:
            raise ValueError(f"class_weight must have keys from 0 to {n_classes - 1}, got {code!r}")
        table[code] = check_real(weight, f"class_weight[{code}]", low=0)
    if codes.min() < 0:
        raise ValueError(f"y must hold class codes >= 0 for class_weight, got {codes.min()}")
    return table[codes]


def split(both, share):
    """The first rows to train on, the last ``share`` of them to validate with."""
    n = len(both.x)
    kept = int(n * (1 - share))
    if kept == 0 or kept == n:
        raise ValueError(f"validation_split={share} of {n} rows leaves none to train on, or none to validate with")
    return both.part(0, kept), both.part(kept, n)


def activated(raw, activation):
    """Predictions from the last layer's raw outputs (n, k), an array of the caller's own, in its place."""
    if activation.name == "softmax":
        kernels.softmax(raw, raw)
    elif activation.name != "identity":
        cells = raw.reshape(-1)
        # few are sooner done than it is known how many threads there are
        threads = 1 if cells.size <= _FEW_CELLS else get_num_threads()
        kernels.forward(activation.name, cells, cells, activation.parameter, threads)
    return raw


def check_verbose(verbose):
    if isinstance(verbose, bool) or verbose in ("auto", 0, 1, 2):
        return
    raise ValueError(f"verbose must be 'auto', 0, 1 or 2, got {verbose!r}")


def line(logs):
    """Numbers as Keras prints them."""
    return " - ".join(f"{name}: {_shown(value)}" for name, value in logs.items())


def _shown(value):
    if np.ndim(value):
        return f"[{' '.join(map(_shown, value))}]"
    return f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}"


def print_line(logs):
    print(line(logs))


def returned(logs, names, return_dict):
    """What evaluate and its like return."""
    if return_dict:
        return logs
    values = [logs[name] for name in names]
    return values[0] if len(values) == 1 else values
