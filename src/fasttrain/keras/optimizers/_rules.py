"""Keras's optimizers, each with the rule of :mod:`fasttrain.optimizers` that it is."""

from __future__ import annotations

from typing import Any

from fasttrain import optimizers as specs
from fasttrain._core.checks import check_flag, check_real
from fasttrain.keras.optimizers._base import Optimizer, optimizers_by_name

@optimizers_by_name.add("sgd")
class SGD(Optimizer):
    """``v = momentum v - rate g;  w += v``, or with ``nesterov`` ``w += momentum v - rate g``.

    Parameters
    ----------
    learning_rate : float, schedule or function of the step, default=0.01
        At least 0; a function is called with the number of steps made before.
    momentum : float, default=0.0
    nesterov : bool, default=False
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **common: Any) -> None:
        check_flag(nesterov, "nesterov")
        super().__init__(learning_rate, {"momentum": momentum, "nesterov": nesterov}, **common)

    def _rule(self):
        momentum = self._config["momentum"]
        if check_real(momentum, "momentum", low=0, high=1) == 0:
            return specs.GradientDescent, {}
        return specs.Nesterov if self._config["nesterov"] else specs.Momentum, {"momentum": momentum}


@optimizers_by_name.add("rmsprop")
class RMSprop(Optimizer):
    """:class:`fasttrain.optimizers.RMSprop` with epsilon under the root.

    Parameters
    ----------
    learning_rate : float, schedule or function of the step, default=0.001
    rho : float, default=0.9
    momentum : float, default=0.0
    epsilon : float, default=1e-7
    centered : bool, default=False
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7,
                 centered: bool = False, **common: Any) -> None:
        own = {"rho": rho, "momentum": momentum, "epsilon": epsilon, "centered": centered}
        super().__init__(learning_rate, own, **common)

    def _rule(self):
        return specs.RMSprop, {**self._config, "epsilon_mode": "inside"}


@optimizers_by_name.add("adagrad")
class Adagrad(Optimizer):
    """:class:`fasttrain.optimizers.AdaGrad` with epsilon under the root.

    Parameters
    ----------
    learning_rate : float, schedule or function of the step, default=0.001
    initial_accumulator_value : float, default=0.1
    epsilon : float, default=1e-7
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    def __init__(self, learning_rate: Any = 0.001, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7,
                 **common: Any) -> None:
        own = {"initial_accumulator_value": initial_accumulator_value, "epsilon": epsilon}
        super().__init__(learning_rate, own, **common)

    def _rule(self):
        own = {"initial_accumulator": self._config["initial_accumulator_value"], "epsilon": self._config["epsilon"]}
        return specs.AdaGrad, {**own, "epsilon_mode": "inside"}


@optimizers_by_name.add("adadelta")
class Adadelta(Optimizer):
    """:class:`fasttrain.optimizers.AdaDelta`.

    Parameters
    ----------
    learning_rate : float, schedule or function of the step, default=0.001
    rho : float, default=0.95
    epsilon : float, default=1e-7
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    _kind = specs.AdaDelta

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **common: Any) -> None:
        super().__init__(learning_rate, {"rho": rho, "epsilon": epsilon}, **common)


@optimizers_by_name.add("adam")
class Adam(Optimizer):
    """:class:`fasttrain.optimizers.Adam` with another epsilon.

    Parameters
    ----------
    learning_rate : float, schedule or function of the step, default=0.001
    beta_1, beta_2 : float, default=0.9 and 0.999
    epsilon : float, default=1e-7
    amsgrad : bool, default=False
        Take the greatest second moment so far.
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    _kind = specs.Adam

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
                 amsgrad: bool = False, **common: Any) -> None:
        check_flag(amsgrad, "amsgrad")
        own = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon, "amsgrad": bool(amsgrad)}
        super().__init__(learning_rate, own, **common)


@optimizers_by_name.add("adamw")
class AdamW(Adam):
    """:class:`Adam` with decoupled weight decay.

    Parameters
    ----------
    learning_rate : float, schedule or function of the step, default=0.001
    weight_decay : float, default=0.004
        At least 0; None raises.
    beta_1, beta_2 : float, default=0.9 and 0.999
    epsilon : float, default=1e-7
    amsgrad : bool, default=False
        Take the greatest second moment so far.
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    def __init__(self, learning_rate: Any = 0.001, weight_decay: float = 0.004, beta_1: float = 0.9,
                 beta_2: float = 0.999, epsilon: float = 1e-7, amsgrad: bool = False, **common: Any) -> None:
        check_real(weight_decay, "weight_decay", low=0)
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **common)


