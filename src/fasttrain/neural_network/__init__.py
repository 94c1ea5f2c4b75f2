"""Multi-layer perceptrons: the dense engine with hidden layers, with scikit-learn's parameters and answers.

``_classifier`` and ``_regressor`` say what y means; ``_base`` has the fit, ``_settings`` what the parameters ask of the
engine, ``_progress`` scikit-learn's account of epochs and its rules of stopping, ``_docs`` the parameters' description,
``_torch`` the way from PyTorch's state dicts, ``_entries`` what the two are to the rest of the library.
"""

from fasttrain._core.public import publish
from fasttrain.neural_network._classifier import MLPClassifier
from fasttrain.neural_network._regressor import MLPRegressor
from fasttrain.neural_network import _entries  # noqa: F401  (enters them)

__all__ = ["MLPClassifier", "MLPRegressor"]

publish(globals())
