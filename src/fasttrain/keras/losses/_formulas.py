"""The losses that the engine does not have: it asks for their gradients, which come from their formulas."""

from __future__ import annotations

from typing import Any

from fasttrain.keras.losses import _functions as functions
from fasttrain._core.checks import check_real
from fasttrain.keras.losses._base import Loss, OfCodes, losses_by_name


def _formula(class_name, function, *aliases, **arguments):
    """The class of one of the functions; ``arguments`` are the function's own, with their defaults."""
    name = function.__name__

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None,
                 **given: Any) -> None:
        unknown = set(given) - set(arguments)
        if unknown:
            raise TypeError(f"{class_name} has no argument {min(unknown)!r}")
        Loss.__init__(self, reduction, name, **{**arguments, **given})

    listed = "".join(f"\n    {key} : default={value!r}" for key, value in arguments.items())
    doc = f"""{function.__doc__.split(";")[0].rstrip(".")}.

    Parameters
    ----------
    reduction, name
        As for :class:`Loss`.{listed}
    """
    members = {"__init__": __init__, "__doc__": doc, "__module__": __name__, "name": name,
               "function": staticmethod(function)}
    return losses_by_name.add(name, *aliases)(type(class_name, (Loss,), members))


MeanAbsolutePercentageError: type[Loss] = _formula(
    "MeanAbsolutePercentageError", functions.mean_absolute_percentage_error, "mape")
MeanSquaredLogarithmicError: type[Loss] = _formula(
    "MeanSquaredLogarithmicError", functions.mean_squared_logarithmic_error, "msle")
LogCosh: type[Loss] = _formula("LogCosh", functions.log_cosh, "logcosh")
KLDivergence: type[Loss] = _formula("KLDivergence", functions.kl_divergence, "kld", "kullback_leibler_divergence")
CosineSimilarity: type[Loss] = _formula("CosineSimilarity", functions.cosine_similarity, axis=-1)
CategoricalHinge: type[Loss] = _formula("CategoricalHinge", functions.categorical_hinge)
BinaryFocalCrossentropy: type[Loss] = _formula(
    "BinaryFocalCrossentropy", functions.binary_focal_crossentropy, apply_class_balancing=False, alpha=0.25, gamma=2.0,
    from_logits=False, label_smoothing=0.0, axis=-1)
CategoricalFocalCrossentropy: type[Loss] = _formula(
    "CategoricalFocalCrossentropy", functions.categorical_focal_crossentropy, alpha=0.25, gamma=2.0, from_logits=False,
    label_smoothing=0.0, axis=-1)
Dice: type[Loss] = _formula("Dice", functions.dice, axis=None)
Tversky: type[Loss] = _formula("Tversky", functions.tversky, alpha=0.5, beta=0.5, axis=None)


@losses_by_name.add("categorical_generalized_cross_entropy")
class CategoricalGeneralizedCrossEntropy(OfCodes):
    """``(1 - p_y^q) / q``, y class codes 0 .. k - 1 (Zhang and Sabuncu 2018): for labels of which some are wrong.

    Parameters
    ----------
    q : float, default=0.5
        In (0, 1): near 0 as the cross-entropy, near 1 as the absolute error.
    reduction, name
        As for :class:`Loss`.
    """

    name = "categorical_generalized_cross_entropy"
    function: Any = staticmethod(functions.categorical_generalized_cross_entropy)

    def __init__(self, q: float = 0.5, reduction: str | None = "sum_over_batch_size", name: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__(reduction, name, q=check_real(q, "q", low=0, high=1, open_low=True, open_high=True))
