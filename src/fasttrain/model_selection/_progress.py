"""A bar of the fits of a batch."""

import sys
from contextlib import contextmanager

from fasttrain.callbacks._notebook import NotebookLine, lacks_widgets

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(wanted, batch):
    """While the block runs, shows how many of the batch's fits are done: rich's bar, or one line on standard error.

    In Jupyter without ipywidgets it is a line of output that changes in place.
    """
    if not wanted:
        yield
        return
    if lacks_widgets():
        batch.progress = NotebookLine("fit").show
        yield
        return
    try:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        yield from _line(batch)
        return
    columns = TextColumn("fits"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns) as progress:
        task = progress.add_task("", total=None)
        batch.progress = lambda done, total: progress.update(task, completed=done, total=total)
        yield


def _line(batch):
    batch.progress = lambda done, total: print(f"\rfit {done}/{total}", end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        print(file=sys.stderr)
