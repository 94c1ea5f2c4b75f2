"""Cells of text as numbers, times and words: the kernels against twins in plain Python."""

import datetime
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_texts import read_number, word_places, written_times

from fasttrain._kernels import text_numbers, text_times
from fasttrain._tables.texts import Cells, hashed_words, packed


def objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def numbers(values, decimal="."):
    return Cells(objects(values)).numbers(decimal == ",")[0]


def same(found, expected, cells):
    for cell, ours, theirs in zip(cells, found.tolist(), expected):
        assert (theirs is None and ours != ours) or ours == theirs, (cell, ours, theirs)


NUMBERS = [
    ("25,463.70", 25463.7, None), ("$25,463.70", 25463.7, None), ("10,933", 10933.0, 10.933), ("1,5", None, 1.5),
    ("1.234,5", None, 1234.5), ("12%", 0.12, 0.12), ("5 \u2030", 0.005, 0.005), ("($1,234.50)", -1234.5, None),
    ("( 12 )", -12.0, -12.0), ("-$5", -5.0, -5.0), ("$-5", -5.0, -5.0), ("\u22125", -5.0, -5.0), ("12 kg", 12.0, 12.0),
    ("45 m2", 45.0, 45.0), ("USD 12", 12.0, 12.0), ("12 EUR", 12.0, 12.0), ("R$ 10", 10.0, 10.0),
    ("1 234 567", 1234567.0, 1234567.0), ("1\u00a0234", 1234.0, 1234.0), ("1'234.5", 1234.5, None),
    ("12,34,567", 1234567.0, None), ("1e5", 1e5, 1e5), ("1.5E-3", 0.0015, None), (".5", 0.5, None), ("5.", 5.0, None),
    ("\uff11\uff12\uff13", 123.0, 123.0), ("\u0661\u0662", 12.0, 12.0), ("007", 7.0, 7.0), ("0,123", None, 0.123),
    *[(cell, None, None) for cell in (
        "", " ", "-", ".", ",", "$", "abc", "A12", "Q1", "1.2.3", "192.168.1.1", "+1 555 123 4567", "555-1234",
        "1,234,56", "1,,2", "1..2", "--5", "(5", "5)", "1 2", "2020-01-05", "12:30", "0x1F", "1_000", "5 (a)", "\x005",
        "5\x00",
        "9" * 65, "4x4", "12 34 kg", "1" + " " * 70 + "2", "inf", "nan", "e5", "1e", "$ $5", "\ud800", "\ufffd5",
    )],
]


@pytest.mark.parametrize("cell, point, comma", NUMBERS, ids=[ascii(cell[0][:20]) for cell in NUMBERS])
def test_a_number_in_either_convention(cell, point, comma):
    if cell == "1e":
        point = comma = 1.0  # a unit "e"
    same(numbers([cell], "."), [point], [cell])
    same(numbers([cell], ","), [comma], [cell])
    traits = Cells(objects([cell])).traits[0]
    assert bool(traits & text_numbers.TRAITS["point"]) == (point is not None)
    assert bool(traits & text_numbers.TRAITS["comma"]) == (comma is not None)


BODY = st.text("0123456789.,' ", min_size=1, max_size=14)
PREFIX = st.sampled_from(["", "$", "-", "-$", "(", "\u20ac ", "USD ", "+", "kr ", "x"])
SUFFIX = st.sampled_from(["", "%", " %", ")", " kg", "kg", "e3", "E-2", " EUR", " m2", "\u20ac", "2kg"])


@settings(max_examples=3000, deadline=None)
@given(PREFIX, BODY, SUFFIX, st.sampled_from(".,"))
def test_numbers_are_those_of_the_twin(prefix, body, suffix, decimal):
    cell = prefix + body + suffix
    expected = read_number(cell, decimal)
    found = numbers([cell], decimal)[0]
    assert (expected is None and found != found) or found == expected, (cell, found, expected)


@settings(max_examples=2000, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["r", ".3f", ".17g", ".25f", ",.2f"]))
def test_numbers_are_rounded_once(value, form):
    cell = repr(value) if form == "r" else format(value, form)
    if len(cell) <= 64:
        assert numbers([cell])[0] == float(cell.replace(",", ""))


@settings(max_examples=2000, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=8))
def test_no_text_is_out_of_bounds(cells):
    found = Cells(objects(cells))
    alone = [Cells(objects([cell])) for cell in cells]
    assert found.traits.tolist() == [one.traits[0] for one in alone]
    np.testing.assert_array_equal(found.numbers(True)[0], [one.numbers(True)[0][0] for one in alone])
    for k in range(3):
        np.testing.assert_array_equal(found.times[k], [one.times[k][0] for one in alone])


