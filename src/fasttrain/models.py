"""Keras's Sequential on fasttrain's dense engine.

Examples
--------
>>> import numpy as np
>>> from fasttrain.layers import Dense, Input
>>> from fasttrain.models import Sequential
>>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
>>> model = Sequential([Input(shape=(1,)), Dense(16, activation="tanh"), Dense(1)])
>>> model.compile(optimizer="adam", loss="mse", metrics=["mae"])
>>> history = model.fit(X, X**2, epochs=3, batch_size=16, verbose=0)
>>> sorted(history.history)
['loss', 'mae']
>>> model.predict(X).shape
(64, 1)
"""

import numpy as np

from fasttrain import _keras_data as data
from fasttrain._kernels.threads import get_num_threads
from fasttrain._memory import array_from_layers, array_to_layers, put_back, take
from fasttrain._sequential_fit import Objective, fit_epochs, step_once
from fasttrain._spec import check_integer, check_real
from fasttrain._stack import network_of, pull, push, stack_of
from fasttrain._validation import check_flag
from fasttrain.callbacks import as_callbacks
from fasttrain.checkpoints import load_checkpoint
from fasttrain.keras import losses, metrics as metric_functions, optimizers, utils
from fasttrain.keras.activations import name_of
from fasttrain.layers import InputLayer, Layer, _automatic_name, checked_weights

__all__ = ["History", "Sequential", "load_model"]


class History:
    """What :meth:`Sequential.fit` returns.

    Attributes
    ----------
    history : dict of lists
        One number an epoch: ``loss``, each metric by its name, and the same with ``val_`` of validation data;
        ``learning_rate`` when a callback changes it.
    epoch : list of int
        Epochs run, from ``initial_epoch``.
    params : dict
        ``epochs``, ``steps`` (batches an epoch) and ``verbose``.
    model : Sequential
    """

    def __init__(self, model, params):
        self.model = model
        self.params = params
        self.history = {}
        self.epoch = []


