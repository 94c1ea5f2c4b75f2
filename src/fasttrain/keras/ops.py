"""The few of Keras's operations that losses and metrics are written in, with derivatives.

Of arrays they are NumPy's. While a loss of one's own is trained, the predictions come as a :class:`Traced` array, and
what is computed from it remembers how: :func:`value_and_gradient` then goes back through it (reverse accumulation,
Linnainmaa 1970). That happens once a batch, in Python, and costs some tens of microseconds an operation.

Examples
--------
>>> import numpy as np
>>> from fasttrain.keras import ops
>>> def pinball(y_true, y_pred):
...     difference = y_true - y_pred
...     return ops.mean(ops.maximum(0.9 * difference, -0.1 * difference), axis=-1)
>>> y, p = np.array([[1.0], [2.0]]), np.array([[0.0], [3.0]])
>>> pinball(y, p)
array([0.9, 0.1])
>>> ops.value_and_gradient(pinball, y, p)
(array([0.9, 0.1]), array([[-0.9],
       [ 0.1]]))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fasttrain._core.public import publish
from fasttrain._core.types import ArrayLike

__all__ = [
    "abs",
    "absolute",
    "add",
    "all",
    "any",
    "arange",
    "argmax",
    "array",
    "cast",
    "clip",
    "concatenate",
    "convert_to_numpy",
    "convert_to_tensor",
    "divide",
    "divide_no_nan",
    "equal",
    "exp",
    "expand_dims",
    "expm1",
    "floor",
    "greater",
    "greater_equal",
    "isfinite",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "logical_and",
    "logical_not",
    "logical_or",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "multiply",
    "ndim",
    "negative",
    "norm",
    "not_equal",
    "one_hot",
    "ones",
    "ones_like",
    "power",
    "reciprocal",
    "relu",
    "reshape",
    "round",
    "rsqrt",
    "shape",
    "sigmoid",
    "sign",
    "size",
    "softmax",
    "softplus",
    "sqrt",
    "square",
    "squeeze",
    "stop_gradient",
    "subtract",
    "sum",
    "take_along_axis",
    "tanh",
    "transpose",
    "true_divide",
    "value_and_gradient",
    "where",
    "zeros",
    "zeros_like",
]


class Traced:
    """An array that remembers what it was computed from.

    Attributes
    ----------
    value : array
    parents : list of (Traced, function)
        Each function takes the derivative by this array to that by the parent.
    """

    def __init__(self, value, parents=()):
        self.value = np.asarray(value)
        self.parents = parents

    @property
    def shape(self):
        return self.value.shape

    @property
    def dtype(self):
        return self.value.dtype

    @property
    def ndim(self):
        return self.value.ndim

    def __len__(self):
        return len(self.value)

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "a loss that is trained must be written in operators and fasttrain.keras.ops, through which its gradient "
            "is taken; NumPy's functions, loops over elements and conditions on values lose it")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        # an operator with an array on its left, and elementwise functions that there are here too
        operation = _UFUNCS.get(ufunc)
        if method != "__call__" or kwargs or operation is None:
            return self.__array__()
        return operation(*inputs)

    def __bool__(self):
        return self.__array__()

    __float__ = __iter__ = __bool__

    def __getitem__(self, key):
        def back(g):
            full = np.zeros_like(self.value)
            np.add.at(full, key, g)
            return full

        return Traced(self.value[key], [(self, back)])

    def __neg__(self):
        return negative(self)

    def __abs__(self):
        return absolute(self)

    def __add__(self, other):
        return add(self, other)

    __radd__ = __add__

    def __sub__(self, other):
        return subtract(self, other)

    def __rsub__(self, other):
        return subtract(other, self)

    def __mul__(self, other):
        return multiply(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other):
        return divide(self, other)

    def __rtruediv__(self, other):
        return divide(other, self)

    def __pow__(self, other):
        return power(self, other)

    def __rpow__(self, other):
        return power(other, self)

    def __matmul__(self, other):
        return matmul(self, other)

    def __gt__(self, other):
        return greater(self, other)

    def __ge__(self, other):
        return greater_equal(self, other)

    def __lt__(self, other):
        return less(self, other)

    def __le__(self, other):
        return less_equal(self, other)

    def __eq__(self, other):
        return equal(self, other)

    def __ne__(self, other):
        return not_equal(self, other)

    __hash__ = object.__hash__


def value_and_gradient(function: Callable[..., Any], y_true: Any, y_pred: Any) -> Any:
    """What a loss gives, and the derivative of its sum by the predictions.

    Parameters
    ----------
    function : callable
        From (y_true, y_pred) to an array or a number, by operators and the operations here.
    y_true, y_pred : arrays

    Returns
    -------
    (array, array of y_pred's shape)

    Raises
    ------
    TypeError
        When the result does not hang on ``y_pred`` by operations that have derivatives.
    """
    leaf = Traced(y_pred)
    out = function(y_true, leaf)
    if not isinstance(out, Traced):
        raise TypeError(
            f"{getattr(function, '__name__', function)!r} must be computed from y_pred by operators and "
            "fasttrain.keras.ops, so that it has a gradient")
    order, seen = [], set()
    # children after all of their parents, without recursion: a formula may be long
    stack = [(out, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((parent, False) for parent, _ in node.parents)
    gradients = {id(out): np.ones_like(out.value)}
    for node in reversed(order):
        g = gradients.pop(id(node), None)
        if node is leaf:
            return out.value, np.zeros_like(leaf.value) if g is None else g
        for parent, back in node.parents if g is not None else ():
            part = back(g)
            there = gradients.get(id(parent))
            gradients[id(parent)] = part if there is None else there + part
    return out.value, np.zeros_like(leaf.value)


def _plain(x):
    if isinstance(x, Traced):
        return x.value
    return x if isinstance(x, (int, float)) else np.asarray(x)


def _to_shape(g, shape):
    """A derivative summed over the axes along which its array was broadcast."""
    if np.shape(g) == shape:
        return g
    g = np.asarray(g)
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1), keepdims=True)


def _elementwise(function, inputs, derivatives):
    """``function`` of arrays; ``derivatives`` have one function of (g, out, *values) for each input."""
    values = [_plain(x) for x in inputs]
    out = function(*values)
    parents = []
    for x, derivative in zip(inputs, derivatives):
        if isinstance(x, Traced):
            def back(g, derivative=derivative, shape=x.shape):
                return _to_shape(derivative(g, out, *values), shape)

            parents.append((x, back))
    return Traced(out, parents) if parents else out


def _operation(function, doc, *derivatives):
    """A public elementwise operation."""
    def operation(*inputs: Any) -> Any:
        return _elementwise(function, inputs, derivatives)

    operation.__doc__ = doc
    return operation


add = _operation(np.add, "``x1 + x2``.", lambda g, o, a, b: g, lambda g, o, a, b: g)
subtract = _operation(np.subtract, "``x1 - x2``.", lambda g, o, a, b: g, lambda g, o, a, b: -g)
multiply = _operation(np.multiply, "``x1 * x2``.", lambda g, o, a, b: g * b, lambda g, o, a, b: g * a)
divide = true_divide = _operation(
    np.true_divide, "``x1 / x2``.", lambda g, o, a, b: g / b, lambda g, o, a, b: -g * o / b)
negative = _operation(np.negative, "``-x``.", lambda g, o, x: -g)
reciprocal = _operation(np.reciprocal, "``1 / x``.", lambda g, o, x: -g * o * o)
exp = _operation(np.exp, "``exp(x)``.", lambda g, o, x: g * o)
expm1 = _operation(np.expm1, "``exp(x) - 1``.", lambda g, o, x: g * (o + 1))
log = _operation(np.log, "The natural logarithm.", lambda g, o, x: g / x)
log1p = _operation(np.log1p, "``log(1 + x)``.", lambda g, o, x: g / (1 + x))
sqrt = _operation(np.sqrt, "The square root.", lambda g, o, x: g / (2 * o))
rsqrt = _operation(lambda x: 1 / np.sqrt(x), "``1 / sqrt(x)``.", lambda g, o, x: -g * o / (2 * x))
square = _operation(np.square, "``x * x``.", lambda g, o, x: 2 * g * x)
tanh = _operation(np.tanh, "The hyperbolic tangent.", lambda g, o, x: g * (1 - o * o))
sigmoid = _operation(
    lambda x: 0.5 * (1 + np.tanh(0.5 * x)), "``1 / (1 + exp(-x))``.", lambda g, o, x: g * o * (1 - o))
softplus = _operation(
    lambda x: np.logaddexp(x, 0), "``log(1 + exp(x))``.", lambda g, o, x: g * 0.5 * (1 + np.tanh(0.5 * x)))
absolute = abs = _operation(np.abs, "The absolute value; derivative 0 at 0.", lambda g, o, x: g * np.sign(x))
relu = _operation(lambda x: np.maximum(x, 0), "``max(0, x)``; derivative 0 at 0.", lambda g, o, x: g * (x > 0))


def _ahead(a, b):
    """1 where a is greater, half where the two are equal, as JAX has it."""
    return 0.5 * ((a > b) + 1.0 * (a >= b))


maximum = _operation(
    np.maximum, "The greater of two; at equal values each has half of the derivative.",
    lambda g, o, a, b: g * _ahead(a, b), lambda g, o, a, b: g * _ahead(b, a))
minimum = _operation(
    np.minimum, "The lesser of two; at equal values each has half of the derivative.",
    lambda g, o, a, b: g * _ahead(b, a), lambda g, o, a, b: g * _ahead(a, b))


def _log_of(x):
    return np.log(np.where(x > 0, x, 1))


def _power_slope(a, b):
    # 0 by an exponent of 0, at 0 too
    return b * np.power(a, b - 1 + (b == 0))


power = _operation(
    np.power, "``x1 ** x2``.", lambda g, o, a, b: g * _power_slope(a, b), lambda g, o, a, b: g * o * _log_of(a))


def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """``x`` held between two numbers; derivative 0 beyond them."""
    return _elementwise(
        lambda v: np.clip(v, x_min, x_max), [x], [lambda g, o, v: g * ((v >= x_min) & (v <= x_max))])


def where(condition: Any, x1: ArrayLike | None = None, x2: ArrayLike | None = None) -> Any:
    """``x1`` where the condition holds, else ``x2``."""
    condition = _plain(condition)
    if x1 is None and x2 is None:
        return np.where(condition)
    return _elementwise(
        lambda a, b: np.where(condition, a, b), [x1, x2],
        [lambda g, o, a, b: np.where(condition, g, 0), lambda g, o, a, b: np.where(condition, 0, g)])


def divide_no_nan(x1: ArrayLike, x2: ArrayLike) -> Any:
    """``x1 / x2``, 0 where ``x2`` is 0."""
    zero = _plain(x2) == 0
    return where(zero, 0.0, divide(x1, where(zero, 1.0, x2)))


def _spread(g, shape, axis, keepdims):
    """A derivative by a reduction, back over the axes that it went over."""
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, shape)


def _reduction(x, out, back):
    return Traced(out, [(x, back)]) if isinstance(x, Traced) else out


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum over axes."""
    value = _plain(x)
    return _reduction(x, np.sum(value, axis=axis, keepdims=keepdims),
                      lambda g: _spread(g, np.shape(value), axis, keepdims))


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean over axes."""
    value = np.asarray(_plain(x))
    out = np.mean(value, axis=axis, keepdims=keepdims)
    share = np.size(out) / np.size(value)
    return _reduction(x, out, lambda g: _spread(g * np.asarray(share, value.dtype), value.shape, axis, keepdims))


def _extreme(function, x, axis, keepdims):
    value = np.asarray(_plain(x))
    whole = function(value, axis=axis, keepdims=True)
    at = value == whole

    def back(g):
        return _spread(g, value.shape, axis, keepdims) * at / at.sum(axis=axis, keepdims=True)

    return _reduction(x, whole if keepdims else function(value, axis=axis), back)


def max(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """The greatest over axes; equals share the derivative."""
    found = _extreme(np.max, x, axis, keepdims)
    return found if initial is None else maximum(found, initial)


def min(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """The least over axes; equals share the derivative."""
    found = _extreme(np.min, x, axis, keepdims)
    return found if initial is None else minimum(found, initial)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The Euclidean norm over axes; ``ord`` must be None or 2."""
    if ord not in (None, 2):
        raise ValueError(f"ord must be None or 2, got {ord!r}")
    return sqrt(sum(square(x), axis=axis, keepdims=keepdims))


def softmax(x: Any, axis: Any = -1) -> Any:
    """``exp(x_c) / sum_j exp(x_j)`` along an axis."""
    e = exp(x - np.max(_plain(x), axis=axis, keepdims=True))
    return e / sum(e, axis=axis, keepdims=True)


def matmul(x1: ArrayLike, x2: ArrayLike) -> Any:
    """The product of two matrices."""
    a, b = _plain(x1), _plain(x2)
    if np.ndim(a) != 2 or np.ndim(b) != 2:
        raise ValueError(f"x1 and x2 must be matrices, got shapes {np.shape(a)} and {np.shape(b)}")
    parents = [(x, back) for x, back in ((x1, lambda g: g @ b.T), (x2, lambda g: a.T @ g)) if isinstance(x, Traced)]
    return Traced(a @ b, parents) if parents else a @ b


def _moved(x, forward, back):
    value = np.asarray(_plain(x))
    return _reduction(x, forward(value), lambda g: back(g, value))


def reshape(x: Any, newshape: Any) -> Any:
    """The same elements in another shape."""
    return _moved(x, lambda v: v.reshape(newshape), lambda g, v: np.reshape(g, v.shape))


def expand_dims(x: Any, axis: Any) -> Any:
    """One more axis of length 1."""
    return _moved(x, lambda v: np.expand_dims(v, axis), lambda g, v: np.reshape(g, v.shape))


def squeeze(x: Any, axis: Any = None) -> Any:
    """Axes of length 1 left out."""
    return _moved(x, lambda v: np.squeeze(v, axis), lambda g, v: np.reshape(g, v.shape))


def transpose(x: Any, axes: Any = None) -> Any:
    """The axes in another order, the reverse one when None."""
    return _moved(
        x, lambda v: np.transpose(v, axes),
        lambda g, v: np.transpose(g, None if axes is None else np.argsort(np.mod(axes, v.ndim))))


def take_along_axis(x: Any, indices: Any, axis: Any = None) -> Any:
    """Elements by their numbers along an axis; None takes them of the array with one axis."""
    if axis is None:
        x, axis = reshape(x, -1), 0
    indices = np.asarray(_plain(indices))

    def back(g, v):
        full = np.zeros_like(v)
        # numbers may come twice; where the indices have a length of 1 they are those of all
        grid = list(np.ogrid[tuple(map(slice, v.shape))])
        grid[axis] = indices
        np.add.at(full, tuple(grid), g)
        return full

    return _moved(x, lambda v: np.take_along_axis(v, indices, axis), back)


def concatenate(xs: Any, axis: Any = 0) -> Any:
    """Arrays one after the other along an axis."""
    values = [np.asarray(_plain(x)) for x in xs]
    ends = np.cumsum([value.shape[axis] for value in values])
    parents = []
    for x, value, end in zip(xs, values, ends):
        if isinstance(x, Traced):
            part = slice(int(end) - value.shape[axis], int(end))
            parents.append((x, lambda g, part=part: np.moveaxis(np.moveaxis(g, axis, 0)[part], 0, axis)))
    out = np.concatenate(values, axis=axis)
    return Traced(out, parents) if parents else out


def stop_gradient(x: Any) -> Any:
    """The array itself, through which no derivative goes."""
    return _plain(x)


def cast(x: Any, dtype: Any) -> Any:
    """The array in another dtype; integers and booleans have no derivative."""
    if np.dtype(dtype).kind not in "fc":
        return np.asarray(_plain(x)).astype(dtype)
    return _moved(x, lambda v: v.astype(dtype), lambda g, v: np.asarray(g, v.dtype))


def convert_to_tensor(x: Any, dtype: Any = None) -> Any:
    """The array, traced when it was; in ``dtype`` where one is given."""
    if dtype is not None:
        return cast(x, dtype)
    return x if isinstance(x, Traced) else np.asarray(x)


array = convert_to_tensor


def convert_to_numpy(x: Any) -> Any:
    """The values as an array of NumPy, without a derivative."""
    return np.asarray(_plain(x))


def _flat(function, doc):
    """A public operation whose derivative is zero everywhere, and so is not followed."""
    def operation(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_plain, args), **kwargs)

    operation.__doc__ = doc
    return operation


