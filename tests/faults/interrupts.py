"""How long after Ctrl-C a call goes on: the CPU time from the signal to KeyboardInterrupt, over the public calls.

    python tests/faults/interrupts.py [--repeats 20] [--seed 0] [name ...]

Each call works on a table of a gigabyte or for seconds, and is interrupted at random moments of it. The signal comes
from a process of its own, which reads the CPU clock of this one as it sends it: a call that holds the interpreter
cannot hold up its own clock. Ends with 1 when the 99th percentile over all calls is above 100 ms, or when a call
answered as if nothing had happened.
"""

import argparse
import os
import random
import select
import subprocess
import sys
import time
import warnings

import numpy as np
from scipy import sparse

from fasttrain.layers import Dense, Input
from fasttrain.linear_model import (
    LinearClassifier, LinearRegression, LinearRegressor, LinearRegressorCV, Ridge, RidgeCV, SGDClassifier, SGDRegressor,
)
from fasttrain.model_selection import GridSearchCV, cross_validate
from fasttrain.models import Sequential
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.preprocessing import (
    LabelEncoder, MaxAbsScaler, MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler,
    TablePreprocessor, drop_duplicates, drop_missing, drop_outliers,
)

LIMIT = 0.1
# A call that goes on longer is interrupted within its first seconds.
LONGEST = 3.0
# Networks by epochs end fit with a warning and the weights so far, as in scikit-learn.
WARN = {"MLPClassifier.fit full batch", "MLPClassifier.fit batches of 5000", "MLPClassifier.fit early stopping"}
# Reads "pid delay" lines; after the delay notes the CPU clock of the process and interrupts it.
SENDER = """
import os, signal, sys, time
for line in sys.stdin:
    pid, delay = line.split()
    time.sleep(float(delay))
    clock = (~int(pid) << 3) | 2
    at, cpu = time.monotonic(), time.clock_gettime(clock)
    os.kill(int(pid), signal.SIGINT)
    print(at, cpu, flush=True)
"""


