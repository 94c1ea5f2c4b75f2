"""The callbacks that write checkpoints."""

from __future__ import annotations

import os
import shutil
from typing import Any, Literal

from fasttrain._core.checks import check_integer, check_real
from fasttrain._core.types import Array, PathLike
from fasttrain.callbacks._base import Callback, Monitor


class ModelCheckpoint(Monitor):
    """Write a checkpoint from which a training goes on, to the byte, as if it had never been interrupted.

    ``fit(..., resume_from=path)`` goes on from it; see :mod:`fasttrain.checkpoints`. In a fit of
    :class:`fasttrain.models.Sequential` a path that ends with ``.keras`` gets the whole model, which ``load_model``
    opens, and one that ends with ``.weights.h5`` the weights alone; both are files of Keras.

    Parameters
    ----------
    filepath : path
        Folder of the checkpoint, or file; replaced, in one moment, each time. It may hold fields such as
        ``{epoch:02d}`` and ``{val_loss:.2f}``, filled from the logs.
    monitor : str, default='val_loss'
        For ``save_best_only``; when it is absent a warning is given and every epoch saved.
    verbose : int, default=0
    save_best_only : bool, default=False
        Only when the watched number is better than at the last saving.
    save_weights_only : bool, default=False
        True needs a path that ends with ``.weights.h5``, and such a path True.
    mode : {'auto', 'min', 'max'}, default='auto'
    save_freq : int or 'epoch', default='epoch'
        Epochs between two savings (Keras counts batches).
    initial_value_threshold : float, default=None
        The watched number must be better than this.

    Raises
    ------
    OSError
        Out of fit, when the disk is full, say; the last checkpoint is there still.
    """

    needs_steps = True
    model = None

    def __init__(self, filepath: PathLike, monitor: str = "val_loss", verbose: int = 0, save_best_only: bool = False,
                 save_weights_only: bool = False, mode: Literal["auto", "min", "max"] = "auto",
                 save_freq: Literal["epoch"] | int = "epoch", initial_value_threshold: float | None = None) -> None:
        super().__init__(monitor, mode, 0.0)
        self.filepath: str = os.fspath(filepath)
        if bool(save_weights_only) != self.filepath.endswith(".weights.h5"):
            raise ValueError(
                f"filepath must end with '.weights.h5' with save_weights_only, and only then, got {self.filepath!r} "
                f"and save_weights_only={save_weights_only!r}")
        self.save_weights_only: bool = bool(save_weights_only)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_freq = save_freq if save_freq == "epoch" else check_integer(save_freq, "save_freq", low=1)
        self.initial_value_threshold: float | None = check_real(
            initial_value_threshold, "initial_value_threshold", optional=True)
        self.best: Any = self.initial_value_threshold

    def on_train_begin(self, n_epochs: int) -> None:
        self.best = self.initial_value_threshold
        self.training.require_steps("a checkpoint")
        if self._writes_model and self.model is None:
            raise ValueError(
                f"filepath must be a folder, as only a Sequential is written to a file of Keras, got {self.filepath!r}")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> bool | None:
        if self.save_freq != "epoch" and epoch % self.save_freq:
            return
        if self.save_best_only:
            current = self.monitored(logs)
            if current is not None:
                if not self.improves(current, self.best):
                    return
                self.best = current
        path = self._path(epoch, logs)
        if self.save_weights_only:
            self.model.save_weights(path)
        elif self._writes_model:
            self.model.save(path)
        else:
            self.training.save_checkpoint(path)
        if self.verbose:
            print(f"Epoch {epoch}: saving {path}")

    @property
    def _writes_model(self):
        return self.filepath.endswith((".keras", ".weights.h5"))

    def _path(self, epoch, logs):
        values = {}
        for name, value in logs.items():
            values[name] = value
            if name.startswith("validation_"):
                values["val_" + name.removeprefix("validation_")] = value
        try:
            return self.filepath.format(**{**values, "epoch": epoch})
        except (KeyError, IndexError, AttributeError, TypeError, ValueError) as error:
            raise ValueError(
                f"filepath must have fields of the logs only, epoch and {', '.join(values)}, and their formats, got "
                f"{error} in {self.filepath!r}"
            ) from None

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best = state["best"]


class BackupAndRestore(Callback):
    """Keep a checkpoint while a Sequential is fitted, and go on from one that an interrupted fit has left.

    The same call of ``fit``, made again after a crash, then ends with the same bytes as one that ran through.

    Parameters
    ----------
    backup_dir : path
        Folder of the checkpoint; nothing else may be in it.
    save_freq : int or 'epoch', default='epoch'
        Epochs between two savings (Keras counts batches).
    double_checkpoint : bool, default=False
        Not used: a checkpoint is replaced in one moment, so that one is there always.
    delete_checkpoint : bool, default=True
        Whether to delete it when the fit has ended without an error.
    """

    needs_steps = True

    def __init__(self, backup_dir: PathLike, save_freq: Literal["epoch"] | int = "epoch",
                 double_checkpoint: bool = False, delete_checkpoint: bool = True) -> None:
        self.backup_dir: str = os.fspath(backup_dir)
        if not self.backup_dir:
            raise ValueError("backup_dir must name a folder, got ''")
        self.save_freq: int | None = 1 if save_freq == "epoch" else check_integer(save_freq, "save_freq", low=1)
        self.delete_checkpoint = delete_checkpoint

    @property
    def path(self) -> tuple[Array, ...]:
        """The checkpoint."""
        return os.path.join(self.backup_dir, "latest")

    def on_train_begin(self, n_epochs: int) -> None:
        self.training.require_steps("a checkpoint")
        os.makedirs(self.backup_dir, exist_ok=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> bool | None:
        if epoch % self.save_freq == 0:
            self.training.save_checkpoint(self.path)

    def on_train_end(self, history: Any) -> None:
        if self.delete_checkpoint and not self.training.failed:
            shutil.rmtree(self.path, ignore_errors=True)
            try:
                os.rmdir(self.backup_dir)
            except OSError:
                pass
