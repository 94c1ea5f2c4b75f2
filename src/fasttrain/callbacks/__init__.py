"""Callbacks: what a caller may do between epochs.

The names, defaults and rules are those of Keras 3; where they differ the docstring says so. The descent
functions, the linear models, the multi-layer perceptrons and Sequential take them.

``_base`` is what a callback is; ``_stopping``, ``_rates``, ``_logging``, ``_tensorboard`` and ``_checkpoint`` have one
concept each, ``_keras`` is the bridge to Keras's protocol. The fit loop calls them (:mod:`fasttrain.training`) and
knows none by name. scikit-learn's callbacks reach it through one (:mod:`fasttrain._estimators.following`).

Examples
--------
>>> from fasttrain.callbacks import EarlyStopping, ReduceLROnPlateau
>>> from fasttrain.linear_model import LinearRegressor
>>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
>>> stop = EarlyStopping("loss", min_delta=1e-9, patience=20, restore_best_weights=True)
>>> slow_down = ReduceLROnPlateau("loss", factor=0.5, patience=10, min_delta=1e-9)
>>> model = LinearRegressor(optimizer="gradient_descent", learning_rate=0.2, max_iter=2000, tol=None)
>>> model = model.set_params(callbacks=[stop, slow_down]).fit(X, y)
>>> model.converged_, model.predict([[4.0]]).round(2).tolist()
(True, [9.0])
"""

from fasttrain._core.public import publish
from fasttrain.callbacks._base import Callback, StopTraining, as_callbacks
from fasttrain.callbacks._checkpoint import BackupAndRestore, ModelCheckpoint
from fasttrain.callbacks._logging import CSVLogger, ProgressBar
from fasttrain.callbacks._rates import LearningRateScheduler, ReduceLROnPlateau
from fasttrain.callbacks._stopping import EarlyStopping, TerminateOnNaN
from fasttrain.callbacks._tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "EarlyStopping", "LearningRateScheduler", "ModelCheckpoint",
    "ProgressBar", "ReduceLROnPlateau", "StopTraining", "TensorBoard", "TerminateOnNaN", "as_callbacks",
]

publish(globals())
