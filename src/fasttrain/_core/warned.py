"""Warnings that name the line of the user's program that a call came from, however many wrappers lie between."""

import sys
import warnings

# Packages whose lines say nothing to the user: fasttrain's own, and what calls it on the way.
_BETWEEN = {"fasttrain", "sklearn", "joblib", "contextlib", "functools", "concurrent", "threading"}


def warn(message, category=UserWarning):
    """``warnings.warn`` at the nearest line outside fasttrain, scikit-learn and what they are called through."""
    level, frame = _user(sys._getframe(0))
    # in a thread of their own there is no such line
    warnings.warn(message, category, stacklevel=2 if frame is None else level)


def line_of_user():
    """(file, line) of that line; None where there is none."""
    _, frame = _user(sys._getframe(0))
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def _user(frame):
    level = 1
    while frame is not None and _is_between(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    return level, frame


def _is_between(name):
    # the tests of scikit-learn are somebody's program
    return name.partition(".")[0] in _BETWEEN and ".tests." not in name
