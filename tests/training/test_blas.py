"""While BLAS has one thread for a fit, fits beside it share the limit; after them it is as it was."""

import os
import sys
import threading

import numpy  # noqa: F401  its BLAS is what is looked at
import pytest
import scipy.linalg  # noqa: F401
from threadpoolctl import ThreadpoolController

from fasttrain._core.blas import serial_blas, serial_blas_for


def threads():
    found = ThreadpoolController().select(user_api="blas").info()
    return {library["filepath"]: library["num_threads"] for library in found}


@pytest.fixture(autouse=True)
def several_threads():
    # a limit set here would be this thread's, which no other may change
    if not threads() or min(threads().values()) < 2:
        pytest.skip("BLAS has one thread here")


def test_one_thread_within():
    before = threads()
    with serial_blas():
        assert set(threads().values()) == {1}
        with serial_blas():
            pass
        assert set(threads().values()) == {1}
    assert threads() == before
    with pytest.raises(KeyError), serial_blas():
        raise KeyError
    assert threads() == before


def test_small_systems_leave_the_limit():
    before = threads()
    with serial_blas_for(16, 1):
        assert threads() == before
    for order, n_targets in ((17, 1), (16, 100)):
        with serial_blas_for(order, n_targets):
            assert set(threads().values()) == {1}
    assert threads() == before


def test_the_last_of_two_that_overlap_takes_the_limit_away():
    before, found = threads(), {}
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()

    def first():
        with serial_blas():
            first_in.set()
            second_in.wait(10)
        first_out.set()

    def second():
        first_in.wait(10)
        with serial_blas():
            second_in.set()
            first_out.wait(10)
            found["alone"] = threads()

    workers = [threading.Thread(target=target) for target in (first, second)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert set(found["alone"].values()) == {1}
    assert threads() == before


def test_the_limit_is_there_as_long_as_anyone_is_within():
    """Threads come and go; whoever is within sees one thread all the time, also when the one that set it leaves."""
    before, found = threads(), set()
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers

    def come_and_go():
        for _ in range(600):
            with serial_blas():
                for _ in range(5):
                    found.update(library.num_threads for library in libraries)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        workers = [threading.Thread(target=come_and_go) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(interval)
    assert found == {1}
    assert threads() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("within", [False, True])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_of_a_fork_has_its_threads_back(within):
    """Forked beside a fit, or by a callback within one."""
    before = threads()
    inside, leave = threading.Event(), threading.Event()

    def fit():
        with serial_blas():
            inside.set()
            leave.wait(10)

    def forked(body):
        child = os.fork()
        if not child:
            os._exit(0 if body() else 1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    worker = threading.Thread(target=fit)
    worker.start()
    inside.wait(10)
    try:
        if within:
            with serial_blas():
                assert forked(lambda: set(threads().values()) == {1}) == 0
        else:
            assert forked(lambda: threads() == before) == 0
    finally:
        leave.set()
        worker.join()
