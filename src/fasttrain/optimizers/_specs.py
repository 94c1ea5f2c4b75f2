"""The update rules as specs, and the registry that finds them by name."""

from __future__ import annotations

from fasttrain._core.registry import Registry
from fasttrain._core.specs import boolean, choice, integer, real, spec
from fasttrain._core.types import OptimizerName
from fasttrain.optimizers._base import Optimizer, StepOptimizer

_registry = Registry("optimizer", Optimizer, "an optimizer of fasttrain")


@_registry.add("gradient_descent", "gd", "sgd")
@spec
class GradientDescent(StepOptimizer):
    """``w -= rate g`` (Cauchy 1847); with mini-batches, stochastic gradient descent (Robbins and Monro 1951).

    Parameters
    ----------
    learning_rate : float, default=0.01
        Greater than 0.
    clip_norm, clip_each_norm, clip_value, weight_decay
        As for :class:`StepOptimizer`; keyword only.
    """

    rule = "gradient_descent"
    learning_rate: float = real(default=0.01, low=0, open_low=True)


@spec
class _WithMomentum(StepOptimizer):
    learning_rate: float = real(default=0.01, low=0, open_low=True)
    momentum: float = real(default=0.9, low=0, high=1, open_high=True)

    def _constants(self):
        return {"momentum": self.momentum}


@_registry.add("momentum")
@spec
class Momentum(_WithMomentum):
    """``v = momentum v - rate g;  w += v`` (Polyak 1964).

    Parameters
    ----------
    learning_rate : float, default=0.01
        Greater than 0.
    momentum : float, default=0.9
        At least 0 and less than 1.
    clip_norm, clip_each_norm, clip_value, weight_decay
        As for :class:`StepOptimizer`; keyword only.
    """

    rule = "momentum"


@_registry.add("nesterov")
@spec
class Nesterov(_WithMomentum):
    """``v = momentum v - rate g;  w += momentum v - rate g`` (Nesterov 1983; Sutskever et al. 2013).

    Parameters
    ----------
    learning_rate : float, default=0.01
        Greater than 0.
    momentum : float, default=0.9
        At least 0 and less than 1.
    clip_norm, clip_each_norm, clip_value, weight_decay
        As for :class:`StepOptimizer`; keyword only.
    """

    rule = "nesterov"


@spec
class _WithEpsilonMode(StepOptimizer):
    epsilon_mode: str = choice(default="outside", accepted=("outside", "inside"), kw_only=True)

    def _constants(self):
        return {"epsilon" if self.epsilon_mode == "outside" else "epsilon_inside": self.epsilon}


@_registry.add("adagrad")
@spec
class AdaGrad(_WithEpsilonMode):
    """``s += g^2;  w -= rate g / (sqrt(s) + epsilon)`` (Duchi, Hazan, Singer 2011).

    Parameters
    ----------
    learning_rate : float, default=0.01
        Greater than 0.
    epsilon : float, default=1e-7
        Greater than 0.
    initial_accumulator : float, default=0.0
        What s starts from; at least 0.
    epsilon_mode : {'outside', 'inside'}, default='outside'
        Beside the root, or under it as Keras has it; keyword only.
    clip_norm, clip_each_norm, clip_value, weight_decay
        As for :class:`StepOptimizer`; keyword only.
    """

    rule = "adagrad"
    learning_rate: float = real(default=0.01, low=0, open_low=True)
    epsilon: float = real(default=1e-7, low=0, open_low=True)
    initial_accumulator: float = real(default=0.0, low=0)

    @property
    def initial_state(self) -> dict[str, float]:
        """``initial_accumulator`` in the sum of squares."""
        return {"s1": self.initial_accumulator}


