"""Keras's callbacks, for :class:`fasttrain.models.Sequential`.

:class:`Callback`, :class:`LambdaCallback` and :class:`History` speak Keras's protocol: epochs and batches count from 0,
every hook gets ``logs``, ``model`` and ``params`` are attributes. Any other object that speaks it, Keras's own
callbacks among them, will do in ``fit``, ``evaluate`` and ``predict`` as well. The others are those of
:mod:`fasttrain.callbacks`, whose base class counts epochs from 1.

Examples
--------
>>> import numpy as np
>>> from fasttrain import keras
>>> class Print(keras.callbacks.Callback):
...     def on_epoch_end(self, epoch, logs=None):
...         print(epoch, sorted(logs))
>>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
>>> model.compile("sgd", "mse", metrics=["mae"])
>>> history = model.fit(np.zeros((4, 1)), np.zeros(4), epochs=2, verbose=0, callbacks=[Print()])
0 ['loss', 'mae']
1 ['loss', 'mae']
"""

from fasttrain._core.public import publish
from fasttrain.callbacks import (
    BackupAndRestore, LearningRateScheduler, ModelCheckpoint, ProgressBar, ReduceLROnPlateau, StopTraining, TensorBoard,
    TerminateOnNaN,
)
from fasttrain.keras._absent import absent
from fasttrain.keras.callbacks._counted import CSVLogger, EarlyStopping
from fasttrain.keras.callbacks._protocol import Callback, CallbackList, History, LambdaCallback

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback",
    "LearningRateScheduler", "ModelCheckpoint", "ProgressBar", "ReduceLROnPlateau", "StopTraining", "TensorBoard",
    "TerminateOnNaN",
]

__getattr__ = absent(__name__, __all__)

publish(globals())
