"""Keras's optimizers: its names, defaults and places of epsilon, mapped to :mod:`fasttrain.optimizers`.

Arguments that all have: ``weight_decay`` (each step first multiplies weights and biases by
``1 - learning_rate * weight_decay``), ``global_clipnorm`` (the gradient of all parameters together is scaled down to
this norm), ``clipvalue`` (its elements are clipped; either of the two, not both), ``name``. Both clip the gradient of
the loss without its regularization. Keras's other arguments (``clipnorm``, ``use_ema``, ``amsgrad``,
``gradient_accumulation_steps`` ...) raise ValueError unless they have Keras's default.

Examples
--------
>>> from fasttrain.keras.optimizers import SGD, get
>>> SGD(momentum=0.9, nesterov=True).spec()
Nesterov(learning_rate=0.01, momentum=0.9)
>>> get("adam").spec()
Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-07)
"""

import numpy as np

from fasttrain import optimizers as specs, schedules as schedule_specs
from fasttrain._core.checks import check_flag, check_real
from fasttrain.keras._config import Configured, registry

__all__ = [
    "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Lion", "Nadam", "Optimizer", "RMSprop", "get",
]

# Keras's arguments that have no counterpart here, and the defaults that say the same as their absence.
_ABSENT = {
    "clipnorm": None, "use_ema": False, "ema_momentum": 0.99, "ema_overwrite_frequency": None,
    "loss_scale_factor": None, "gradient_accumulation_steps": None, "amsgrad": False, "jit_compile": True,
}
_INSTEAD = {
    "clipnorm": "; global_clipnorm clips the gradient of all parameters together",
    "amsgrad": ", as the engine has no such rule; Nadam and Lion are other variants of Adam that it has",
}


class Optimizer(Configured):
    """Base of Keras's optimizers: a learning rate that may be changed between steps, and the rule it belongs to.

    Attributes
    ----------
    learning_rate : float
        May be set at any time; with a schedule, the rate of the latest step.
    iterations : int
        Steps made by the model that was compiled with it.
    name : str
    """

    _kind = None

    def __init__(self, learning_rate, config, weight_decay=None, global_clipnorm=None, clipvalue=None, name=None,
                 **absent):
        for argument, value in absent.items():
            if argument not in _ABSENT:
                raise TypeError(f"{type(self).__name__} has no argument {argument!r}")
            if value != _ABSENT[argument]:
                raise ValueError(
                    f"{argument} of {type(self).__name__} must be {_ABSENT[argument]}{_INSTEAD.get(argument, '')}, "
                    f"got {value!r}"
                )
        if global_clipnorm is not None and clipvalue is not None:
            raise ValueError(
                f"only one of global_clipnorm and clipvalue may be given, got {global_clipnorm!r} and {clipvalue!r}"
            )
        self.name = type(self).__name__.lower() if name is None else str(name)
        self.iterations = 0
        self.schedule = None
        self._common = {"weight_decay": weight_decay, "global_clipnorm": global_clipnorm, "clipvalue": clipvalue}
        self._config = config
        self.learning_rate = learning_rate
        self.spec()

    @property
    def learning_rate(self):
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        if isinstance(value, schedule_specs.Schedule):
            raise TypeError(
                "learning_rate must be a number or a function of the step; fasttrain's schedules are laid out for "
                f"a whole training, so give them to fit's callbacks or use a function, got {value!r}"
            )
        if callable(value):
            self.schedule = value
            value = float(value(self.iterations))
        else:
            self.schedule = None
            value = float(value) if isinstance(value, np.ndarray) and value.size == 1 else value
        self._learning_rate = check_real(value, "learning_rate", low=0)

    def rates(self, first_step, count):
        """Learning rates of ``count`` steps after ``first_step`` ones, a float64 array."""
        if self.schedule is None:
            return np.full(count, self._learning_rate)
        rates = np.array([float(self.schedule(step)) for step in range(first_step, first_step + count)])
        if not np.isfinite(rates).all() or (rates < 0).any():
            raise ValueError(f"the learning rate must be finite and >= 0, got {rates.min()} from {self.schedule!r}")
        self._learning_rate = float(rates[-1])
        return rates

    def _rule(self):
        """The class of :mod:`fasttrain.optimizers` and its own arguments."""
        return self._kind, self._config

    def spec(self):
        """The same as a spec of :mod:`fasttrain.optimizers`, at the present learning rate."""
        kind, arguments = self._rule()
        common = self._common
        return kind(
            # a rate of 0, which a schedule may reach, is not one a spec accepts; steps take theirs from rates()
            learning_rate=self._learning_rate or np.finfo(np.float64).tiny, **arguments,
            clip_norm=common["global_clipnorm"] or None, clip_value=common["clipvalue"] or None,
            weight_decay=common["weight_decay"] or 0.0,
        )

    def get_config(self):
        """The arguments that make the same optimizer, by their names; a schedule as its present rate."""
        return {"name": self.name, "learning_rate": self._learning_rate, **self._common, **self._config}


_registry = registry("optimizer", Optimizer)


