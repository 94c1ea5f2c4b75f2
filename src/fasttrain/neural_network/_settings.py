"""What a perceptron's parameters ask of the engine: everything that is wrong with one on its own is raised here."""

import math
from dataclasses import dataclass, field
from numbers import Integral

import numpy as np

from fasttrain import activations, optimizers, penalties, schedules
from fasttrain._core.checks import check_choice, check_flag, check_integer, check_real
from fasttrain._kernels.activations import NAMES as KERNEL_ACTIVATIONS
from fasttrain._kernels.updates import SLOTS
from fasttrain.callbacks import as_callbacks

SOLVERS = ("lbfgs", "sgd", "adam")
LEARNING_RATES = ("constant", "invscaling", "adaptive")
AVERAGING = (None, "ema", "swa")
BATCH_NORM = (None, "before", "after")

# Added to the variance of a normalized layer: Keras's and the engine's own.
NORMALIZATION_EPSILON = 1e-3

# Parameters that change what a step does; L-BFGS takes none.
_OF_STEPS = ("schedule", "dropout", "input_dropout", "noise", "mixup", "max_norm", "averaging", "batch_norm")


@dataclass(frozen=True)
class Solver:
    """How a step is made. In scikit-learn what ``solver`` means is settled by the first of several ``partial_fit``,
    whatever its parameters are set to between them."""

    rule: str
    rate: float
    slots: tuple = ()
    constants: dict = field(default_factory=dict)
    initial_state: dict = field(default_factory=dict)
    #: how the rate changes between epochs
    rate_rule: str = "constant"
    power_t: float = 0.5


@dataclass
class Settings:
    """A fit's parameters as the engine takes them; what is None is off."""

    hidden: list
    #: (name, parameter) for each hidden layer, and for the initial weights one also when there is none
    activations: list
    solver: Solver
    #: the spec of L-BFGS when the solver's rule is 'lbfgs'
    lbfgs: object
    schedule: object
    l1: object
    l2: object
    over_batch: bool
    dropout: list | None = None
    noise: float = 0.0
    mixup: float = 0.0
    max_norm: list | None = None
    averaging: tuple | None = None
    batch_norm: tuple = ()
    batch_norm_momentum: float = 0.99

    @property
    def rule(self):
        return self.solver.rule

    def adopt_sizes(self, units, coefs):
        """The widths of all layers of a fit that goes on: as many hidden layers as there are keep theirs.

        As in scikit-learn, whose steps ask the weights; its L-BFGS asks the parameter.
        """
        if self.rule == "lbfgs" or len(coefs) != len(units) - 1:
            return units
        self.hidden = [coef.shape[1] for coef in coefs[:-1]]
        return [units[0], *self.hidden, units[-1]]

    @property
    def random(self):
        """Whether a step draws random bits."""
        return self.dropout is not None or self.noise > 0 or self.mixup > 0

    @property
    def of_input(self):
        """Names of the parameters in use that change the rows of a step."""
        on = {"input_dropout": self.dropout is not None and self.dropout[0], "noise": self.noise, "mixup": self.mixup}
        return [name for name, value in on.items() if value]

    def configure(self, network, steps_per_epoch=1, seed=None, used=False):
        """Tell the engine all of it; ``used`` says that it has trained before, with what may now be off."""
        network.set_penalty(self.l1, self.l2, self.over_batch)
        if self.rule == "lbfgs":
            return
        solver = self.solver
        network.set_optimizer(solver.rule, solver.slots, solver.constants, solver.initial_state)
        if seed is not None:
            network.set_seed(seed)
        if used or self.dropout is not None:
            network.set_dropout(self.dropout or [0.0] * (len(self.hidden) + 1))
        if used or self.noise:
            network.set_noise(self.noise)
        if used or self.mixup:
            network.set_mixup(self.mixup)
        if used or self.max_norm is not None:
            network.set_max_norm(self.max_norm or [math.inf] * (len(self.hidden) + 1))
        if self.batch_norm:
            network.set_normalization(self.batch_norm_momentum, NORMALIZATION_EPSILON)
        if self.averaging is not None:
            kind, decay, start = self.averaging
            network.set_averaging(kind, decay, start * steps_per_epoch, steps_per_epoch if kind == "swa" else 1)
        elif used:
            network.set_averaging(None)


