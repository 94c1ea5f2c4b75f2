"""MLflow's autologging of scikit-learn: where it was switched on before scikit-learn's names were changed, and of
fasttrain's own estimators.

``mlflow.sklearn.autolog`` wraps the methods of the classes that ``sklearn.utils.all_estimators`` finds when it is
called.
"""

import inspect
import sys
from contextlib import contextmanager
from functools import wraps

import sklearn.utils

from fasttrain import model_selection
from fasttrain._estimators.registry import entries

_EXTENDED = "_finds_fasttrain"


def log_again():
    """Let ``mlflow.sklearn.autolog`` look at scikit-learn's estimators anew, with the options that it was given.

    Nothing is done where it has not been called, or is switched off.
    """
    module = sys.modules.get("mlflow.sklearn")
    if module is None:
        return
    from mlflow.utils.autologging_utils import AUTOLOGGING_INTEGRATIONS

    given = AUTOLOGGING_INTEGRATIONS.get("sklearn")
    if given and not given.get("disable", False):
        known = inspect.signature(module.autolog).parameters
        module.autolog(**{name: value for name, value in given.items() if name in known})


def register_mlflow() -> None:
    """Let ``mlflow.sklearn.autolog`` (and ``mlflow.autolog``) log fits of fasttrain's own classifiers, regressors and
    searches as it logs scikit-learn's.

    It may be called before or after autologging is switched on, and once is enough. Scripts under the patch need not:
    there the names are scikit-learn's.

    Raises
    ------
    ImportError
        Without MLflow.

    Examples
    --------
    >>> import mlflow  # doctest: +SKIP
    >>> from fasttrain import interop
    >>> from fasttrain.neural_network import MLPClassifier
    >>> interop.register_mlflow()  # doctest: +SKIP
    >>> mlflow.sklearn.autolog()  # doctest: +SKIP
    >>> MLPClassifier((8,)).fit([[0.0], [1.0]], [0, 1])  # doctest: +SKIP
    """
    import mlflow.sklearn

    module = mlflow.sklearn
    if not getattr(module.autolog, _EXTENDED, False):
        module.autolog = _extended(module.autolog)
    log_again()


def _extended(autolog):
    @wraps(autolog)
    def extended(*args, **kwargs):
        with _found():
            return autolog(*args, **kwargs)

    setattr(extended, _EXTENDED, True)
    return extended


def _own():
    """fasttrain's estimators that predict; transformers make no runs of scikit-learn's either."""
    searches = {value for value in vars(model_selection).values() if isinstance(value, type)}
    return [cls for cls in searches | {entry.cls for entry in entries()} if hasattr(cls, "predict")]


@contextmanager
def _found():
    """While the block runs, fasttrain's estimators are among scikit-learn's."""
    stock = sklearn.utils.all_estimators

    @wraps(stock)
    def all_estimators(*args, **kwargs):
        return [*stock(*args, **kwargs), *((cls.__name__, cls) for cls in _own())]

    sklearn.utils.all_estimators = all_estimators
    try:
        yield
    finally:
        sklearn.utils.all_estimators = stock
