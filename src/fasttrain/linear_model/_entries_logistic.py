"""What the logistic regressions are to scikit-learn, to batches, to saved models, to the patch and to inspection."""

from functools import partial

from sklearn.linear_model import LogisticRegression as Stock, LogisticRegressionCV as StockCV

from fasttrain._estimators.batching import FitRules
from fasttrain._estimators.conversion import by_attributes
from fasttrain._estimators.registry import enter
from fasttrain.linear_model._entry_parts import check_coefficients, classes_shape, network, raw_predictions
from fasttrain.linear_model._logistic import LogisticRegression
from fasttrain.linear_model._logistic_columns import LogisticColumns
from fasttrain.linear_model._logistic_cv import LogisticRegressionCV


def _check(model):
    check_coefficients(model, classes_shape(model))


def _output(model, n_outputs):
    return "logistic" if n_outputs == 1 else "softmax"


enter(
    LogisticRegression, stock=Stock, to_stock=partial(by_attributes, target_class=Stock),
    from_stock={Stock: by_attributes}, replaces={}, check=_check, network=partial(network, _output),
    batch=FitRules(predictions=raw_predictions, columns=LogisticColumns),
)
enter(
    LogisticRegressionCV, stock=StockCV, to_stock=partial(by_attributes, target_class=StockCV),
    from_stock={StockCV: by_attributes}, replaces={}, check=_check, network=partial(network, _output),
)
