"""A signal is heard inside a long call of a kernel, not only after it; nothing of the call is lost but its answer."""

import signal
import time
import traceback

import numpy as np
import pytest

from fasttrain._kernels import (
    categories, columns, coordinate, distinct, objects, quantiles, rows, text_numbers, text_times, text_words,
)

N = 9_000_000


class Heard(Exception):
    pass


def raises(number, frame):
    raise Heard


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    floats = rng.random(N)
    codes = rng.integers(0, 1000, N)
    return {
        "table": floats[: N // 6 * 6].reshape(-1, 6), "integers": codes, "floats": floats,
        "hundredths": np.round(floats, 2)[:, None],
        "text": np.frombuffer(b"12.5 abc" * (N // 8), dtype=np.uint8), "stops": np.arange(8, N // 8 * 8 + 1, 8),
        "words": np.array([f"{i}" for i in range(1000)], dtype=object)[codes[: 1 << 20]],
        "cells": codes.view(np.int8).reshape(-1, 8), "codes": codes[: N // 6 * 6].reshape(-1, 6).astype(np.int32),
    }


def scale(data):
    table = data["table"]
    columns.scale(table, np.ones(6), np.ones(6), 0.0, 0.0, 0, np.empty_like(table), 2)


def descend(data):
    X = np.asfortranarray(data["floats"][:1 << 18].reshape(512, 512))
    y = np.asfortranarray(data["floats"][-512:, None])
    coordinate.path(
        np.zeros((512, 1)), y, np.full(1, 1e-3), np.zeros(1), np.zeros(1, np.uint32), np.empty((1, 512, 1)), X=X,
        y_squares=1.0, tol=0.0, max_iter=500)


CALLS = {
    "coordinate descent": descend,
    "centred columns": lambda d: coordinate.centred_columns(
        d["table"], None, None, None, True, np.empty(d["table"].shape, order="F"), np.empty(6)),
    "quantiles": lambda d: quantiles.quantiles(d["table"], np.array([0.25, 0.5]), np.empty((2, 6)), 2),
    "quantiles of short columns": lambda d: quantiles.quantiles(
        d["floats"].reshape(1000, -1), np.array([0.25, 0.5]), np.empty((2, N // 1000)), 2),
    "moments": lambda d: columns.moments(d["table"], None, np.empty(6), np.empty(6), np.empty(6), 2),
    "extremes": lambda d: columns.extremes(d["table"], np.empty(6), np.empty(6), 2),
    "scale": scale,
    "duplicates": lambda d: rows.duplicates(d["table"], 0, np.empty(N // 6, dtype=np.uint8), 2),
    "integer_range": lambda d: categories.integer_range(d["integers"]),
    "count_integers": lambda d: categories.count_integers(d["integers"], 0, np.zeros(1000, dtype=np.int64)),
    "codes_of_integers": lambda d: categories.codes_of_integers(
        d["integers"], 0, np.arange(1000), np.empty(N, dtype=np.int64), 2),
    "one_hot_sparse": lambda d: categories.one_hot_sparse(
        d["codes"], np.zeros(6, dtype=np.int32), np.empty(N, dtype=np.int32), np.empty(N, dtype=np.int32), 2),
    "one_hot_columns": lambda d: categories.one_hot_columns(
        d["integers"][: N // 6 * 6].reshape(-1, 6), np.zeros(6, dtype=np.int64), np.arange(0, 7000, 1000),
        np.zeros(6000, dtype=np.int32), np.empty((N // 6, 6), dtype=np.int32), 2),
    "count_codes": lambda d: categories.count_codes(d["integers"], np.zeros(1000, dtype=np.int64)),
    "group_keys": lambda d: categories.group_keys(
        d["integers"], np.empty(N, dtype=np.int64), np.empty(1000, dtype=np.int64)),
    "look_up_keys": lambda d: categories.look_up_keys(d["integers"], np.arange(1000), np.empty(N, dtype=np.int64)),
    "keys_of_floats": lambda d: categories.keys_of_floats(d["floats"], np.empty(N, dtype=np.int64)),
    "few_floats": lambda d: distinct.few_floats(
        d["hundredths"], np.empty((1, distinct.MOST_FEW), dtype=np.int64), np.empty(1, dtype=np.int64), 2),
    "group_cells": lambda d: categories.group_cells(
        d["cells"], np.empty(N, dtype=np.int64), np.empty(N, dtype=np.int64)),
    "scan_numbers": lambda d: text_numbers.scan_numbers(
        d["text"], d["stops"], np.empty(N // 8, dtype=np.uint32), np.empty(N // 8, dtype=np.uint64),
        np.empty((N // 8, 4), dtype=np.int32)),
    "parse_numbers": lambda d: text_numbers.parse_numbers(
        d["text"], d["stops"], False, np.empty(N // 8), np.empty(N // 8, dtype=np.uint64),
        np.empty(N // 8, dtype=np.uint8)),
    "parse_times": lambda d: text_times.parse_times(
        d["text"], d["stops"], np.empty(N // 8), np.empty(N // 8), np.empty(N // 8, dtype=np.uint8)),
    "hash_words": lambda d: text_words.hash_words(
        d["text"], d["stops"], 64, np.empty(N // 8 + 1, dtype=np.int64), np.empty(0, dtype=np.int32), np.empty(0)),
    "hash_cells": lambda d: text_words.hash_cells(d["text"], d["stops"], 64, np.empty(N // 8, dtype=np.int64)),
    "codes_of_objects": lambda d: objects.codes_of_objects(
        d["words"], {}, np.empty(len(d["words"]), dtype=np.int64), True),
}


def interrupted(call, data, delay):
    signal.setitimer(signal.ITIMER_REAL, delay)
    call(data)
    # not signal.pause(), which would wait for ever for one that came just before it
    for _ in range(1000):
        time.sleep(delay)


def where_heard(call, data, delay):
    """Files on the way to where the handler ran."""
    with pytest.raises(Heard) as heard:
        interrupted(call, data, delay)
    return [entry.filename for entry in traceback.extract_tb(heard.value.__traceback__)]


@pytest.mark.parametrize("name", CALLS)
def test_a_signal_is_heard_inside(name, data):
    before = signal.signal(signal.SIGALRM, raises)
    try:
        # On a busy machine the signal may come before the call begins.
        found = [where_heard(CALLS[name], data, delay) for delay in (5e-4, 1e-3, 2e-3, 4e-3, 8e-3)]
    finally:
        signal.signal(signal.SIGALRM, before)
    assert any(file.endswith(".pyx") for files in found for file in files), found
    CALLS[name](data)
