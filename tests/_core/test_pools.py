"""Work on threads: all of it, or none that goes on after Ctrl-C."""

import threading
import time

import pytest

from fasttrain._core.pools import as_completed, in_threads, thread_pool


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_all_of_it(n_threads):
    before = threading.active_count()
    assert in_threads(lambda i: i * i, 7, n_threads, threading.Event()) == [i * i for i in range(7)]
    assert threading.active_count() == before


@pytest.mark.parametrize("n_threads", [1, 2])
def test_of_nothing(n_threads):
    assert in_threads(lambda i: i, 0, n_threads, threading.Event()) == []


@pytest.mark.parametrize("n_threads", [1, 3])
def test_an_error_ends_it(n_threads):
    stop, before = threading.Event(), threading.active_count()

    def work(i):
        if i == 1:
            raise ValueError("no such path")
        time.sleep(0.02)

    with pytest.raises(ValueError, match="no such path"):
        in_threads(work, 100, n_threads, stop)
    assert threading.active_count() == before
    assert stop.is_set() == (n_threads > 1)


@pytest.mark.parametrize("when", ["as a thread is started", "as they end"])
def test_nothing_goes_on_after_ctrl_c(monkeypatch, when):
    stop, before = threading.Event(), threading.active_count()
    working, told = [], []

    def work(i):
        working.append(i)
        stop.wait(0.3)
        time.sleep(0.05)
        working.remove(i)

    start, join = threading.Thread.start, threading.Thread.join

    def start_and_press(thread):
        start(thread)
        raise KeyboardInterrupt

    def press_and_join(thread, *args):
        if not told:
            told.append(thread)
            raise KeyboardInterrupt
        join(thread, *args)

    if when == "as a thread is started":
        monkeypatch.setattr(threading.Thread, "start", start_and_press)
    else:
        monkeypatch.setattr(threading.Thread, "join", press_and_join)
    with pytest.raises(KeyboardInterrupt):
        in_threads(work, 4, 2, stop)
    assert (working, threading.active_count()) == ([], before)
    assert stop.is_set()


def test_what_hears_nothing_is_waited_for_with_patience():
    """All of it together, not each thread in its turn."""
    let_go, told, joined = threading.Event(), threading.Event(), []

    def begin_and_press():
        with thread_pool(8, told.set, patience=1.0) as pool:
            for _ in range(8):
                pool.submit(let_go.wait, 60)
            joined.append(time.monotonic())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin_and_press()
    assert told.is_set()
    assert time.monotonic() - joined[0] < 6
    let_go.set()


def test_every_piece_of_work_is_told_of_once_also_what_was_called_off_meanwhile():
    begun, hold = threading.Event(), threading.Event()

    def work(i):
        if i == 1:
            begun.set()
            hold.wait(10)
        return i

    with thread_pool(1, hold.set) as pool:
        futures = [pool.submit(work, i) for i in range(5)]
        told = []
        for future in as_completed(futures):
            told.append(future)
            if future is futures[0]:
                assert begun.wait(10)
                assert futures[3].cancel()
                assert futures[4].cancel()
                hold.set()
    assert len(told) == len(futures)
    assert set(told) == set(futures)
    assert [future.cancelled() for future in futures] == [False, False, False, True, True]
    assert told.index(futures[1]) < told.index(futures[2])
