"""Keras's Sequential on fasttrain's dense engine.

Examples
--------
>>> import numpy as np
>>> from fasttrain.keras.layers import Dense, Input
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

from fasttrain._core.checks import check_flag, check_integer, check_real, validation_parts
from fasttrain._estimators.networks import DenseNetwork, fold_normalization, normalizations
from fasttrain._estimators.registry import enter
from fasttrain._kernels.threads import get_num_threads
from fasttrain.callbacks import as_callbacks
from fasttrain.data import Blocks
from fasttrain.data._use import predicts, refuse_beside_source
from fasttrain.keras import _data as data, _files, losses, metrics as metric_functions, optimizers
from fasttrain.keras._chain import chain_of, pull
from fasttrain.keras._fit import Objective, fit_epochs, step_once
from fasttrain.keras._layered import LayeredModel
from fasttrain.training.checkpoints import load_checkpoint
from fasttrain.training.engine import raw_predict, restore, snapshot

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


class Sequential(LayeredModel):
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
        if self._objective is None or self._objective.chain is not self._chain:
            self._objective = Objective(self._chain, **self._compiled)
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
        x : array-like of shape (n_samples, n_features), or a source of blocks
            Finite; an array of the model's dtype in C order is not copied. A source of :mod:`fasttrain.data` has y and
            the weights, which then are left out.
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
        validation_data : (x, y), (x, y, sample_weight) or a source of blocks, default=None
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
                raise ValueError(
                    f"{argument} must be None, as an epoch takes every row of the arrays and generators are not taken, "
                    f"got {value!r}"
                )
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
        self._check_trainable()
        validation = None
        if isinstance(validation_data, Blocks):
            validation = self._rows(validation_data)
        elif validation_data is not None:
            validation = self._rows(*validation_parts(validation_data))
        elif validation_split and isinstance(rows, data.RowBlocks):
            raise ValueError("validation_split must be 0 with a source of blocks: pass another as validation_data")
        elif validation_split:
            rows, validation = data.split(rows, validation_split)
        for callback in callbacks:
            callback.model = self
        with _Restored(self):
            self.history = fit_epochs(
                self, rows, validation, batch_size=batch_size, epochs=epochs, initial_epoch=initial_epoch,
                verbose=verbose, callbacks=callbacks, shuffle=bool(shuffle), validation_freq=validation_freq,
                resume=None if resume_from is None else load_checkpoint(resume_from),
                history=History(self, {"epochs": epochs, "steps": -(-rows.n_rows // batch_size), "verbose": verbose}),
            )
        return self.history

    def _rows(self, x, y=None, sample_weight=None, class_weight=None):
        """Checked rows for the compiled loss."""
        if self._compiled is None:
            self._ready()
        if isinstance(x, Blocks):
            refuse_beside_source("fit and evaluate", y, sample_weight)
            if x.n_blocks > 1:
                # the first block builds the model; another thread, which may read ahead, leaves it alone
                self._rows(*x.block(0), class_weight)
                objective, shape, dtype = self._objective, self.input_shape, self._dtype()
                return data.RowBlocks(x, lambda x, y, weight: data.rows(
                    self._features(data.features(x, shape, dtype)), y, weight, class_weight, objective))
            x, y, sample_weight = x.block(0)
        x = data.features(x, self.input_shape, self._dtype())
        if not self.built:
            self.build((None, *x.shape[1:]))
        objective = self._ready()
        return data.rows(self._features(x), y, sample_weight, class_weight, objective)

    def _check_trainable(self):
        if self._chain.untrainable is not None:
            raise ValueError(self._chain.untrainable)

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One step on these rows as one batch.

        Parameters are those of :meth:`fit`.

        Returns
        -------
        float, list of float or dict
            The loss before the step and the metrics of the predictions that it was made from.
        """
        rows = self._rows(x, y, sample_weight, class_weight)
        self._check_trainable()
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
        return self._predict(x)

    @predicts
    def _predict(self, x):
        x = data.features(x, self.input_shape, self._dtype())
        if self._network is None and not self.built:
            self.build((None, *x.shape[1:]))
        network = self._engine()
        raw = raw_predict(network, data.flat(self._features(x)), get_num_threads())
        return data.activated(raw, self._chain.activation)

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
        _files.save_model(self, filepath, overwrite)

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
        if not self.built:
            self.build()
        _files.load_weights(self, filepath, Sequential)


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
    if custom_objects is not None:
        raise ValueError(f"custom_objects must be None, got {custom_objects!r}")
    return _files.load_model(filepath, compile, Sequential)


class _Restored:
    """Puts weights and optimizer back when the block fails; Ctrl-C is no failure."""

    def __init__(self, model):
        self.model = model

    def __enter__(self):
        network = self.network = self.model._engine()
        self.chain = self.model._chain
        self.taken = snapshot(network)
        self.state = {slot: array.copy() for slot, array in network.state.items()}
        self.counters = dict(network.counters)
        self.rate = self.model.optimizer._learning_rate

    def __exit__(self, kind, error, traceback):
        network = self.network
        network.release()
        failed = kind is not None and issubclass(kind, Exception)
        if failed:
            restore(network, self.taken)
        if self.model._network is not network:
            # a callback has changed the layers, which have another engine now, or none
            for layer, values in (pull(self.chain, network) if failed else {}).items():
                for name, array in values.items():
                    layer.set_value(name, array)
            return
        if failed:
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


def _dense_network(model):
    chain, network = model._whole()
    layers = normalizations(network, network.parameters)
    epsilon = chain.normalizations[0].epsilon if chain.normalizations else 0.0
    folded = fold_normalization(*network.unpack_layers(network.parameters), layers, epsilon)
    hidden = [(unit.activation.name, float(unit.activation.parameter)) for unit in chain.units[:-1]]
    return DenseNetwork(*folded, hidden, chain.activation)


enter(Sequential, saved=False, network=_dense_network)
