"""Files that appear whole or not at all."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import socket
import time
import weakref
from pathlib import Path

from fasttrain._core.locks import ModuleLock

try:
    import fcntl
except ImportError:
    # not a POSIX system
    fcntl = None

# After this long an unfinished file is nobody's, whatever has become of the process that began it.
STALE_SECONDS = 24 * 3600


def _open(path, handles):
    """Add a handle of a file or folder to ``handles``: in one call, for Ctrl-C may come between a call and what keeps
    its result.
    """
    handles.extend(map(os.open, (path,), (os.O_RDONLY,)))


def _sync(path):
    handles = []
    try:
        _open(path, handles)
        os.fsync(handles[0])
    finally:
        for handle in handles:
            os.close(handle)


@contextlib.contextmanager
def _synced(path, mode, **options):
    with open(path, mode, **options) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _write(path, data):
    with _synced(path, "xb") as file:
        file.write(data)


def _host():
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


class _Begun:
    """Lives as long as the call that has begun a file or folder."""


# Names of what this process is about to finish. Ctrl-C may come before a call can clean up: then its name goes from
# here with the call, and the next one cleans up.
_BEGUN = weakref.WeakValueDictionary()
_BEGUN_LOCK = ModuleLock()


@contextlib.contextmanager
def _unfinished(folder, name):
    """A new path in ``folder``; whatever is there at the end is removed. Whose it is can be told from it."""
    path = Path(folder, f".{name}.{os.getpid()}-{_host()}-{secrets.token_hex(4)}.partial")
    with _BEGUN_LOCK():
        begun = _BEGUN[path.name] = _Begun()
    try:
        yield path
    finally:
        _remove(path)
        del begun


def _remove(path):
    # another process may be removing it as well; shutil.rmtree has handles of folders, and Ctrl-C in it can leave one
    with contextlib.suppress(OSError):
        if not path.is_dir() or path.is_symlink():
            path.unlink()
            return
        for name in os.listdir(path):
            os.unlink(path / name)
        os.rmdir(path)


def _is_stale(path, process, host):
    """Whether the process that began a file is gone, or began it so long ago that it does not matter."""
    found = path.stat(follow_symlinks=False)
    if hasattr(os, "getuid") and found.st_uid != os.getuid():
        return False
    if time.time() - found.st_mtime > STALE_SECONDS:
        return True
    if host != _host():
        return False
    if int(process) == os.getpid():
        with _BEGUN_LOCK():
            return path.name not in _BEGUN
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
            # another process may have removed it meanwhile
            with contextlib.suppress(OSError):
                if match and os.name == "posix" and _is_stale(path, *match.groups()):
                    _remove(path)


@contextlib.contextmanager
def file_at(path, mode="xb", **options):
    """A new file to write to, as of ``open``, which is at ``path`` once the block ends well: what was there stays until
    then, and stays where the block raises.
    """
    path = Path(path)
    remove_stale(path.parent, path.name)
    with _unfinished(path.parent, path.name) as staging:
        with _synced(staging, mode, **options) as file:
            yield file
        os.replace(staging, path)
    _sync(path.parent)


def write_file(path, data):
    """Put ``data`` (bytes) at ``path``: what was there stays until the new file is complete."""
    with file_at(path) as file:
        file.write(data)


@contextlib.contextmanager
def _alone(folder):
    """Only one process, and one thread of it, is within at a time for a folder; killed, it is out.

    The folder itself is locked, so nothing is left behind. Where the file system has no locks nobody waits.
    """
    handles = []
    try:
        if fcntl is not None:
            with contextlib.suppress(OSError):
                _open(folder, handles)
                fcntl.flock(handles[0], fcntl.LOCK_EX)
        yield
    finally:
        for handle in handles:
            try:
                # closing alone would leave it locked as long as a child has the handle that was forked meanwhile
                fcntl.flock(handle, fcntl.LOCK_UN)
            except OSError:
                pass
            finally:
                os.close(handle)


def write_folder(path, files, index, stale=None):
    """Put ``files`` into the folder ``path``, complete or not at all.

    A new folder is written beside its place and renamed to it. In a folder that exists, all files are complete
    under other names before the first is renamed: new names first, then the one called ``index``, which says
    which of the others count, then those that take the place of older ones. Files of other names are left alone.
    Processes that write to one folder at once take turns with the renaming: the files are those of the last.

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
    if not path.exists() and _write_new_folder(path, files):
        return
    if not path.is_dir():
        raise ValueError(f"{path} is a file; a folder is needed")
    remove_stale(path.parent, path.name)
    remove_stale(path, "files")
    with _unfinished(path, "files") as staging:
        _fill(staging, files)
        with _alone(path):
            _move_in(path, staging, files, index)
            if stale is not None:
                for old in path.iterdir():
                    if re.fullmatch(stale, old.name) and old.name not in files:
                        old.unlink()


def _move_in(path, staging, files, index):
    """Rename the complete files of ``staging`` into the folder, the index when all that it names is there."""
    new = [name for name in files if name != index and not (path / name).exists()]
    try:
        for name in new:
            os.replace(staging / name, path / name)
        _sync(path)
        os.replace(staging / index, path / index)
        for name in files:
            if name != index and name not in new:
                os.replace(staging / name, path / name)
        _sync(path)
    except BaseException:
        # the disk knows whether the index is in its place; a line after the renaming may not have been come to
        if (staging / index).exists():
            for name in new:
                (path / name).unlink(missing_ok=True)
        raise


def _write_new_folder(path, files):
    """Whether the folder is there now with these files; another process may have made one meanwhile."""
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(path.parent, path.name)
        with _unfinished(path.parent, path.name) as staging:
            _fill(staging, files)
            _sync(staging)
            os.rename(staging, path)
            _sync(path.parent)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST) and path.is_dir():
            return False
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
    return True


def _fill(staging, files):
    staging.mkdir()
    for name, data in files.items():
        _write(staging / name, data)
