"""The model: a stack of layers, trained by the engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from fasttrain._core.checks import check_flag, check_integer, check_real, validation_parts
from fasttrain._core.types import Array, ArrayLike, PathLike
from fasttrain._estimators.networks import DenseNetwork, fold_normalization, normalizations
from fasttrain._estimators.registry import enter
from fasttrain._kernels.threads import get_num_threads
from fasttrain.callbacks import BackupAndRestore, Callback
from fasttrain.callbacks._keras import KerasBridge, speaks_keras
from fasttrain.data import Blocks
from fasttrain.data._use import BlockKind, first_block, predicts, refuse_beside_source
from fasttrain.keras import _data as data, _files, losses, metrics as metric_functions, optimizers
from fasttrain.keras._chain import chain_of, folded_into
from fasttrain.keras._fit import (
    ArrayEpochs, BlockEpochs, Restored, StreamEpochs, callback_list, fit_epochs, step_once,
)
from fasttrain.keras._functional import chain_between
from fasttrain.keras._layered import LayeredModel
from fasttrain.keras._objective import Objective
from fasttrain.keras._streams import Stream, is_stream, joined
from fasttrain.keras.callbacks import History
from fasttrain.training.checkpoints import load_checkpoint
from fasttrain.training.engine import raw_predict


class _ModelType(type):
    """Calling Model gives the Sequential that its layers are."""

    def __call__(cls, *args, **kwargs):
        if cls is Model:
            return _from_tensors(*args, **kwargs)
        return super().__call__(*args, **kwargs)


class Model(LayeredModel, metaclass=_ModelType):
    """The model between an input and what layers make of it: a chain, so a :class:`Sequential`.

    Parameters
    ----------
    inputs : what :func:`fasttrain.keras.Input` gives, or a list of one
    outputs : what a layer called on it gives, or a list of one
    name : str, default=None

    Raises
    ------
    ValueError, TypeError
        For branches, several inputs and layers that are used twice; the message names the layer.

    Examples
    --------
    >>> from fasttrain import keras
    >>> inputs = keras.Input(shape=(4,))
    >>> hidden = keras.layers.Dense(8, activation="relu")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
    >>> isinstance(model, keras.Sequential), model.output_shape
    (True, (None, 1))
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "call" in vars(cls) or "train_step" in vars(cls):
            raise TypeError(
                f"{cls.__name__} is a model with its own computation; fasttrain trains dense networks by compiled "
                "layers, so build it with Keras or PyTorch")


def _from_tensors(inputs=None, outputs=None, name=None, trainable=True):
    if inputs is None or outputs is None:
        raise TypeError("Model must be given inputs and outputs")
    start, layers = chain_between(inputs, outputs)
    model = Sequential([start, *layers], name=name)
    if not trainable:
        model.trainable = False
    return model