class Calls:
    """The calls by name; the tables they work on are made when first asked for."""

    def __init__(self, scale=1.0):
        self.random = np.random.default_rng(0)
        self.scale = scale
        self._made = {}

    def _rows(self, n):
        return max(1000, int(n * self.scale))

    def _once(self, name, make):
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    @property
    def large(self):
        return self._once("large", lambda: self.random.standard_normal((self._rows(4_000_000), 50), dtype=np.float32))

    @property
    def by_column(self):
        return self._once("by_column", lambda: np.asfortranarray(self.large[:, :20]))

    @property
    def tall(self):
        return self._once("tall", lambda: self.large[:, :2].astype(np.float64).reshape(-1, 1))

    @property
    def classes(self):
        return self._once("classes", lambda: self.random.integers(0, 5, len(self.large)))

    @property
    def target(self):
        return self._once("target", lambda: self.large[:, 0] + self.large[:, 1])

    @property
    def rounded(self):
        return self._once("rounded", lambda: np.round(self.large[:, :8], 1).astype(np.float64))

    @property
    def words(self):
        codes = self.random.integers(0, 5000, self._rows(3_000_000))
        return self._once("words", lambda: np.array([f"c{i}" for i in range(5000)], dtype=object)[codes][:, None])

    @property
    def fixed_words(self):
        return self._once("fixed_words", lambda: self.words.astype("U8"))

    @property
    def numbers(self):
        return self._once("numbers", lambda: self.random.integers(0, 5000, (self._rows(8_000_000), 4)))

    @property
    def sparse(self):
        def make():
            n, each = self._rows(400_000), 100
            columns = self.random.integers(0, 50_000, n * each).astype(np.int32)
            return sparse.csr_array((self.random.random(n * each), columns, np.arange(0, n * each + 1, each)),
                                    shape=(n, 50_000))
        return self._once("sparse", make)

    @property
    def frame(self):
        def make():
            import pandas
            frame = pandas.DataFrame(self.large[: self._rows(2_000_000), :6], columns=list("abcdef"))
            frame["word"] = self.words[:len(frame), 0][: len(frame)]
            return frame
        return self._once("frame", make)

    def by_name(self):
        medium = self._rows(100_000)
        few = slice(0, medium)
        small = slice(0, 2000)
        x, y, z = self.large[small], self.classes[small], self.target[small]

        def mlp(**settings):
            return MLPClassifier(random_state=0, **settings)

        perceptron = mlp(hidden_layer_sizes=(512, 256), max_iter=1).fit(x, y)
        regressor = MLPRegressor(hidden_layer_sizes=(100, 100), max_iter=1, random_state=0).fit(x, z)
        stochastic = SGDClassifier(random_state=0).fit(x, y)
        linear = LinearClassifier(max_iter=5, random_state=0).fit(x, y)
        standard, sequential = StandardScaler().fit(x), self.network()
        # Tables are made here, not while a call is timed.
        for table in ("by_column", "tall", "rounded", "words", "fixed_words", "numbers", "sparse", "frame"):
            getattr(self, table)
        return {
            "MLPClassifier.fit full batch": lambda: mlp(hidden_layer_sizes=(512, 256), batch_size=medium, max_iter=100)
            .fit(self.large[few], self.classes[few]),
            "MLPClassifier.fit batches of 5000": lambda: mlp(hidden_layer_sizes=(512, 256), batch_size=5000)
            .fit(self.large[few], self.classes[few]),
            "MLPClassifier.fit lbfgs": lambda: mlp(hidden_layer_sizes=(256,), solver="lbfgs", max_iter=500, tol=0)
            .fit(self.large[few], self.classes[few]),
            "MLPClassifier.fit early stopping": lambda: mlp(early_stopping=True, tol=0, n_iter_no_change=1000)
            .fit(self.large[:1_000_000], self.classes[:1_000_000]),
            "MLPClassifier.predict_proba": lambda: perceptron.predict_proba(self.large[:1_000_000]),
            "MLPRegressor.score": lambda: regressor.score(self.large, self.target),
            "SGDClassifier.fit": lambda: SGDClassifier(max_iter=200, tol=None, random_state=0)
            .fit(self.large[:1_000_000], self.classes[:1_000_000]),
            "SGDClassifier.fit CSR": lambda: SGDClassifier(max_iter=50, tol=None, random_state=0)
            .fit(self.sparse, self.classes[: self.sparse.shape[0]]),
            "SGDClassifier.fit averaged, early stopping": lambda: SGDClassifier(
                average=True, early_stopping=True, max_iter=200, tol=0, n_iter_no_change=1000, random_state=0)
            .fit(self.large[:1_000_000], self.classes[:1_000_000]),
            "SGDRegressor.partial_fit": lambda: SGDRegressor(random_state=0).partial_fit(self.large, self.target),
            "SGDClassifier.predict": lambda: stochastic.predict(self.large),
            "SGDClassifier.score": lambda: stochastic.score(self.large, self.classes),
            "LinearClassifier.fit full batch": lambda: LinearClassifier(
                optimizer="adam", batch_size="full", max_iter=500, tol=None, random_state=0)
            .fit(self.large[:1_000_000], self.classes[:1_000_000]),
            "LinearClassifier.fit lbfgs": lambda: LinearClassifier(
                optimizer="lbfgs", max_iter=5000, tol=0, random_state=0)
            .fit(self.large[:1_000_000], self.classes[:1_000_000]),
            "LinearClassifier.predict_proba": lambda: linear.predict_proba(self.large),
            "LinearRegressor.fit": lambda: LinearRegressor(max_iter=100, random_state=0)
            .fit(self.large[:1_000_000], self.target[:1_000_000]),
            "Ridge.fit": lambda: Ridge().fit(self.large, self.target),
            "LinearRegression.fit by column": lambda: LinearRegression().fit(self.by_column, self.target),
            "RidgeCV.fit": lambda: RidgeCV(np.logspace(-3, 3, 20)).fit(self.large, self.target),
            "LinearRegressorCV.fit": lambda: LinearRegressorCV().fit(self.large, self.target),
            "Sequential.fit": lambda: self.network().fit(self.large[:1_000_000], self.target[:1_000_000], epochs=100,
                                                          batch_size=512, verbose=0),
            "Sequential.predict": lambda: sequential.predict(self.large, verbose=0),
            "Sequential.evaluate": lambda: sequential.evaluate(
                self.large, self.target, verbose=0),
            "GridSearchCV.fit SGD": lambda: GridSearchCV(
                SGDClassifier(max_iter=100, tol=None, random_state=0), {"alpha": [1e-5, 1e-4, 1e-3]}, cv=3)
            .fit(self.large[few], self.classes[few]),
            "GridSearchCV.fit MLP": lambda: GridSearchCV(mlp(hidden_layer_sizes=(64,)), {"alpha": [1e-4, 1e-3]}, cv=3)
            .fit(self.large[few], self.classes[few]),
            "cross_validate full batch": lambda: cross_validate(
                LinearClassifier(optimizer="adam", batch_size="full", max_iter=300, tol=None, random_state=0),
                self.large[few], self.classes[few], cv=5),
            "StandardScaler.fit": lambda: StandardScaler().fit(self.large),
            "StandardScaler.fit by column": lambda: StandardScaler().fit(self.by_column),
            "StandardScaler.transform": lambda: standard.transform(self.large),
            "MinMaxScaler.fit": lambda: MinMaxScaler().fit(self.large),
            "MaxAbsScaler.fit": lambda: MaxAbsScaler().fit(self.large),
            "RobustScaler.fit": lambda: RobustScaler().fit(self.large),
            "RobustScaler.fit by column": lambda: RobustScaler().fit(self.by_column),
            "RobustScaler.fit one column": lambda: RobustScaler().fit(self.tall),
            "OneHotEncoder.fit objects": lambda: OneHotEncoder().fit(self.words),
            "OneHotEncoder.fit_transform fixed-width": lambda: OneHotEncoder().fit_transform(self.fixed_words),
            "OneHotEncoder.fit_transform integers": lambda: OneHotEncoder().fit_transform(self.numbers),
            "OrdinalEncoder.fit_transform objects": lambda: OrdinalEncoder().fit_transform(self.words),
            "OrdinalEncoder.fit_transform floats": lambda: OrdinalEncoder().fit_transform(self.rounded),
            "LabelEncoder.fit_transform": lambda: LabelEncoder().fit_transform(self.words[:, 0]),
            "TablePreprocessor.fit_transform": lambda: TablePreprocessor().fit_transform(self.frame),
            "drop_missing": lambda: drop_missing(self.large),
            "drop_duplicates": lambda: drop_duplicates(self.rounded),
            "drop_duplicates wide": lambda: drop_duplicates(self.large),
            "drop_duplicates objects": lambda: drop_duplicates(self.words),
            "drop_outliers iqr": lambda: drop_outliers(self.large[:, :10]),
            "drop_outliers mad": lambda: drop_outliers(self.large[:, :10], method="mad"),
            "drop_outliers zscore": lambda: drop_outliers(self.large, method="zscore"),
        }

    def network(self):
        model = Sequential([Input((50,)), Dense(64, activation="relu"), Dense(1)])
        model.compile(optimizer="adam", loss="mse")
        return model