@_registry.add("rmsprop")
@spec
class RMSprop(_WithEpsilonMode):
    """``s = rho s + (1 - rho) g^2;  v = momentum v + rate g / (sqrt(s) + epsilon);  w -= v``
    (Tieleman and Hinton 2012).

    Parameters
    ----------
    learning_rate : float, default=0.001
        Greater than 0.
    rho : float, default=0.9
        At least 0 and less than 1.
    momentum : float, default=0.0
        At least 0 and less than 1.
    epsilon : float, default=1e-7
        Greater than 0.
    centered : bool, default=False
        Take the square of the gradient's running mean from s (Graves 2013).
    epsilon_mode : {'outside', 'inside'}, default='outside'
        Beside the root, or under it as Keras has it; keyword only.
    clip_norm, clip_each_norm, clip_value, weight_decay
        As for :class:`StepOptimizer`; keyword only.
    """

    learning_rate: float = real(default=0.001, low=0, open_low=True)
    rho: float = real(default=0.9, low=0, high=1, open_high=True)
    momentum: float = real(default=0.0, low=0, high=1, open_high=True)
    epsilon: float = real(default=1e-7, low=0, open_low=True)
    centered: bool = boolean(default=False)

    @property
    def rule(self) -> str:
        """The update rule, which depends on ``centered``."""
        return "rmsprop_centered" if self.centered else "rmsprop"

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the state arrays, by the same."""
        if self.centered:
            return ("s1", "s2", "s3")
        return ("s1", "s3") if self.momentum else ("s1",)

    def _constants(self):
        return {"beta2": self.rho, "momentum": self.momentum, **super()._constants()}


@_registry.add("adadelta")
@spec
class AdaDelta(StepOptimizer):
    """RMSprop whose rate is the root mean square of its own past steps (Zeiler 2012).

    Parameters
    ----------
    learning_rate : float, default=1.0
        Greater than 0.
    rho : float, default=0.95
        At least 0 and less than 1.
    epsilon : float, default=1e-7
        Greater than 0.
    clip_norm, clip_each_norm, clip_value, weight_decay
        As for :class:`StepOptimizer`; keyword only.
    """

    rule = "adadelta"
    learning_rate: float = real(default=1.0, low=0, open_low=True)
    rho: float = real(default=0.95, low=0, high=1, open_high=True)
    epsilon: float = real(default=1e-7, low=0, open_low=True)

    def _constants(self):
        return {"beta2": self.rho, "epsilon": self.epsilon}


@spec
class _AdamLike(StepOptimizer):
    learning_rate: float = real(default=0.001, low=0, open_low=True)
    beta_1: float = real(default=0.9, low=0, high=1, open_high=True)
    beta_2: float = real(default=0.999, low=0, high=1, open_high=True)
    epsilon: float = real(default=1e-8, low=0, open_low=True)

    def _constants(self):
        return {"beta1": self.beta_1, "beta2": self.beta_2, "epsilon": self.epsilon}


@_registry.add("adam")
@spec
class Adam(_AdamLike):
    """``m = beta_1 m + (1 - beta_1) g;  v = beta_2 v + (1 - beta_2) g^2``;
    ``w -= rate m' / (sqrt(v') + epsilon)`` with m' and v' corrected for the zeros that m and v start from
    (Kingma and Ba 2015).

    Parameters
    ----------
    learning_rate : float, default=0.001
        Greater than 0.
    beta_1, beta_2 : float, default=0.9 and 0.999
        At least 0 and less than 1.
    epsilon : float, default=1e-8
        Greater than 0.
    corrected_root : bool, default=False
        False adds epsilon to sqrt(v) before the correction, as scikit-learn and Keras do; True after it, as
        PyTorch does. Keyword only.
    amsgrad : bool, default=False
        Take the greatest v so far (Reddi, Kale, Kumar 2018), not corrected for its start. Keyword only.
    clip_norm, clip_each_norm, clip_value, weight_decay
        As for :class:`StepOptimizer`; keyword only.
    """

    corrected_root: bool = boolean(default=False, kw_only=True)
    amsgrad: bool = boolean(default=False, kw_only=True)

    @property
    def rule(self) -> str:
        """The update rule, which depends on ``amsgrad``."""
        return "amsgrad" if self.amsgrad else "adam"

    def _constants(self):
        return {**super()._constants(), "corrected_root": self.corrected_root}


@_registry.add("adamw")
@spec
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon, corrected_root, amsgrad, clip_norm, clip_each_norm, clip_value
        As for :class:`Adam`.
    weight_decay : float, default=0.004
        At least 0; keyword only.
    """

    weight_decay: float = real(default=0.004, low=0, kw_only=True)


