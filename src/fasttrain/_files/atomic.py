"""Files that appear whole or not at all."""

import contextlib
import hashlib
import os
import re
import shutil
import socket
import tempfile
import time
from pathlib import Path

# After this long an unfinished file is nobody's, whatever has become of the process that began it.
STALE_SECONDS = 24 * 3600


def _sync(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(path, data):
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _host():
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _unfinished(name):
    """Beginning of the names of what this process has not finished: whose it is can be told from it."""
    return f".{name}.{os.getpid()}-{_host()}-"


def _is_stale(path, process, host):
    """Whether the process that began a file is gone, or began it so long ago that it does not matter."""
    found = path.stat(follow_symlinks=False)
    if hasattr(os, "getuid") and found.st_uid != os.getuid():
        return False
    if time.time() - found.st_mtime > STALE_SECONDS:
        return True
    if host != _host() or int(process) == os.getpid():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def remove_stale(folder, name):
    """Remove what processes that are gone have left unfinished under ``name`` in a folder."""
    pattern = re.compile(rf"\.{re.escape(name)}\.(\d+)-([0-9a-f]{{8}})-.*\.partial")
    with contextlib.suppress(OSError):
        for path in Path(folder).iterdir():
            match = pattern.fullmatch(path.name)
            # another process may be removing it as well
            with contextlib.suppress(OSError):
                if match and os.name == "posix" and _is_stale(path, *match.groups()):
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def write_file(path, data):
    """Put ``data`` (bytes) at ``path``: what was there stays until the new file is complete."""
    path = Path(path)
    remove_stale(path.parent, path.name)
    handle, name = tempfile.mkstemp(prefix=_unfinished(path.name), suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    _sync(path.parent)


def write_folder(path, files, index, stale=None):
    """Put ``files`` into the folder ``path``, complete or not at all.

    A new folder is written beside its place and renamed to it. In a folder that exists, all files are complete
    under other names before the first is renamed: new names first, then the one called ``index``, which says
    which of the others count, then those that take the place of older ones. Files of other names are left alone.

    Parameters
    ----------
    path : path
    files : dict
        From file names to bytes.
    index : str
        The name in ``files`` that makes the others count.
    stale : str, optional
        Pattern of the names of older files that are of no use once ``index`` is in place.
    """
    path = Path(path)
    if not path.exists():
        _write_new_folder(path, files)
        return
    if not path.is_dir():
        raise ValueError(f"{path} is a file; a folder is needed")
    remove_stale(path, "files")
    new = [name for name in files if name != index and not (path / name).exists()]
    committed = False
    with tempfile.TemporaryDirectory(prefix=_unfinished("files"), suffix=".partial", dir=path) as staging:
        for name, data in files.items():
            _write(Path(staging, name), data)
        try:
            for name in new:
                os.replace(Path(staging, name), path / name)
            _sync(path)
            os.replace(Path(staging, index), path / index)
            committed = True
            for name in files:
                if name != index and name not in new:
                    os.replace(Path(staging, name), path / name)
            _sync(path)
        finally:
            if not committed:
                for name in new:
                    (path / name).unlink(missing_ok=True)
    if stale is not None:
        for old in path.iterdir():
            if re.fullmatch(stale, old.name) and old.name not in files:
                old.unlink()


def _write_new_folder(path, files):
    made = [folder for folder in path.parents if not folder.exists()]
    staging = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(path.parent, path.name)
        staging = tempfile.mkdtemp(prefix=_unfinished(path.name), suffix=".partial", dir=path.parent)
        os.chmod(staging, 0o777 & ~_umask())
        for name, data in files.items():
            _write(Path(staging, name), data)
        _sync(staging)
        os.rename(staging, path)
        _sync(path.parent)
    except BaseException:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
