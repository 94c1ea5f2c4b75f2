"""How many fits of one estimator run together, as its entry in the registry says it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class StepRules:
    """A transformer that a batch may fit once a fold for all candidates behind it.

    What a row becomes depends on that row alone, so the rows of a fold may be transformed with all others.

    Attributes
    ----------
    from_moments : callable, optional
        ``from_moments(step, moments)``: a fitted transformer like ``step`` from the moments of its fold's rows, where
        one pass over X has all folds'; ``moments()`` gives (weight, mean, sum of squared deviations over weight), and
        None says that the transformer has to be fitted itself.
    """

    from_moments: Callable | None = None


@dataclass(frozen=True)
class FitRules:
    """An estimator of which a batch runs many fits.

    Without more, a fit takes a thread and a copy of its rows.

    Attributes
    ----------
    takes_rows : bool
        Whether ``fit`` takes :class:`~fasttrain._estimators.rows.RowsOf` in the place of X.
    predictions : callable, optional
        ``predictions(model)``: a function from checked, dense rows in the dtype of ``coef_`` to a fitted model's raw
        predictions (a regressor's predictions), without the checks of ``predict``; None where that has to be asked.
    lockstep : type, optional
        Of X and y for fits that walk one row order together: :class:`~fasttrain.linear_model._lockstep.LockstepData`.
    columns : type, optional
        Of X and y for fits that are columns of one product: :class:`~fasttrain.linear_model._columns.ColumnsData`.
    sums : type, optional
        Of X, y and folds for fits of which much is done once a fold:
        :class:`~fasttrain.linear_model._fold_fits.SumsData`, and
        :class:`~fasttrain.linear_model._path_fits.PathFits`.
    partial_epochs : callable, optional
        ``partial_epochs(model, X, y, n_epochs)``: what so many calls of ``partial_fit`` after the first one do, the
        checks of the data made once.
    """

    takes_rows: bool = False
    predictions: Callable | None = None
    lockstep: type | None = None
    columns: type | None = None
    sums: type | None = None
    partial_epochs: Callable | None = None
