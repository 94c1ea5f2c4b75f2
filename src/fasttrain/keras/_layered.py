"""A stack of Keras layers and the engine it becomes: layers, weights, and the optimizer's memory."""

from __future__ import annotations

from html import escape
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fasttrain._core.checks import check_flag, check_integer
from fasttrain._core.types import Array, ArrayLike
from fasttrain._kernels.threads import get_num_threads
from fasttrain.keras import utils
from fasttrain.keras._chain import before, chain_of, features_of, frozen_and_trained, network_of, pull, push
from fasttrain.keras.activations import name_of
from fasttrain.keras._layer import InputLayer, Layer, automatic_name, checked_weights
from fasttrain.training.engine import array_from_layers, array_to_layers


class LayeredModel:
    """What a Sequential is before it is compiled."""

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None) -> None:
        if trainable is not True:
            raise ValueError(
                f"trainable must be True; set it on the layers, or on the model once it has them, got {trainable!r}")
        self.name: str = automatic_name(type(self).__name__) if name is None else str(name)
        self._input = None
        self._layers = []
        self.optimizer = self.history = self._objective = None
        self.stop_training = False
        self._compiled = None
        self._rng = None
        self._forget()
        for layer in layers or ():
            self.add(layer)

    def _forget(self):
        """No engine: the layers have changed."""
        self._network = self._chain = self._held = None
        self._before = []
        self._pushed = {}
        self._held_versions = ()

    # ---- layers ----

    @property
    def layers(self) -> Any:
        return list(self._layers)

    def add(self, layer: Layer) -> None:
        """Put a layer on top. An optimizer's memory is lost."""
        if not isinstance(layer, Layer):
            raise TypeError(f"layer must be one of fasttrain.layers, got {layer!r}")
        if isinstance(layer, InputLayer):
            if self._layers or self._input is not None:
                raise ValueError(f"layer {layer.name!r} is an input after other layers")
            self._input = layer
            return
        if any(layer is one for one in self._layers):
            raise ValueError(f"layer {layer.name!r} is in the model already")
        if any(layer.name == one.name for one in self._layers):
            raise ValueError(f"layer names must differ, got a second {layer.name!r}")
        if layer.given_shape is not None and self._layers and layer.given_shape != self._top_shape():
            raise ValueError(f"input_shape of {layer.name!r} is for the first layer, got {layer.given_shape}")
        self._layers.append(layer)
        self._forget()
        shape = self._top_shape(but=1)
        if shape is not None:
            try:
                self._build_layer(layer, shape)
            except BaseException:
                self._layers.pop()
                raise

    def _build_layer(self, layer, shape):
        """Make the layer's weights for rows of ``shape``, or see that it has them; the shape of its output."""
        if not layer.built:
            return layer.build(shape, self._dtype())
        if layer.input_shape[1:] != shape:
            raise ValueError(f"layer {layer.name!r} was built for rows of shape {layer.input_shape[1:]}, got {shape}")
        return layer.output_shape[1:]

    def pop(self) -> Any:
        """Take the top layer off and return it."""
        if not self._layers:
            raise ValueError("the model has no layers")
        self._forget()
        return self._layers.pop()

    def _given_shape(self):
        """The shape of a row, where it was said; None else."""
        if self._input is not None:
            return self._input.given_shape
        return self._layers[0].given_shape if self._layers else None

    def _top_shape(self, but=0):
        """The shape of the output of all but the last ``but`` layers; None when it is not known."""
        layers = self._layers[:len(self._layers) - but]
        if layers:
            return layers[-1].output_shape[1:] if layers[-1].built else None
        return self._given_shape()

    def _dtype(self):
        given = {layer.dtype for layer in self._layers if layer.dtype is not None}
        if self._input is not None and self._input.dtype is not None:
            given.add(self._input.dtype)
        given |= {
            layer._values[layer.weight_names[0]].dtype for layer in self._layers
            if layer._values and layer.weight_names[0] not in layer.statistics
        }
        if len(given) > 1:
            raise ValueError(f"all layers must have one dtype, got {', '.join(sorted(d.name for d in given))}")
        return given.pop() if given else np.dtype(np.float32)

    @property
    def built(self) -> bool:
        return bool(self._layers) and all(layer.built for layer in self._layers)

    def build(self, input_shape: tuple[Any, ...] | None = None) -> None:
        """Make the weights.

        Parameters
        ----------
        input_shape : tuple, default=None
            With the rows' axis first: ``(None, n_features)``. None takes that of the input.
        """
        shape = self._given_shape() if input_shape is None else tuple(input_shape)[1:]
        if shape is None:
            raise ValueError("input_shape must be given, as no layer has one")
        shape = tuple(check_integer(size, "input_shape", low=1) for size in shape)
        given = self._given_shape()
        if given is not None and given != shape:
            raise ValueError(f"input_shape must be (None, {', '.join(map(str, given))}), got {input_shape}")
        chain_of(self._layers)
        for layer in self._layers:
            shape = self._build_layer(layer, shape)

    @property
    def input_shape(self) -> Any:
        """(None, ...), or None while it is not known."""
        if self._layers and self._layers[0].built:
            return self._layers[0].input_shape
        shape = self._given_shape()
        return None if shape is None else (None, *shape)

    @property
    def inputs(self) -> Any:
        """What layers may be called on, a list of one; None while the shape of the rows is not known."""
        if self._input is None and self.input_shape is not None:
            self._input = InputLayer(input_shape=self.input_shape[1:], dtype=self._dtype())
        return None if self._input is None else [self._input]

    @property
    def output_shape(self) -> Any:
        """(None, n_outputs), or None while the model is not built."""
        return self._layers[-1].output_shape if self.built else None

    @property
    def trainable(self) -> bool:
        """Whether any layer with weights is trainable; when set, all layers get the value."""
        return any(layer.trainable for layer in self._layers if layer.weight_names)

    @trainable.setter
    def trainable(self, value: Any) -> None:
        check_flag(value, "trainable")
        for layer in self._layers:
            layer.trainable = value

    # ---- the engine ----

    def _forget_other_choice(self):
        """No engine, where it was made for other trainable layers."""
        if self._network is not None and self._trainable != [layer.trainable for layer in self._layers]:
            self.pull()
            self._forget()

    def _engine(self):
        """The network of the trained layers, and below it ``_held``, that of the others, with their present weights."""
        self._check_no_step()
        if self._network is None and not self.built:
            self.build()
        self._forget_other_choice()
        if self._network is None:
            chain = chain_of(self._layers)
            self._before = chain.inputs
            below, self._chain = frozen_and_trained(chain)
            self._trainable = [layer.trainable for layer in self._layers]
            self._network, self._pushed = _new_network(self._chain), {}
            self._held = None if below is None else (below, _new_network(below))
            if self._chain.draws:
                seeds = self._chain.seeds
                self._network.set_seed(seeds[0] if seeds else int(self._generator().integers(2**63)))
            if self.optimizer is not None:
                self._set_optimizer()
        changed = False
        for layer in self._layers:
            if layer._newer is not None and layer._newer is not self:
                layer._newer.pull()
        for layer in self._chain.weighted:
            changed = changed or self._pushed.get(layer) != layer._version
        if changed:
            # what only the engine knows must not be overwritten by the layers' older values
            self.pull()
            push(self._chain, self._network)
            self._pushed = {layer: layer._version for layer in self._chain.weighted}
        if self._held is not None:
            versions = [layer._version for layer in self._held[0].weighted]
            if versions != self._held_versions:
                push(*self._held)
                self._held_versions = versions
        return self._network

    def _check_no_step(self):
        """ValueError in the middle of a step: the engine waits with half of it in its buffers."""
        if self._objective is not None and self._objective.answering:
            raise ValueError(
                f"a loss must be computed from y_true and y_pred, not by the model {self.name!r} that it trains; give "
                "it another model, a clone say")

    def _features(self, x):
        """What the trained layers see of rows: what the layers before them, which are not trained, make of them."""
        x = before(self._before, x)
        return x if self._held is None else features_of(*self._held, x, get_num_threads())

    def _whole(self):
        """The stack of all layers with an engine that has their present weights."""
        network = self._engine()
        if self._held is None:
            return self._chain, network
        self.pull()
        chain = chain_of(self._layers)
        network = _new_network(chain)
        push(chain, network)
        return chain, network

    def touch(self) -> None:
        """Note that the engine's weights are newer than the layers'."""
        for layer in self._pushed:
            layer._newer = self
            layer._version += 1
            self._pushed[layer] = layer._version

    def pull(self) -> None:
        """Give the layers the engine's weights, where these are newer."""
        late = [layer for layer in self._pushed if layer._newer is self]
        if not late:
            return
        found = pull(self._chain, self._network)
        for layer in late:
            layer._newer = None
            layer._values.update(found[layer])

    def _set_optimizer(self):
        """Tell the engine the update rule and what it averages; its memory starts anew."""
        spec = self.optimizer.spec()
        steps = self.optimizer.gradient_accumulation_steps
        settings = {**spec.settings(), "decay_biases": True, "accumulate": steps or 1}
        slots = (*spec.slots, "accumulated") if steps else spec.slots
        self._network.set_optimizer(spec.rule, slots, settings, spec.initial_state)
        for slot, array in self._network.state.items():
            array[:] = spec.initial_state.get(slot, 0.0)
        self._network.counters = {"t": 0.0, "carried": 0.0}
        self._network.set_averaging(None)
        if self.optimizer.use_ema:
            # the weights of the first update are the first average
            self._network.set_averaging(
                "ema", self.optimizer.ema_momentum, start=steps or 1,
                overwrite=self.optimizer.ema_overwrite_frequency or 0)
        self.optimizer._batches = 0

    def _generator(self):
        """Draws orders of rows."""
        if self._rng is None:
            self._rng = np.random.default_rng(utils.generator().integers(2**63))
        return self._rng

    def __getstate__(self) -> Any:
        self._forget_other_choice()
        self.pull()
        state = dict(vars(self))
        if self._network is not None and self.optimizer is not None:
            state["_memory"] = self._optimizer_state()
        state.update(_network=None, _chain=None, _held=None, _before=[], _pushed={}, _held_versions=(), history=None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        memory = state.pop("_memory", None)
        vars(self).update(state)
        if memory is not None:
            self._engine()
            self._set_optimizer_state(memory)

    def _optimizer_state(self):
        """All that the optimizer remembers, in arrays that do not depend on the engine's layout."""
        network = self._network
        return {
            "rule": network.rule, "counters": dict(network.counters),
            "slots": {slot: array_to_layers(network, array) for slot, array in network.state.items()},
            "average": None if network.average is None else array_to_layers(network, network.average),
        }

    def _set_optimizer_state(self, memory):
        """Take over what :meth:`_optimizer_state` told."""
        network = self._network
        if memory["rule"] != network.rule or set(memory["slots"]) != set(network.state):
            raise ValueError(
                f"the optimizer's memory must be of rule {network.rule!r} with slots {sorted(network.state)}, got "
                f"{memory['rule']!r} with {sorted(memory['slots'])}")
        for slot, layers in memory["slots"].items():
            network.state[slot][:] = array_from_layers(network, layers)
        if memory.get("average") is not None and network.average is not None:
            network.average[:] = array_from_layers(network, memory["average"])
        network.counters = memory["counters"]
        self.optimizer._batches = int(memory["counters"]["t"])

    # ---- weights ----

    @property
    def weights(self) -> Any:
        """The layers' arrays, to read and to assign to, as :class:`fasttrain.keras.Variable`."""
        return [variable for layer in self._layers for variable in layer.weights]

    @property
    def trainable_weights(self) -> Any:
        """Those of :attr:`weights` that training changes."""
        return [variable for layer in self._layers for variable in layer.trainable_weights]

    @property
    def non_trainable_weights(self) -> Any:
        """The others: of layers that are held, and moving statistics."""
        return [variable for layer in self._layers for variable in layer.non_trainable_weights]

    variables = weights
    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    def get_weights(self) -> list[Array]:
        """Copies of all layers' arrays, from the first layer on; a Dense has its kernel and its bias."""
        return [array for layer in self._layers for array in layer.get_weights()]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Change all layers' arrays to those of a list like that of :meth:`get_weights`; none, if one does not fit."""
        if not self.built:
            self.build()
        weights = iter(checked_weights(weights, self._layers))
        for layer in self._layers:
            for name in layer.weight_names:
                if name in layer._values:
                    layer.set_value(name, next(weights))

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """The layer of a name or a number."""
        if (name is None) == (index is None):
            raise ValueError(f"one of name and index must be given, got {name!r} and {index!r}")
        if index is not None:
            return self._layers[index]
        for layer in self._layers:
            if layer.name == name:
                return layer
        raise ValueError(f"name must be one of {', '.join(repr(one.name) for one in self._layers)}, got {name!r}")

    def count_params(self) -> int:
        """Number of elements of all weights."""
        if not self.built:
            self.build()
        return sum(layer.count_params() for layer in self._layers)

    def summary(self, line_length: int | None = None, positions: Any = None, print_fn: Callable[..., Any] | None = None,
                expand_nested: bool = False, show_trainable: bool = False, layer_range: Any = None) -> None:
        """Print the layers with the shapes of their outputs and their numbers of parameters.

        Parameters
        ----------
        print_fn : callable, default=None
            Called with the text in place of print.
        line_length, positions, expand_nested, show_trainable, layer_range
            Not used.
        """
        table = [("Layer (type)", "Output Shape", "Param #"), *self._table()]
        widths = [max(len(row[i]) for row in table) for i in range(3)]
        lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}" for row in table]
        rule = "-" * len(lines[0])
        text = [f'Model: "{self.name}"', rule, lines[0], rule, *lines[1:], rule, *self._totals()]
        (print if print_fn is None else print_fn)("\n".join(text))

    def _table(self):
        """Of each layer its name and kind, the shape of its output, its number of parameters."""
        for layer in self._layers:
            kind = type(layer).__name__
            activation = getattr(layer, "activation", None)
            if activation is not None and name_of(activation) != "linear":
                kind += f", {name_of(activation)}"
            shape = str(layer.output_shape) if layer.built else "?"
            yield f"{layer.name} ({kind})", shape, f"{layer.count_params():,}" if layer.built else "0"

    def _totals(self):
        total = sum(layer.count_params() for layer in self._layers) if self.built else 0
        held = sum(variable.value.size for variable in self.non_trainable_weights) if self.built else 0
        text = [f"Total params: {total:,}"]
        return [*text, f"Trainable params: {total - held:,}", f"Non-trainable params: {held:,}"] if held else text

    def _repr_html_(self):
        """The table of :meth:`summary`, for notebooks."""
        head, *rows = [("Layer (type)", "Output Shape", "Param #"), *self._table()]
        right = 'style="text-align: right"'
        body = "".join(
            f"<tr><td>{escape(name)}</td><td>{escape(shape)}</td><td {right}>{count}</td></tr>"
            for name, shape, count in rows)
        names = "".join(f"<th>{escape(name)}</th>" for name in head)
        totals = "<br>".join(map(escape, self._totals()))
        return (
            f"<div><strong>Model: {escape(self.name)}</strong><table><thead><tr>{names}</tr></thead>"
            f"<tbody>{body}</tbody></table><p>{totals}</p></div>")


def _new_network(chain):
    """An engine for built layers."""
    first = chain.units[0].dense
    return network_of(chain, first.input_shape[1], first.value("kernel").dtype)
