"""Models of other libraries: stock scikit-learn estimators, and the weights of PyTorch networks.

What comes out of :func:`to_sklearn` predicts the same and needs no fasttrain: it can be pickled and served where only
scikit-learn is installed, or given to tools that know scikit-learn's classes. skl2onnx takes fasttrain's own estimators
after :func:`register_onnx`, and MLflow's autologging logs them after :func:`register_mlflow`.

What is particular to a class stands beside it, in its entry (:mod:`fasttrain._estimators.registry`); ``_torch`` reads
and writes state dicts, ``_onnx`` has the converters of skl2onnx,
``_mlflow`` what its autologging is shown. Users call these functions, or the methods of the same
names; the patch does when it falls back.

Examples
--------
>>> from sklearn.datasets import load_iris
>>> from sklearn.preprocessing import scale
>>> from fasttrain import interop
>>> from fasttrain.neural_network import MLPClassifier
>>> X, y = load_iris(return_X_y=True)
>>> X = scale(X)
>>> model = MLPClassifier((16,), solver="lbfgs", tol=1e-2, random_state=0).fit(X, y)
>>> stock = interop.to_sklearn(model)
>>> type(stock).__module__.partition(".")[0], bool((stock.predict(X) == model.predict(X)).all())
('sklearn', True)
"""

# Their packages enter the estimators that are found here.
from fasttrain import linear_model, model_selection, neural_network, preprocessing  # noqa: F401
from fasttrain._core.public import publish
from fasttrain._estimators.conversion import from_sklearn, to_sklearn
from fasttrain.interop._mlflow import register_mlflow
from fasttrain.interop._onnx import register_onnx
from fasttrain.interop._torch import from_torch_state_dict, to_torch_state_dict

__all__ = [
    "from_sklearn", "from_torch_state_dict", "register_mlflow", "register_onnx", "to_sklearn", "to_torch_state_dict",
]

publish(globals())
