"""Names of parametrized tests that are the same in each process: pytest-xdist compares those of its workers."""

import re


def without_address(value):
    """``repr`` of a parameter, the place in memory of what it holds left out."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
