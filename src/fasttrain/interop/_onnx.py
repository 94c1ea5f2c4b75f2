"""Converters for skl2onnx: fasttrain's estimators in whatever ``skl2onnx.to_onnx`` is given.

An estimator goes in as scikit-learn's with the same predictions, by its entry's conversion; a perceptron with
activations, losses or outputs that scikit-learn does not have as a graph of its own.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable

import numpy as np
from sklearn.base import ClassifierMixin, is_classifier, is_regressor

from fasttrain._estimators.conversion import to_sklearn
from fasttrain._estimators.registry import entries, entry_of

# What skl2onnx calls these operators.
_ALIAS = "Fasttrain{}"
_PERCEPTRONS = ("MLPClassifier", "MLPRegressor")
_OPTIONS = {"zipmap": [True, False, "columns"], "nocl": [True, False], "raw_scores": [True, False],
            "output_class_labels": [False, True]}
# Of Klambauer et al. 2017, as in the kernel.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def register_onnx(classes: Iterable[type] | None = None) -> None:
    """Register fasttrain's estimators with skl2onnx, so that ``skl2onnx.to_onnx`` takes them, alone and in pipelines,
    searches and ensembles.

    The patch of scikit-learn does it by itself, as soon as skl2onnx is imported. Options of ``to_onnx`` are those of
    scikit-learn's estimators. A perceptron that scikit-learn does not have (its activations, a loss of margins, the
    exponential output) gives its label and a matrix of probabilities or decisions, never a list of dicts; its gelu is
    computed in float32.

    Parameters
    ----------
    classes : list of type, default=None
        Of fasttrain; None stands for every estimator that has a counterpart in scikit-learn.

    Raises
    ------
    ImportError
        Without skl2onnx: ``pip install 'fasttrain[onnx]'``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import fasttrain
    >>> from fasttrain.neural_network import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((8,), activation="gelu", solver="lbfgs", max_iter=500, random_state=0).fit(X, y)
    >>> fasttrain.interop.register_onnx()
    >>> import skl2onnx
    >>> graph = skl2onnx.to_onnx(model, X[:1].astype("float32"), options={"zipmap": False})
    >>> [output.name for output in graph.graph.output]
    ['label', 'probabilities']
    """
    from skl2onnx import update_registered_converter

    if classes is None:
        classes = [entry.cls for entry in entries() if entry.to_stock is not None]
    for cls in classes:
        update_registered_converter(
            cls, _ALIAS.format(cls.__name__), _shape, _convert, parser=_parse,
            options=_OPTIONS if issubclass(cls, ClassifierMixin) else None)


def on_import(classes, around):
    """Register ``classes()`` with skl2onnx now, where it is imported, or when it will be.

    ``around()`` is the context in which it is imported: it is to find scikit-learn's own classes.
    """
    if "skl2onnx" in sys.modules:
        register_onnx(classes())
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(classes, around))


class _Finder:
    """Waits for skl2onnx among the finders of modules."""

    def __init__(self, classes, around):
        self.classes, self.around = classes, around

    def find_spec(self, name, path=None, target=None):
        if name != "skl2onnx":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module):
                with self.around():
                    load(module)
                register_onnx(self.classes())

            spec.loader.exec_module = exec_module
        return spec


def _stock_of(model):
    """What skl2onnx knows and predicts the same; None for a perceptron that neither it nor scikit-learn has."""
    if hasattr(model, "best_estimator_"):
        return model.best_estimator_
    perceptron = entry_of(model).cls.__name__ in _PERCEPTRONS
    if perceptron and (model.out_activation_ == "exp" or _has_labels(model)):
        # of the one skl2onnx leaves the exponential out, of the other it takes the labels for classes
        return None
    try:
        return to_sklearn(model)
    except ValueError:
        if perceptron:
            return None
        raise


def _has_labels(model):
    return getattr(model, "_target_kind", "").startswith("multilabel")


def _parse(scope, model, inputs, custom_parsers=None):
    """The outputs of a model that stands in a graph."""
    from skl2onnx._parse import parse_sklearn

    stock = _stock_of(model)
    if stock is not None:
        options = scope.options or {}
        for ours, theirs in ((id(model), id(stock)), (type(model), type(stock))):
            if ours in options:
                options[theirs] = options[ours]
        outputs = parse_sklearn(scope, stock, inputs, custom_parsers=custom_parsers)
        for output in outputs:
            # what this stands in may go on from them
            output.init_status(is_leaf=False)
        return outputs
    operator = scope.declare_local_operator(_ALIAS.format(type(model).__name__), model)
    operator.inputs = inputs
    names = ("label", "probabilities") if is_classifier(model) else ("variable",)
    for name, kind in zip(names, _types(model, inputs[0])):
        operator.outputs.append(scope.declare_local_variable(name, kind))
    return operator.outputs


def _number_type(given):
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    return DoubleTensorType if isinstance(given.type, DoubleTensorType) else FloatTensorType


def _shape(operator):
    for output, kind in zip(operator.outputs, _types(operator.raw_operator, operator.inputs[0])):
        output.type = kind


def _types(model, given):
    """Types and shapes of a model's outputs, from its input."""
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    numbers, n_rows = _number_type(given), given.get_first_dimension()
    if is_classifier(model):
        labels = Int64TensorType if model.classes_.dtype.kind in "biu" else StringTensorType
        several, n_classes = _has_labels(model), len(model.classes_)
        width = n_classes if several or n_classes > 2 or _is_probable(model) else 1
        return [labels([n_rows, n_classes] if several else [n_rows]), numbers([n_rows, width])]
    if is_regressor(model):
        width = model.n_outputs_ if hasattr(model, "n_outputs_") else int(np.atleast_1d(model.intercept_).size)
    else:
        width = len(model.get_feature_names_out())
    return [numbers([n_rows, width])]


