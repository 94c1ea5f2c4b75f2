"""What became of the calls of a patched program: how many fasttrain answered, which went to scikit-learn and why, how
long each took."""

import contextlib
import logging
import os
import threading
import time
from collections import Counter, defaultdict

from fasttrain._core.locks import ModuleLock
from fasttrain._core.warned import line_of_user

logger = logging.getLogger("fasttrain")

# The account that is kept now; None costs a look at this name a call.
_current = None
_call = threading.local()
_told = set()
_told_lock = ModuleLock()
# Stands in the place of a reason: what neither class answered is nobody's gain.
FAILED = "ended in an error"


class Account:
    """Calls of replaced classes and functions in this process, and their seconds.

    A call that another one makes is part of that one.
    """

    def __init__(self):
        self._lock = threading.Lock()
        #: from (name, why it went to scikit-learn, FAILED or None, (file, line)) to calls and seconds
        self.counts, self.seconds = Counter(), defaultdict(float)

    def add(self, name, reason, where, seconds):
        with self._lock:
            self.counts[name, reason, where] += 1
            self.seconds[name, reason, where] += seconds

    def rows(self, by_line=False):
        """(name, reason, where or None, calls, seconds), the longest first, those of fasttrain before the others."""
        counts, seconds = Counter(), defaultdict(float)
        with self._lock:
            for (name, reason, where), count in self.counts.items():
                key = name, reason, where if by_line else None
                counts[key] += count
                seconds[key] += self.seconds[name, reason, where]
        return sorted(
            ((*key, count, seconds[key]) for key, count in counts.items()),
            key=lambda row: (row[1] is not None, -row[4]))

    def summary(self, by_line=False):
        """The account as lines of text."""
        rows = self.rows(by_line)
        failed = [row for row in rows if row[1] == FAILED]
        fast = [row for row in rows if row[1] is None]
        slow = [row for row in rows if row[1] not in (None, FAILED)]
        lines = [
            f"fasttrain: {_calls(fast)} accelerated in {_total(fast)}, {_calls(slow)} served by scikit-learn in "
            f"{_total(slow)}" + (f", {_calls(failed)} {FAILED} in {_total(failed)}" if failed else "")
        ]
        width = max((len(row[0]) for row in rows), default=0)
        for name, reason, where, count, seconds in rows:
            line = f"  {name:<{width}} {count:>7} x {seconds:>10.4f} s"
            if where is not None:
                line += f"  {where[0]}:{where[1]}"
            lines.append(line + (
                "" if reason is None else f"  {FAILED}" if reason == FAILED else f"  by scikit-learn: {reason}"))
        return "\n".join(lines)


def _calls(rows):
    count = sum(row[3] for row in rows)
    return f"{count} call{'' if count == 1 else 's'}"


def _total(rows):
    return f"{sum(row[4] for row in rows):.2f} s"


def start():
    """Keep an account from now on; a new one."""
    global _current
    _current = Account()
    return _current


def stop():
    """Keep none; the account there was, or None."""
    global _current
    account, _current = _current, None
    return account


# A child has its parent's account, and perhaps its lock held by a thread that it does not have.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=stop)


def current():
    return _current


@contextlib.contextmanager
def _measured(account, name):
    _call.reason, _call.name = None, name
    begun = time.perf_counter()
    try:
        yield
    except BaseException:
        _call.reason = FAILED
        raise
    finally:
        seconds = time.perf_counter() - begun
        reason, _call.name = _call.reason, None
        account.add(name, reason, line_of_user(), seconds)


def measured(name):
    """Context of a call; nothing where no account is kept, or where the call is part of another."""
    if _current is None or getattr(_call, "name", None) is not None:
        return contextlib.nullcontext()
    return _measured(_current, name)


def goes_on(reason="scikit-learn has fitted it"):
    """Note, in the account alone, that scikit-learn serves a call."""
    if getattr(_call, "name", None) is not None:
        _call.reason = reason


def served(name, reason):
    """Note that scikit-learn serves a call, and why: shown once for each reason, also where no logging is set up."""
    reason = " ".join(str(reason).split())
    if getattr(_call, "name", None) is not None:
        _call.reason = reason
    # what has been shown is told to those only who have asked for it
    with _told_lock():
        level = logging.INFO if (name, reason) in _told else logging.WARNING
        _told.add((name, reason))
    logger.log(level, "%s is served by scikit-learn: %s", name, reason)