class Sequential:
    """A stack of dense layers, trained by one compiled call an epoch.

    Parameters
    ----------
    layers : sequence of layers, default=None
        See :mod:`fasttrain.layers`; more are put on with :meth:`add`.
    trainable : bool, default=True
        False is refused.
    name : str, default=None

    Attributes
    ----------
    layers : list of layers
        The input left out.
    optimizer : fasttrain.keras.optimizers.Optimizer
        Its ``learning_rate`` may be set between fits and by callbacks. None before :meth:`compile`.
    history : History
        Of the last fit.
    built : bool
        Whether the layers have their weights: once the shape of the rows is known.

    Notes
    -----
    Each Dense may be followed by Activation, BatchNormalization (before or after the activation) and Dropout, in this
    order; Flatten and Dropout may come first. Anything else raises ValueError. Where the last layer's activation and
    the loss belong together (sigmoid and binary_crossentropy, softmax and categorical_crossentropy, exponential and
    poisson) they are computed from the layer's raw outputs, without Keras's clipping of probabilities.

    Metrics of an epoch are those of the predictions that its steps were made from, as in Keras.
    """

    def __init__(self, layers=None, trainable=True, name=None):
        if trainable is not True:
            raise ValueError(f"trainable must be True, as the engine trains all layers, got {trainable!r}")
        self.name = _automatic_name(type(self).__name__) if name is None else str(name)
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
        self._network = self._stack = None
        self._pushed = {}

    # ---- layers ----

    @property
    def layers(self):
        return list(self._layers)

    def add(self, layer):
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

    def pop(self):
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
        given = {layer.dtype for layer in (self._input, *self._layers) if layer is not None and layer.dtype is not None}
        if len(given) > 1:
            raise ValueError(f"all layers must have one dtype, got {', '.join(sorted(d.name for d in given))}")
        return given.pop() if given else np.dtype(np.float32)

    @property
    def built(self):
        return bool(self._layers) and all(layer.built for layer in self._layers)

    def build(self, input_shape=None):
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
        stack_of(self._layers)
        for layer in self._layers:
            shape = self._build_layer(layer, shape)

    @property
    def input_shape(self):
        """(None, ...), or None while it is not known."""
        if self._layers and self._layers[0].built:
            return self._layers[0].input_shape
        shape = self._given_shape()
        return None if shape is None else (None, *shape)

    @property
    def output_shape(self):
        """(None, n_outputs), or None while the model is not built."""
        return self._layers[-1].output_shape if self.built else None

    # ---- the engine ----

    def _engine(self):
        """The network, with the layers' present weights."""
        if not self.built:
            self.build()
        if self._network is None:
            self._stack = stack_of(self._layers)
            first = self._stack.units[0].dense
            self._network = network_of(self._stack, first.input_shape[1], first.value("kernel").dtype)
            self._pushed = {}
            if self._stack.drops:
                seeds = self._stack.seeds
                self._network.set_seed(seeds[0] if seeds else int(self._generator().integers(2**63)))
            if self.optimizer is not None:
                self._set_optimizer()
        weighted = [layer for layer in self._layers if layer.weight_names]
        changed = False
        for layer in weighted:
            if layer._newer is not None and layer._newer is not self:
                layer._newer.pull()
            changed = changed or self._pushed.get(layer) != layer._version
        if changed:
            # what only the engine knows must not be overwritten by the layers' older values
            self.pull()
            push(self._stack, self._network)
            self._pushed = {layer: layer._version for layer in weighted}
        return self._network

    def touch(self):
        """Note that the engine's weights are newer than the layers'."""
        for layer in self._pushed:
            layer._newer = self
            layer._version += 1
            self._pushed[layer] = layer._version

    def pull(self):
        """Give the layers the engine's weights, where these are newer."""
        late = [layer for layer in self._pushed if layer._newer is self]
        if not late:
            return
        found = pull(self._stack, self._network)
        for layer in late:
            layer._newer = None
            layer._values.update(found[layer])

    def _set_optimizer(self):
        """Tell the engine the update rule; its memory starts anew."""
        spec = self.optimizer.spec()
        settings = {**spec.settings(), "decay_biases": True}
        self._network.set_optimizer(spec.rule, spec.slots, settings, spec.initial_state)
        for slot, array in self._network.state.items():
            array[:] = spec.initial_state.get(slot, 0.0)
        self._network.counters = {"t": 0.0, "carried": 0.0}
        self.optimizer.iterations = 0

    def _generator(self):
        """Draws orders of rows."""
        if self._rng is None:
            self._rng = np.random.default_rng(utils.generator().integers(2**63))
        return self._rng

    def __getstate__(self):
        self.pull()
        state = dict(vars(self))
        if self._network is not None and self.optimizer is not None:
            state["_memory"] = self._optimizer_state()
        state.update(_network=None, _stack=None, _pushed={}, history=None)
        return state

    def __setstate__(self, state):
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
        }

    def _set_optimizer_state(self, memory):
        """Take over what :meth:`_optimizer_state` told."""
        network = self._network
        if memory["rule"] != network.rule or set(memory["slots"]) != set(network.state):
            raise ValueError(f"the optimizer's memory must be of rule {network.rule!r}, got {memory['rule']!r}")
        for slot, layers in memory["slots"].items():
            network.state[slot][:] = array_from_layers(network, layers)
        network.counters = memory["counters"]
        self.optimizer.iterations = int(memory["counters"]["t"])

    # ---- compile ----

    def compile(self, optimizer="rmsprop", loss=None, loss_weights=None, metrics=None, weighted_metrics=None,
                run_eagerly=False, steps_per_execution=1, jit_compile="auto", auto_scale_loss=True):
        """Choose what to minimize and how; the optimizer starts without memory.

        Parameters
        ----------
        optimizer : str or optimizer, default='rmsprop'
            See :mod:`fasttrain.keras.optimizers`; a step optimizer of :mod:`fasttrain.optimizers` keeps its own
            defaults.
        loss : str or loss
            See :mod:`fasttrain.keras.losses`; also losses of :mod:`fasttrain.losses`.
        metrics : list of str, metrics or functions, default=None
            See :mod:`fasttrain.keras.metrics`. They do not see sample weights.
        weighted_metrics : the same, default=None
            They do.
        loss_weights : None
            Others raise ValueError.
        run_eagerly, steps_per_execution, jit_compile, auto_scale_loss
            Not used.

        Raises
        ------
        ValueError, TypeError
            For anything unknown, or a loss that does not fit the last layer; nothing is changed.
        """
        if loss_weights is not None:
            raise ValueError(f"loss_weights must be None, as there is one loss, got {loss_weights!r}")
        chosen = optimizers.get(optimizer)
        if loss is not None:
            loss = losses.get(loss)
            if self._layers and self.built:
                loss.engine(stack_of(self._layers).activation)
        given = [_listed(metrics, "metrics"), _listed(weighted_metrics, "weighted_metrics")]
        for one in [*given[0], *given[1]]:
            metric_functions.get(one)
        self.optimizer = chosen
        self._compiled = {"loss": loss, "metrics": given[0], "weighted_metrics": given[1]}
        self._objective = None
        if self._network is not None:
            self._set_optimizer()

    @property
    def loss(self):
        """The loss that the model was compiled with."""
        return self._compiled["loss"] if self._compiled else None

    @property
    def metrics_names(self):
        """Names of what :meth:`evaluate` returns."""
        return self._ready().names

    def _ready(self):
        """What the model was compiled for, together with its layers."""
        if self._compiled is None:
            raise ValueError("the model must be compiled first: compile(optimizer=..., loss=...)")
        if self._compiled["loss"] is None:
            raise ValueError("the model was compiled without a loss: compile(loss=...)")
        network = self._engine()
        if self._objective is None or self._objective.stack is not self._stack:
            self._objective = Objective(self._stack, **self._compiled)
        self._objective.set_on(network)
        return self._objective

    # ---- training ----

    def fit(self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, validation_split=0.0,
            validation_data=None, shuffle=True, class_weight=None, sample_weight=None, initial_epoch=0,
            steps_per_epoch=None, validation_steps=None, validation_batch_size=None, validation_freq=1, *,
            resume_from=None):
        """Train.

        Parameters
        ----------
        x : array-like of shape (n_samples, n_features)
            Finite; an array of the model's dtype in C order is not copied.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            What the loss takes: see :mod:`fasttrain.keras.losses`.
        batch_size : int, default=None
            32 when None.
        epochs : int, default=1
            The number of the last epoch; with ``initial_epoch`` fewer are run.
        verbose : 'auto', 0, 1 or 2, default='auto'
            0 prints nothing, the others one line an epoch.
        callbacks : callbacks or functions of (epoch, logs), default=None
            See :mod:`fasttrain.callbacks`; in ``logs`` stand the names of History, and ``learning_rate``. Each gets the
            model as its attribute ``model``.
        validation_split : float, default=0.0
            Share of the rows, the last ones, that is not trained on.
        validation_data : (x, y) or (x, y, sample_weight), default=None
            Comes before ``validation_split``.
        shuffle : bool, default=True
            A new order of rows each epoch.
        class_weight : dict, default=None
            From class codes to weights of the rows; 1 for classes that it lacks. Not together with ``sample_weight``.
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0.
        initial_epoch : int, default=0
        steps_per_epoch, validation_steps : None
            Others raise ValueError.
        validation_batch_size : int
            Not used: validation does not depend on it.
        validation_freq : int, default=1
            Validate after every so many epochs.
        resume_from : path, default=None
            A checkpoint of :class:`fasttrain.callbacks.ModelCheckpoint`, written by a fit of the same model, data and
            arguments: the result is to the byte that of a fit that ran through.

        Returns
        -------
        History

        Raises
        ------
        ValueError, TypeError
            For bad data or arguments; nothing is changed.
        DivergenceError
            When the loss stops being finite; weights and optimizer are as before the call.

        Notes
        -----
        Ctrl-C is raised and leaves the weights reached so far.
        """
        for argument, value in (("steps_per_epoch", steps_per_epoch), ("validation_steps", validation_steps)):
            if value is not None:
                raise ValueError(f"{argument} must be None, as each epoch takes every row of the arrays, got {value!r}")
        batch_size = 32 if batch_size is None else check_integer(batch_size, "batch_size", low=1)
        epochs = check_integer(epochs, "epochs", low=0)
        initial_epoch = check_integer(initial_epoch, "initial_epoch", low=0)
        check_integer(validation_freq, "validation_freq", low=1)
        check_real(validation_split, "validation_split", low=0, high=1, open_high=True)
        check_flag(shuffle, "shuffle")
        data.check_verbose(verbose)
        callbacks = as_callbacks(callbacks)
        data.check_callbacks(callbacks)
        rows = self._rows(x, y, sample_weight, class_weight)
        validation = None
        if validation_data is not None:
            validation = self._rows(*data.unpacked(validation_data))
        elif validation_split:
            rows, validation = data.split(rows, validation_split)
        for callback in callbacks:
            callback.model = self
        with _Restored(self):
            self.history = fit_epochs(
                self, rows, validation, batch_size=batch_size, epochs=epochs, initial_epoch=initial_epoch,
                verbose=verbose, callbacks=callbacks, shuffle=bool(shuffle), validation_freq=validation_freq,
                resume=None if resume_from is None else load_checkpoint(resume_from),
                history=History(self, {"epochs": epochs, "steps": -(-len(rows.x) // batch_size), "verbose": verbose}),
            )
        return self.history

    def _rows(self, x, y, sample_weight=None, class_weight=None):
        """Checked rows for the compiled loss."""
        if self._compiled is None:
            self._ready()
        x = data.features(x, self.input_shape, self._dtype())
        if not self.built:
            self.build((None, *x.shape[1:]))
        objective = self._ready()
        return data.rows(x, y, sample_weight, class_weight, objective)

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One step on these rows as one batch.

        Parameters are those of :meth:`fit`.

        Returns
        -------
        float, list of float or dict
            The loss before the step and the metrics of the predictions that it was made from.
        """
        rows = self._rows(x, y, sample_weight, class_weight)
        with _Restored(self):
            logs = step_once(self, rows)
        return data.returned(logs, self._objective.names, return_dict)

    # ---- evaluation and prediction ----

    def evaluate(self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, steps=None, callbacks=None,
                 return_dict=False):
        """The loss, regularization included, and the metrics.

        Parameters
        ----------
        x, y, sample_weight
            As for :meth:`fit`.
        verbose : 'auto', 0, 1 or 2, default='auto'
            0 prints nothing, the others a line.
        return_dict : bool, default=False
            Whether to return a dict by name.
        batch_size, steps, callbacks
            Not used.

        Returns
        -------
        float, list of float or dict
            The loss alone when there are no metrics; else the loss and the metrics in the order of compile.
        """
        data.check_verbose(verbose)
        rows = self._rows(x, y, sample_weight)
        logs = self._objective.evaluate(self._engine(), rows, get_num_threads())
        if verbose:
            data.print_line(logs)
        return data.returned(logs, self._objective.names, return_dict)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """:meth:`evaluate` that prints nothing."""
        return self.evaluate(x, y, verbose=0, sample_weight=sample_weight, return_dict=return_dict)

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """Outputs of the last layer.

        Parameters
        ----------
        x : array-like of shape (n_samples, n_features)
        batch_size, verbose, steps, callbacks
            Not used; nothing is printed.

        Returns
        -------
        array of shape (n_samples, n_outputs), in the model's dtype
        """
        x = data.features(x, self.input_shape, self._dtype())
        if not self.built:
            self.build((None, *x.shape[1:]))
        network = self._engine()
        raw = network.raw_predict(data.flat(x), get_num_threads())
        return data.activated(raw, self._stack.activation)

    def predict_on_batch(self, x):
        """:meth:`predict`."""
        return self.predict(x)

    def __call__(self, x, training=False):
        """:meth:`predict`; ``training`` must be False."""
        if training:
            raise ValueError("training must be False: fit and train_on_batch train")
        return self.predict(x)

    def save(self, filepath, overwrite=True):
        """Write the model to a folder: layers, weights, and if compiled, loss, metrics, optimizer and its memory.

        Parameters
        ----------
        filepath : path
            The folder, whatever its name ends with; it appears, or changes, only when all of it is on the disk.
        overwrite : bool, default=True
            False refuses a path that exists.

        Raises
        ------
        ValueError
            When the model is not built, or a file is in the way.
        TypeError
            When it was compiled with a function that is not one of fasttrain's.
        """
        from fasttrain._sequential_files import save_model

        save_model(self, filepath, overwrite)

    # ---- weights ----

    def load_weights(self, filepath):
        """Take the weights of a folder that :meth:`save` or a ModelCheckpoint wrote for a model of the same layers.

        Parameters
        ----------
        filepath : path

        Raises
        ------
        ValueError
            When a file is missing, cut short or changed, or belongs to other layers; nothing is changed.
        """
        from fasttrain._sequential_files import load_weights

        if not self.built:
            self.build()
        load_weights(self, filepath)

    @property
    def weights(self):
        """Copies of all layers' arrays, as :meth:`get_weights` gives them."""
        return self.get_weights()

    def get_weights(self):
        """Copies of all layers' arrays, from the first layer on; a Dense has its kernel and its bias."""
        return [array for layer in self._layers for array in layer.get_weights()]

    def set_weights(self, weights):
        """Change all layers' arrays to those of a list like that of :meth:`get_weights`; none, if one does not fit."""
        if not self.built:
            self.build()
        weights = iter(checked_weights(weights, self._layers))
        for layer in self._layers:
            for name in layer.weight_names:
                if name in layer._values:
                    layer.take(name, next(weights))

    def get_layer(self, name=None, index=None):
        """The layer of a name or a number."""
        if (name is None) == (index is None):
            raise ValueError(f"one of name and index must be given, got {name!r} and {index!r}")
        if index is not None:
            return self._layers[index]
        for layer in self._layers:
            if layer.name == name:
                return layer
        raise ValueError(f"name must be one of {', '.join(repr(one.name) for one in self._layers)}, got {name!r}")

    def count_params(self):
        """Number of elements of all weights."""
        if not self.built:
            self.build()
        return sum(layer.count_params() for layer in self._layers)

    def summary(self, line_length=None, positions=None, print_fn=None, expand_nested=False, show_trainable=False,
                layer_range=None):
        """Print the layers with the shapes of their outputs and their numbers of parameters.

        Parameters
        ----------
        print_fn : callable, default=None
            Called with the text in place of print.
        line_length, positions, expand_nested, show_trainable, layer_range
            Not used.
        """
        table = [("Layer (type)", "Output Shape", "Param #")]
        for layer in self._layers:
            kind = type(layer).__name__
            activation = getattr(layer, "activation", None)
            if activation is not None and name_of(activation) != "linear":
                kind += f", {name_of(activation)}"
            shape = str(layer.output_shape) if layer.built else "?"
            table.append((f"{layer.name} ({kind})", shape, f"{layer.count_params():,}" if layer.built else "0"))
        widths = [max(len(row[i]) for row in table) for i in range(3)]
        lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}" for row in table]
        rule = "-" * len(lines[0])
        total = sum(layer.count_params() for layer in self._layers) if self.built else 0
        text = [f'Model: "{self.name}"', rule, lines[0], rule, *lines[1:], rule, f"Total params: {total:,}"]
        (print if print_fn is None else print_fn)("\n".join(text))


def load_model(filepath, custom_objects=None, compile=True):
    """The model of a folder that :meth:`Sequential.save` wrote.

    Parameters
    ----------
    filepath : path
    custom_objects : None
        Others raise ValueError: what is loaded is plain data only.
    compile : bool, default=True
        Whether to compile it as it was, the optimizer's memory included.

    Raises
    ------
    ValueError
        When a file is missing, cut short, changed, or does not describe a model; the message names it.
    """
    from fasttrain._sequential_files import load_model

    if custom_objects is not None:
        raise ValueError(f"custom_objects must be None, got {custom_objects!r}")
    return load_model(filepath, compile)


class _Restored:
    """Puts weights and optimizer back when the block fails; Ctrl-C is no failure."""

    def __init__(self, model):
        self.model = model

    def __enter__(self):
        network = self.model._engine()
        self.taken = take(network)
        self.state = {slot: array.copy() for slot, array in network.state.items()}
        self.counters = dict(network.counters)
        self.rate = self.model.optimizer._learning_rate

    def __exit__(self, kind, error, traceback):
        network = self.model._network
        if network is None:
            return
        network.release()
        if kind is not None and issubclass(kind, Exception):
            put_back(network, self.taken)
            for slot, array in self.state.items():
                network.state[slot][:] = array
            network.counters = self.counters
            self.model.optimizer._learning_rate = self.rate
        self.model.touch()
        self.model.optimizer.iterations = int(network.counters["t"])


def _listed(value, argument):
    if value is None:
        return []
    if isinstance(value, dict):
        raise TypeError(f"{argument} must be a list, as there is one output, got a dict")
    return list(value) if isinstance(value, (list, tuple)) else [value]
