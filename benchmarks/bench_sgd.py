"""SGDClassifier and SGDRegressor against scikit-learn: ours and theirs alternating in one process.

    python benchmarks/bench_sgd.py [--quick] [--repeats N] [--clock cpu]

Each row is timed ``repeats`` times, ours and scikit-learn's in turn; the table has the medians, the minima
and both ratios. On a busy machine the ratio of minima is the steadier one. One BLAS thread; scikit-learn's
``n_jobs`` is what the row says.
"""

import argparse
import os
import time
import warnings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from fasttrain._kernels.threads import num_threads
from scipy import sparse
from sklearn import linear_model

from fasttrain._kernels import primitives
from fasttrain.stochastic_linear import SGDClassifier, SGDRegressor, fit_lockstep

warnings.simplefilter("ignore")


def dense(n, features, classes, dtype, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n, features)).astype(dtype)
    scores = X @ rng.standard_normal((features, classes)).astype(dtype) + 3 * rng.standard_normal(
        (n, classes)
    )
    return X, (scores[:, 0] > 0).astype(int) if classes == 1 else scores.argmax(axis=1)


def text_like(n, features, nonzeros, dtype, seed=0):
    rng = np.random.RandomState(seed)
    lengths = rng.poisson(nonzeros, n).clip(1, features)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    # Word frequencies fall off like 1 / rank.
    indices = (features ** rng.uniform(size=indptr[-1]) - 1).astype(np.int32)
    X = sparse.csr_matrix(
        (rng.uniform(size=len(indices)).astype(dtype), indices, indptr), shape=(n, features)
    )
    X.sum_duplicates()
    return X, (X @ rng.standard_normal(features) > 0).astype(int)


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
clock = time.perf_counter


def seconds(call):
    start = clock()
    call()
    return clock() - start


def compare(name, ours, theirs, repeats, samples, target, theirs_share=1):
    """Time two callables in turn; ``theirs`` does ``theirs_share`` of the work that ``ours`` does. ``target`` is
    the ratio of medians to reach, None where none is set.
    """
    ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs) / theirs_share) for _ in range(repeats)]
    a, b = np.array(pairs).T * 1e9 / samples
    print(
        f"{name:52s} {np.median(a):9.1f} {np.median(b):9.1f} {np.median(b) / np.median(a):7.1f}x | "
        f"{a.min():9.1f} {b.min():9.1f} {b.min() / a.min():7.1f}x | {verdict(np.median(b) / np.median(a), target)}",
        flush=True,
    )


def verdict(ratio, target):
    if target is None:
        return ""
    return f">= {target:g}x {'reached' if ratio >= target else 'missed'}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu: processor time, for a machine that others use"
    )
    arguments = parser.parse_args()
    global clock
    clock = CLOCKS[arguments.clock]
    n = 20_000 if arguments.quick else 200_000
    repeats, epochs = arguments.repeats, 5
    print(
        f"instruction set {primitives.isa()}; ns a sample, median and minimum of {repeats} alternating runs\n"
    )
    print(
        f"{'':52s} {'ours':>9s} {'sklearn':>9s} {'median':>8s} | {'ours':>9s} {'sklearn':>9s} "
        f"{'minimum':>8s} | target"
    )

    def pair(cls, peer, X, y, threads=1, jobs=None, **parameters):
        parameters = {"max_iter": epochs, "tol": None, "random_state": 0, **parameters}

        def ours():
            with num_threads(threads):
                cls(**parameters).fit(X, y)

        extra = {} if jobs is None else {"n_jobs": jobs}
        return ours, lambda: peer(**parameters, **extra).fit(X, y)

    for dtype, target in ((np.float32, 8), (np.float64, 6)):
        X, y = dense(n, 100, 1, dtype)
        for loss in ("log_loss", "hinge"):
            calls = pair(SGDClassifier, linear_model.SGDClassifier, X, y, loss=loss)
            compare(
                f"SGDClassifier {loss} {n}x100 {dtype.__name__}, 1 thread",
                *calls,
                repeats,
                n * epochs,
                target if loss == "log_loss" else None,
            )
        calls = pair(SGDRegressor, linear_model.SGDRegressor, X, y)
        compare(f"SGDRegressor {n}x100 {dtype.__name__}, 1 thread", *calls, repeats, n * epochs, None)
        for penalty in ("l1", "elasticnet"):
            calls = pair(SGDClassifier, linear_model.SGDClassifier, X, y, loss="log_loss", penalty=penalty)
            compare(
                f"SGDClassifier log_loss {penalty} {dtype.__name__}, 1 thread",
                *calls,
                repeats,
                n * epochs,
                None,
            )
        calls = pair(SGDClassifier, linear_model.SGDClassifier, X, y, loss="log_loss", average=True)
        compare(f"SGDClassifier log_loss average {dtype.__name__}, 1 thread", *calls, repeats, n * epochs, None)

    for dtype in (np.float32, np.float64):
        X, y = dense(n, 100, 10, dtype)
        calls = pair(SGDClassifier, linear_model.SGDClassifier, X, y, threads=2, jobs=2, loss="log_loss")
        compare(
            f"SGDClassifier log_loss 10 classes {dtype.__name__}, 2 threads",
            *calls,
            max(2, repeats // 2),
            n * epochs,
            12 if dtype is np.float32 else None,
        )

    for dtype in (np.float32, np.float64):
        X, y = dense(n, 100, 1, dtype)
        alphas = np.logspace(-6, -2, 16)

        def many(X=X, y=y, alphas=alphas):
            with num_threads(1):
                fit_lockstep(
                    [
                        SGDClassifier(loss="log_loss", alpha=alpha, max_iter=epochs, tol=None, random_state=0)
                        for alpha in alphas
                    ],
                    X,
                    y,
                )

        def two(X=X, y=y, alphas=alphas):
            for alpha in alphas[::8]:
                linear_model.SGDClassifier(
                    loss="log_loss", alpha=alpha, max_iter=epochs, tol=None, random_state=0
                ).fit(X, y)

        compare(
            f"16 candidates in lockstep {dtype.__name__}, 1 thread",
            many,
            two,
            max(2, repeats // 2),
            n * epochs * 16,
            40 if dtype is np.float32 else None,
            theirs_share=2 / 16,
        )

    for dtype in (np.float32, np.float64):
        X, y = text_like(n // 4, 50_000, 100, dtype)
        calls = pair(SGDClassifier, linear_model.SGDClassifier, X, y, loss="log_loss")
        compare(
            f"CSR, about 100 of 50,000, log_loss {dtype.__name__}, 1 thread",
            *calls,
            repeats,
            n // 4 * epochs,
            1.5,
        )

    X, y = dense(150, 4, 3, np.float64)
    for y_fit, name in ((y, "3 classes"), ((y > 0).astype(int), "2 classes")):
        calls = pair(SGDClassifier, linear_model.SGDClassifier, X, y_fit)
        compare(f"fit 150x4, {name}, 5 epochs (ns a fit)", *calls, 40 * repeats, 1, 2)
    calls = pair(SGDRegressor, linear_model.SGDRegressor, X, y.astype(float))
    compare("regressor fit 150x4, 5 epochs (ns a fit)", *calls, 40 * repeats, 1, 2)


if __name__ == "__main__":
    main()
