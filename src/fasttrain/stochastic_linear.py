"""SGDClassifier, SGDRegressor and their fits in lockstep: see :mod:`fasttrain.linear_model`."""

from fasttrain._core.public import publish
from fasttrain.linear_model import SGDClassifier, SGDRegressor, fit_lockstep
from fasttrain.linear_model._sgd_base import CLASSIFIER_LOSSES, REGRESSION_LOSSES

__all__ = ["CLASSIFIER_LOSSES", "REGRESSION_LOSSES", "SGDClassifier", "SGDRegressor", "fit_lockstep"]

publish(globals())