def test_bytes_that_are_no_text_are_read_within_bounds():
    generator = random.Random(0)
    for _ in range(2000):
        data = np.frombuffer(bytes(generator.choices(range(256), k=12)), dtype=np.uint8)
        stops = np.array([5, 5, 12], dtype=np.int64)
        traits, units, spans = np.zeros(3, np.uint32), np.zeros(3, np.uint64), np.zeros((3, 4), np.int32)
        text_numbers.scan_numbers(data, stops, traits, units, spans)
        out, times = np.zeros((2, 3)), np.zeros(3, np.uint8)
        text_times.parse_times(data, stops, out[0], out[1], times)
        assert ((spans >= 0) & (spans <= 7)).all()


def test_the_unit_of_a_column():
    cells = Cells(objects(["$5", "$ 1,000", "5 kg", "5kg", "12%", "7", "USD 3", "\u20ac5", "5 \u20ac"]))
    assert [cells.unit_of(i) for i in range(9)] == ["$", "$", "kg", "kg", "%", "", "USD", "\u20ac", "\u20ac"]
    units = cells.units.tolist()
    assert units[0] == units[1]
    assert units[2] == units[3]
    assert units[5] == 0
    assert units[7] == units[8]
    assert len(set(units)) == 6


def test_times_are_those_of_strptime():
    generator = random.Random(0)
    first = datetime.datetime(1970, 1, 1)
    cells, by_day, by_month = [], [], []
    for _ in range(200):
        moment = first + datetime.timedelta(seconds=generator.randrange(0, 60 * 366 * 86400))
        for text, day, month in written_times(moment):
            cells.append(text)
            by_day.append(day)
            by_month.append(month)
    found = Cells(objects(cells)).times
    same(found[0], by_day, cells)
    same(found[1], by_month, cells)


TIMES = [
    ("2020-02-29T10:20:30Z", "2020-02-29T10:20:30"), ("2020-01-01T00:30:00+01:00", "2019-12-31T23:30:00"),
    ("2020-01-01 00:30 -0530", "2020-01-01T06:00"), ("2020-01-05 10:20:30.25", "2020-01-05T10:20:30.250"),
    ("0001-01-01", "0001-01-01"), ("9999-12-31 23:59:59", "9999-12-31T23:59:59"), ("2020-05", "2020-05-01"),
    ("2020-1", "2020-01-01"),
    ("1987 Jan", "1987-01-01"), ("1987 September", "1987-09-01"), ("2020-Feb-29", "2020-02-29"),
    ("2020 Jan. 5, 10:30", "2020-01-05T10:30"), ("1987 Q1", "1987-01-01"), ("1987q4", "1987-10-01"),
    ("2020-Q2", "2020-04-01"), ("5th January 2020", "2020-01-05"), ("Jan 5 2020 3:04 PM", "2020-01-05T15:04"),
    ("1/2/69", None),
    *[(cell, None) for cell in (
        "", "x", "2020-02-30", "2019-02-29", "2020-13-01", "0000-01-01", "2020-01-05x", "2020-01-05 25:00", "12/2020",
        "1/2",
        "May", "may 5", "20200105", "1.5", "2020-01-05 10:61", "2020-01-05T", "5 kg 20", "10000-01-01", "1-2-3",
        "2020 Q", "2020 Q5", "2020 Q12", "2020 Q1x", "2020 Q1 5", "2020 Jan x", "2020 Feb 30", "2020 Jan 123",
        "32/1/2020", "2020-01-05 13:00 pm", "\x002020-01-05", "2020-01-05" + " " * 80 + "x",
    )],
]


@pytest.mark.parametrize("cell, moment", TIMES, ids=[ascii(cell[0][:24]) for cell in TIMES])
def test_a_time(cell, moment):
    seconds = Cells(objects([cell])).times[1][0]
    if cell == "1/2/69":
        moment = "1969-01-02"
    if moment is None:
        assert np.isnan(seconds)
    else:
        assert seconds == (np.datetime64(moment, "ms") - np.datetime64(0, "ms")).astype(float) / 1000


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("ab AB,.1\u00e9\u0416", max_size=20), min_size=1, max_size=6), st.integers(1, 40))
def test_words_are_counted_at_their_places(cells, n_places):
    cells = [cell.lower() for cell in cells]
    indptr, indices, values = hashed_words(objects(cells), n_places)
    for i, cell in enumerate(cells):
        expected = word_places(cell, n_places)
        row = dict(zip(indices[indptr[i]:indptr[i + 1]].tolist(), values[indptr[i]:indptr[i + 1]].tolist()))
        norm = sum(count * count for count in expected.values()) ** 0.5
        assert row == pytest.approx({place: count / norm for place, count in expected.items()})
        assert list(row) == sorted(row)


def test_case_does_not_tell_words_apart():
    rows = hashed_words(objects(["\u0416\u0410\u0411\u0410 Toad", "\u0436\u0430\u0431\u0430 tOAD"]), 64)
    assert rows[1][:2].tolist() == rows[1][2:].tolist()


def test_a_long_text_is_no_number_and_no_time():
    data, stops = packed(objects(["7" * 1_000_000, "  5" + " " * 100, "1"]), 64)
    assert stops.tolist() == [0, 1, 2]
    assert bytes(data[:2]) == b"51"
