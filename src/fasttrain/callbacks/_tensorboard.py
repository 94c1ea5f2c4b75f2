"""The callback that writes for TensorBoard."""

from __future__ import annotations

import os
from typing import Any, Literal

import numpy as np

from fasttrain._core.checks import check_integer
from fasttrain._core.types import PathLike
from fasttrain.callbacks._base import Callback


class TensorBoard(Callback):
    """Write the numbers of each epoch for TensorBoard, through the writer of tensorboard or tensorboardX.

    Training goes into the folder ``train``, validation into ``validation``, under ``epoch_loss`` and so on, as Keras
    names them; ``epoch_learning_rate`` stands with the training.

    Parameters
    ----------
    log_dir : path, default='logs'
    histogram_freq : int, default=0
        Epochs between two histograms of the weights; 0 for none. They need tensorboardX.
    update_freq : 'epoch', 'batch' or int, default='epoch'
        Also write the mean loss so far, ``batch_loss``, after every so many batches; epochs are then run batch by
        batch.
    write_graph, write_images, write_steps_per_second, profile_batch, embeddings_freq, embeddings_metadata
        Not used.

    Raises
    ------
    ImportError
        When neither package is installed.
    """

    def __init__(self, log_dir: Literal["logs"] | PathLike = "logs", histogram_freq: int = 0, write_graph: bool = True,
                 write_images: bool = False, write_steps_per_second: bool = False,
                 update_freq: Literal["epoch", "batch"] | int = "epoch", profile_batch: int = 0,
                 embeddings_freq: int = 0, embeddings_metadata: Any = None) -> None:
        self.log_dir: str = os.fspath(log_dir)
        self.histogram_freq: int | None = check_integer(histogram_freq, "histogram_freq", low=0)
        if update_freq not in ("epoch", "batch"):
            check_integer(update_freq, "update_freq", low=1)
        self.update_freq = update_freq
        self._open, self._histograms = _writer()
        if self.histogram_freq and not self._histograms:
            raise ImportError("histograms of weights need tensorboardX: pip install tensorboardX")
        self._writers = {}
        self._batches = 0

    def __getstate__(self) -> Any:
        return {**vars(self), "_writers": {}}

    @property
    def wants_batches(self) -> bool:
        return self.update_freq != "epoch"

    def on_train_begin(self, n_epochs: int) -> None:
        self._batches = 0

    def _add(self, part, name, value, step):
        if part not in self._writers:
            self._writers[part] = self._open(os.path.join(self.log_dir, part))
        self._writers[part].add_scalar(name, float(value), step)

    def on_batch_end(self, batch: int, logs: dict[str, Any]) -> bool | None:
        self._batches += 1
        if self.update_freq == "batch" or self._batches % self.update_freq == 0:
            self._add("train", "batch_loss", logs["loss"], self._batches - 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> bool | None:
        for name, value in logs.items():
            if np.ndim(value):
                continue
            validation = name.startswith(("val_", "validation_"))
            short = name.partition("_")[2] if validation else name
            self._add("validation" if validation else "train", f"epoch_{short}", value, epoch - 1)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            coefs, intercepts = self.training.get_layers()
            for number, (coef, intercept) in enumerate(zip(coefs, intercepts)):
                self._writers["train"].add_histogram(f"layer_{number}/kernel", coef, epoch - 1)
                self._writers["train"].add_histogram(f"layer_{number}/bias", intercept, epoch - 1)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, history: Any) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


def _writer():
    """What opens a folder, and whether it writes histograms."""
    try:
        from tensorboardX import SummaryWriter

        return SummaryWriter, True
    except ImportError:
        pass
    try:
        from tensorboard.summary import Writer

        return Writer, False
    except ImportError:
        raise ImportError(
            "TensorBoard needs a writer of its files: pip install tensorboardX, or tensorboard") from None
