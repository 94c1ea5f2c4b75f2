"""Optimizers: specs for training, which also step a user's own arrays in place, with the same kernels.

The equations and their sources stand in :mod:`fasttrain._kernels.updates`. ``_specs`` has the update rules and their
registry, ``_base`` the step on a user's own arrays and ``_state`` what is remembered between two. Estimators, the
descent functions and Sequential give a spec to the engine; in the engine the memory lies beside the weights.

Examples
--------
>>> import numpy as np
>>> from fasttrain.optimizers import Adam
>>> weights = np.array([1.0, -2.0])
>>> opt = Adam(learning_rate=0.5)
>>> state = opt.init(weights)
>>> for _ in range(200):
...     opt.step(weights, 2 * weights, state)  # the gradient of sum w^2
>>> bool(abs(weights).max() < 1e-3)
True
"""

from fasttrain._core.public import publish
from fasttrain.optimizers._base import Optimizer, StepOptimizer
from fasttrain.optimizers._specs import (
    FTRL, LAMB, LBFGS, AdaDelta, AdaGrad, Adam, AdaMax, AdamW, GradientDescent, Lion, Momentum, NAdam, Nesterov,
    RMSprop, get, names,
)
from fasttrain.optimizers._state import OptimizerState

__all__ = [
    "FTRL", "LAMB", "LBFGS", "AdaDelta", "AdaGrad", "AdaMax", "Adam", "AdamW", "GradientDescent", "Lion", "Momentum",
    "NAdam", "Nesterov", "Optimizer", "OptimizerState", "RMSprop", "StepOptimizer", "get", "names",
]

publish(globals())
