"""Linear models as scikit-learn estimators.

``LinearClassifier`` and ``LinearRegressor`` are the dense engine with no hidden layer: any loss, optimizer, schedule
and penalty (``_linear`` over ``_base``). ``SGDClassifier`` and ``SGDRegressor`` are scikit-learn's estimators of
these names on the kernel of per-sample descent (``_sgd_*`` over ``_descents``); with the same parameters,
``random_state`` and float64 data they reach its ``coef_``, ``intercept_``, ``n_iter_`` and predictions to rounding,
and ``fit_lockstep`` fits many at once. The others have scikit-learn's names, parameters and answers too:

- least squares and ridge, with their CV kin, from the sums of one reading of X (``_linear_regression``, ``_ridge``,
  ``_ridge_cv`` over ``_sums``, ``_factors``, ``_solvers``, ``_leave_one_out``);
- lasso and elastic net, their CV and multi-task kin and the two path functions, by coordinate descent
  (``_elastic_net``, ``_elastic_net_cv``, ``_multi_task``, ``_paths`` over ``_coordinate``);
- logistic regression, for one C or a path of them, by L-BFGS and Newton's method (``_logistic``, ``_logistic_cv``
  over ``_logistic_problem``);
- Poisson, gamma and Tweedie regression, Huber's loss and the linear support vector machines, on the same kernel of
  full-batch sums (``_glm`` over ``_deviances``, ``_huber``, ``_svm`` over ``_squared_margins`` and ``_interior``);
- models with an l1 part by proximal Newton, ``_proximal``, and of quantiles by an interior point, ``_quantile`` over
  ``_pinball``.

``LinearRegressorCV`` has leave-one-out in closed form. ``_lockstep``, ``_columns``, ``_logistic_columns`` and
``_fold_fits`` are what searches need to train many together; ``_entries`` and its kin say what each class is to the
rest of the library.
"""

from fasttrain._core.public import publish
from fasttrain.linear_model._closed_form import LinearRegressorCV
from fasttrain.linear_model._elastic_net import ElasticNet, Lasso
from fasttrain.linear_model._elastic_net_cv import ElasticNetCV, LassoCV, MultiTaskElasticNetCV, MultiTaskLassoCV
from fasttrain.linear_model._glm import GammaRegressor, PoissonRegressor, TweedieRegressor
from fasttrain.linear_model._huber import HuberRegressor
from fasttrain.linear_model._linear import LinearClassifier, LinearRegressor
from fasttrain.linear_model._linear_regression import LinearRegression
from fasttrain.linear_model._lockstep import fit_lockstep
from fasttrain.linear_model._logistic import LogisticRegression
from fasttrain.linear_model._logistic_cv import LogisticRegressionCV
from fasttrain.linear_model._multi_task import MultiTaskElasticNet, MultiTaskLasso
from fasttrain.linear_model._paths import enet_path, lasso_path
from fasttrain.linear_model._quantile import QuantileRegressor
from fasttrain.linear_model._ridge import Ridge, RidgeClassifier
from fasttrain.linear_model._ridge_cv import RidgeClassifierCV, RidgeCV
from fasttrain.linear_model._sgd_classifier import SGDClassifier
from fasttrain.linear_model._sgd_regressor import SGDRegressor
from fasttrain.linear_model._svm import LinearSVC, LinearSVR
# scikit-learn's own models become those of the same name where no class is asked for: these enter first
from fasttrain.linear_model import _entries_glm, _entries_lasso, _entries_logistic, _entries_ridge  # noqa: F401
from fasttrain.linear_model import _entries  # noqa: F401  (enters the others)

__all__ = [
    "ElasticNet", "ElasticNetCV", "GammaRegressor", "HuberRegressor", "Lasso", "LassoCV", "LinearClassifier",
    "LinearRegression", "LinearRegressor", "LinearRegressorCV", "LinearSVC", "LinearSVR", "LogisticRegression",
    "LogisticRegressionCV", "MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV",
    "PoissonRegressor", "QuantileRegressor", "Ridge", "RidgeCV", "RidgeClassifier", "RidgeClassifierCV",
    "SGDClassifier", "SGDRegressor", "TweedieRegressor", "enet_path", "fit_lockstep", "lasso_path",
]

publish(globals())
