"""Keras's initializers: what fills a layer's weights before the first step.

Examples
--------
>>> from fasttrain.keras.initializers import GlorotUniform
>>> w = GlorotUniform(seed=0)((100, 50), "float32")
>>> w.shape, bool(abs(w).max() <= 0.2)
((100, 50), True)
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from fasttrain._core.checks import check_integer, check_real
from fasttrain._core.public import publish
from fasttrain.keras import utils
from fasttrain.keras._absent import absent
from fasttrain.keras._config import Configured, deserializer, registry, serialized
from fasttrain.keras._custom import named

__all__ = [
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "IdentityInitializer",
    "Initializer", "LecunNormal", "LecunUniform", "Ones", "Orthogonal", "OrthogonalInitializer", "RandomNormal",
    "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros", "constant", "deserialize", "get", "glorot_normal",
    "glorot_uniform", "he_normal", "he_uniform", "identity", "lecun_normal", "lecun_uniform", "ones", "orthogonal",
    "random_normal", "random_uniform", "serialize", "truncated_normal", "variance_scaling", "zeros",
]


class Initializer(Configured):
    """Base of the initializers: called with a shape and a dtype they give an array."""

    def __init__(self, **config: Any) -> None:
        self._config = config

    def __call__(self, shape: Any, dtype: Any = "float32") -> Any:
        """A new array of ``shape`` and ``dtype``."""
        return np.ascontiguousarray(self._fill(tuple(shape)), dtype=dtype)


class _Random(Initializer):
    """With a seed every call gives the same array; without, each draws on from the global generator."""

    def __init__(self, seed: int, **config: Any) -> None:
        check_integer(seed, "seed", low=0, optional=True)
        super().__init__(**config, seed=seed)

    def _fill(self, shape):
        seed = self._config["seed"]
        return self._draw(utils.generator() if seed is None else np.random.default_rng(seed), shape)


_registry = registry("initializer", Initializer)


@_registry.add("constant")
class Constant(Initializer):
    """Every element is ``value``, a float, default=0.0."""

    def __init__(self, value: Any = 0.0) -> None:
        super().__init__(value=check_real(value, "value"))

    def _fill(self, shape):
        return np.full(shape, self._config["value"])


@_registry.add("zeros", "zero")
class Zeros(Initializer):
    """Every element is 0."""

    def _fill(self, shape):
        return np.zeros(shape)


@_registry.add("ones", "one")
class Ones(Initializer):
    """Every element is 1."""

    def _fill(self, shape):
        return np.ones(shape)


@_registry.add("identity", "IdentityInitializer")
class Identity(Initializer):
    """``gain`` (default=1.0) times a matrix with ones on its diagonal."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__(gain=check_real(gain, "gain"))

    def _fill(self, shape):
        if len(shape) != 2:
            raise ValueError(f"identity must have a shape of 2 axes, got {shape}")
        return self._config["gain"] * np.eye(*shape)


def _truncated(rng, mean, stddev, shape):
    """Normal numbers; those beyond two standard deviations are drawn again."""
    values = rng.standard_normal(shape)
    while True:
        far = np.abs(values) > 2
        if not far.any():
            return mean + stddev * values
        values[far] = rng.standard_normal(int(far.sum()))


@_registry.add("random_normal", "normal")
class RandomNormal(_Random):
    """Normal numbers of ``mean`` (default=0.0) and ``stddev`` (default=0.05)."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed, mean=check_real(mean, "mean"), stddev=check_real(stddev, "stddev", low=0))

    def _draw(self, rng, shape):
        return rng.normal(self._config["mean"], self._config["stddev"], shape)


@_registry.add("truncated_normal")
class TruncatedNormal(RandomNormal):
    """Normal numbers of ``mean`` (default=0.0) and ``stddev`` (default=0.05), at most two of these from the mean."""

    def _draw(self, rng, shape):
        return _truncated(rng, self._config["mean"], self._config["stddev"], shape)


@_registry.add("random_uniform", "uniform")
class RandomUniform(_Random):
    """Uniform numbers from ``minval`` (default=-0.05) to ``maxval`` (default=0.05)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed, minval=check_real(minval, "minval"), maxval=check_real(maxval, "maxval"))

    def _draw(self, rng, shape):
        return rng.uniform(self._config["minval"], self._config["maxval"], shape)