@_registry.add("nadam")
@spec
class NAdam(_AdamLike):
    """Adam with Nesterov's momentum (Dozat 2016).

    Parameters
    ----------
    learning_rate : float, default=0.001
        Greater than 0.
    beta_1, beta_2 : float, default=0.9 and 0.999
        At least 0 and less than 1.
    epsilon : float, default=1e-8
        Greater than 0.
    momentum_decay : float, default=1.0
        The momentum of step t is ``beta_1 (1 - 0.96^(t momentum_decay) / 2)``; at least 0. Keras has 1,
        PyTorch 0.004.
    clip_norm, clip_each_norm, clip_value, weight_decay
        As for :class:`StepOptimizer`; keyword only.
    """

    rule = "nadam"
    momentum_decay: float = real(default=1.0, low=0)

    def _constants(self):
        return {**super()._constants(), "momentum_decay": self.momentum_decay}


@_registry.add("lion")
@spec
class Lion(StepOptimizer):
    """``w -= rate sign(beta_1 m + (1 - beta_1) g);  m = beta_2 m + (1 - beta_2) g`` (Chen et al. 2023).

    Parameters
    ----------
    learning_rate : float, default=1e-4
        Greater than 0; the length of every weight's step.
    beta_1, beta_2 : float, default=0.9 and 0.99
        At least 0 and less than 1.
    clip_norm, clip_each_norm, clip_value, weight_decay
        As for :class:`StepOptimizer`; keyword only.
    """

    rule = "lion"
    learning_rate: float = real(default=1e-4, low=0, open_low=True)
    beta_1: float = real(default=0.9, low=0, high=1, open_high=True)
    beta_2: float = real(default=0.99, low=0, high=1, open_high=True)

    def _constants(self):
        return {"beta1": self.beta_1, "beta2": self.beta_2}


@_registry.add("adamax")
@spec
class AdaMax(_AdamLike):
    """``m`` as :class:`Adam`;  ``u = max(beta_2 u, |g|);  w -= rate m' / (u + epsilon)`` with m' corrected for the
    zeros that m starts from (Kingma and Ba 2015, section 7.1).

    Parameters
    ----------
    learning_rate : float, default=0.001
        Greater than 0.
    beta_1, beta_2 : float, default=0.9 and 0.999
        At least 0 and less than 1.
    epsilon : float, default=1e-8
        Greater than 0.
    clip_norm, clip_each_norm, clip_value, weight_decay
        As for :class:`StepOptimizer`; keyword only.
    """

    rule = "adamax"


