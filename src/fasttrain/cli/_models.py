"""Estimators from the options of the command line, and peers of other libraries to stand beside them."""

import importlib.util
from dataclasses import replace

from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fasttrain import optimizers, penalties
from fasttrain.linear_model import LinearClassifier, LinearRegressor, SGDClassifier, SGDRegressor
from fasttrain.neural_network import MLPClassifier, MLPRegressor

MODELS = ("linear", "sgd", "mlp")
TASKS = ("classification", "regression")

_OWN = {
    ("linear", "classification"): LinearClassifier, ("linear", "regression"): LinearRegressor,
    ("sgd", "classification"): SGDClassifier, ("sgd", "regression"): SGDRegressor,
    ("mlp", "classification"): MLPClassifier, ("mlp", "regression"): MLPRegressor,
}  # fmt: skip
_COMMON = {"loss", "learning_rate", "schedule", "penalty", "alpha", "l1_ratio", "max_iter", "tol", "early_stopping"}
# Options for which 'auto' is the default.
_AUTOMATIC = ("optimizer", "penalty")
_TAKEN = {
    "linear": _COMMON | {"optimizer", "batch_size", "n_threads"},
    "sgd": _COMMON,
    "mlp": _COMMON | {"optimizer", "batch_size", "n_threads", "hidden", "activation", "dropout", "batch_norm"},
}
_OPTIONS = {"n_threads": "--threads"}


def chosen_model(model, settings):
    """The model that 'auto' stands for: a network where an option asks for one, else a linear model."""
    if model != "auto":
        return model
    return "mlp" if any(settings.get(name) is not None for name in _TAKEN["mlp"] - _TAKEN["linear"]) else "linear"


def estimator_of(model, task, settings, seed=0, callbacks=None):
    """An estimator that is not fitted.

    Parameters
    ----------
    model : {"linear", "sgd", "mlp"}
    task : {"classification", "regression"}
    settings : dict
        From the names of options, with underscores, to values; None is the same as not there.
    seed : int, default=0
    callbacks : list, default=None
        For models that take them.

    Raises
    ------
    ValueError
        For options that are not this model's.
    """
    settings = {name: value for name, value in settings.items() if value is not None}
    if model != "linear":
        # the others know no 'auto': it is what they take when they are told nothing
        settings = {name: value for name, value in settings.items() if value != "auto" or name not in _AUTOMATIC}
    for name in settings:
        if name not in _TAKEN[model]:
            whose = " and ".join(f"--model {other}" for other in MODELS if name in _TAKEN[other])
            option = _OPTIONS.get(name, "--" + name.replace("_", "-"))
            raise ValueError(f"{option} is not for --model {model}; it is for {whose}")
    given = {"linear": _linear, "sgd": _sgd, "mlp": _mlp}[model](settings, task)
    if callbacks is not None and model != "sgd":
        given["callbacks"] = callbacks
    return _OWN[model, task](random_state=seed, **given)


def _linear(settings, task):
    return dict(settings)


def _sgd(settings, task):
    given = dict(settings)
    if task == "classification":
        given.setdefault("loss", "log_loss")
    rate, schedule = given.pop("learning_rate", None), given.pop("schedule", None)
    if rate is not None:
        given |= {"eta0": rate, "learning_rate": "invscaling"}
    if schedule is not None:
        given["learning_rate"] = schedule
    if given.get("penalty") == "none":
        given["penalty"] = None
    return given


def _mlp(settings, task):
    renamed = ("hidden", "learning_rate", "penalty", "l1_ratio")
    given = {name: value for name, value in settings.items() if name not in renamed}
    if given.get("batch_size") == "full":
        raise ValueError("--batch-size full is not for --model mlp; give a number of rows, or --optimizer lbfgs")
    if "hidden" in settings:
        given["hidden_layer_sizes"] = settings["hidden"]
    if "optimizer" in given:
        given["optimizer"] = optimizers.get(given["optimizer"])
    rate = settings.get("learning_rate")
    if rate is not None and "optimizer" in given:
        given["optimizer"] = replace(given["optimizer"], learning_rate=rate)
    elif rate is not None:
        given["learning_rate_init"] = rate
    if "penalty" in settings:
        strength = {name: settings[name] for name in ("alpha", "l1_ratio") if name in settings}
        given.pop("alpha", None)
        spec = penalties.get(settings["penalty"])
        given["penalties"] = replace(spec, **{name: value for name, value in strength.items() if hasattr(spec, name)})
    elif "l1_ratio" in settings:
        raise ValueError("--l1-ratio is for --penalty elasticnet: pass both or neither")
    return given


def scales_target(model, task, settings):
    """Whether a model is trained on a target that is scaled to mean 0 and variance 1: steps of a fixed length do not
    know its unit. A loss that is asked for by name is one of the target as it is."""
    return task == "regression" and model != "linear" and settings.get("loss") is None


def with_scaled_target(estimator):
    """The estimator behind scikit-learn's wrapper that scales y, with the rows of each fit."""
    return TransformedTargetRegressor(estimator, transformer=StandardScaler())


def without_wrapper(pipeline):
    """A fitted pipeline whose model predicts in the target's unit by itself: the scale goes into its last weights."""
    wrapper = pipeline[-1]
    if not isinstance(wrapper, TransformedTargetRegressor):
        return pipeline
    model, (mean,), (scale,) = wrapper.regressor_, wrapper.transformer_.mean_, wrapper.transformer_.scale_
    if hasattr(model, "coefs_"):
        model.coefs_[-1] = model.coefs_[-1] * scale
        model.intercepts_[-1] = model.intercepts_[-1] * scale + mean
    else:
        model.coef_ = model.coef_ * scale
        model.intercept_ = model.intercept_ * scale + mean
    return Pipeline([*pipeline.steps[:-1], (pipeline.steps[-1][0], model)])


def peers(task, seed=0):
    """Models of other libraries that are installed: (library, name, estimator, whether its target is scaled)."""
    from sklearn import linear_model, neural_network

    if task == "classification":
        yield "scikit-learn", "LogisticRegression", linear_model.LogisticRegression(max_iter=1000), False
        yield "scikit-learn", "SGDClassifier", linear_model.SGDClassifier(loss="log_loss", random_state=seed), False
        yield "scikit-learn", "MLPClassifier", neural_network.MLPClassifier(random_state=seed), False
    else:
        yield "scikit-learn", "Ridge", linear_model.Ridge(), False
        yield "scikit-learn", "SGDRegressor", linear_model.SGDRegressor(random_state=seed), True
        yield "scikit-learn", "MLPRegressor", neural_network.MLPRegressor(random_state=seed), True
    if importlib.util.find_spec("lightgbm") is not None:
        import lightgbm

        kind = lightgbm.LGBMClassifier if task == "classification" else lightgbm.LGBMRegressor
        yield "LightGBM", kind.__name__, kind(random_state=seed, verbose=-1), False
