"""What the command line shows: tables and lines on standard output, progress on standard error.

rich draws where it is installed and somebody looks; else the same words come as plain text.
"""

import importlib.util
import shutil
import sys
import time
from contextlib import contextmanager

# Before that nobody wonders what is going on.
SECONDS_BEFORE_PROGRESS = 1.0


def printable(text):
    """Text of a table as it may go to a terminal: on one line, control characters spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def shortened(text, width):
    """At most ``width`` characters of a text."""
    text = printable(text)
    return text if len(text) <= width else text[: width - 1] + "…"


def counted(count, what):
    """A number of things in words: 1 row, 2,000 rows."""
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"


def has_rich():
    """Whether rich is installed."""
    return importlib.util.find_spec("rich") is not None


def width():
    """Columns of the terminal; 80 where there is none."""
    return shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 80


def show_table(headings, rows, left=1):
    """A table on standard output.

    Parameters
    ----------
    headings : list of str
    rows : list of lists of str
        None stands for a line between the rows above and below it.
    left : int, default=1
        So many columns are text, the others numbers.
    """
    rows = [None if row is None else [printable(cell) for cell in row] for row in rows]
    if has_rich() and sys.stdout.isatty():
        _rich_table(headings, rows, left)
        return
    widths = [max(len(line[i]) for line in [headings, *(row for row in rows if row)]) for i in range(len(headings))]
    lines = [headings, None, *rows]
    for line in lines:
        if line is None:
            print("  " + "  ".join("-" * w for w in widths))
        else:
            cells = [c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))]
            print("  " + "  ".join(cells).rstrip())


def _rich_table(headings, rows, left):
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=True)
    for i, heading in enumerate(headings):
        table.add_column(Text(heading), justify="left" if i < left else "right", no_wrap=i >= left)
    for row in rows:
        if row is None:
            table.add_section()
        else:
            table.add_row(*map(Text, row))
    Console().print(table)


class Progress:
    """How far something is, once it takes longer than a second: a bar with the time that is left."""

    def __init__(self, stream=None, after=SECONDS_BEFORE_PROGRESS):
        self._stream = sys.stderr if stream is None else stream
        self._wanted = self._stream.isatty()
        self._start = time.monotonic()
        self._after = after
        self._bar = self._task = None
        self._length = 0
        self._told = 0.0

    def update(self, done, total, text=""):
        """Say that ``done`` of ``total`` is done; fractions count."""
        now = time.monotonic()
        if not self._wanted or now - self._start < self._after or now - self._told < 0.1:
            return
        self._told = now
        if has_rich():
            self._draw(done, total, text)
            return
        left = (now - self._start) * (total - done) / done if done else None
        share = f"{done / total:4.0%}" if total else ""
        line = f"{share} {text}" + (f", {clock(left)} left" if left is not None else "")
        line = line[: shutil.get_terminal_size((80, 24)).columns - 1]
        self._stream.write("\r" + line.ljust(self._length))
        self._stream.flush()
        self._length = len(line)

    def _draw(self, done, total, text):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        if self._bar is None:
            # the time left is this class's own: rich's forgets what was done before its bar appeared
            self._bar = Progress(
                BarColumn(24), TaskProgressColumn(), TextColumn("{task.fields[left]}"),
                TextColumn("{task.description}"), console=Console(file=self._stream), transient=True,
            )  # fmt: skip
            self._bar.start()
            self._task = self._bar.add_task("", total=None, left="")
        seconds = (time.monotonic() - self._start) * (total - done) / done if done else None
        left = "" if seconds is None else f"{clock(seconds)} left"
        self._bar.update(self._task, completed=done, total=total, description=printable(text), left=left)

    def close(self):
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
        elif self._length:
            self._stream.write("\r" + " " * self._length + "\r")
            self._stream.flush()


@contextmanager
def progress(after=SECONDS_BEFORE_PROGRESS):
    """A :class:`Progress` that is gone after the block, whatever happens in it."""
    bar = Progress(after=after)
    try:
        yield bar
    finally:
        bar.close()


def clock(seconds):
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def seconds_of(value):
    """A measured time with three digits and its unit."""
    for unit, factor in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def score_of(value):
    """A score with four decimals, fewer where it is large, more where it is small."""
    size = abs(value)
    if size >= 1e7 or 0 < size < 1e-3:
        return f"{value:.3g}"
    return f"{value:.{4 if size < 10 else 2 if size < 1000 else 1}f}"
