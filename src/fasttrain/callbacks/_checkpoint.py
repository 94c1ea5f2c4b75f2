"""The callback that writes checkpoints."""

import os

from fasttrain._core.checks import check_integer, check_real
from fasttrain.callbacks._base import Monitor


class ModelCheckpoint(Monitor):
    """Write a checkpoint from which a training goes on, to the byte, as if it had never been interrupted.

    ``fit(..., resume_from=path)`` goes on from it; see :mod:`fasttrain.checkpoints`.

    Parameters
    ----------
    filepath : path
        Folder of the checkpoint; replaced, in one moment, each time. It may hold fields such as ``{epoch:02d}`` and
        ``{val_loss:.2f}``, filled from the logs.
    monitor : str, default='val_loss'
        For ``save_best_only``; when it is absent a warning is given and every epoch saved.
    verbose : int, default=0
    save_best_only : bool, default=False
        Only when the watched number is better than at the last saving.
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

    def __init__(self, filepath, monitor="val_loss", verbose=0, save_best_only=False, mode="auto", save_freq="epoch",
                 initial_value_threshold=None):
        super().__init__(monitor, mode, 0.0)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_freq = save_freq if save_freq == "epoch" else check_integer(save_freq, "save_freq", low=1)
        self.initial_value_threshold = check_real(initial_value_threshold, "initial_value_threshold", optional=True)
        self.best = self.initial_value_threshold

    def on_train_begin(self, n_epochs):
        self.best = self.initial_value_threshold
        self.training.require_steps("a checkpoint")

    def on_epoch_end(self, epoch, logs):
        if self.save_freq != "epoch" and epoch % self.save_freq:
            return
        if self.save_best_only:
            current = self.monitored(logs)
            if current is not None:
                if not self.improves(current, self.best):
                    return
                self.best = current
        path = self._path(epoch, logs)
        self.training.save_checkpoint(path)
        if self.verbose:
            print(f"Epoch {epoch}: saving {path}")

    def _path(self, epoch, logs):
        values = {}
        for name, value in logs.items():
            values[name] = value
            if name.startswith("validation_"):
                values["val_" + name.removeprefix("validation_")] = value
        try:
            return self.filepath.format(**{**values, "epoch": epoch})
        except KeyError as error:
            raise ValueError(
                f"filepath must have fields of the logs only, epoch and {', '.join(values)}, got {error} in "
                f"{self.filepath!r}"
            ) from None

    def state_dict(self):
        return {"best": self.best}

    def load_state_dict(self, state):
        self.best = state["best"]