@_registry.add("ftrl")
@spec
class FTRL(StepOptimizer):
    """Follow the proximally regularized leader: ``n += g^2;  z += g - (n^p - n_before^p) / rate * w`` and
    ``w = (clip(z, -l1, l1) - z) / ((n^p + beta) / rate + 2 l2)``, where p is ``-learning_rate_power``
    (McMahan et al. 2013).

    A weight that starts anywhere but at zero is drawn to it by the first steps, as far as their squared gradients
    outweigh ``initial_accumulator``; a rate that falls draws it there all along.

    Parameters
    ----------
    learning_rate : float, default=0.1
        Greater than 0.
    learning_rate_power : float, default=-0.5
        At most 0; at 0 the rate stays.
    initial_accumulator : float, default=0.1
        What n starts from; at least 0.
    l1, l2 : float, default=0.0
        Weights of the norms beside the sum of all gradients so far; at least 0. A penalty of the estimator is one of
        the loss, and counts once more with every step.
    l2_shrinkage : float, default=0.0
        ``2 l2_shrinkage w`` is added to the gradient, but not to its square; at least 0.
    beta : float, default=0.0
        At least 0.
    clip_norm, clip_each_norm, clip_value, weight_decay
        As for :class:`StepOptimizer`; keyword only.
    """

    rule = "ftrl"
    learning_rate: float = real(default=0.1, low=0, open_low=True)
    learning_rate_power: float = real(default=-0.5, high=0)
    initial_accumulator: float = real(default=0.1, low=0)
    l1: float = real(default=0.0, low=0)
    l2: float = real(default=0.0, low=0)
    l2_shrinkage: float = real(default=0.0, low=0)
    beta: float = real(default=0.0, low=0)

    @property
    def initial_state(self) -> dict[str, float]:
        """``initial_accumulator`` in the sum of squares."""
        return {"s1": self.initial_accumulator, "s2": 0.0}

    def _constants(self):
        return {
            "power": -self.learning_rate_power, "leader_l1": self.l1, "leader_l2": 2 * self.l2,
            "shrinkage": 2 * self.l2_shrinkage, "epsilon": self.beta,
        }


@_registry.add("lamb")
@spec
class LAMB(_AdamLike):
    """``u = m' / (sqrt(v') + epsilon)`` with the corrected moments of :class:`Adam`;  ``w -= rate (||w|| / ||u||) u``.

    The norms are of a whole array, a layer's weights or its biases; where one of them is 0 their quotient is taken for
    1. So every array changes by the same share of its size, which is what large batches want (You et al. 2020; without
    bounds on the norm, as in Keras). An array of one number, such as the bias of a single output, therefore keeps its
    sign, or dwindles where the other sign would be better.

    Parameters
    ----------
    learning_rate : float, default=0.001
        Greater than 0.
    beta_1, beta_2 : float, default=0.9 and 0.999
        At least 0 and less than 1.
    epsilon : float, default=1e-6
        Greater than 0.
    clip_norm, clip_each_norm, clip_value, weight_decay
        As for :class:`StepOptimizer`; keyword only. The weights are decayed before their norm is taken.
    """

    rule = "lamb"
    epsilon: float = real(default=1e-6, low=0, open_low=True)


@_registry.add("lbfgs", "l-bfgs")
@spec
class LBFGS(Optimizer):
    """Limited-memory BFGS on the full batch (Liu and Nocedal 1989); it needs the loss itself, so no ``step``.

    Parameters
    ----------
    max_iter : int, default=None
        Iterations, at least 1; None takes the number that the estimator or function is given.
    tol : float, default=None
        Stop when no element of the gradient is greater; at least 0. None takes the ``tol`` of the estimator, and 1e-4
        for functions.
    history : int, default=10
        Pairs of steps and gradient changes that are kept; at least 1.
    max_fun : int, default=15000
        Evaluations of the loss, at least 1.
    """

    rule = "lbfgs"
    max_iter: int | None = integer(default=None, low=1, optional=True)
    tol: float | None = real(default=None, low=0, optional=True)
    history: int = integer(default=10, low=1)
    max_fun: int = integer(default=15000, low=1)


def get(optimizer: OptimizerName | Optimizer | type[Optimizer]) -> Optimizer:
    """The optimizer that ``optimizer`` stands for: a spec as it is, a class or a name its default.

    Parameters
    ----------
    optimizer : str, Optimizer or subclass of it
        Names are those of :func:`names`, and their aliases.

    Returns
    -------
    Optimizer

    Raises
    ------
    ValueError, TypeError
        For anything else; the message lists the names.

    Examples
    --------
    >>> from fasttrain import optimizers
    >>> optimizers.get("momentum")
    Momentum(learning_rate=0.01, momentum=0.9)
    """
    return _registry.get(optimizer)


def names() -> tuple[str, ...]:
    """Names that :func:`get` takes, aliases left out."""
    return _registry.names
