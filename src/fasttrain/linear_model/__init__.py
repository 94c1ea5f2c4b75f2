"""Linear models as scikit-learn estimators.

``LinearClassifier`` and ``LinearRegressor`` are the dense engine with no hidden layer: any loss, optimizer, schedule
and penalty (``_linear`` over ``_base``). ``SGDClassifier`` and ``SGDRegressor`` are scikit-learn's estimators of
these names on the kernel of per-sample descent (``_sgd_*`` over ``_descents``); with the same parameters,
``random_state`` and float64 data they reach its ``coef_``, ``intercept_``, ``n_iter_`` and predictions to rounding,
and ``fit_lockstep`` fits many at once. ``LinearRegression``, ``Ridge``, ``RidgeClassifier``, ``RidgeCV`` and
``RidgeClassifierCV`` are scikit-learn's, solved from the sums of one reading of X (``_sums``, ``_factors``,
``_solvers``, ``_leave_one_out``); ``LinearRegressorCV`` has leave-one-out in closed form. ``_lockstep``, ``_columns``
and ``_fold_fits`` are what searches need to train many together; ``_entries`` and ``_entries_ridge`` say what each
class is to the rest of the library.
"""

from fasttrain._core.public import publish
from fasttrain.linear_model._closed_form import LinearRegressorCV
from fasttrain.linear_model._linear import LinearClassifier, LinearRegressor
from fasttrain.linear_model._linear_regression import LinearRegression
from fasttrain.linear_model._lockstep import fit_lockstep
from fasttrain.linear_model._ridge import Ridge, RidgeClassifier
from fasttrain.linear_model._ridge_cv import RidgeClassifierCV, RidgeCV
from fasttrain.linear_model._sgd_classifier import SGDClassifier
from fasttrain.linear_model._sgd_regressor import SGDRegressor
from fasttrain.linear_model import _entries_ridge  # noqa: F401  (first, so that Ridge becomes Ridge)
from fasttrain.linear_model import _entries  # noqa: F401  (enters them)

__all__ = [
    "LinearClassifier", "LinearRegression", "LinearRegressor", "LinearRegressorCV", "Ridge", "RidgeCV",
    "RidgeClassifier", "RidgeClassifierCV", "SGDClassifier", "SGDRegressor", "fit_lockstep",
]

publish(globals())
