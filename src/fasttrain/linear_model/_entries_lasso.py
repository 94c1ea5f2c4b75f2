"""What the estimators by coordinate descent are to scikit-learn, to searches, to saved models and to the patch."""

from functools import partial

from sklearn import linear_model

from fasttrain._estimators.batching import FitRules
from fasttrain._estimators.conversion import by_attributes
from fasttrain._estimators.registry import enter, enter_function
from fasttrain.linear_model._elastic_net import ElasticNet, Lasso
from fasttrain.linear_model._elastic_net_cv import ElasticNetCV, LassoCV, MultiTaskElasticNetCV, MultiTaskLassoCV
from fasttrain.linear_model._entry_parts import check_coefficients, identity, network, raw_predictions
from fasttrain.linear_model._multi_task import MultiTaskElasticNet, MultiTaskLasso
from fasttrain.linear_model._path_fits import PathFits
from fasttrain.linear_model._paths import enet_path, lasso_path


def _enter(cls, stock, sums=None):
    enter(
        cls, stock=stock, to_stock=partial(by_attributes, target_class=stock), from_stock={stock: by_attributes},
        replaces={}, batch=FitRules(predictions=raw_predictions, sums=sums), check=check_coefficients,
        network=partial(network, identity))


# before the engine's LinearRegressor, which a Lasso and an ElasticNet of scikit-learn become where it is asked for
_enter(Lasso, linear_model.Lasso, PathFits)
_enter(ElasticNet, linear_model.ElasticNet, PathFits)
_enter(LassoCV, linear_model.LassoCV)
_enter(ElasticNetCV, linear_model.ElasticNetCV)
_enter(MultiTaskLasso, linear_model.MultiTaskLasso)
_enter(MultiTaskElasticNet, linear_model.MultiTaskElasticNet)
_enter(MultiTaskLassoCV, linear_model.MultiTaskLassoCV)
_enter(MultiTaskElasticNetCV, linear_model.MultiTaskElasticNetCV)
enter_function(lasso_path, linear_model.lasso_path)
enter_function(enet_path, linear_model.enet_path)
