"""What Keras's optimizers share: the learning rate, clipping, decay, averages, and steps on arrays of one's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from fasttrain import schedules as schedule_specs
from fasttrain._core.checks import check_flag, check_integer, check_real
from fasttrain.keras._config import Configured, registry, serialized
from fasttrain.keras._variables import Variable
from fasttrain.keras.optimizers.schedules import LearningRateSchedule, deserialize as schedule_of


class Rate(float):
    """A learning rate that may be assigned to, as Keras's variable."""

    def __new__(cls, value, optimizer):
        self = super().__new__(cls, value)
        self._optimizer = optimizer
        return self

    @property
    def value(self):
        return float(self)

    def numpy(self):
        """The rate as a float."""
        return np.float64(self)

    def assign(self, value):
        """Set the optimizer's rate."""
        self._optimizer.learning_rate = value
        return self._optimizer.learning_rate

    def __reduce__(self):
        return float, (float(self),)


class Count(int):
    """A number of steps that answers as Keras's variable does."""

    @property
    def value(self):
        return int(self)

    def numpy(self):
        """The number as an int."""
        return np.int64(self)


class Optimizer(Configured):
    """Base of Keras's optimizers: a learning rate that may be changed between steps, and the rule it belongs to.

    Attributes
    ----------
    learning_rate : float
        May be set, and has ``assign``, at any time; with a schedule, the rate of the latest step.
    iterations : int
        Updates made by the model that was compiled with it, or by :meth:`apply`.
    name : str
    """

    _kind = None

    def __init__(self, learning_rate: Any, config: dict[str, Any], weight_decay: float | None = None,
                 clipnorm: float | None = None, clipvalue: float | None = None, global_clipnorm: float | None = None,
                 use_ema: bool = False, ema_momentum: float = 0.99, ema_overwrite_frequency: Any = None,
                 loss_scale_factor: Any = None, gradient_accumulation_steps: Any = None, name: str | None = None,
                 **unknown: Any) -> None:
        if unknown:
            raise TypeError(f"{type(self).__name__} has no argument {min(unknown)!r}")
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = {argument: value for argument, value in clips.items() if value is not None}
        if len(given) > 1:
            raise ValueError(
                "only one of clipnorm, clipvalue and global_clipnorm may be given, got "
                + ", ".join(f"{argument}={value!r}" for argument, value in given.items()))
        check_flag(use_ema, "use_ema")
        check_real(loss_scale_factor, "loss_scale_factor", low=0, open_low=True, optional=True)
        self.use_ema: bool = bool(use_ema)
        self.ema_momentum: float | None = check_real(ema_momentum, "ema_momentum", low=0, high=1)
        self.ema_overwrite_frequency: int | None = check_integer(
            ema_overwrite_frequency, "ema_overwrite_frequency", low=1, optional=True)
        self.gradient_accumulation_steps: int | None = check_integer(
            gradient_accumulation_steps, "gradient_accumulation_steps", low=2, optional=True)
        self.name: str = type(self).__name__.lower() if name is None else str(name)
        self.iterations = 0
        self.schedule: Any = None
        self._built = None
        self._common = {
            "weight_decay": weight_decay, **clips, "use_ema": self.use_ema, "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency, "loss_scale_factor": loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }
        self._config = config
        self.learning_rate = learning_rate
        self.spec()

    @property
    def iterations(self) -> Any:
        return Count(self._batches // (self.gradient_accumulation_steps or 1))

    @iterations.setter
    def iterations(self, value: Any) -> None:
        # what has been added up for an update belongs to the batches since the last one
        self._batches, self._accumulated = int(value) * (self.gradient_accumulation_steps or 1), {}

    @property
    def learning_rate(self) -> Any:
        return Rate(self._learning_rate, self)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, schedule_specs.Schedule):
            raise TypeError(
                "learning_rate must be a number, one of fasttrain.keras.optimizers.schedules or a function of the "
                f"step; fasttrain.schedules are laid out for a whole training, got {value!r}"
            )
        if isinstance(value, dict):
            value = schedule_of(value)
        if callable(value):
            self.schedule = value
            value = float(value(self._batches))
        else:
            self.schedule = None
            if isinstance(value, (Variable, np.ndarray)) and np.size(value) == 1:
                value = float(value)
        self._learning_rate = float(check_real(value, "learning_rate", low=0))

    def rates(self, first_step: int, count: int) -> Any:
        """Learning rates of ``count`` steps after ``first_step`` ones, a float64 array."""
        if self.schedule is None:
            return np.full(count, self._learning_rate)
        if isinstance(self.schedule, LearningRateSchedule):
            rates = np.array(self.schedule.rates(first_step, count), dtype=np.float64)
        else:
            rates = np.array([float(self.schedule(step)) for step in range(first_step, first_step + count)])
        if not np.isfinite(rates).all() or (rates < 0).any():
            raise ValueError(f"the learning rate must be finite and >= 0, got {rates.min()} from {self.schedule!r}")
        if count:
            self._learning_rate = float(rates[-1])
        return rates

    def _rule(self):
        """The class of :mod:`fasttrain.optimizers` and its own arguments."""
        return self._kind, self._config

    def spec(self) -> Any:
        """The same as a spec of :mod:`fasttrain.optimizers`, at the present learning rate."""
        kind, arguments = self._rule()
        common = self._common
        return kind(
            # a rate of 0, which a schedule may reach, is not one a spec accepts; steps take theirs from rates()
            learning_rate=self._learning_rate or np.finfo(np.float64).tiny, **arguments,
            clip_norm=common["global_clipnorm"] or None, clip_each_norm=common["clipnorm"] or None,
            clip_value=common["clipvalue"] or None, weight_decay=common["weight_decay"] or 0.0,
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same optimizer, by their names."""
        rate = self._learning_rate
        if isinstance(self.schedule, LearningRateSchedule):
            rate = serialized(self.schedule)
        return {"name": self.name, "learning_rate": rate, **self._common, **self._config}

    # ---- steps on variables of one's own ----

    def build(self, variables: Any) -> None:
        """Begin a memory for variables, those that :meth:`apply` will change."""
        variables = list(variables)
        arrays = {str(i): _array_of(one) for i, one in enumerate(variables)}
        self._built = variables, self.spec().init(arrays)
        self.iterations = self.iterations

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """One step on variables by their gradients.

        Parameters
        ----------
        grads : list of arrays
        trainable_variables : list of Variables or arrays, default=None
            float32 or float64; arrays are changed in place. None takes those of :meth:`build`. They must be the same in
            every call: the memory of momentum and the like belongs to them.

        Notes
        -----
        A model that was compiled with the optimizer keeps another memory for its own steps.
        """
        if self.use_ema:
            raise ValueError("use_ema must be False for apply; a model that is compiled with the optimizer averages")
        grads = list(grads)
        if trainable_variables is None and self._built is None:
            raise ValueError("trainable_variables must be given, as build has not been called")
        variables = self._built[0] if trainable_variables is None else list(trainable_variables)
        if self._built is None:
            self.build(variables)
        known, state = self._built
        if len(known) != len(variables) or not all(_is_same(a, b) for a, b in zip(known, variables)):
            raise ValueError("trainable_variables must be those of build, or of the first call, in the same order")
        if len(grads) != len(variables):
            raise ValueError(f"grads must have an array for each of the {len(variables)} variables, got {len(grads)}")
        arrays = {str(i): _array_of(one) for i, one in enumerate(variables)}
        given = {}
        for (i, array), gradient in zip(arrays.items(), grads):
            if gradient is None:
                raise ValueError(f"grads must hold arrays, got None for variable {i}")
            given[i] = np.asarray(gradient, dtype=array.dtype)
            if given[i].shape != array.shape:
                raise ValueError(
                    f"grads must have the shapes of the variables, got {given[i].shape} for variable {i} of shape "
                    f"{array.shape}")
        rate = self.rates(self._batches, 1)[0]
        steps = self.gradient_accumulation_steps or 1
        if steps > 1:
            given = {i: self._accumulated.get(i, 0) + gradient for i, gradient in given.items()}
        if (self._batches + 1) % steps:
            self._accumulated = given
        else:
            mean = {i: gradient / steps for i, gradient in given.items()} if steps > 1 else given
            self.spec().step(arrays, mean, state, learning_rate=rate)
            self._accumulated = {}
        for variable, array in zip(variables, arrays.values()):
            if isinstance(variable, Variable):
                variable.assign(array)
        self._batches += 1

    def apply_gradients(self, grads_and_vars: Any) -> Any:
        """:meth:`apply` of pairs of a gradient and its variable."""
        pairs = list(grads_and_vars)
        self.apply([gradient for gradient, _ in pairs], [variable for _, variable in pairs])
        return self.iterations


def _array_of(variable):
    return np.ascontiguousarray(variable.numpy()) if isinstance(variable, Variable) else variable


def _is_same(one, other):
    """Weights of layers are the same where they stand for the same."""
    if isinstance(one, Variable) and isinstance(other, Variable):
        return one is other or hash(one) == hash(other)
    return one is other


optimizers_by_name = registry("optimizer", Optimizer)