@_registry.add("sgd")
class SGD(Optimizer):
    """``v = momentum v - rate g;  w += v``, or with ``nesterov`` ``w += momentum v - rate g``.

    Parameters
    ----------
    learning_rate : float or callable, default=0.01
        At least 0; a function is called with the number of steps made before.
    momentum : float, default=0.0
    nesterov : bool, default=False
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    def __init__(self, learning_rate=0.01, momentum=0.0, nesterov=False, **common):
        check_flag(nesterov, "nesterov")
        super().__init__(learning_rate, {"momentum": momentum, "nesterov": nesterov}, **common)

    def _rule(self):
        momentum = self._config["momentum"]
        if check_real(momentum, "momentum", low=0, high=1) == 0:
            return specs.GradientDescent, {}
        return specs.Nesterov if self._config["nesterov"] else specs.Momentum, {"momentum": momentum}


@_registry.add("rmsprop")
class RMSprop(Optimizer):
    """:class:`fasttrain.optimizers.RMSprop` with epsilon under the root.

    Parameters
    ----------
    learning_rate : float or callable, default=0.001
    rho : float, default=0.9
    momentum : float, default=0.0
    epsilon : float, default=1e-7
    centered : bool, default=False
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    def __init__(self, learning_rate=0.001, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False, **common):
        own = {"rho": rho, "momentum": momentum, "epsilon": epsilon, "centered": centered}
        super().__init__(learning_rate, own, **common)

    def _rule(self):
        return specs.RMSprop, {**self._config, "epsilon_mode": "inside"}


@_registry.add("adagrad")
class Adagrad(Optimizer):
    """:class:`fasttrain.optimizers.AdaGrad` with epsilon under the root.

    Parameters
    ----------
    learning_rate : float or callable, default=0.001
    initial_accumulator_value : float, default=0.1
    epsilon : float, default=1e-7
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    def __init__(self, learning_rate=0.001, initial_accumulator_value=0.1, epsilon=1e-7, **common):
        own = {"initial_accumulator_value": initial_accumulator_value, "epsilon": epsilon}
        super().__init__(learning_rate, own, **common)

    def _rule(self):
        own = {"initial_accumulator": self._config["initial_accumulator_value"], "epsilon": self._config["epsilon"]}
        return specs.AdaGrad, {**own, "epsilon_mode": "inside"}


@_registry.add("adadelta")
class Adadelta(Optimizer):
    """:class:`fasttrain.optimizers.AdaDelta`.

    Parameters
    ----------
    learning_rate : float or callable, default=0.001
    rho : float, default=0.95
    epsilon : float, default=1e-7
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    _kind = specs.AdaDelta

    def __init__(self, learning_rate=0.001, rho=0.95, epsilon=1e-7, **common):
        super().__init__(learning_rate, {"rho": rho, "epsilon": epsilon}, **common)


@_registry.add("adam")
class Adam(Optimizer):
    """:class:`fasttrain.optimizers.Adam` with another epsilon.

    Parameters
    ----------
    learning_rate : float or callable, default=0.001
    beta_1, beta_2 : float, default=0.9 and 0.999
    epsilon : float, default=1e-7
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    _kind = specs.Adam

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, **common):
        super().__init__(learning_rate, {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}, **common)


@_registry.add("adamw")
class AdamW(Adam):
    """:class:`Adam` with decoupled weight decay.

    Parameters
    ----------
    learning_rate : float or callable, default=0.001
    weight_decay : float, default=0.004
    beta_1, beta_2 : float, default=0.9 and 0.999
    epsilon : float, default=1e-7
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    def __init__(self, learning_rate=0.001, weight_decay=0.004, beta_1=0.9, beta_2=0.999, epsilon=1e-7, **common):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, weight_decay=weight_decay, **common)


@_registry.add("nadam")
class Nadam(Adam):
    """:class:`fasttrain.optimizers.NAdam` with Keras's epsilon.

    Parameters
    ----------
    learning_rate : float or callable, default=0.001
    beta_1, beta_2 : float, default=0.9 and 0.999
    epsilon : float, default=1e-7
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    _kind = specs.NAdam


@_registry.add("lion")
class Lion(Optimizer):
    """:class:`fasttrain.optimizers.Lion` with Keras's learning rate.

    Parameters
    ----------
    learning_rate : float or callable, default=0.001
    beta_1, beta_2 : float, default=0.9 and 0.99
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    _kind = specs.Lion

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.99, **common):
        super().__init__(learning_rate, {"beta_1": beta_1, "beta_2": beta_2}, **common)


class _Spec(Optimizer):
    """A spec of :mod:`fasttrain.optimizers`, whose own conventions hold."""

    def __init__(self, given):
        self._given = given
        super().__init__(given.learning_rate, {"spec": given}, name=given.rule)

    def spec(self):
        return self._given


def __getattr__(name):
    present = ", ".join(one for one in __all__ if one not in ("Optimizer", "get"))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; the engine's optimizers are {present}")


def get(identifier):
    """The optimizer that ``identifier`` stands for.

    Parameters
    ----------
    identifier : str, Optimizer, class of them, or step optimizer of :mod:`fasttrain.optimizers`
        A name stands for Keras's defaults (``'adam'`` has epsilon 1e-7); a spec of fasttrain keeps its own.

    Raises
    ------
    ValueError, TypeError
        For anything else; the message lists the names.
    """
    if isinstance(identifier, specs.StepOptimizer):
        return _Spec(identifier)
    return _registry.get(identifier)
