"""The command line: ``fasttrain fit``, ``predict``, ``info``, ``compare``, ``search``, ``sample``, ``bench``, ``demo``,
``patch``.

Exit codes: 0 done, 2 bad input (with one line on standard error), 130 after Ctrl-C. Whatever the code, no file is
left half-written. ``patch`` is the script it runs: its errors, exit code and Ctrl-C are the script's own.

``main`` is here, and loads the rest when it is called: ``_parser`` and ``_options`` read what was typed, ``commands``
has a file for each command, ``_tables`` reads files, ``_job`` makes a problem of one, ``_models`` the estimators,
``_fitting``, ``_comparing`` and ``_searching`` train them, ``_evaluation`` judges them, ``_report`` and ``_charts`` say
it in HTML, ``bench`` measures. The console script and ``python -m fasttrain`` come here. argparse reads the options and
rich draws where it is installed, so that the command is there without any extra; tables need pandas.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Sequence

__all__ = ["main"]


class Interrupts:
    """Remembers Ctrl-C, which an estimator may take as a wish to stop training and then answers normally."""

    def __init__(self):
        self.seen = False

    def __enter__(self):
        self._previous = None
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *error):
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _handle(self, number, frame):
        self.seen = True
        raise KeyboardInterrupt

    def check(self):
        """Raise KeyboardInterrupt when there was one, even if somebody else has caught it."""
        if self.seen:
            raise KeyboardInterrupt


def complain(message):
    """One line on standard error."""
    from fasttrain.cli._screen import shortened

    print("fasttrain: " + shortened(" ".join(str(message).split()), 2000), file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    Parameters
    ----------
    arguments : list of str, optional
        ``sys.argv[1:]`` when None.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["patch"] and len(arguments) > 1 and not arguments[1].startswith("-"):
        # needs neither the packages of the other commands nor their handling of errors
        from fasttrain.patch import run_script

        if not os.path.isfile(arguments[1]):
            complain(f"{arguments[1]} is no file; patch needs a Python script")
            return 2
        run_script(arguments[1], arguments[2:])
        return 0
    from fasttrain.cli._parser import module_of, parse

    with Interrupts() as interrupts:
        try:
            options = parse(arguments or ["--help"])
            options.arguments = arguments
            module = module_of(options.command)
            absent = [name for name in module.NEEDED if importlib.util.find_spec(name) is None]
            if absent:
                raise ValueError(f"{options.command} needs {', '.join(absent)}: pip install 'fasttrain[cli]'")
            module.run(options, interrupts)
            interrupts.check()
            sys.stdout.flush()
        except SystemExit as done:
            # argparse's way of saying that help was asked for
            return done.code or 0
        except KeyboardInterrupt:
            complain("interrupted")
            return 130
        except BrokenPipeError:
            # The reader of a pipe has gone; Python must not try to flush into it again at exit.
            sys.stdout = None
            return 1
        except (ValueError, OSError, MemoryError) as error:
            complain(str(error) or type(error).__name__)
            return 2
    return 0
