"""How good a model is on rows it has not seen, beside a baseline, and what it looks at."""

from dataclasses import dataclass

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.inspection import permutation_importance
from sklearn.metrics import average_precision_score, confusion_matrix, get_scorer, precision_recall_curve

from fasttrain.model_selection import cross_validate

# From scikit-learn's name to ours and the sign that makes it a quantity to read.
METRICS = {
    "classification": {
        "accuracy": ("accuracy", 1), "balanced_accuracy": ("balanced accuracy", 1), "f1_macro": ("F1", 1),
    },
    "regression": {
        "r2": ("R2", 1), "neg_root_mean_squared_error": ("RMSE", -1), "neg_mean_absolute_error": ("MAE", -1),
    },
}  # fmt: skip
MOST_CLASSES_SHOWN = 12
MOST_POINTS = 600
MOST_COLUMNS_PERMUTED = 60
ROWS_PERMUTED = 1000


@dataclass
class HeldOut:
    """Rows that a model has not been trained on, with what it says of them; ``where`` says in words which they are."""

    where: str
    y: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray | None = None
    classes: np.ndarray | None = None


def signed(scores, task, prefix="test_"):
    """Scores of scikit-learn's metrics under our names, as quantities to read."""
    return {label: sign * scores[f"{prefix}{name}"] for name, (label, sign) in METRICS[task].items()}


def summarized(values, pooled):
    """A metric over the folds; of one-row folds only the mean says something."""
    found = {"mean": float(np.mean(values))}
    if not pooled:
        found |= {"std": float(np.std(values)), "of_folds": [float(value) for value in values]}
    return found


def baseline(task):
    """What predicts without a look at the features: the most frequent class, the mean."""
    return DummyClassifier(strategy="prior") if task == "classification" else DummyRegressor()


def baseline_scores(y, task, splitter):
    """The baseline's scores on the folds."""
    nothing = np.zeros((len(y), 1))
    with np.errstate(all="ignore"):
        found = cross_validate(
            baseline(task), nothing, y, cv=splitter, scoring=list(METRICS[task]), error_score="raise"
        )
    return signed(found, task)


def scores_on(model, X, y, task):
    """Scores of a fitted model on some rows."""
    return {
        label: float(sign * get_scorer(name)(model, X, y)) for name, (label, sign) in METRICS[task].items()
    }


def probabilities_of(model, X):
    """Class probabilities; None where the model has none."""
    try:
        return model.predict_proba(X)
    except AttributeError:
        return None


def held_out_of(found, X, y, where):
    """Every row's prediction by the model of the fold that held it out, from the results of ``cross_validate``."""
    estimators, tests = found["estimator"], found["indices"]["test"]
    classes = getattr(estimators[0], "classes_", None)
    same = classes is not None and all(np.array_equal(model.classes_, classes) for model in estimators)
    parts, chances = [], []
    for model, test in zip(estimators, tests):
        rows = X.iloc[test]
        chance = probabilities_of(model, rows) if same else None
        parts.append(model.predict(rows) if chance is None else classes[chance.argmax(axis=1)])
        chances.append(chance)
    at = np.concatenate(tests)
    probabilities = None if any(chance is None for chance in chances) else np.concatenate(chances)
    return HeldOut(where, y[at], np.concatenate(parts), probabilities, classes if same else None)


def confusion(held):
    """(labels, counts with the true class in rows); past a number of classes the rarest are one, 'others'."""
    labels, counts = np.unique(held.y, return_counts=True)
    order = labels[np.argsort(-counts, kind="stable")]
    y, predicted = held.y.astype(str), held.predicted.astype(str)
    if len(order) <= MOST_CLASSES_SHOWN:
        names = [str(label) for label in labels]
        return names, confusion_matrix(y, predicted, labels=names)
    names = [str(label) for label in order[: MOST_CLASSES_SHOWN - 1]]
    y, predicted = (np.where(np.isin(values, names), values, "others") for values in (y, predicted))
    names.append("others")
    return names, confusion_matrix(y, predicted, labels=names)


def calibration(held):
    """(what is plotted, predicted probabilities, shares that were right): of the second class of two, else of the class
    that is predicted. None without probabilities."""
    if held.probabilities is None:
        return None
    if len(held.classes) == 2:
        what, chance, right = f"P({held.classes[1]})", held.probabilities[:, 1], held.y == held.classes[1]
    else:
        at = held.probabilities.argmax(axis=1)
        what, chance, right = "P(predicted class)", held.probabilities.max(axis=1), held.y == held.classes[at]
    shares, means = calibration_curve(right, np.clip(chance, 0, 1), n_bins=10, strategy="quantile")
    return what, means, shares


def precision_recall(held):
    """(the class, recalls, precisions, average precision) for two classes; else None."""
    if held.probabilities is None or len(held.classes) != 2:
        return None
    positive, chance = held.classes[1], held.probabilities[:, 1]
    precision, recall, _ = precision_recall_curve(held.y == positive, chance)
    some = np.unique(np.linspace(0, len(recall) - 1, 200).round().astype(int))
    return str(positive), recall[some], precision[some], float(average_precision_score(held.y == positive, chance))


def residuals(held):
    """(predictions, what was to be added to them) of at most :data:`MOST_POINTS` rows, spread evenly."""
    some = np.unique(np.linspace(0, len(held.y) - 1, MOST_POINTS).round().astype(int))
    predicted = np.asarray(held.predicted, dtype=float)[some]
    return predicted, held.y[some] - predicted


def top_weights(pipeline, most=15):
    """[(feature, class or None, weight)] of the largest weights of a fitted linear model."""
    model, names = pipeline[-1], pipeline[0].get_feature_names_out()
    weights = np.atleast_2d(model.coef_)
    at = np.abs(weights).argmax(axis=0)
    largest = weights[at, np.arange(weights.shape[1])]
    classes = getattr(model, "classes_", None)
    order = np.argsort(-np.abs(largest), kind="stable")[:most]
    several = classes is not None and len(weights) > 1
    of = [str(classes[at[i]]) if several else None for i in order]
    return [(str(names[i]), label, float(largest[i])) for i, label in zip(order, of)]


def importances(pipeline, X, y, task, seed=0):
    """[(column, mean, spread)] of what permuting a column costs in the first metric; None for too many columns."""
    if X.shape[1] > MOST_COLUMNS_PERMUTED:
        return None
    if len(y) > ROWS_PERMUTED:
        some = np.sort(np.random.default_rng(seed).choice(len(y), ROWS_PERMUTED, replace=False))
        X, y = X.iloc[some], y[some]
    found = permutation_importance(
        pipeline, X, y, scoring=next(iter(METRICS[task])), n_repeats=5, random_state=seed, n_jobs=1
    )
    order = np.argsort(-found.importances_mean, kind="stable")
    return [
        (str(X.columns[i]), float(found.importances_mean[i]), float(found.importances_std[i])) for i in order
    ]
