"""A fork after a fit, within one, or while another thread fits: the child fits as well, and gets the same bytes.

Each in a process of its own, since a child that hangs must not be waited for by the tests.
"""

import os
import subprocess
import sys
import textwrap

import pytest

from fasttrain._kernels import threads

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")

PRELUDE = """
    import multiprocessing, os, signal, sys, threading, warnings
    import numpy as np
    import fasttrain
    from fasttrain.callbacks import Callback
    from fasttrain.linear_model import LinearClassifier, SGDClassifier
    from fasttrain.neural_network import MLPClassifier
    from fasttrain.preprocessing import StandardScaler

    warnings.simplefilter("ignore")
    fasttrain.set_num_threads(2)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 50)).astype("f4")
    y = (X @ rng.normal(size=(50, 4))).argmax(1)
    N = int(sys.argv[1])

    def network(**options):
        return MLPClassifier((128, 64), batch_size=500, max_iter=1, random_state=0, n_threads=2, **options)

    def fits(_=None):
        linear = LinearClassifier(batch_size="full", max_iter=2, random_state=0, n_threads=2).fit(X, y)
        sgd = SGDClassifier(max_iter=1, tol=None, n_jobs=2, random_state=0).fit(X, y)
        scaler = StandardScaler().fit(np.tile(X, (20, 1)))
        model = network().fit(X, y)
        return b"".join(
            array.tobytes() for array in (model.coefs_[0], sgd.coef_, linear.coef_, scaler.mean_, model.predict(X)))

    def child():
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)
            os._exit(0 if fits() == expected else 3)
        return pid

    def check(pid):
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    expected = fits()
"""
CASES = {
    "after a fit": """
        for _ in range(N):
            assert fits() == expected
            check(child())
    """,
    "several at once": """
        for _ in range(N):
            fits()
            for pid in [child() for _ in range(3)]:
                check(pid)
    """,
    "a child's child": """
        for _ in range(N):
            pid = os.fork()
            if pid == 0:
                signal.alarm(120)
                good = fits() == expected
                check(child())
                os._exit(0 if good else 3)
            check(pid)
    """,
    "a pool": """
        for _ in range(N):
            fits()
            with multiprocessing.get_context("fork").Pool(2) as pool:
                assert pool.map_async(fits, range(4)).get(timeout=120) == [expected] * 4
    """,
    "while another thread fits": """
        for _ in range(N):
            stop, begun = threading.Event(), threading.Event()

            def work():
                while not stop.is_set():
                    begun.set()
                    assert fits() == expected

            thread = threading.Thread(target=work)
            thread.start()
            begun.wait()
            pid = child()
            stop.set()
            thread.join()
            check(pid)
    """,
    "within a fit": """
        class Fork(Callback):
            def on_epoch_end(self, epoch, logs):
                check(child())

        for _ in range(N):
            model = network(callbacks=Fork()).fit(X, y)
            assert model.coefs_[0].tobytes() == expected[: model.coefs_[0].nbytes]
    """,
    "joblib's processes": """
        from joblib import Parallel, delayed
        from joblib.externals.loky import get_reusable_executor

        def work(X, y):
            from fasttrain.neural_network import MLPClassifier

            model = MLPClassifier((128, 64), batch_size=500, max_iter=1, random_state=0, n_threads=2)
            return model.fit(X, y).coefs_[0].tobytes()

        for _ in range(N):
            first = network().fit(X, y).coefs_[0].tobytes()
            assert Parallel(2, timeout=120)(delayed(work)(X, y) for _ in range(2)) == [first] * 2
        get_reusable_executor().shutdown(wait=True)
    """,
}


def run(case, times):
    program = textwrap.dedent(PRELUDE) + textwrap.dedent(CASES[case]) + "\nprint('done')\n"
    done = subprocess.run(
        [sys.executable, "-c", program, str(times)], capture_output=True, text=True, timeout=120 + 60 * times)
    assert done.stdout == "done\n", done.stderr[-3000:]


@pytest.mark.skipif(not threads.has_openmp(), reason="built without OpenMP: there are no threads to lose")
@pytest.mark.parametrize("case", CASES)
def test_forks(case):
    run(case, 1 if case == "joblib's processes" else 2)


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", CASES)
def test_forks_fifty_times(case):
    run(case, 50)
