"""Predictions of a saved model for the rows of a table: what ``fasttrain predict`` does."""

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from fasttrain import persistence
from fasttrain.cli._job import lacking
from fasttrain.cli._screen import counted
from fasttrain.cli._tables import TableFile
from fasttrain.preprocessing import TablePreprocessor

# What spreadsheets take for the beginning of a formula.
FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r")


def load_model(folder):
    """(a pipeline that ``fasttrain fit`` has written, its notes)."""
    model, notes = persistence.load(folder, return_notes=True)
    if not isinstance(model, Pipeline) or not isinstance(model[0], TablePreprocessor) or "target" not in (notes or {}):
        raise ValueError(f"{folder} holds a {type(model).__name__}, not a model that 'fasttrain fit' has written")
    return model, notes


def prepared_model(folder, unknown, probabilities):
    """:func:`load_model`, told what to do with categories that the training has not seen."""
    model, notes = load_model(folder)
    model.set_params(table__handle_unknown=unknown)
    if probabilities and not hasattr(model[-1], "classes_"):
        raise ValueError("probabilities are for classifiers, this model is a regressor")
    return model, notes


def predict(folder, data, unknown="error", missing="error", probabilities=False, separator=None, encoding=None,
            tell=None):
    """Predictions of a saved model for a table, as a data frame with a row for each of the table's.

    Parameters
    ----------
    folder, data : path
    unknown : {"error", "ignore"}, default="error"
        Refuse categories that the training has not seen, or take them as none of the known ones.
    missing : {"error", "empty"}, default="error"
        Refuse missing values where the model was trained without any, or leave the predictions of such rows empty.
    probabilities : bool, default=False
    separator, encoding : str, optional
        Those of the training when left out.
    tell : callable, optional
        Given the lines of :func:`unlike_training`, one after the other.

    Raises
    ------
    ValueError
        For rows that the model cannot predict; the message says which and what to do about it.
    """
    model, notes = prepared_model(folder, unknown, probabilities)
    file = TableFile(data, separator or notes["separator"], encoding or notes.get("encoding", "utf-8"))
    table = file.read(as_text=notes["categorical"])
    return predict_table(model, notes, table, file.name, missing, probabilities, tell)


def predict_table(model, notes, table, name, missing="error", probabilities=False, tell=None):
    """Predictions for the rows of a table, as :func:`predict` has them; messages call it ``name``."""
    features = list(model[0].feature_names_in_)
    absent = [feature for feature in features if feature not in table.columns]
    if absent:
        raise ValueError(lacking(name, absent, table.columns))
    table = table[features]
    whole = np.ones(len(table), bool)
    if model[0].missing in ("error", "drop"):
        holes = table.isna()
        whole = ~holes.any(axis=1).to_numpy()
        if not whole.all() and missing == "error":
            counts = holes.sum()
            column, row = counts.idxmax(), int(np.flatnonzero(~whole)[0]) + 1
            raise ValueError(
                f"the column {column!r} of {name} has {counts[column]} missing values (first in row {row}), and the "
                "model was fitted without any: fill them, pass --missing empty to leave the predictions of such rows "
                "empty, or fit again with --impute"
            )
    rows = table[whole]
    target = notes["target"]
    if not len(rows):
        return pd.DataFrame({target: [None] * len(table)})
    try:
        predictions = pd.DataFrame({target: model.predict(rows)})
    except ValueError as error:
        if "has not seen" not in str(error):
            raise ValueError(f"{name}: {error}") from error
        raise ValueError(
            f"{name}: {error}: pass --unknown ignore to predict such rows as if the value were none of the known ones"
        ) from None
    for line in unlike_training(model[0], rows) if tell else ():
        tell(line)
    if probabilities:
        try:
            chances = model.predict_proba(rows)
        except AttributeError as error:
            raise ValueError(str(error)) from None
        for label, column in zip(model[-1].classes_, chances.T):
            predictions[f"P({label})"] = column
    predictions.index = np.flatnonzero(whole)
    return predictions if whole.all() else predictions.reindex(range(len(table)))


def unlike_training(preprocessor, table):
    """What of a table the training has not seen and what stands in for it, a line for each column that has any."""
    for name, told in preprocessor.report(table).items():
        parts = []
        if told["missing"]:
            parts.append(f"{counted(told['missing'], 'row')} without a value, for which the training's stands in")
        if told["unseen"]:
            examples = ", ".join(repr(cell) for cell in told["examples"][:3])
            parts.append(f"{counted(told['unseen'], 'row')} with what the training has not seen ({examples})")
        yield f"the column {name!r} has {' and '.join(parts)}"


def without_formulas(predictions):
    """The same with an apostrophe before every text, headings included, that a spreadsheet would take for a formula."""

    def safe(value):
        return "'" + value if isinstance(value, str) and value.startswith(FORMULA_BEGINNINGS) else value

    found = predictions.rename(columns=safe)
    for name in found.columns:
        if not pd.api.types.is_numeric_dtype(found[name]):
            found[name] = found[name].map(safe)
    return found