equal = _flat(np.equal, "``x1 == x2``.")
not_equal = _flat(np.not_equal, "``x1 != x2``.")
greater = _flat(np.greater, "``x1 > x2``.")
greater_equal = _flat(np.greater_equal, "``x1 >= x2``.")
less = _flat(np.less, "``x1 < x2``.")
less_equal = _flat(np.less_equal, "``x1 <= x2``.")
logical_and = _flat(np.logical_and, "Whether both hold.")
logical_or = _flat(np.logical_or, "Whether either holds.")
logical_not = _flat(np.logical_not, "Whether it does not hold.")
isnan = _flat(np.isnan, "Whether each is NaN.")
isfinite = _flat(np.isfinite, "Whether each is finite.")
sign = _flat(np.sign, "-1, 0 or 1.")
floor = _flat(np.floor, "The greatest integer that is not greater.")
round = _flat(np.round, "The nearest integer.")
argmax = _flat(np.argmax, "The number of the greatest along an axis.")
any = _flat(np.any, "Whether one holds, over axes.")
all = _flat(np.all, "Whether all hold, over axes.")
shape = _flat(np.shape, "Lengths of the axes.")
ndim = _flat(np.ndim, "The number of axes.")
size = _flat(np.size, "The number of elements.")
ones_like = _flat(np.ones_like, "Ones of the same shape and dtype.")
zeros_like = _flat(np.zeros_like, "Zeros of the same shape and dtype.")


