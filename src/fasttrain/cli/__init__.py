"""The command line: ``fasttrain demo``, ``fit``, ``predict``, ``info``, ``patch``.

Exit codes: 0 done, 2 bad input (with one line on standard error), 130 after Ctrl-C. Whatever the code, no file is
left half-written. ``patch`` is the script it runs: its errors, exit code and Ctrl-C are the script's own.

``main`` is here, and loads the rest when it is called: ``_commands`` has the options, ``_csv`` reads tables,
``_fitting`` turns one into a model and a report, ``demo`` goes the whole way on real data beside the plain NumPy of
``_tutorial``. The console script and ``python -m fasttrain`` come here.
"""

import importlib.util
import os
import signal
import sys
import threading

__all__ = ["main"]

NEEDED = ("click", "rich", "pandas")


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
    print("fasttrain: " + " ".join(str(message).split()), file=sys.stderr)


def main(arguments=None):
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
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        complain(f"the command line needs {', '.join(absent)}: pip install 'fasttrain[cli]'")
        return 2
    import click

    from fasttrain.cli._commands import commands

    with Interrupts() as interrupts:
        try:
            # Not commands.main(): it answers Ctrl-C with an empty line of its own.
            with commands.make_context("fasttrain", arguments or ["--help"], obj=interrupts) as context:
                commands.invoke(context)
            interrupts.check()
        except click.exceptions.Exit as done:
            return done.exit_code
        except (KeyboardInterrupt, click.Abort):
            complain("interrupted")
            return 130
        except click.ClickException as error:
            complain(error.format_message())
            return 2
        except BrokenPipeError:
            # The reader of a pipe has gone; Python must not try to flush into it again at exit.
            sys.stdout = None
            return 1
        except (ValueError, OSError) as error:
            complain(error)
            return 2
    return 0
