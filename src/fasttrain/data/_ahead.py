"""Reading ahead: a thread loads what comes next while the present is worked on."""

import queue
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from itertools import islice

from fasttrain._kernels.threads import get_num_threads, num_threads


class _Failed:
    def __init__(self, error):
        self.error = error


_END = object()


def _has_ctrl_c(error):
    """Whether an error is Ctrl-C, or came of it: a generator that is closed on its way out sees it as a context, and
    one that this closes as the context of that."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def beside(load, n_readers, depth):
    """``load`` with its share of the kernels' threads, for so many threads that load beside those that train.

    A team of all of them for each would wait for cores that the training has, and its threads spin meanwhile. Where
    nothing is loaded ahead (``depth`` 0) it is ``load`` itself.
    """
    if depth == 0:
        return load
    # of the thread that asks: a limit of its own is not known to others
    share = max(1, get_num_threads() // (n_readers + 1))

    @wraps(load)
    def loading(*args):
        with num_threads(share):
            return load(*args)

    return loading


def loads(load, numbers, n_threads):
    """``load(number)`` of each number in their order, so many threads at a time, each at one that comes next.

    Parameters
    ----------
    load : callable
        May be called by several threads at once.
    numbers : iterable
    n_threads : int
        Below 2 there is no other thread than the caller's.

    Yields
    ------
    What ``load`` gives; what it raises is raised where its item would have come.
    """
    if n_threads < 2:
        yield from map(load, numbers)
        return
    numbers, pending = iter(numbers), deque()
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="fasttrain-read")
    try:
        pending.extend(pool.submit(load, number) for number in islice(numbers, n_threads))
        while pending:
            item = pending.popleft().result()
            pending.extend(pool.submit(load, number) for number in islice(numbers, 1))
            yield item
            del item
    finally:
        # a block that is being read is read to its end, which nobody waits for
        pool.shutdown(wait=False, cancel_futures=True)


def ahead(items, depth=1):
    """The items of an iterator, which a thread runs up to ``depth`` items ahead.

    What the iterator raises is raised where its item would have come. The thread ends when the generator is closed,
    at the latest with the item that it is at.

    Parameters
    ----------
    items : iterator
    depth : int, default=1
        0 has no thread.

    Yields
    ------
    item
    """
    if depth == 0:
        yield from items
        return
    waiting, stop = queue.Queue(maxsize=depth), threading.Event()

    def put(item):
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.05)
                return
            except queue.Full:
                continue

    def run():
        try:
            for item in items:
                put(item)
                if stop.is_set():
                    break
        except BaseException as error:
            put(_Failed(error))
        finally:
            put(_END)

    thread = threading.Thread(target=run, name="fasttrain-read-ahead", daemon=True)
    thread.start()
    interrupted = False
    try:
        while (item := waiting.get()) is not _END:
            if isinstance(item, _Failed):
                raise item.error
            yield item
            del item
    except BaseException as error:
        interrupted = _has_ctrl_c(error)
        raise
    finally:
        stop.set()
        # Ctrl-C does not wait for the block that is being read, with which the thread ends by itself
        thread.join(0.02 if interrupted else None)