def ones(shape: Any, dtype: Any = "float32") -> Any:
    """Ones."""
    return np.ones(shape, dtype)


def zeros(shape: Any, dtype: Any = "float32") -> Any:
    """Zeros."""
    return np.zeros(shape, dtype)


def arange(start: Any, stop: Any = None, step: int = 1, dtype: Any = None) -> Any:
    """Evenly spaced numbers."""
    return np.arange(0 if stop is None else start, start if stop is None else stop, step, dtype)


def one_hot(x: Any, num_classes: int, axis: Any = -1, dtype: Any = "float32") -> Any:
    """Rows of zeros with a one at each class code."""
    codes = np.asarray(_plain(x)).astype(np.intp)
    found = (codes[..., None] == np.arange(num_classes)).astype(dtype)
    return found if axis == -1 else np.moveaxis(found, -1, axis)


_UFUNCS = {
    np.add: add, np.subtract: subtract, np.multiply: multiply, np.true_divide: divide, np.negative: negative,
    np.power: power, np.exp: exp, np.expm1: expm1, np.log: log, np.log1p: log1p, np.sqrt: sqrt, np.square: square,
    np.tanh: tanh, np.absolute: absolute, np.maximum: maximum, np.minimum: minimum, np.matmul: matmul,
    np.greater: greater, np.greater_equal: greater_equal, np.less: less, np.less_equal: less_equal, np.equal: equal,
    np.not_equal: not_equal,
}

publish(globals())
