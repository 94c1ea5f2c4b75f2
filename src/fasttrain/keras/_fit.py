"""The training of a Sequential: an epoch's numbers, callbacks of both protocols, one step by itself."""

import time

import numpy as np

from fasttrain._core.warned import warn
from fasttrain._kernels.threads import get_num_threads, thread_budget
from fasttrain.callbacks import Callback, as_callbacks
from fasttrain.callbacks._keras import KerasBridge, speaks_keras
from fasttrain.keras import _data as data
from fasttrain.keras._chain import pull
from fasttrain.keras._streams import pieces
from fasttrain.keras.callbacks._counted import changes_rates
from fasttrain.schedules import Constant, Schedule
from fasttrain.training import DivergenceError, Plan, train
from fasttrain.training.engine import restore, snapshot
from fasttrain.training.feed import Feed


class _StepRates(Schedule):
    """The rates of a Keras optimizer whose learning rate is a function of the step."""

    def __init__(self, optimizer):
        self.optimizer = optimizer

    def rates(self, base, first_step, count, steps_per_epoch, total_steps):
        return self.optimizer.rates(first_step, count)


class _First(Callback):
    """Stands before the caller's callbacks: tells layers and optimizer that the engine has gone on."""

    def __init__(self, model, batches):
        self.model = model
        self.batches = batches

    @property
    def wants_batches(self):
        return self.batches

    def on_batch_end(self, batch, logs):
        self.model.touch()
        self.model.optimizer._batches = int(self.training.network.counters["t"])

    def on_train_end(self, history):
        network = self.training.network
        if self.model.optimizer.use_ema and network.average is not None and not self.training.failed:
            network.parameters[:] = network.average
            self.model.touch()


class _Last(Callback):
    """Stands after the caller's callbacks: keeps the model, its optimizer and the training in step, and prints.

    The rate is the optimizer's and the training's at once: whichever a callback has changed goes to the other.
    """

    def __init__(self, model, epochs, steps, verbose, batches):
        self.model = model
        self.epochs = epochs
        self.steps = steps
        self.verbose = verbose
        self.batches = batches

    @property
    def wants_batches(self):
        return self.batches

    def _one_rate(self):
        optimizer = self.model.optimizer
        if optimizer.schedule is not None:
            return
        if optimizer._learning_rate != self.known:
            self.training.learning_rate = optimizer._learning_rate
        self.known = optimizer._learning_rate = self.training.learning_rate

    def _one_model(self):
        """Weights that a callback has set on the model go into the engine; whether there were any."""
        held, pushed = self.model._held_versions, dict(self.model._pushed)
        if self.model._engine() is not self.training.network or self.model._held_versions is not held:
            raise ValueError(
                "callbacks must not add, freeze or free layers, nor change the weights of those that are not trained")
        return pushed != self.model._pushed

    def on_train_begin(self, n_epochs):
        self.known = self.model.optimizer._learning_rate
        self._one_rate()

    def on_epoch_begin(self, epoch):
        self._one_rate()
        self._one_model()
        self.started = time.perf_counter()

    def on_batch_begin(self, batch):
        self._one_rate()
        if self._one_model():
            self.training.network.refresh()

    def on_batch_end(self, batch, logs):
        self._one_rate()

    def on_epoch_end(self, epoch, logs):
        self._one_rate()
        if self.verbose:
            seconds = time.perf_counter() - self.started
            shown = {name: value for name, value in logs.items() if name != "learning_rate"}
            steps = self.steps or 1
            print(f"Epoch {epoch}/{self.epochs}")
            print(f"{steps}/{steps} - {seconds:.0f}s - {1e3 * seconds / steps:.2g}ms/step - "
                  f"{data.line(dict(sorted(shown.items())))}")
        return self.model.stop_training


