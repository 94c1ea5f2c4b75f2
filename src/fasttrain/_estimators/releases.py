"""Parameters that releases of scikit-learn spell differently: fasttrain's estimators have those of the newest.

What the installed release has is read from the constructors of its classes, and from no version number.
"""

import inspect
import math


def _defaults(cls):
    signature = inspect.signature(cls.__init__)
    return {name: parameter.default for name, parameter in signature.parameters.items() if name != "self"}


def names_of(cls):
    """Parameters of a class, in the order of its constructor."""
    return list(_defaults(cls))


def _ratio_of(penalty, ratio):
    """The newest releases' share of the l1 part, for a penalty by its name."""
    return {"l1": 1.0, "elasticnet": ratio}.get(penalty, 0.0)


def _penalty_of(ratio, strength):
    """An older release's name of the penalty that newer ones tell by the share of its l1 part and by its strength."""
    if ratio is None or ratio == 0:
        return None if strength == math.inf else "l2"
    return "l1" if ratio == 1 else "elasticnet"


def _only(ratios):
    """The single element of ``ratios``, 0.0 without any; None where there are several."""
    if ratios is None or isinstance(ratios, str):
        return 0.0
    known = set(ratios)
    return known.pop() if len(known) == 1 else None


def _named_penalty(given):
    """Older logistic regressions have the penalty's name; its l1 part is told beside ``'elasticnet'`` alone."""
    given = dict(given)
    if given.get("penalty") == "deprecated":
        if "l1_ratios" in given:
            ratio = _only(given["l1_ratios"])
            given["penalty"] = "elasticnet" if ratio is None else _penalty_of(ratio, 1.0)
        else:
            given["penalty"] = _penalty_of(given.get("l1_ratio"), given.get("C", 1.0))
    if given["penalty"] != "elasticnet":
        given.update({name: None for name in ("l1_ratio", "l1_ratios") if name in given})
    return given


def _told_by_ratio(given):
    """The other way round."""
    given = dict(given)
    penalty = given.pop("penalty")
    if penalty is None:
        given["C"] = math.inf
    if "l1_ratios" in given:
        ratios = given["l1_ratios"]
        given["l1_ratios"] = ratios if penalty == "elasticnet" else (_ratio_of(penalty, None),)
    else:
        given["l1_ratio"] = _ratio_of(penalty, given.get("l1_ratio"))
    return given


def translated(estimator, source, target):
    """Those parameters of an estimator of ``source`` that ``target`` has, in the words of the release of that.

    One of the two classes is fasttrain's and the other scikit-learn's, or they are alike.
    """
    theirs, ours = _defaults(source), _defaults(target)
    given = {name: getattr(estimator, name) for name in ours if hasattr(estimator, name)}
    if "penalty" in given and {theirs.get("penalty"), ours.get("penalty")} == {"deprecated", "l2"}:
        given = _named_penalty(given) if ours["penalty"] == "l2" else _told_by_ratio(given)
    count = getattr(estimator, "n_alphas", "deprecated")
    if "n_alphas" not in ours and "alphas" in given and count != "deprecated":
        given["alphas"] = count if given["alphas"] is None or isinstance(given["alphas"], str) else given["alphas"]
    if "use_legacy_attributes" in ours and "use_legacy_attributes" not in theirs:
        given["use_legacy_attributes"] = True
    # words that stand for nothing but that a parameter was not given
    return {
        name: value for name, value in given.items()
        if not (isinstance(value, str) and value in ("warn", "deprecated") and value == theirs.get(name) != ours[name])
    }
