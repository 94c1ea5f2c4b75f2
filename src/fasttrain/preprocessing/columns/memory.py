"""How large a matrix will be, before it is made."""

import os
from pathlib import Path

# Of the machine's memory, what a matrix may take when nothing else is said.
SHARE = 0.5
UNKNOWN = 8 << 30
# There is room for so much on any machine; to ask it takes longer than to fill a small matrix.
ANYWHERE = 1 << 24
# Dense matrices up to this size stay so, whatever is in them: not every estimator takes sparse ones.
SMALL = 64 << 20
UNITS = {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "B": 1}


def dense_bytes(n_rows, n_columns, itemsize):
    return n_rows * n_columns * itemsize


def sparse_bytes(n_rows, n_entries, itemsize):
    """Of compressed sparse rows: a number and a column for each entry, a place for each row."""
    index = 4 if n_entries < 2**31 else 8
    return n_entries * (itemsize + index) + (n_rows + 1) * index


def is_sparse_smaller(n_rows, n_columns, n_entries, itemsize):
    """The rule of ``sparse_output="auto"``: dense rows take more than 64 MiB, and sparse ones at most half of that."""
    dense = dense_bytes(n_rows, n_columns, itemsize)
    return dense > SMALL and 2 * sparse_bytes(n_rows, n_entries, itemsize) <= dense


def limit_of(value):
    """Bytes of the parameter ``memory_limit``: None, a number, or text as "2GB"."""
    if value is None:
        return int(SHARE * memory_of_machine())
    if isinstance(value, str):
        text = value.strip().upper()
        for unit, size in sorted(UNITS.items(), key=lambda item: -len(item[0])):
            if text.endswith(unit):
                try:
                    number = float(text[: -len(unit)])
                except ValueError:
                    break
                if 0 < number < 2**60:
                    return int(number * size)
                break
        raise ValueError(f"memory_limit must be None, a number of bytes > 0 or text as '2GB', got {value!r}")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        kind = ValueError if isinstance(value, (int, float)) and not isinstance(value, bool) else TypeError
        raise kind(f"memory_limit must be None, a number of bytes > 0 or text as '2GB', got {value!r}")
    return min(value, 2**62)


def memory_of_machine():
    """Bytes that this process may have: the machine's, or fewer where its control group says so."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        found = UNKNOWN
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found = min(found, int(Path(path).read_text()))
        except (OSError, ValueError):
            continue
    return found


def told(n_bytes):
    """A number of bytes to be read."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes} bytes"