def _is_probable(model):
    return getattr(model, "out_activation_", "") != "identity"


def _convert(scope, operator, container):
    from skl2onnx.algebra.onnx_operator import OnnxSubEstimator
    from skl2onnx.algebra.onnx_ops import OnnxIdentity

    model = operator.raw_operator
    version = {"op_version": container.target_opset}
    stock = _stock_of(model)
    if stock is None:
        results = _network(operator, version)
    else:
        part = OnnxSubEstimator(stock, operator.inputs[0], **version)
        results = [part[i] for i in range(2)] if is_classifier(model) else [part]
    for result, output in zip(results, operator.outputs):
        OnnxIdentity(result, output_names=[output], **version).add_to(scope, container)


def _network(operator, version):
    """A perceptron's outputs: (label, probabilities or decisions), or predictions."""
    from skl2onnx.algebra import onnx_ops as ops
    from skl2onnx.common.data_types import DoubleTensorType
    from skl2onnx.proto import onnx_proto

    model = operator.raw_operator
    double = _number_type(operator.inputs[0]) is DoubleTensorType
    dtype = np.float64 if double else np.float32
    kind = onnx_proto.TensorProto.DOUBLE if double else onnx_proto.TensorProto.FLOAT
    z = ops.OnnxCast(operator.inputs[0], to=kind, **version)
    network = entry_of(model).network(model)
    for i, (coef, intercept) in enumerate(zip(network.coefs, network.intercepts)):
        z = ops.OnnxMatMul(z, coef.astype(dtype), **version)
        z = ops.OnnxAdd(z, intercept.astype(dtype), **version)
        if i < len(network.activations):
            z = _activation(ops, *network.activations[i], z, dtype, kind, version)
    if not is_classifier(model):
        return [ops.OnnxExp(z, **version) if model.out_activation_ == "exp" else z]
    return _labels_and_scores(ops, model, z, dtype, version)


