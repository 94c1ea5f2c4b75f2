"""Models of other libraries: stock scikit-learn estimators, and the weights of PyTorch networks.

What comes out of :func:`to_sklearn` predicts the same and needs no fasttrain: it can be pickled and served where only
scikit-learn is installed, or given to tools that know scikit-learn's classes, as skl2onnx does.

Examples
--------
>>> from sklearn.datasets import load_iris
>>> from fasttrain import interop
>>> from fasttrain.neural_network import MLPClassifier
>>> X, y = load_iris(return_X_y=True)
>>> model = MLPClassifier((16,), solver="lbfgs", max_iter=50, tol=1e-2, random_state=0).fit(X, y)
>>> stock = interop.to_sklearn(model)
>>> type(stock).__module__.partition(".")[0], bool((stock.predict(X) == model.predict(X)).all())
('sklearn', True)
"""

import copy

import numpy as np
from sklearn.base import BaseEstimator

from fasttrain._conversion import SERVED, own_class
from fasttrain._twins import FROM_STOCK, SEARCHES, TO_STOCK, names_of, with_parameters

__all__ = ["from_sklearn", "from_torch_state_dict", "to_sklearn", "to_torch_state_dict"]


def to_sklearn(estimator):
    """A stock scikit-learn estimator with the same predictions.

    Parameters
    ----------
    estimator : estimator, or list, tuple or dict of them
        An estimator of fasttrain, fitted or not, or one of scikit-learn that holds some: a pipeline, a column
        transformer, a search, an ensemble. Not changed.

    Returns
    -------
    estimator
        Of scikit-learn's class of the same name with the same parameters, those that it does not have left out; fitted
        as this one is. ``LinearClassifier`` becomes a ``LogisticRegression`` (margin losses: an ``SGDClassifier``,
        several labels: an ``MLPClassifier`` with no hidden layer), ``LinearRegressor`` a ``LinearRegression``,
        ``QuantileRegressor`` or ``PoissonRegressor``, as does an ``SGDRegressor`` whose loss or several outputs
        scikit-learn's does not have. It predicts the same; where training would go on from is only kept for the classes
        of the same name, and without the moments of a network's optimizer.

    Raises
    ------
    ValueError
        For a network whose activations scikit-learn's does not have.
    TypeError
        For an estimator of fasttrain that has no counterpart.
    """
    return _Rebuilder(_stock_of).rebuild(estimator)


def from_sklearn(estimator, cls=None):
    """An estimator of fasttrain with the predictions of a stock one.

    Parameters
    ----------
    estimator : estimator of scikit-learn
        One of the classes that :func:`fasttrain.patch_sklearn` replaces, fitted or not, a linear model, or an estimator
        that holds some, whose other parts are left as they are. Not changed.
    cls : type, default=None
        The class wanted where there is a choice, for ``LinearClassifier`` and ``LinearRegressor`` from stock SGD
        estimators.

    Returns
    -------
    estimator
        Linear models other than the SGD estimators become ``LinearClassifier`` and ``LinearRegressor`` with their
        coefficients; their penalties are not carried over.

    Raises
    ------
    TypeError
        When there is nothing in ``estimator`` that fasttrain has, or not as ``cls``.
    """
    if cls is not None:
        for stock in type(estimator).__mro__:
            for fast, convert in FROM_STOCK.get(stock, ()):
                if issubclass(cls, fast):
                    return convert(estimator, cls)
        raise TypeError(f"{cls.__name__} cannot be made from a {type(estimator).__name__}")
    rebuilder = _Rebuilder(_fast_of)
    new = rebuilder.rebuild(estimator)
    if not rebuilder.converted:
        raise TypeError(f"fasttrain has nothing in place of a {type(estimator).__name__}")
    return new


def _stock_of(estimator):
    """The conversion for this estimator, None where there is nothing to convert."""
    if SERVED in vars(estimator):
        return lambda source, rebuild: _unveiled(source)
    for cls in type(estimator).__mro__:
        if cls in TO_STOCK:
            return lambda source, rebuild: TO_STOCK[cls][1](source)
        if cls in SEARCHES:
            return lambda source, rebuild: _renamed(source, SEARCHES[cls], rebuild)
    for cls in type(estimator).__mro__:
        if cls.__module__.split(".")[0] == "sklearn":
            return None
        if cls.__module__.split(".")[0] == "fasttrain":
            raise TypeError(f"scikit-learn has nothing in place of fasttrain's {type(estimator).__name__}")
    return None


