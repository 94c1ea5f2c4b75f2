"""Fitted state: what a failed fit puts back."""

from contextlib import contextmanager

from fasttrain.training.engine import engine_of, remembered


@contextmanager
def all_or_nothing(estimator):
    """Put back the estimator's attributes, and what its optimizer remembers, when the block raises."""
    before = dict(vars(estimator))
    memory = remembered(before.get("_engine"), before.get("_hidden", ()))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        if memory is not None:
            estimator._engine = engine_of(memory)
        raise
