"""Callbacks that show or write what a training reports."""

from __future__ import annotations

import csv
import numbers
import os
import sys
import time
from typing import Any

import numpy as np

from fasttrain._core.types import PathLike
from fasttrain.callbacks._base import Callback
from fasttrain.callbacks._notebook import NotebookLine, lacks_widgets


class CSVLogger(Callback):
    """Write one row of numbers an epoch to a file.

    The first column is the epoch, from 0 as in Keras; the others are the logs of the first epoch, by name. What an
    epoch lacks is written as NA. A resumed training cuts the file back to where it was when its checkpoint was written.

    Parameters
    ----------
    filename : path
    separator : str, default=','
    append : bool, default=False
        Whether to go on with the file that is there, which has its own head.
    """

    def __init__(self, filename: PathLike, separator: str = ",", append: bool = False) -> None:
        self.filename: str = os.fspath(filename)
        if not isinstance(separator, str) or len(separator) != 1:
            raise ValueError(f"separator must be one character, got {separator!r}")
        self.separator = separator
        self.append = append
        self._file = self._columns = self._end = None

    def __getstate__(self) -> Any:
        return {**vars(self), "_file": None}

    def on_train_begin(self, n_epochs: int) -> None:
        self._columns = self._end = None

    def _open(self, logs):
        """Opened with the first row: only then is it known whether a checkpoint tells where to go on."""
        there = os.path.exists(self.filename)
        if self._end is not None and there and os.path.getsize(self.filename) >= self._end:
            os.truncate(self.filename, self._end)
        elif not self.append and self._end is None:
            there = False
        self._file = open(self.filename, "a" if there else "w", newline="", encoding="utf-8")  # noqa: SIM115
        if self._columns is None:
            self._columns = self._names(logs)
        if not there or os.path.getsize(self.filename) == 0:
            self._row(["epoch", *self._columns])

    def _names(self, logs):
        return sorted(logs)

    def _row(self, values):
        csv.writer(self._file, delimiter=self.separator, lineterminator="\n").writerow(values)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> bool | None:
        if self._file is None:
            self._open(logs)
        self._row([epoch - 1, *(_shown(logs.get(name, "NA")) for name in self._columns)])
        self._file.flush()
        self._end = os.fstat(self._file.fileno()).st_size

    def on_train_end(self, history: Any) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def state_dict(self) -> dict[str, Any]:
        return {"columns": self._columns, "end": self._end}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._columns, self._end = state["columns"], state["end"]


def _shown(value):
    """Several numbers as Keras writes them."""
    return f'"[{", ".join(map(str, value))}]"' if np.ndim(value) else value


class ProgressBar(Callback):
    """A bar of epochs with the latest loss: rich's when it is installed, else one line on standard error.

    Where rows come in blocks it tells between them how many are done, rows a second, and the time that is left. In
    Jupyter without ipywidgets, which rich needs there, it is a line of output that changes in place.
    """

    def __init__(self) -> None:
        self._progress = self._line = None
        # of L-BFGS, whose epochs are not begun
        self._epoch, self._started = 0, time.perf_counter()

    def on_train_begin(self, n_epochs: int) -> None:
        self._n_epochs = n_epochs
        self._line = NotebookLine("epoch") if lacks_widgets() else None
        if self._line is not None:
            return
        try:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        except ImportError:
            return
        self._progress = Progress(
            TextColumn("epoch"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"),
            TimeElapsedColumn(),
        )
        self._progress.start()
        self._task = self._progress.add_task("", total=n_epochs)

    def on_epoch_begin(self, epoch: int) -> None:
        self._epoch, self._started = epoch, time.perf_counter()

    def on_rows(self, n_done: int, n_rows: int) -> None:
        seconds = time.perf_counter() - self._started
        rate = n_done / seconds if seconds > 0 else 0.0
        left = (n_rows - n_done) / rate if rate else 0.0
        text = f"{n_done:,} of {n_rows:,} rows, {rate:,.0f} a second, {left:.0f} s left"
        if self._line is not None:
            self._line.show(self._epoch - 1, self._n_epochs, text)
        elif self._progress is not None:
            self._progress.update(self._task, description=text)
        else:
            print(f"\repoch {self._epoch}/{self._n_epochs}  {text}", end="", file=sys.stderr, flush=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> bool | None:
        text = "  ".join(f"{name} {value:.4g}" for name, value in logs.items() if isinstance(value, numbers.Real))
        if self._line is not None:
            self._line.show(epoch, self._n_epochs, text)
        elif self._progress is not None:
            self._progress.update(self._task, completed=epoch, description=text)
        else:
            print(f"\repoch {epoch}/{self._n_epochs}  {text}", end="", file=sys.stderr, flush=True)

    def on_train_end(self, history: Any) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        elif self._line is None:
            print(file=sys.stderr)
