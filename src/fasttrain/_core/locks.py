"""Locks around what a module holds for all threads of the process."""

import os
import threading


class ModuleLock:
    """A lock that is open in the child of a fork, also where a thread that the child does not have holds it.

    ``with lock():`` enters it: the ``with`` statement itself enters the interpreter's lock, so that Ctrl-C cannot come
    between the entering and the block, which would leave the lock shut.
    """

    def __init__(self):
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self):
        self._lock = threading.Lock()

    def __call__(self):
        return self._lock


__all__ = ["ModuleLock"]