class Interrupter:
    """The process that sends the signals."""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", SENDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, start_new_session=True)
        return self

    def __exit__(self, *exception):
        self.process.stdin.close()
        self.process.wait()

    def during(self, call, delay):
        """(wall and CPU seconds from the signal to the end of a call, whether KeyboardInterrupt came); None where the
        call had ended before the signal."""
        heard, ended, started = False, None, time.monotonic()
        try:
            self.process.stdin.write(f"{os.getpid()} {delay}\n")
            self.process.stdin.flush()
            call()
            ended = time.monotonic(), time.process_time()
            # The signal may be on its way; where it is not, it comes here.
            if select.select([self.process.stdout], [], [], 0)[0]:
                time.sleep(0.02)
            else:
                time.sleep(delay + 10)
        except KeyboardInterrupt:
            if ended is None:
                ended, heard = (time.monotonic(), time.process_time()), True
        self.seconds = ended[0] - started
        at, cpu = map(float, self.process.stdout.readline().split())
        if ended[0] < at:
            return None
        return ended[0] - at, ended[1] - cpu, heard


def measure(name, call, repeats, moments):
    with Interrupter() as interrupter:
        interrupter.during(call, LONGEST)
        seconds = min(LONGEST, interrupter.seconds)
        wall, cpu, silent = [], [], 0
        for _ in range(repeats):
            outcome = interrupter.during(call, moments.uniform(0.01, 0.95 * seconds))
            if outcome is None:
                continue
            wall.append(outcome[0])
            cpu.append(outcome[1])
            silent += not outcome[2]
    row = f"{np.median(cpu) * 1e3:8.1f} {max(cpu) * 1e3:8.1f} {max(wall) * 1e3:8.1f}" if cpu else f"{'-':>8s} " * 3
    print(f"{name:44s} {len(cpu):4d} {silent:6d} {row}", flush=True)
    return cpu, silent


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="calls whose names begin so; all when none is given")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0, help="rows of the tables in units of the full ones")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    moments = random.Random(options.seed)
    calls = Calls(options.scale).by_name()
    chosen = {name: call for name, call in calls.items()
              if not options.names or any(name.startswith(start) for start in options.names)}
    print(f"{'call':44s} {'n':>4s} {'silent':>6s} {'median':>8s} {'max':>8s} {'wall':>8s}   CPU ms after Ctrl-C")
    every, silent = [], 0
    for name, call in chosen.items():
        cpu, unheard = measure(name, call, options.repeats, moments)
        every += cpu
        silent += 0 if name in WARN else unheard
    late = np.percentile(every, 99)
    print(f"99th percentile of {len(every)}: {late * 1e3:.1f} ms of CPU time (at most {LIMIT * 1e3:.0f}); "
          f"{silent} answered without KeyboardInterrupt")
    return int(late > LIMIT or silent > 0)


if __name__ == "__main__":
    sys.exit(main())