class Sequential(Model):
    """A stack of dense layers, trained by one compiled call an epoch.

    Parameters
    ----------
    layers : sequence of layers, default=None
        See :mod:`fasttrain.layers`; more are put on with :meth:`add`.
    trainable : bool, default=True
        False is refused here; the attribute may be set, which sets that of all layers.
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

    Layers with ``trainable=False`` keep their weights, and their BatchNormalization its moving statistics. They must be
    the first layers, with no Dropout between them: a fit then computes what they put out once, and trains the others on
    it. Their regularization is not part of the loss, as in Keras.

    Metrics of an epoch are those of the predictions that its steps were made from, as in Keras.
    """

    # ---- compile ----

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, loss_weights: None = None,
                metrics: Sequence[Any] | None = None, weighted_metrics: Any = None, run_eagerly: bool = False,
                steps_per_execution: int = 1, jit_compile: bool | str = "auto", auto_scale_loss: bool = True) -> None:
        """Choose what to minimize and how; the optimizer starts without memory.

        Parameters
        ----------
        optimizer : str or optimizer, default='rmsprop'
            See :mod:`fasttrain.keras.optimizers`; a step optimizer of :mod:`fasttrain.optimizers` keeps its own
            defaults.
        loss : str, loss or function of (y_true, y_pred)
            See :mod:`fasttrain.keras.losses`; also losses of :mod:`fasttrain.losses`. A function is made of operators
            and :mod:`fasttrain.keras.ops`.
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
        self._check_no_step()
        chosen = optimizers.get(optimizer)
        if loss is not None:
            loss = losses.get(loss)
            if self._layers and self.built:
                loss.engine(chain_of(self._layers).activation)
        given = [_listed(metrics, "metrics"), _listed(weighted_metrics, "weighted_metrics")]
        for one in [*given[0], *given[1]]:
            metric_functions.get(one)
        self.optimizer = chosen
        self._compiled = {"loss": loss, "metrics": given[0], "weighted_metrics": given[1]}
        self._objective = None
        if self._network is not None:
            self._set_optimizer()

    @property
    def loss(self) -> Any:
        """The loss that the model was compiled with."""
        return self._compiled["loss"] if self._compiled else None

    @property
    def metrics(self) -> Any:
        """The metrics that the model was compiled with, once its outputs are known."""
        if not self.built or self._compiled is None or self._compiled["loss"] is None:
            return []
        return [metric for _, metric, _ in self._ready().metrics]

    @property
    def metrics_names(self) -> list[str]:
        """Names of what :meth:`evaluate` returns."""
        return self._ready().names

    def _ready(self):
        """What the model was compiled for, together with its layers."""
        if self._compiled is None:
            raise ValueError("the model must be compiled first: compile(optimizer=..., loss=...)")
        if self._compiled["loss"] is None:
            raise ValueError("the model was compiled without a loss: compile(loss=...)")
        network = self._engine()
        if self._objective is None or self._objective.chain is not self._chain:
            self._objective = Objective(self._chain, **self._compiled)
        self._objective.set_on(network)
        return self._objective

    # ---- training ----

    def fit(self, x: Any = None, y: ArrayLike | None = None, batch_size: int | None = None, epochs: int = 1,
            verbose: Literal["auto", 0, 1, 2] = "auto",
            callbacks: Callback | Callable[..., Any] | Sequence[Callback | Callable[..., Any]] | None = None,
            validation_split: float = 0.0, validation_data: tuple[Any, ...] | None = None, shuffle: bool = True,
            class_weight: dict[str, Any] | None = None, sample_weight: ArrayLike | None = None, initial_epoch: int = 0,
            steps_per_epoch: int | None = None, validation_steps: int | None = None,
            validation_batch_size: int | None = None, validation_freq: int = 1, *,
            resume_from: PathLike | None = None) -> History:
        """Train.

        Parameters
        ----------
        x : array-like of shape (n_samples, n_features), a source of blocks, or what yields batches
            Finite; an array of the model's dtype in C order is not copied. A source of :mod:`fasttrain.data` has y and
            the weights, which then are left out. A generator, an iterator, Keras's PyDataset, and anything else that
            can be iterated or indexed by batch yields (x, y) or (x, y, sample_weight); batches of one size are trained
            on by one compiled call of up to 64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            What the loss takes: see :mod:`fasttrain.keras.losses`. None with batches.
        batch_size : int, default=None
            32 when None. Not used with batches.
        epochs : int, default=1
            The number of the last epoch; with ``initial_epoch`` fewer are run.
        verbose : 'auto', 0, 1 or 2, default='auto'
            0 prints nothing, the others one line an epoch.
        callbacks : callbacks or functions of (epoch, logs), default=None
            Those of :mod:`fasttrain.keras.callbacks`, of Keras, or any object of Keras's protocol, whose epochs count
            from 0; and those of :mod:`fasttrain.callbacks`, whose epochs count from 1, as a function's: in their
            ``logs`` stands ``learning_rate`` too. Each gets the model as its attribute ``model``. One with a hook for
            batches makes an epoch run batch by batch.
        validation_split : float, default=0.0
            Share of the rows, the last ones, that is not trained on.
        validation_data : (x, y), (x, y, sample_weight) or a source of blocks, default=None
            Comes before ``validation_split``.
        shuffle : bool, default=True
            A new order of rows each epoch; of batches, where they can be asked for by number.
        class_weight : dict, default=None
            From class codes to weights of the rows; 1 for classes that it lacks. Not together with ``sample_weight``.
        sample_weight : array-like of shape (n_samples,), default=None
            At least 0.
        initial_epoch : int, default=0
        steps_per_epoch, validation_steps : int, default=None
            Batches of an epoch, and of the validation, where they come batch by batch; a generator without end needs
            them. Must be None with arrays.
        validation_batch_size : int, default=None
            Only of use to callbacks with hooks for it, and to losses that are no means over rows; ``batch_size`` when
            None.
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
        batch_size = 32 if batch_size is None else check_integer(batch_size, "batch_size", low=1)
        validation_batch_size = batch_size if validation_batch_size is None else check_integer(
            validation_batch_size, "validation_batch_size", low=1)
        epochs = check_integer(epochs, "epochs", low=0)
        initial_epoch = check_integer(initial_epoch, "initial_epoch", low=0)
        check_integer(validation_freq, "validation_freq", low=1)
        check_real(validation_split, "validation_split", low=0, high=1, open_high=True)
        check_flag(shuffle, "shuffle")
        data.check_verbose(verbose)
        callbacks = callback_list(callbacks)
        if self._compiled is None or self._compiled["loss"] is None:
            self._ready()
        if is_stream(x):
            for value, argument in (
                (y, "y"), (sample_weight, "sample_weight"), (class_weight, "class_weight"),
                (validation_split or None, "validation_split"),
            ):
                if value is not None:
                    raise ValueError(f"{argument} must not be given where x yields batches, got {value!r}")
            source = Stream(x, steps_per_epoch, self._generator() if shuffle else None)
            rows = None
        else:
            _no_steps(steps_per_epoch, "steps_per_epoch")
            rows = self._rows(x, y, sample_weight, class_weight)
            if isinstance(rows, data.RowBlocks) and x.replicas is not None:
                raise ValueError(
                    "n_replicas must be None for Sequential, whose steps are made in sequence: leave "
                    f"strategy='local' out, or take MLPClassifier or MLPRegressor; got {x.replicas.n}")
        validation = None
        if validation_data is None:
            _no_steps(validation_steps, "validation_steps")
        if validation_data is not None:
            validation = self._validation_rows(validation_data, validation_steps)
        elif validation_split and isinstance(rows, data.RowBlocks):
            raise ValueError("validation_split must be 0 with a source of blocks: pass another as validation_data")
        elif validation_split:
            rows, validation = data.split(rows, validation_split)
        if rows is None and not self.built:
            self.build((None, *np.shape(source.first()[0])[1:]))
        self._ready()
        self._check_trainable()
        for callback in callbacks:
            if isinstance(callback, Callback):
                callback.model = self
            if isinstance(callback, BackupAndRestore) and resume_from is None and os.path.exists(callback.path):
                resume_from = callback.path
        with Restored(self):
            if rows is None:
                epochs_of = StreamEpochs(self, source, epochs - initial_epoch)
            else:
                kind = BlockEpochs if isinstance(rows, data.RowBlocks) else ArrayEpochs
                epochs_of = kind(self, rows, batch_size, bool(shuffle))
            self.history: Any = fit_epochs(
                self, epochs_of, validation, epochs=epochs, initial_epoch=initial_epoch, verbose=verbose,
                callbacks=callbacks, validation_freq=validation_freq, validation_batch_size=validation_batch_size,
                resume=None if resume_from is None else load_checkpoint(resume_from),
                history=History(self, {"epochs": epochs, "steps": epochs_of.steps, "verbose": verbose}),
            )
        return self.history

    def _validation_rows(self, given, steps):
        if isinstance(given, Blocks):
            _no_steps(steps, "validation_steps")
            return self._rows(given)
        if is_stream(given):
            given = joined(Stream(given, steps, argument="validation_steps").epoch())
        else:
            _no_steps(steps, "validation_steps")
            given = validation_parts(given)
        return self._rows(*given)

    def _rows(self, x, y=None, sample_weight=None, class_weight=None):
        """Checked rows for the compiled loss."""
        if self._compiled is None or self._compiled["loss"] is None:
            self._ready()
        if isinstance(x, Blocks):
            refuse_beside_source("fit and evaluate", y, sample_weight)
            if x.n_blocks > 1:
                # the first block builds the model; another thread, which may read ahead, leaves it alone
                first, block = first_block(x)
                self._rows(*block, class_weight)
                objective, shape, dtype = self._objective, self.input_shape, self._dtype()
                return data.RowBlocks(x, lambda x, y, weight: data.rows(
                    self._features(data.features(x, shape, dtype)), y, weight, class_weight, objective),
                    BlockKind(x, first, block))
            x, y, sample_weight = x.block(0)
        x = data.features(x, self.input_shape, self._dtype())
        if not self.built:
            self.build((None, *x.shape[1:]))
        objective = self._ready()
        return data.rows(self._features(x), y, sample_weight, class_weight, objective)

    def _check_trainable(self):
        if self._chain.untrainable is not None:
            raise ValueError(self._chain.untrainable)

    def train_on_batch(self, x: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None,
                       class_weight: dict[Any, float] | Literal["balanced"] | None = None,
                       return_dict: bool = False) -> Any:
        """One step on these rows as one batch.

        Parameters are those of :meth:`fit`.

        Returns
        -------
        float, list of float or dict
            The loss before the step and the metrics of the predictions that it was made from.
        """
        rows = self._rows(x, y, sample_weight, class_weight)
        self._check_trainable()
        with Restored(self):
            logs = step_once(self, rows)
        return data.returned(logs, self._objective.names, return_dict)

    # ---- evaluation and prediction ----

    def evaluate(self, x: Any = None, y: ArrayLike | None = None, batch_size: int | None = None,
                 verbose: Literal["auto", 0, 1, 2] = "auto", sample_weight: ArrayLike | None = None,
                 steps: int | None = None, callbacks: Any = None, return_dict: bool = False) -> Any:
        """The loss, regularization included, and the metrics.

        Parameters
        ----------
        x, y, sample_weight
            As for :meth:`fit`.
        batch_size : int, default=None
            32 when None; only of use to callbacks with hooks for batches, and to losses that are no means over rows.
        verbose : 'auto', 0, 1 or 2, default='auto'
            0 prints nothing, the others a line.
        steps : int, default=None
            Batches to take where x yields them.
        callbacks : callbacks of Keras's protocol, default=None
        return_dict : bool, default=False
            Whether to return a dict by name.

        Returns
        -------
        float, list of float or dict
            The loss alone when there are no metrics; else the loss and the metrics in the order of compile.
        """
        data.check_verbose(verbose)
        batch_size = 32 if batch_size is None else check_integer(batch_size, "batch_size", low=1)
        if is_stream(x):
            rows = self._rows(*joined(Stream(x, steps, argument="steps").epoch()))
        else:
            _no_steps(steps, "steps")
            rows = self._rows(x, y, sample_weight)
        bridges = self._bridges(callbacks, steps=-(-rows.n_rows // batch_size), verbose=verbose)
        for bridge in bridges:
            bridge.tell("on_test_begin", {})
        logs = self._objective.evaluate(self._engine(), rows, get_num_threads(), batch_size, bridges)
        for bridge in bridges:
            bridge.tell("on_test_end", dict(logs))
        if verbose:
            data.print_line(logs)
        return data.returned(logs, self._objective.names, return_dict)

    def _bridges(self, callbacks, **params):
        """Callbacks of an evaluation or a prediction, told the model; a list of one, or of none."""
        if not callbacks:
            return []
        bridge = KerasBridge([one for one in callback_list(callbacks) if speaks_keras(one)], self, params)
        for callback in bridge.callbacks:
            callback.set_model(self)
            callback.set_params(params)
        return [bridge]

    def test_on_batch(self, x: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None,
                      return_dict: bool = False) -> Any:
        """:meth:`evaluate` that prints nothing."""
        return self.evaluate(x, y, verbose=0, sample_weight=sample_weight, return_dict=return_dict)

    def predict(self, x: Any, batch_size: int | None = None, verbose: int | str = "auto", steps: int | None = None,
                callbacks: Any = None) -> Array:
        """Outputs of the last layer.

        Parameters
        ----------
        x : array-like of shape (n_samples, n_features), or what yields batches
        batch_size : int, default=None
            32 when None; only of use to callbacks with hooks for batches.
        verbose
            Not used; nothing is printed.
        steps : int, default=None
            Batches to take where x yields them.
        callbacks : callbacks of Keras's protocol, default=None

        Returns
        -------
        array of shape (n_samples, n_outputs), in the model's dtype
        """
        if is_stream(x):
            x = joined((batch[0], None, None) for batch in Stream(x, steps, argument="steps").epoch())[0]
        else:
            _no_steps(steps, "steps")
        return self._predict(x, batch_size, callbacks)

    @predicts
    def _predict(self, x, batch_size, callbacks):
        # of few rows the layers are asked for longer than it takes to predict
        x = data.features(x, self.input_shape, self._dtype() if self._network is None else self._network.dtype)
        if self._network is None and not self.built:
            self.build((None, *x.shape[1:]))
        network = self._engine()
        step = 32 if batch_size is None else check_integer(batch_size, "batch_size", low=1)
        bridges = self._bridges(callbacks, steps=-(-len(x) // step))
        for bridge in bridges:
            bridge.tell("on_predict_begin", {})
        raw = raw_predict(network, data.flat(self._features(x)), get_num_threads())
        found = data.activated(raw, self._chain.activation)
        for bridge in bridges:
            if bridge.wants("predict"):
                for number, start in enumerate(range(0, len(found), step)):
                    bridge.tell_batch("predict", "begin", number, {})
                    bridge.tell_batch("predict", "end", number, {"outputs": found[start:start + step]})
            bridge.tell("on_predict_end", {})
        return found

    def predict_on_batch(self, x: Any) -> Array:
        """:meth:`predict`."""
        return self.predict(x)

    def __call__(self, x: Any, training: bool = False) -> Any:
        """:meth:`predict`; ``training`` must be False."""
        if training:
            raise ValueError("training must be False: fit and train_on_batch train")
        return self.predict(x)

    # ---- files and configurations ----

    def save(self, filepath: PathLike, overwrite: bool = True) -> None:
        """Write the model: layers, weights, and if compiled, loss, metrics, optimizer and its memory.

        Parameters
        ----------
        filepath : path
            One that ends with ``.keras`` becomes a file of Keras 3, which needs h5py; any other a folder in the format
            of :mod:`fasttrain.persistence`. It appears, or changes, only when all of it is on the disk.
        overwrite : bool, default=True
            False refuses a path that exists.

        Raises
        ------
        ValueError
            When the model is not built, or something of another kind is in the way.
        TypeError
            When it was compiled with a function that is not one of fasttrain's.
        """
        _files.save_model(self, filepath, overwrite)

    def save_weights(self, filepath: PathLike, overwrite: bool = True) -> None:
        """Write the weights, and the optimizer's memory, to a file of Keras 3, which needs h5py.

        Parameters
        ----------
        filepath : path
            Ends with ``.weights.h5``; appears, or changes, only when all of it is on the disk.
        overwrite : bool, default=True
            False refuses a path that exists.
        """
        _files.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: PathLike) -> None:
        """Take the weights of another model of the same layers.

        Parameters
        ----------
        filepath : path
            A folder that :meth:`save` or a ModelCheckpoint wrote, or a ``.keras`` or ``.weights.h5`` file, Keras's own
            among them.

        Raises
        ------
        ValueError
            When a file is missing, cut short or changed, or belongs to other layers; nothing is changed.
        """
        if not self.built:
            self.build()
        _files.load_weights(self, filepath, Sequential)

    def get_config(self) -> dict[str, Any]:
        """The layers and the name, plain data; without weights."""
        given = [] if self._input is None else [self._input]
        return {
            "name": self.name,
            "layers": [
                {"class_name": type(layer).__name__, "config": layer.get_config(), "given_shape": layer.given_shape}
                for layer in [*given, *self._layers]
            ],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """A model of the same layers, with weights of its own; ``custom_objects`` must be None."""
        _files.no_custom_objects(custom_objects)
        model = cls(name=config.get("name"))
        for entry in config["layers"]:
            model.add(_files.layer_from(entry))
        return model

    def to_json(self, **kwargs: Any) -> str:
        """The configuration of the layers as Keras writes it, JSON; ``kwargs`` go to :func:`json.dumps`."""
        return _files.to_json(self, **kwargs)


def _no_steps(value, argument):
    if value is not None:
        raise ValueError(
            f"{argument} must be None with arrays, of which every row is taken; it is for what yields batches, got "
            f"{value!r}")


def _listed(value, argument):
    if value is None:
        return []
    if isinstance(value, dict):
        raise TypeError(f"{argument} must be a list, as there is one output, got a dict")
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _dense_network(model):
    chain, network = model._whole()
    layers = normalizations(network, network.parameters)
    epsilon = chain.normalizations[0].epsilon if chain.normalizations else 0.0
    folded = fold_normalization(*network.unpack_layers(network.parameters), layers, epsilon)
    coefs, intercepts = (list(part) for part in folded)
    coefs[0], intercepts[0] = folded_into(chain.inputs, coefs[0], intercepts[0])
    hidden = [(unit.activation.name, float(unit.activation.parameter)) for unit in chain.units[:-1]]
    return DenseNetwork(coefs, intercepts, hidden, chain.activation)


enter(Sequential, saved=False, network=_dense_network)
