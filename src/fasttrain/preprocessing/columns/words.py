"""Columns of words that have an order: two for yes and no, or a list from low to high."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fasttrain._estimators.registry import enter_record
from fasttrain._tables.categories import encode
from fasttrain.preprocessing.columns.numbers import Dense, are_plain, are_texts, listed, of_rows, unread

# (words for yes, words for no), of one language and style each.
PAIRS = (
    (("true", "t"), ("false", "f")),
    (("yes", "y"), ("no", "n")),
    (("on",), ("off",)),
    (("ja", "j"), ("nein", "n")),
    (("oui", "o"), ("non", "n")),
    (("si", "sí", "sì", "s"), ("no", "n")),
    (("sim", "s"), ("não", "nao", "n")),
    (("vrai",), ("faux",)),
    (("wahr",), ("falsch",)),
    (("да",), ("нет",)),
)


@dataclass
class BooleanColumn(Dense):
    """Yes and no in words, as 1 and 0.

    Parameters
    ----------
    reason : str
    true, false : list of str
        In lower case.
    """

    reason: str
    true: list
    false: list
    kind: ClassVar[str] = "boolean"

    def _of_values(self, view):
        table = {**dict.fromkeys(self.true, 1.0), **dict.fromkeys(self.false, 0.0)}
        words = view.pieces[0].tolist()
        return np.array([table.get(word.strip().casefold(), np.nan) for word in words], dtype=np.float64)

    def numbers(self, view, strict=False):
        if view.storage in ("number", "bool"):
            return view.numbers
        values = self._of_values(view)
        if strict:
            places, _ = unread(view, values)
            if places:
                raise ValueError(
                    f"column {view.name!r} holds {listed(view.pieces[0][places])}, which the model has not seen; it "
                    f"knows {listed([*self.true, *self.false], 8)}"
                )
        return of_rows(view, values)

    def strays(self, view, seen=False):
        if view.storage in ("number", "bool"):
            return [], 0
        places, n_rows = unread(view, self._of_values(view))
        return view.pieces[0][places].tolist(), n_rows

    def check(self, require):
        for words in (self.true, self.false):
            require(are_texts(words), "have words for yes and no")


@dataclass
class OrderedColumn(Dense):
    """Categories from low to high, as 0, 1, 2, ...

    Parameters
    ----------
    reason : str
    values : ndarray of objects
    """

    reason: str
    values: np.ndarray
    kind: ClassVar[str] = "ordered"

    def _of_values(self, view):
        codes = encode(view.distinct[0], self.values)
        return np.where(codes < 0, np.nan, codes)

    def numbers(self, view, strict=False):
        ranks = self._of_values(view)
        if strict and np.isnan(ranks).any():
            wrong = view.distinct[0][np.isnan(ranks)].tolist()
            raise ValueError(
                f"column {view.name!r} holds {listed(wrong)}, which the model has not seen; its order is "
                f"{listed(self.values.tolist(), 8)}"
            )
        return np.append(ranks, np.nan)[view.distinct[1]]

    def strays(self, view, seen=False):
        wrong = np.isnan(self._of_values(view))
        return view.distinct[0][wrong].tolist(), int(view.counts[wrong].sum())

    def check(self, require):
        require(are_plain(self.values), "have its values in order")


def recognise_booleans(view, forced=False):
    """(:class:`BooleanColumn` of a column of text or None, why not)."""
    if view.hardly_repeats or len(view.texts) > 12:
        found = None
    else:
        words = {text.strip().casefold() for text in view.texts.tolist() if len(text) < 20}
        words -= {"", "-", "?", "na", "n/a", "nan", "null", "none", "unknown"}
        found = next(
            ((true, false) for true, false in PAIRS
             if words and words <= {*true, *false} and words & set(true) and words & set(false)), None)
    if found is None:
        if forced:
            raise ValueError(
                f"column {view.name!r} must hold yes and no in words: it holds {listed(view.texts.tolist())}"
            )
        return None, "not yes and no"
    return BooleanColumn("yes and no in words", list(found[0]), list(found[1])), ""


enter_record(BooleanColumn, "boolean column")
enter_record(OrderedColumn, "ordered column")
