"""Multi-layer perceptrons: the dense engine with hidden layers, with scikit-learn's parameters and answers."""

from fasttrain._network_classifier import MLPClassifier
from fasttrain._network_regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