def is_lbfgs(e):
    """Whether the estimator's ``optimizer``, or its ``solver`` when that is None, is L-BFGS."""
    if e.optimizer is None:
        return e.solver == "lbfgs"
    try:
        return optimizers.get(e.optimizer).rule == "lbfgs"
    except (TypeError, ValueError):
        # a fit will say what is wrong with it
        return False


def settings_of(e):
    """The :class:`Settings` of an estimator, its parameters checked."""
    _check_numbers(e)
    hidden, functions = hidden_layers(e)
    rule = _update_rule(e)
    if rule["solver"].rule == "lbfgs":
        given = [name for name in _OF_STEPS if not (getattr(e, name) is None or _is_zero(getattr(e, name)))]
        if given:
            raise ValueError(f"{given[0]} needs a solver that makes steps, got {getattr(e, given[0])!r} with L-BFGS")
    settings = Settings(hidden, functions, **rule, **_penalty(e, hidden, rule["solver"].rule))
    # on little data a fit is mostly its checks, so what is off is not looked at twice
    if not (_is_zero(e.dropout) and _is_zero(e.input_dropout)):
        rates = [
            check_real(e.input_dropout, "input_dropout", low=0, high=1, open_high=True),
            *_per_layer(e.dropout, "dropout", len(hidden), "hidden layers", _rate),
        ]
        settings.dropout = rates if any(rates) else None
    if not _is_zero(e.noise):
        settings.noise = check_real(e.noise, "noise", low=0)
    if not _is_zero(e.mixup):
        settings.mixup = check_real(e.mixup, "mixup", low=0)
    if e.max_norm is not None:
        settings.max_norm = _per_layer(e.max_norm, "max_norm", len(hidden) + 1, "layers (the output's too)", _limit)
    if e.averaging is not None:
        settings.averaging = _averaging(e)
    if e.batch_norm is not None:
        settings.batch_norm = tuple(_per_layer(
            e.batch_norm, "batch_norm", len(hidden), "hidden layers",
            lambda value, name: check_choice(value, name, BATCH_NORM),
        ))
        settings.batch_norm_momentum = check_real(
            e.batch_norm_momentum, "batch_norm_momentum", low=0, high=1, open_high=True)
        if not hidden:
            raise ValueError("batch_norm needs a hidden layer, got hidden_layer_sizes=()")
    return settings


def _is_zero(value):
    return type(value) in (float, int) and value == 0


def _check_numbers(e):
    check_choice(e.solver, "solver", SOLVERS)
    check_choice(e.learning_rate, "learning_rate", LEARNING_RATES)
    check_real(e.alpha, "alpha", low=0)
    check_real(e.learning_rate_init, "learning_rate_init", low=0, open_low=True)
    check_real(e.power_t, "power_t", low=0)
    check_real(e.tol, "tol", low=0)
    check_real(e.momentum, "momentum", low=0, high=1)
    check_real(e.validation_fraction, "validation_fraction", low=0, high=1, open_high=True)
    check_real(e.beta_1, "beta_1", low=0, high=1, open_high=True)
    check_real(e.beta_2, "beta_2", low=0, high=1, open_high=True)
    check_real(e.epsilon, "epsilon", low=0, open_low=True)
    check_integer(e.max_iter, "max_iter", low=1)
    check_integer(e.max_fun, "max_fun", low=1)
    check_integer(e.n_threads, "n_threads", low=1, optional=True)
    if e.n_iter_no_change != math.inf:
        check_integer(e.n_iter_no_change, "n_iter_no_change", low=1)
    if not (isinstance(e.batch_size, str) and e.batch_size == "auto"):
        if isinstance(e.batch_size, bool) or not isinstance(e.batch_size, Integral):
            raise TypeError(f"batch_size must be 'auto' or an integer >= 1, got {e.batch_size!r}")
        check_integer(e.batch_size, "batch_size", low=1)
    for name in ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping", "progress"):
        check_flag(getattr(e, name), name)
    if not isinstance(e.verbose, (bool, np.bool_, Integral)):
        raise TypeError(f"verbose must be True, False or an integer, got {e.verbose!r}")
    as_callbacks(e.callbacks)