class ArrayEpochs:
    """Rows that are there as arrays."""

    def __init__(self, model, rows, batch_size, shuffle):
        self.model = model
        self.rows = rows
        self.n = len(rows.x)
        self.batch_size = self.size = min(batch_size, self.n)
        self.steps = -(-self.n // self.batch_size)
        self.rng = model._generator() if shuffle else None
        self.order = None
        self.kept = bound(model, rows)

    def draw_order(self):
        if self.rng is not None and self.n > self.batch_size:
            self.order = np.ascontiguousarray(self.rng.permutation(self.n), dtype=np.intp)
        self.model._objective.answer_for(self.rows, self.order)
        return self.order

    feed = None

    def part(self, first, last):
        """Of the rows in the epoch's order: targets, raw outputs and weights."""
        rows = slice(first, last) if self.order is None else self.order[first:last]
        weight = self.rows.weight
        return self.rows.y[rows], self.kept[first:last], None if weight is None else weight[rows]

    def numbers(self, network):
        """The metrics of the predictions that the epoch's steps were made from."""
        if self.kept is None:
            return {}
        objective = self.model._objective
        objective.reset()
        objective.update(*self.part(0, min(self.n, network.batches_done * self.batch_size)))
        return objective.results()


class StreamEpochs:
    """Rows that come batch by batch, put together to pieces."""

    draw_order = rng = None

    def __init__(self, model, stream, epochs):
        self.model = model
        self.stream = stream
        self.epochs_left = epochs
        self.batch_size = 1
        self.steps = self.n = stream.steps or 1
        # whether a callback has had the metrics of the batches one by one
        self.counted = self.pending = False

    @property
    def feed(self):
        """What the plan takes the rows from."""
        return self

    def facts(self):
        """What a training that goes on must have the same of."""
        return {}

    def run_epoch(self, epoch):
        """As :meth:`fasttrain.training.feed.Feed.run_epoch`; how many steps there are shows in the end."""
        network, objective = self.model._network, self.model._objective
        objective.reset()
        found = 0
        for x, y, weights, size in pieces(self.stream.epoch()):
            self.rows, self.size = self.model._rows(x, y, weights), size
            self.kept = bound(self.model, self.rows)
            objective.answer_for(self.rows, None)
            steps = -(-len(self.rows.x) // size)
            found += steps
            self.pending = True
            if not epoch.add(None, size, steps):
                return 0.0
            self._count(network)
        if not found:
            raise ValueError("x must yield a batch at least in every epoch, got none: a generator that has ended?")
        self.steps = found
        self.epochs_left -= 1
        if self.stream.ran_out or (self.epochs_left and not self.stream.goes_on()):
            warn("x ran out of batches: training ends with this epoch. A generator must yield at least steps_per_epoch "
                 "* epochs batches; what begins anew with each iter(), such as a PyDataset, has no end")
            self.model.stop_training = True
        return 0.0

    def part(self, first, last):
        rows, weight = slice(first, last), self.rows.weight
        return self.rows.y[rows], self.kept[rows], None if weight is None else weight[rows]

    def _count(self, network):
        """The metrics of the piece that has been run."""
        if self.pending and self.kept is not None and not self.counted:
            self.model._objective.update(*self.part(0, min(len(self.rows.x), network.batches_done * self.size)))
        self.pending = False

    def numbers(self, network):
        self._count(network)
        return self.model._objective.results()


class BlockEpochs(Feed):
    """Rows of a source of blocks."""

    draw_order = None
    # as of arrays
    all_zero = True

    def __init__(self, model, blocks, batch_size, shuffle):
        rng = model._generator() if shuffle else None
        # a source draws as scikit-learn's estimators do
        self.rng = None if rng is None else np.random.RandomState(int(rng.integers(2**31)))
        super().__init__(blocks, min(batch_size, blocks.n_rows), shuffle, self.rng)
        self.model = model
        self.n = blocks.n_rows
        self.steps = -(-self.n // self.batch_size)
        # whether a callback has had the metrics of the batches one by one
        self.counted = False

    @property
    def feed(self):
        """What the plan takes the rows from."""
        return self

    def run_epoch(self, epoch):
        self.model._objective.reset()
        return super().run_epoch(epoch)

    def bind(self, network, rows):
        x, target, weight, y = rows.arrays
        self.rows, self.order = data.Rows(x, y, target, weight), rows.order
        self.size = min(self.batch_size, rows.n_rows)
        self.kept = bound(self.model, self.rows)
        self.model._objective.answer_for(self.rows, self.order)

    def taken(self, n_rows):
        if self.kept is not None and not self.counted:
            self.model._objective.update(*self.part(0, n_rows))

    def part(self, first, last):
        rows = slice(first, last) if self.order is None else self.order[first:last]
        weight = self.rows.weight
        return self.rows.y[rows], self.kept[first:last], None if weight is None else weight[rows]

    def numbers(self, network):
        return self.model._objective.results()


def bound(model, rows):
    """Give the engine rows; the array that receives its raw outputs, None when no metric needs them."""
    objective, network = model._objective, model._network
    network.bind(rows.x, objective.engine_target(rows), rows.weight)
    if not objective.metrics:
        return None
    kept = np.empty((len(rows.x), objective.k), dtype=network.dtype)
    network.keep_outputs(kept)
    return kept


class _BatchLogs:
    """The loss and the metrics of an epoch so far, once a batch for all callbacks."""

    def __init__(self, model, source):
        self.model = model
        self.source = source
        self.known = None
        self.logs = {}

    def __call__(self, batch, logs):
        if self.known != (batch, logs["loss"]):
            self.known = batch, logs["loss"]
            self.logs = {"loss": logs["loss"], **self._metrics(batch)}
        return dict(self.logs)

    def _metrics(self, batch):
        objective, network = self.model._objective, self.model._network
        if not objective.metrics:
            return {}
        if batch == 1:
            objective.reset()
        size, done = self.source.size, network.batches_done
        self.source.counted = True
        objective.update(*self.source.part((done - 1) * size, min(done * size, len(self.source.rows.x))))
        return objective.results()


def fit_epochs(model, source, validation, *, epochs, initial_epoch, verbose, callbacks, validation_freq,
               validation_batch_size, resume, history):
    """Run the epochs from ``initial_epoch`` on and fill ``history``; the arguments are Sequential.fit's, checked."""
    n_epochs = epochs - initial_epoch
    model.stop_training = False
    if n_epochs <= 0:
        return history
    objective, network, optimizer = model._objective, model._engine(), model.optimizer
    reports_rate = changes_rates(callbacks)
    batch_logs = _BatchLogs(model, source)

    def keras_logs(logs):
        names = sorted(logs, key=lambda name: (name.startswith("val_"), name))
        return {name: logs[name] for name in names if reports_rate or name != "learning_rate"}

    given, bridges = [], []
    for callback in callbacks:
        if not isinstance(callback, Callback):
            callback = KerasBridge([callback], model, history.params, keras_logs, batch_logs)
            bridges.append(callback)
        given.append(callback)
    batches = any(callback.wants_batches for callback in given)
    last = _Last(model, epochs, source.steps, verbose, batches)

    def numbers():
        """After an epoch: metrics of the predictions that its steps were made from, then the validation's."""
        model.touch()
        optimizer._batches = int(network.counters["t"])
        last.steps = source.steps
        found = source.numbers(network)
        if validation is not None and last.training.epoch % validation_freq == 0:
            for bridge in bridges:
                bridge.tell("on_test_begin", {})
            values = objective.evaluate(
                network, validation, get_num_threads(), validation_batch_size, bridges=bridges)
            for bridge in bridges:
                bridge.tell("on_test_end", values)
            found.update({f"val_{name}": value for name, value in values.items()})
        return found

    result = train(network, Plan(
        n_epochs=n_epochs, epochs_before=initial_epoch, batch_size=source.batch_size, n_samples=source.n,
        draw_order=source.draw_order, feed=source.feed, learning_rate=optimizer._learning_rate,
        schedule=Constant() if optimizer.schedule is None else _StepRates(optimizer),
        first_step=0 if resume is not None else int(network.counters["t"]),
        callbacks=[_First(model, batches), *given, last], random_state=source.rng, resume=resume,
    ), metrics=numbers)
    history.history = keras_logs(result.history)
    history.epoch = list(range(initial_epoch, initial_epoch + len(history.history.get("loss", ()))))
    return history


def step_once(model, rows):
    """One step on all rows as one batch; the loss and the metrics from before it, by name."""
    objective, network = model._objective, model._engine()
    kept = bound(model, rows)
    objective.answer_for(rows, None)
    rates = model.optimizer.rates(int(network.counters["t"]), 1)
    with thread_budget(None) as threads:
        network.start_epoch(None, len(rows.x), rates, threads)
        while not network.run(1.0):
            pass
    if network.diverged or not network.all_finite():
        raise DivergenceError(
            f"the step diverged: the loss or a weight is no longer finite. Scale the features (StandardScaler), or "
            f"lower the learning rate (now {rates[0]:g})."
        )
    return {"loss": network.epoch_loss, **objective.values(rows.y, kept, rows.weight)}


def callback_list(callbacks):
    """Callbacks of either protocol as a list; functions become callbacks of ours."""
    if callbacks is None:
        return []
    several = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
    found = [one for given in several for one in ([given] if speaks_keras(given) else as_callbacks(given))]
    for callback in found:
        for hook in ("on_train_batch_begin", "on_train_batch_end"):
            if isinstance(callback, Callback) and hasattr(callback, hook):
                raise ValueError(
                    f"{hook} is a hook of Keras's protocol, which {type(callback).__name__} does not speak: derive it "
                    "from fasttrain.keras.callbacks.Callback, or call it "
                    f"{hook.replace('train_', '')} (batches count from 1 there)")
    return found


class Restored:
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
        self.model.optimizer._batches = int(network.counters["t"])
