"""What all optimizers are: specs, and those that step along gradients change arrays of one's own in place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from fasttrain import penalties
from fasttrain._core.checks import check_parameter, check_real, gradient_of, named_arrays
from fasttrain._core.specs import Spec, real, spec
from fasttrain._core.types import Array
from fasttrain._kernels import updates as kernel
from fasttrain._kernels.primitives import sum_of_squares
from fasttrain._kernels.threads import get_num_threads
from fasttrain.optimizers._state import OptimizerState


class Optimizer(Spec):
    """Base of all optimizers; ``rule`` is the name of the update rule."""

    rule: ClassVar[Any] = None


@spec
class StepOptimizer(Optimizer):
    """Base of the optimizers that step along gradients.

    Parameters
    ----------
    clip_norm : float, default=None
        Gradients whose Euclidean norm, over all arrays together, is greater are scaled down to it.
    clip_each_norm : float, default=None
        The same of each array's own norm; only one of the two may be given.
    clip_value : float, default=None
        After that, each element of the gradient is clipped to ``[-clip_value, clip_value]``.
    weight_decay : float, default=0.0
        Decoupled decay: weights are multiplied by ``1 - learning_rate * weight_decay`` before the step
        (Loshchilov and Hutter 2019).
    """

    clip_norm: float | None = real(default=None, low=0, open_low=True, optional=True, kw_only=True)
    clip_each_norm: float | None = real(default=None, low=0, open_low=True, optional=True, kw_only=True)
    clip_value: float | None = real(default=None, low=0, open_low=True, optional=True, kw_only=True)
    weight_decay: float = real(default=0.0, low=0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clip_norm is not None and self.clip_each_norm is not None:
            raise ValueError(
                f"only one of clip_norm and clip_each_norm may be given, got {self.clip_norm} and "
                f"{self.clip_each_norm}")

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the state arrays that a parameter needs."""
        return kernel.SLOTS[self.rule]

    @property
    def initial_state(self) -> dict[str, float]:
        """From the names of the state arrays to the number that fills them at first."""
        return dict.fromkeys(self.slots, 0.0)

    def _constants(self):
        return {}

    def settings(self) -> dict[str, Any]:
        """Constants of ``_kernels.updates.step``: all but step number, rate, penalty and gradient scale."""
        return {
            "rule": self.rule,
            "clip_norm": math.inf if self.clip_norm is None else self.clip_norm,
            "clip_each_norm": math.inf if self.clip_each_norm is None else self.clip_each_norm,
            "clip_value": math.inf if self.clip_value is None else self.clip_value,
            "weight_decay": self.weight_decay,
            **self._constants(),
        }

    def init(self, params: Array | Sequence[Array] | Mapping[str, Array]) -> OptimizerState:
        """State for ``params`` before the first step.

        Parameters
        ----------
        params : array, or list, tuple or dict of arrays
            float32 or float64, of any shape, C-contiguous and writeable.

        Returns
        -------
        OptimizerState
        """
        params = named_arrays(params, "params")
        for name, array in params.items():
            check_parameter(array, name)
        slots = {
            slot: [np.full_like(array, fill, subok=False) for array in params.values()]
            for slot, fill in self.initial_state.items()
        }
        return OptimizerState(self.rule, tuple(params), slots)

    def step(self, params: Array | Sequence[Array] | Mapping[str, Array],
             grads: Array | Sequence[Array] | Mapping[str, Array], state: OptimizerState, *, penalty: Any = None,
             learning_rate: float | None = None) -> None:
        """One step, in place: ``params`` and ``state`` are changed, ``grads`` is not.

        Everything is checked before anything is written. NaN in a gradient goes on into its parameter.

        Parameters
        ----------
        params : array, or list, tuple or dict of arrays
            As for :meth:`init`; all changed.
        grads : the same structure
            Gradients of the loss without its penalty, of the parameters' shapes and dtypes.
        state : OptimizerState
            From :meth:`init`; changed.
        penalty : penalty spec or name, or a structure of them like ``params``, default=None
            Folded into the step; with L1 the weights that it removes are exactly zero.
        learning_rate : float, default=None
            For this step in place of the spec's own; at least 0.

        Raises
        ------
        TypeError, ValueError
            When an array has another dtype, shape or layout than it must, is read-only, or shares memory with
            its gradient.

        Examples
        --------
        A strong L1 penalty removes the second weight, which then is exactly zero.

        >>> import numpy as np
        >>> from fasttrain.optimizers import Momentum
        >>> target = np.array([3.0, 0.5])
        >>> params = {"w": np.ones(2), "b": np.zeros(1)}
        >>> opt = Momentum(learning_rate=0.1, momentum=0.5, clip_norm=10.0)
        >>> state = opt.init(params)
        >>> for _ in range(300):
        ...     grads = {"w": params["w"] - target, "b": params["b"] - 1.0}
        ...     opt.step(params, grads, state, penalty={"w": "l1", "b": None})
        >>> params["w"].round(4), params["b"].round(4)
        (array([2.9999, 0.4999]), array([1.]))
        >>> from fasttrain.penalties import L1
        >>> for _ in range(300):
        ...     grads = {"w": params["w"] - target, "b": params["b"] - 1.0}
        ...     opt.step(params, grads, state, penalty={"w": L1(1.0), "b": None})
        >>> params["w"].round(4)
        array([2., 0.])
        """
        arrays = self._in_order(named_arrays(params, "params"), state)
        gradients = _matching(grads, "grads", arrays)
        jobs = []
        for i, (name, array) in enumerate(arrays.items()):
            check_parameter(array, name)
            for held in state.slots.values():
                if held[i].shape != array.shape or held[i].dtype != array.dtype:
                    raise ValueError(
                        f"{name} must have shape {held[i].shape} and dtype {held[i].dtype} "
                        f"as when the state was made, got {array.shape} and {array.dtype}"
                    )
            gradient = gradient_of(gradients[name], name, array)
            jobs.append((array.reshape(-1), gradient.reshape(-1)))
        if isinstance(penalty, (dict, list, tuple)):
            given = _matching(penalty, "penalty", arrays)
            factors = [penalties.get(given[name]) for name in arrays]
        else:
            factors = [penalties.get(penalty)] * len(arrays)
        settings = self.settings()
        settings["t"] = state.t + 1
        settings["learning_rate"] = (
            self.learning_rate if learning_rate is None else check_real(learning_rate, "learning_rate", low=0)
        )
        if self.clip_norm is not None:
            settings["gradient_scale"] = _scale_to(
                self.clip_norm, sum(sum_of_squares(gradient) for _, gradient in jobs))
        n_threads = get_num_threads()
        carried = state.carried
        for i, ((array, gradient), factor) in enumerate(zip(jobs, factors)):
            if self.clip_each_norm is not None:
                settings["gradient_scale"] = _scale_to(self.clip_each_norm, sum_of_squares(gradient))
            settings["l1"] = factor.l1
            settings["l2"] = factor.l2
            held = {f"{slot}_io": kept[i].reshape(-1) for slot, kept in state.slots.items()}
            carried = kernel.step(
                settings, array, gradient, **held, carried=state.carried, n_threads=n_threads
            )
        state.carried = carried
        state.t += 1

    def _in_order(self, arrays, state):
        """The parameters in the state's order, after checks that the state is theirs."""
        if not isinstance(state, OptimizerState):
            raise TypeError(f"state must be what init(params) returned, got {type(state).__name__}")
        if state.rule != self.rule or set(state.slots) != set(self.slots):
            raise ValueError(
                f"state must be of {self.rule!r} with slots {self.slots}, "
                f"got one of {state.rule!r} with slots {tuple(state.slots)}"
            )
        if arrays.keys() != set(state.keys):
            raise ValueError(
                f"params must hold {', '.join(state.keys)} as when the state was made, "
                f"got {', '.join(arrays) or 'nothing'}"
            )
        return {key: arrays[key] for key in state.keys}


def _scale_to(most, squares):
    """Factor of gradients whose squares add up to ``squares``, so that their norm is at most ``most``."""
    norm = math.sqrt(squares)
    # Not norm > most: a NaN must reach the parameters.
    return 1.0 if norm <= most else most / norm


def _matching(values, argument, arrays):
    """``values`` by the names of the parameters, after a check that it has the same structure."""
    named = named_arrays(values, "params")
    if named.keys() != arrays.keys():
        raise ValueError(
            f"{argument} must have the structure of params, with {', '.join(arrays)}, "
            f"got {', '.join(named) or 'nothing'}"
        )
    return named