def hidden_layers(e):
    """Sizes of the hidden layers, and the (name, parameter) of each one's activation."""
    sizes = e.hidden_layer_sizes
    sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, Integral):
            raise TypeError(f"hidden_layer_sizes must hold integers > 0, got {sizes}")
        if size <= 0:
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    if isinstance(e.activation, (list, tuple)):
        specs = _per_layer(e.activation, "activation", len(sizes), "hidden layers", _activation)
    else:
        specs = [_activation(e.activation, "activation")] * max(1, len(sizes))
    return [int(size) for size in sizes], specs


def _activation(value, name):
    spec = activations.get(value)
    if spec.name not in KERNEL_ACTIVATIONS:
        raise ValueError(f"{name} of a hidden layer must work element by element, got {spec!r}")
    return spec.name, float(spec.parameter)


def _per_layer(value, name, count, layers, check):
    """``count`` checked values, from one for all or a sequence of one for each."""
    if isinstance(value, (list, tuple, np.ndarray)):
        if len(value) != count:
            raise ValueError(f"{name} must be one, or one for each of the {count} {layers}, got {len(value)}")
        return [check(item, name) for item in value]
    return [check(value, name)] * count


def _rate(value, name):
    return check_real(value, name, low=0, high=1, open_high=True)


def _limit(value, name):
    return math.inf if value is None or value == math.inf else check_real(value, name, low=0, open_low=True)


def _update_rule(e):
    """The fields of :class:`Settings` that say how a step is made, of ``optimizer`` or else of ``solver``."""
    schedule = None if e.schedule is None else schedules.get(e.schedule)
    made = {"lbfgs": None, "schedule": schedule}
    rate = float(e.learning_rate_init)
    if e.optimizer is not None:
        spec = optimizers.get(e.optimizer)
        if spec.rule == "lbfgs":
            return made | {"solver": Solver("lbfgs", rate), "lbfgs": spec}
        solver = Solver(spec.rule, spec.learning_rate, spec.slots, spec.settings(), spec.initial_state)
        return made | {"solver": solver}
    if e.solver == "lbfgs":
        spec = optimizers.LBFGS(e.max_iter, e.tol, max_fun=e.max_fun)
        return made | {"solver": Solver("lbfgs", rate), "lbfgs": spec}
    if e.solver == "adam":
        constants = {"beta1": e.beta_1, "beta2": e.beta_2, "epsilon": e.epsilon}
        return made | {"solver": Solver("adam", rate, SLOTS["adam"], constants)}
    rule = "nesterov" if e.nesterovs_momentum else "momentum"
    rate_rule = e.learning_rate if schedule is None else "constant"
    return made | {
        "solver": Solver(rule, rate, SLOTS[rule], {"momentum": e.momentum}, {}, rate_rule, float(e.power_t))}


def _penalty(e, hidden, rule):
    """scikit-learn's alpha, divided by a batch's weight, or ``penalties`` in its place, which are not."""
    if e.penalties is None:
        return {"l1": 0.0, "l2": float(e.alpha), "over_batch": True}
    specs = _per_layer(
        e.penalties, "penalties", len(hidden) + 1, "layers (the output's too)", lambda value, name: penalties.get(value)
    )
    if rule == "lbfgs" and any(spec.l1 for spec in specs):
        raise ValueError(f"penalties must have no l1 part with L-BFGS, got {e.penalties!r}")
    if len(set(specs)) == 1:
        return {"l1": specs[0].l1, "l2": specs[0].l2, "over_batch": False}
    return {"l1": [spec.l1 for spec in specs], "l2": [spec.l2 for spec in specs], "over_batch": False}


def _averaging(e):
    check_choice(e.averaging, "averaging", AVERAGING)
    return (
        e.averaging, check_real(e.averaging_decay, "averaging_decay", low=0, high=1, open_high=True),
        check_integer(e.averaging_start, "averaging_start", low=1),
    )
