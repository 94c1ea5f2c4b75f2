"""What 'auto' stands for: the optimizer and the penalty of a linear model that was told of none."""

from fasttrain import optimizers, penalties
from fasttrain.callbacks import as_callbacks
from fasttrain.schedules import Constant

AUTOMATIC = "auto"


class AutomaticPenalty(penalties.NoPenalty):
    """The L2 penalty whose strength comes from the data; the engine's steps know nothing of it."""


def needs_steps(model, schedule):
    """What a model asks for that only an optimizer of steps can do, in words; None when L-BFGS does all of it."""
    if model.learning_rate is not None:
        return f"learning_rate={model.learning_rate!r}"
    if not isinstance(schedule, Constant):
        return f"schedule={model.schedule!r}"
    if model.batch_size not in ("auto", "full"):
        return f"batch_size={model.batch_size!r}"
    if model.early_stopping:
        return "early_stopping=True"
    for callback in as_callbacks(model.callbacks):
        if callback.needs_steps:
            return f"the callback {type(callback).__name__}"
    return None


def chosen(model, schedule, steps):
    """The optimizer's spec; ``steps`` is whether the call itself, such as partial_fit, goes in steps."""
    if not (isinstance(model.optimizer, str) and model.optimizer == AUTOMATIC):
        return optimizers.get(model.optimizer)
    return optimizers.get("adam" if steps or needs_steps(model, schedule) else "lbfgs")


def measures_steps(model, optimizer):
    """Whether the rate and the tolerance of steps come from the data as well."""
    return model.optimizer == AUTOMATIC and optimizer.rule != "lbfgs" and model.learning_rate is None