class _AdamLike(Optimizer):
    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
                 **common: Any) -> None:
        super().__init__(learning_rate, {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}, **common)


@optimizers_by_name.add("adamax")
class Adamax(_AdamLike):
    """:class:`fasttrain.optimizers.AdaMax` with Keras's epsilon.

    Parameters
    ----------
    learning_rate : float, schedule or function of the step, default=0.001
    beta_1, beta_2 : float, default=0.9 and 0.999
    epsilon : float, default=1e-7
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    _kind = specs.AdaMax


@optimizers_by_name.add("ftrl")
class Ftrl(Optimizer):
    """:class:`fasttrain.optimizers.FTRL` with Keras's learning rate.

    Parameters
    ----------
    learning_rate : float, schedule or function of the step, default=0.001
    learning_rate_power : float, default=-0.5
    initial_accumulator_value : float, default=0.1
    l1_regularization_strength, l2_regularization_strength, l2_shrinkage_regularization_strength : float, default=0.0
    beta : float, default=0.0
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    def __init__(self, learning_rate: Any = 0.001, learning_rate_power: float = -0.5,
                 initial_accumulator_value: float = 0.1, l1_regularization_strength: float = 0.0,
                 l2_regularization_strength: float = 0.0, l2_shrinkage_regularization_strength: float = 0.0,
                 beta: float = 0.0, **common: Any) -> None:
        own = {
            "learning_rate_power": learning_rate_power, "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength, "beta": beta,
        }
        check_real(learning_rate_power, "learning_rate_power", high=0)
        for name in own.keys() - {"learning_rate_power"}:
            check_real(own[name], name, low=0)
        super().__init__(learning_rate, own, **common)

    def _rule(self):
        names = {
            "initial_accumulator_value": "initial_accumulator", "l1_regularization_strength": "l1",
            "l2_regularization_strength": "l2", "l2_shrinkage_regularization_strength": "l2_shrinkage",
        }
        return specs.FTRL, {names.get(name, name): value for name, value in self._config.items()}


@optimizers_by_name.add("nadam")
class Nadam(_AdamLike):
    """:class:`fasttrain.optimizers.NAdam` with Keras's epsilon.

    Parameters
    ----------
    learning_rate : float, schedule or function of the step, default=0.001
    beta_1, beta_2 : float, default=0.9 and 0.999
    epsilon : float, default=1e-7
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    _kind = specs.NAdam


@optimizers_by_name.add("lamb")
class Lamb(_AdamLike):
    """:class:`fasttrain.optimizers.LAMB` with Keras's epsilon.

    Parameters
    ----------
    learning_rate : float, schedule or function of the step, default=0.001
    beta_1, beta_2 : float, default=0.9 and 0.999
    epsilon : float, default=1e-7
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    _kind = specs.LAMB


@optimizers_by_name.add("lion")
class Lion(Optimizer):
    """:class:`fasttrain.optimizers.Lion` with Keras's learning rate.

    Parameters
    ----------
    learning_rate : float, schedule or function of the step, default=0.001
    beta_1, beta_2 : float, default=0.9 and 0.99
    **common
        See :mod:`fasttrain.keras.optimizers`.
    """

    _kind = specs.Lion

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **common: Any) -> None:
        super().__init__(learning_rate, {"beta_1": beta_1, "beta_2": beta_2}, **common)


class SpecOptimizer(Optimizer):
    """A spec of :mod:`fasttrain.optimizers`, whose own conventions hold."""

    def __init__(self, given):
        self._given = given
        super().__init__(given.learning_rate, {"spec": given}, name=given.rule)

    def spec(self):
        return self._given
