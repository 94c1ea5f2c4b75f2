"""Folders appear whole or not at all, and what a killed process left behind goes with the next one's save."""

import os
import random
import signal
import sys
import subprocess
import time

import pytest

from fasttrain._files import atomic
from fasttrain._files.atomic import remove_stale, write_file, write_folder

ARRAYS = r"arrays-\d+"


def files(number):
    return {"index": b"%d" % number * 100, f"arrays-{number}": b"%d" % number * 200_000}


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def gone():
    """The number of a process that is no more."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def left(folder, name, process=None, host=None):
    """An unfinished folder, as a process leaves it."""
    path = folder / f".{name}.{process or gone()}-{host or atomic._host()}-abc.partial"
    path.mkdir()
    (path / "half").write_bytes(b"0")
    return path


def test_the_next_save_removes_what_a_killed_one_left(tmp_path):
    folder = tmp_path / "model"
    write_folder(folder, files(1), "index", ARRAYS)
    within, beside, other = left(folder, "files"), left(tmp_path, "new"), left(tmp_path, "file")
    write_folder(folder, files(2), "index", ARRAYS)
    write_folder(tmp_path / "new", files(3), "index", ARRAYS)
    write_file(tmp_path / "file", b"1")
    assert not any(path.exists() for path in (within, beside, other))
    assert entries(folder) == ["arrays-2", "index"]
    assert entries(tmp_path) == ["file", "model", "new"]


def test_what_others_have_begun_stays(tmp_path):
    running = left(tmp_path, "m", process=os.getppid())
    elsewhere = left(tmp_path, "m", host="0" * 8)
    unlike = tmp_path / ".m.partial"
    unlike.mkdir()
    with atomic._unfinished(tmp_path, "m") as own:
        own.mkdir()
        remove_stale(tmp_path, "m")
        assert all(path.exists() for path in (running, elsewhere, own, unlike))
    assert not own.exists()
    long_ago = time.time() - atomic.STALE_SECONDS - 60
    os.utime(elsewhere, (long_ago, long_ago))
    remove_stale(tmp_path, "m")
    assert not elsewhere.exists()


def test_what_an_interrupted_call_of_this_process_left_goes(tmp_path, monkeypatch):
    """Ctrl-C in the moment of the cleaning; the next save finds that nobody finishes what is there."""
    def interrupted(path):
        raise KeyboardInterrupt

    folder = tmp_path / "model"
    for number in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(atomic, "_remove", interrupted)
            with pytest.raises(KeyboardInterrupt):
                write_folder(folder, files(number), "index", ARRAYS)
    assert any(path.name.endswith(".partial") for path in folder.iterdir())
    write_folder(folder, files(2), "index", ARRAYS)
    assert entries(folder) == ["arrays-2", "index"]
    assert entries(tmp_path) == ["model"]


def test_ctrl_c_in_the_moment_after_the_index_is_in_its_place(tmp_path, monkeypatch):
    """The files that the new index names stay."""
    folder, replace = tmp_path / "model", os.replace
    write_folder(folder, files(1), "index", ARRAYS)

    def interrupted(source, target):
        replace(source, target)
        if target.name == "index":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_folder(folder, files(2), "index", ARRAYS)
    assert (folder / "index").read_bytes() == files(2)["index"]
    assert (folder / "arrays-2").read_bytes() == files(2)["arrays-2"]


def test_a_link_is_removed_and_not_followed(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    link = tmp_path / f".m.{gone()}-{atomic._host()}-abc.partial"
    link.symlink_to(kept)
    remove_stale(tmp_path, "m")
    assert not link.is_symlink()
    assert kept.is_dir()


def test_two_hundred_killed_saves(tmp_path):
    """The folder is always one of those that were saved, and holds nothing else after the next save."""
    folder, rng = tmp_path / "model", random.Random(0)
    write_folder(folder, files(0), "index", ARRAYS)
    unfinished = 0
    for _ in range(200):
        child = os.fork()
        if child == 0:
            number = 1
            while True:
                write_folder(folder, files(number % 9), "index", ARRAYS)
                number += 1
        time.sleep(rng.uniform(0.0, 0.01))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        saved = int((folder / "index").read_bytes()[:1])
        assert (folder / "index").read_bytes() == files(saved)["index"]
        assert (folder / f"arrays-{saved}").read_bytes() == files(saved)[f"arrays-{saved}"]
        unfinished += any(path.name.endswith(".partial") for path in folder.iterdir())
    assert unfinished > 20
    write_folder(folder, files(9), "index", ARRAYS)
    assert entries(folder) == ["arrays-9", "index"]
    assert entries(tmp_path) == ["model"]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts the files of /proc")
@pytest.mark.parametrize("calls", ["flock", "fsync"])
@pytest.mark.parametrize("turn", range(8))
def test_no_file_stays_open_after_ctrl_c(calls, turn, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    write_folder(folder, files(1), "index", ARRAYS)
    module = atomic.fcntl if calls == "flock" else os
    stock, done = getattr(module, calls), []

    def interrupted(*args):
        done.append(stock(*args))
        if len(done) == turn + 1:
            # as a signal that comes while the call is on its way
            raise KeyboardInterrupt

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(module, calls, interrupted)
    try:
        write_folder(folder, files(2), "index", ARRAYS)
    except KeyboardInterrupt:
        assert len(done) > turn
    monkeypatch.undo()
    assert len(os.listdir("/proc/self/fd")) == before
    write_folder(folder, files(3), "index", ARRAYS)
    assert entries(folder) == ["arrays-3", "index"]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts the files of /proc")
def test_no_file_stays_open_after_ctrl_c_behind_any_call(tmp_path):
    """A signal's handler runs when a compiled function returns: here behind each of them in turn."""
    folder = tmp_path / "model"
    for number in (1, 2, 3):
        # patterns are compiled, and then known
        write_folder(folder, files(number), "index", ARRAYS)
    before, turn, through = len(os.listdir("/proc/self/fd")), 0, False
    while not through:
        left = turn

        def profile(frame, event, argument):
            nonlocal left
            if event == "c_return" and argument is not sys.setprofile:
                left -= 1
                if left == -1:
                    raise KeyboardInterrupt

        # another one than the process's own, which is to come back
        own = sys.getprofile()
        sys.setprofile(profile)
        try:
            write_folder(folder, files(2 + turn % 2), "index", ARRAYS)
            through = left >= 0
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(own)
        assert len(os.listdir("/proc/self/fd")) == before, turn
        turn += 1
    assert turn > 50
    write_folder(folder, files(4), "index", ARRAYS)
    assert entries(folder) == ["arrays-4", "index"]