@_registry.add("variance_scaling")
class VarianceScaling(_Random):
    """Random numbers of variance ``scale / n``, n the inputs or outputs of the layer, or their mean.

    Parameters
    ----------
    scale : float, default=1.0
        Greater than 0.
    mode : {'fan_in', 'fan_out', 'fan_avg'}, default='fan_in'
    distribution : {'truncated_normal', 'untruncated_normal', 'uniform'}, default='truncated_normal'
    seed : int, default=None
    """

    def __init__(self, scale: float = 1.0, mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in",
                 distribution: Literal["truncated_normal", "untruncated_normal", "uniform"] = "truncated_normal",
                 seed: int | None = None) -> None:
        distribution = "truncated_normal" if distribution == "normal" else distribution
        for value, name, accepted in (
            (mode, "mode", ("fan_in", "fan_out", "fan_avg")),
            (distribution, "distribution", ("truncated_normal", "untruncated_normal", "uniform")),
        ):
            if value not in accepted:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, accepted))}, got {value!r}")
        scale = check_real(scale, "scale", low=0, open_low=True)
        super().__init__(seed, scale=scale, mode=mode, distribution=distribution)
        self._scaling = scale, mode, distribution

    def _draw(self, rng, shape):
        scale, mode, distribution = self._scaling
        n_in, n_out = (shape[0], shape[-1]) if shape else (1, 1)
        n = {"fan_in": n_in, "fan_out": n_out, "fan_avg": (n_in + n_out) / 2}[mode]
        variance = scale / max(1.0, n)
        if distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return rng.uniform(-limit, limit, shape)
        if distribution == "untruncated_normal":
            return rng.normal(0, math.sqrt(variance), shape)
        # the standard deviation that is left of 1 after cutting at 2
        return _truncated(rng, 0, math.sqrt(variance) / 0.87962566103423978, shape)


def _scaling(name, class_name, scale, mode, distribution, source):
    """One of the named cases of :class:`VarianceScaling`, whose only argument is the seed."""

    def __init__(self, seed: int | None = None) -> None:
        VarianceScaling.__init__(self, scale, mode, distribution, seed)
        self._config = {"seed": seed}

    doc = f"""``VarianceScaling({scale}, {mode!r}, {distribution!r}, seed)`` ({source})."""
    members = {"__init__": __init__, "__doc__": doc, "__module__": __name__}
    return _registry.add(name)(type(class_name, (VarianceScaling,), members))


_GLOROT, _HE, _LECUN = "Glorot and Bengio 2010", "He et al. 2015", "LeCun et al. 1998"
GlorotUniform: Any = _scaling("glorot_uniform", "GlorotUniform", 1.0, "fan_avg", "uniform", _GLOROT)
GlorotNormal: Any = _scaling("glorot_normal", "GlorotNormal", 1.0, "fan_avg", "truncated_normal", _GLOROT)
HeUniform: Any = _scaling("he_uniform", "HeUniform", 2.0, "fan_in", "uniform", _HE)
HeNormal: Any = _scaling("he_normal", "HeNormal", 2.0, "fan_in", "truncated_normal", _HE)
LecunUniform: Any = _scaling("lecun_uniform", "LecunUniform", 1.0, "fan_in", "uniform", _LECUN)
LecunNormal: Any = _scaling("lecun_normal", "LecunNormal", 1.0, "fan_in", "truncated_normal", _LECUN)


@_registry.add("orthogonal", "OrthogonalInitializer")
class Orthogonal(_Random):
    """``gain`` (default=1.0) times a random matrix with orthonormal rows or columns (Saxe et al. 2014)."""

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed, gain=check_real(gain, "gain"))

    def _draw(self, rng, shape):
        if len(shape) < 2:
            raise ValueError(f"orthogonal must have a shape of 2 axes, got {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        q *= np.sign(np.diag(r))
        return self._config["gain"] * (q if rows >= columns else q.T).reshape(shape)


class _Function(Initializer):
    """A caller's function of a shape and a dtype."""

    def __init__(self, function):
        super().__init__(function=function)

    def __call__(self, shape, dtype="float32"):
        array = np.array(self._config["function"](tuple(shape), dtype=dtype), dtype=dtype, order="C")
        if array.shape != tuple(shape):
            raise ValueError(f"initializer must give an array of shape {tuple(shape)}, got {array.shape}")
        return array


def get(identifier: Any) -> Any:
    """The initializer that a name, an object or a function of ``(shape, dtype=)`` stands for; None is zeros."""
    identifier = named(identifier)
    if identifier is None:
        return Zeros()
    if callable(identifier) and not isinstance(identifier, (Initializer, type)):
        return _Function(identifier)
    return _registry.get(identifier)


# Keras's older names of the classes.
constant, ones, zeros = Constant, Ones, Zeros
glorot_normal, glorot_uniform, he_normal, he_uniform = GlorotNormal, GlorotUniform, HeNormal, HeUniform
lecun_normal, lecun_uniform, variance_scaling = LecunNormal, LecunUniform, VarianceScaling
identity = IdentityInitializer = Identity
orthogonal = OrthogonalInitializer = Orthogonal
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal

serialize = serialized
deserialize = deserializer(get)

__getattr__ = absent(__name__, __all__)

publish(globals())
