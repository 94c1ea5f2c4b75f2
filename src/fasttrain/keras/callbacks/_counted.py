"""The callbacks of fasttrain whose numbers or columns differ in Keras."""

from __future__ import annotations

from fasttrain import callbacks as ours


def changes_rates(callbacks):
    """Whether one of them changes the learning rate, which Keras then has among its logs."""
    names = ("LearningRateScheduler", "ReduceLROnPlateau")
    return any(kind.__name__ in names for callback in callbacks for kind in type(callback).__mro__)


class EarlyStopping(ours.EarlyStopping):
    __doc__ = ours.EarlyStopping.__doc__.replace(
        "Counted from 1; 0 when there is none.", "Counted from 0; 0 when there is none.")

    @property
    def stopped_epoch(self) -> int:
        return max(self._stopped - 1, 0)

    @property
    def best_epoch(self) -> int:
        return max(self._best_epoch - 1, 0)


class CSVLogger(ours.CSVLogger):
    """Write one row of numbers an epoch to a file.

    The first column is the epoch, from 0; then come the logs of the first epoch by name, ``learning_rate`` when a
    callback changes it, and where there is no validation in that epoch the same names with ``val_``. What an epoch
    lacks is written as NA, several numbers as a list.

    Parameters
    ----------
    filename : path
    separator : str, default=','
    append : bool, default=False
        Whether to go on with the file that is there, which has its own head.
    """

    def _names(self, logs):
        names = sorted(logs)
        if not changes_rates(self.training.plan.callbacks):
            names.remove("learning_rate")
        if not any(name.startswith("val_") for name in names):
            names += [f"val_{name}" for name in names]
        return names