def _activation(ops, name, parameter, z, dtype, kind, version):
    """``f(z)``, of operators that onnxruntime has in both precisions."""
    from skl2onnx.proto import onnx_proto

    def number(value):
        return np.array([value], dtype=dtype)

    def elu(z, alpha):
        # exp of what is below only: the other side may overflow
        below = ops.OnnxSub(ops.OnnxExp(ops.OnnxMin(z, number(0), **version), **version), number(1), **version)
        return ops.OnnxAdd(ops.OnnxRelu(z, **version), ops.OnnxMul(below, number(alpha), **version), **version)

    def softplus(z):
        small = ops.OnnxExp(ops.OnnxNeg(ops.OnnxAbs(z, **version), **version), **version)
        log = ops.OnnxLog(ops.OnnxAdd(small, number(1), **version), **version)
        return ops.OnnxAdd(ops.OnnxRelu(z, **version), log, **version)

    def clipped(z, most):
        return ops.OnnxMin(ops.OnnxRelu(z, **version), number(most), **version)

    if name == "identity":
        return z
    if name == "relu":
        return ops.OnnxRelu(z, **version)
    if name == "leaky_relu":
        below = ops.OnnxMul(ops.OnnxMin(z, number(0), **version), number(parameter), **version)
        return ops.OnnxAdd(ops.OnnxRelu(z, **version), below, **version)
    if name == "elu":
        return elu(z, parameter)
    if name == "selu":
        return ops.OnnxMul(elu(z, _SELU_ALPHA), number(_SELU_SCALE), **version)
    if name == "gelu":
        narrow = ops.OnnxCast(z, to=onnx_proto.TensorProto.FLOAT, **version)
        error = ops.OnnxErf(ops.OnnxMul(narrow, np.array([0.5**0.5], np.float32), **version), **version)
        error = ops.OnnxCast(error, to=kind, **version)
        half = ops.OnnxMul(ops.OnnxAdd(error, number(1), **version), number(0.5), **version)
        return ops.OnnxMul(z, half, **version)
    if name == "silu":
        return ops.OnnxMul(z, ops.OnnxSigmoid(z, **version), **version)
    if name == "softplus":
        return softplus(z)
    if name == "clipped_relu":
        return clipped(z, parameter)
    if name in ("hard_sigmoid", "hard_silu"):
        line = ops.OnnxAdd(ops.OnnxMul(z, number(1 / 6), **version), number(0.5), **version)
        return clipped(line, 1) if name == "hard_sigmoid" else ops.OnnxMul(z, clipped(line, 1), **version)
    if name == "hard_tanh":
        return ops.OnnxMin(ops.OnnxMax(z, number(-1), **version), number(1), **version)
    if name == "softsign":
        return ops.OnnxDiv(z, ops.OnnxAdd(ops.OnnxAbs(z, **version), number(1), **version), **version)
    if name == "mish":
        return ops.OnnxMul(z, ops.OnnxTanh(softplus(z), **version), **version)
    if name == "celu":
        below = elu(ops.OnnxMin(ops.OnnxDiv(z, number(parameter), **version), number(0), **version), parameter)
        return ops.OnnxAdd(ops.OnnxRelu(z, **version), below, **version)
    if name == "log_sigmoid":
        return ops.OnnxNeg(softplus(ops.OnnxNeg(z, **version)), **version)
    return {"tanh": ops.OnnxTanh, "logistic": ops.OnnxSigmoid, "exponential": ops.OnnxExp}[name](z, **version)


def _labels_and_scores(ops, model, z, dtype, version):
    from skl2onnx.proto import onnx_proto

    scores = z
    if model.out_activation_ == "softmax":
        scores = ops.OnnxSoftmax(z, axis=1, **version)
    elif model.out_activation_ == "logistic":
        scores = ops.OnnxSigmoid(z, **version)
    above = ops.OnnxCast(
        ops.OnnxGreater(z, np.array([0], dtype=dtype), **version), to=onnx_proto.TensorProto.INT64, **version)
    if _has_labels(model):
        return above, scores
    if model.n_outputs_ > 1:
        number = ops.OnnxArgMax(z, axis=1, keepdims=0, **version)
    else:
        number = ops.OnnxReshape(above, np.array([-1], dtype=np.int64), **version)
        if model.out_activation_ == "logistic":
            rest = ops.OnnxSub(np.array([1], dtype=dtype), scores, **version)
            scores = ops.OnnxConcat(rest, scores, axis=1, **version)
    classes = model.classes_
    classes = classes.astype(np.int64) if classes.dtype.kind in "biu" else classes.astype(str)
    return ops.OnnxGather(classes, number, axis=0, **version), scores