def _fast_of(estimator):
    options = FROM_STOCK.get(type(estimator))
    return None if options is None else lambda source, rebuild: options[0][1](source, options[0][0])


def _unveiled(source):
    """What scikit-learn's class has fitted for a replaced one."""
    new = with_parameters(type(source)._stock, source)
    own = set(names_of(own_class(source))) | {SERVED}
    vars(new).update({name: copy.deepcopy(part) for name, part in vars(source).items() if name not in own})
    return new


def _renamed(source, target_class, rebuild):
    """The same search as scikit-learn's, with what it holds converted."""
    new = with_parameters(target_class, source)
    vars(new).update({name: rebuild(part) for name, part in vars(source).items()})
    for name in set(names_of(own_class(source))) - set(names_of(target_class)):
        vars(new).pop(name, None)
    return new


class _Rebuilder:
    """Copies of estimators in which the parts that ``find`` has a conversion for are converted.

    What is held in lists, tuples, dicts and arrays of objects is looked through, and each object converted once;
    anything else is shared with the original.
    """

    def __init__(self, find):
        self.find = find
        self.done = {}
        self.converted = 0

    def rebuild(self, value):
        if id(value) not in self.done:
            # the original is kept with its copy, so that its id stays taken
            self.done[id(value)] = value, self._rebuild(value)
        return self.done[id(value)][1]

    def _rebuild(self, value):
        estimator = isinstance(value, BaseEstimator)
        if estimator:
            convert = self.find(value)
            if convert is not None:
                self.converted += 1
                return convert(value, self.rebuild)
        # scorers and the like, too
        if estimator or (type(value).__module__.startswith("sklearn.") and hasattr(value, "__dict__")
                         and not isinstance(value, (type, dict))):
            parts = {name: self.rebuild(part) for name, part in vars(value).items()}
            if all(parts[name] is part for name, part in vars(value).items()):
                return value
            new = copy.copy(value)
            vars(new).update(parts)
            return new
        if isinstance(value, dict):
            parts = {key: self.rebuild(part) for key, part in value.items()}
            if all(parts[key] is part for key, part in value.items()):
                return value
            new = copy.copy(value)
            new.update(parts)
            return new
        if isinstance(value, (list, tuple)):
            parts = [self.rebuild(part) for part in value]
            if all(new is part for new, part in zip(parts, value)):
                return value
            if isinstance(value, tuple):
                return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
            return parts
        if isinstance(value, np.ndarray) and value.dtype == object:
            parts = [self.rebuild(part) for part in value.ravel()]
            if all(new is part for new, part in zip(parts, value.ravel())):
                return value
            new = np.empty(value.size, dtype=object)
            new[:] = parts
            return new.reshape(value.shape)
        return value


def to_torch_state_dict(model):
    """The weights of a fitted perceptron for a ``torch.nn.Sequential`` of ``Linear`` and activation layers.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor, of fasttrain or scikit-learn, fitted

    Returns
    -------
    dict of str to torch.Tensor
        ``"0.weight"``, ``"0.bias"``, ``"2.weight"``, ...: a Linear at every even place, as in
        ``Sequential(Linear(4, 16), ReLU(), Linear(16, 3))``. Weights are (out, in), in the dtype of ``coefs_``. The
        network's outputs are the model's before its last activation: logits for a classifier.

    Raises
    ------
    ImportError
        Without PyTorch.
    """
    import torch

    state = {}
    for i, (coef, intercept) in enumerate(zip(model.coefs_, model.intercepts_)):
        state[f"{2 * i}.weight"] = torch.from_numpy(np.ascontiguousarray(coef.T).copy())
        state[f"{2 * i}.bias"] = torch.from_numpy(np.array(intercept))
    return state


def from_torch_state_dict(state_dict, estimator, classes=None):
    """A fitted perceptron with the weights of a ``torch.nn.Sequential`` of ``Linear`` and activation layers.

    Parameters
    ----------
    state_dict : dict of str to tensor or array
        Weights (out, in) and biases in the order of the layers; a missing bias counts as zeros.
    estimator : MLPClassifier or MLPRegressor
        Gives the class and the parameters, ``activation`` above all; ``hidden_layer_sizes`` is taken from the weights.
        Not changed.
    classes : array-like of shape (n_classes,), default=None
        Labels of a classifier, sorted; None stands for 0, 1, ... One output is for two classes.

    Returns
    -------
    estimator
        A new one.

    Raises
    ------
    ValueError
        When the layers do not follow on each other, or the classes are not as many as the outputs.
    """
    from fasttrain.neural_network._torch import fitted_network

    return fitted_network(state_dict, estimator, classes)
