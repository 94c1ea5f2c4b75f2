"""Files of a source: which they are, and whether they are still what they were."""

import glob
import os
from contextlib import contextmanager


class FileStamp:
    """A file as it was when the source was made."""

    def __init__(self, path):
        self.path = os.fspath(path)
        found = os.stat(self.path)
        self.size, self.changed = found.st_size, found.st_mtime_ns

    def require(self):
        """Raise where the file has vanished or changed: another pass would be over other rows."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            raise FileNotFoundError(f"{self.path} has vanished since the source was made") from None
        if (found.st_size, found.st_mtime_ns) != (self.size, self.changed):
            raise ValueError(f"{self.path} has changed since the source was made: make a new source")

    @contextmanager
    def opened(self):
        """The file, open for reading in bytes."""
        self.require()
        with open(self.path, "rb") as file:
            yield file


def files_of(path, endings):
    """Paths of the files that a path, a folder, a pattern or a list of these means, each list in order of names."""
    if isinstance(path, (list, tuple)):
        found = [one for item in path for one in files_of(item, endings)]
        if not found:
            raise ValueError("path must name at least one file, got an empty list")
        return found
    path = os.fspath(path)
    if os.path.isdir(path):
        found = sorted(
            os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names
            if name.endswith(endings) and not name.startswith((".", "_")))
        if not found:
            raise ValueError(f"{path} is a folder without a file that ends with {' or '.join(endings)}")
        return found
    if not os.path.exists(path) and any(mark in path for mark in "*?["):
        found = sorted(glob.glob(path, recursive=True))
        if not found:
            raise ValueError(f"path must match at least one file, got {path!r}, which matches none")
        return found
    return [path]
