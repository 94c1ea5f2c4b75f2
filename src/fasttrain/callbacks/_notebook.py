"""Progress in a Jupyter notebook that has no widgets, which rich draws with there."""

import importlib.util
import math
import sys
import time


class NotebookLine:
    """A line of output that changes in place: how many of ``what`` are done."""

    def __init__(self, what):
        from IPython.display import display

        self._what = what
        self._handle = display({"text/plain": ""}, raw=True, display_id=True)
        self._shown = -math.inf

    def show(self, done, total, text=""):
        now = time.monotonic()
        # each change is a message to the browser
        if now - self._shown > 0.1 or done == total:
            self._shown = now
            filled = 30 * done // total
            bar = "━" * filled + " " * (30 - filled)
            self._handle.update({"text/plain": f"{self._what} {bar} {done}/{total}  {text}".rstrip()}, raw=True)


def lacks_widgets():
    """Whether this is a notebook in which rich has nothing to draw with."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell" and importlib.util.find_spec("ipywidgets") is None
