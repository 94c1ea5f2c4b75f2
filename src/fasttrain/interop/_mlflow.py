"""MLflow's autologging of scikit-learn, where it was switched on before scikit-learn's names were changed."""

import inspect
import sys


def log_again():
    """Let ``mlflow.sklearn.autolog`` look at scikit-learn's estimators anew, with the options that it was given.

    It wraps the classes that it finds when it is called; nothing is done where it has not been, or is switched off.
    """
    module = sys.modules.get("mlflow.sklearn")
    if module is None:
        return
    from mlflow.utils.autologging_utils import AUTOLOGGING_INTEGRATIONS

    given = AUTOLOGGING_INTEGRATIONS.get("sklearn")
    if given and not given.get("disable", False):
        known = inspect.signature(module.autolog).parameters
        module.autolog(**{name: value for name, value in given.items() if name in known})
