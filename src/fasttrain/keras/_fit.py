"""The training of a Sequential: what it minimizes, an epoch's numbers, one step by itself."""

import time

import numpy as np

from fasttrain._kernels.losses import loss_and_gradient
from fasttrain._kernels.threads import get_num_threads, thread_budget
from fasttrain.callbacks import Callback, LearningRateScheduler, ReduceLROnPlateau
from fasttrain.keras import _data as data, metrics as metric_functions
from fasttrain.keras._chain import penalty_of
from fasttrain.keras.activations import linear
from fasttrain.schedules import Constant, Schedule
from fasttrain.training import DivergenceError, Plan, train
from fasttrain.training.engine import raw_predict
from fasttrain.training.feed import Feed
from fasttrain.training.sums import SumTree


class Objective:
    """A compiled loss with its metrics, for the layers of one model.

    Parameters
    ----------
    chain : fasttrain.keras._chain.Chain
    loss : fasttrain.keras.losses.Loss
    metrics, weighted_metrics : list
        What :func:`fasttrain.keras.metrics.get` takes.
    """

    def __init__(self, chain, loss, metrics, weighted_metrics):
        self.chain = chain
        self.loss = loss
        self.k = chain.n_outputs
        self.kernel, self.activation = loss.engine(chain.activation)
        self.scale = 1.0 / self.k if loss.mean_over_outputs else 1.0
        self.metrics = []
        seen = {}
        for weighted, given in ((False, metrics), (True, weighted_metrics)):
            for one in given:
                metric = metric_functions.get(one, loss.one_code, self.k)
                name = metric.name
                if weighted and name in seen:
                    name = f"weighted_{name}"
                # as Keras: mae, mae_1, mae_2
                seen[name] = seen.get(name, -1) + 1
                self.metrics.append((f"{name}_{seen[name]}" if seen[name] else name, metric, weighted))
        self.names = ["loss", *(name for name, _, _ in self.metrics)]

    def set_on(self, network):
        """Tell the engine what to minimize."""
        network.set_loss(self.kernel, self.loss.parameter)
        network.set_reduction(self.scale, over_rows=True)
        activation = self.activation or linear
        network.set_output_activation(activation.name, float(activation.parameter))

    def reset(self):
        """Forget the rows that metrics have seen."""
        for _, metric, _ in self.metrics:
            metric.reset_state()

    def update(self, y, raw, weight):
        """Bring the metrics up to date with raw outputs of more rows."""
        if self.metrics:
            predictions = data.activated(raw, self.chain.activation)
            for _, metric, weighted in self.metrics:
                metric.update_state(y, predictions, weight if weighted else None)

    def results(self):
        """The metrics of all rows since :meth:`reset`, by name."""
        return {name: float(metric.result()) for name, metric, _ in self.metrics}

    def values(self, y, raw, weight):
        """The metrics of raw outputs, by name."""
        self.reset()
        self.update(y, raw, weight)
        return self.results()

    def evaluate(self, network, rows, threads):
        """Loss, regularization included, and metrics of rows or of blocks of them, by name."""
        self.reset()
        sums, n_rows = SumTree(), 0
        for part in rows.parts():
            total, raw = self._loss_sum(network, part, threads)
            sums.add(np.float64(total))
            n_rows += len(part.x)
            self.update(part.y, raw, part.weight)
        return {"loss": float(sums.total()) * self.scale / n_rows + penalty_of(self.chain), **self.results()}

    def _loss_sum(self, network, rows, threads):
        """(weighted sum of the losses of rows, their raw outputs)."""
        raw = raw_predict(network, rows.x, threads)
        z = raw if self.activation is None else self.activation(raw)
        target, weight = rows.target, rows.weight
        if self.kernel == "softmax_crossentropy" and target.shape[1] > 1:
            return _crossentropy_of_shares(target, z, weight) / self.scale, raw
        if self.loss.mean_over_outputs and self.k > 1 and weight is not None:
            weight = np.repeat(weight, self.k)
            target, z = target.reshape(-1, 1), z.reshape(-1, 1)
        return loss_and_gradient(self.kernel, target, z, weight, self.loss.parameter, None, True, threads), raw


def _crossentropy_of_shares(target, z, weight):
    """Weighted sum of the cross-entropies of rows of shares."""
    top = z.max(axis=1)
    spread = np.log(np.exp(z - top[:, None]).sum(axis=1, dtype=np.float64))
    values = target.sum(axis=1, dtype=np.float64) * (top + spread) - np.einsum("ij,ij->i", target, z, dtype=np.float64)
    return float(values.sum() if weight is None else values @ weight)


class _StepRates(Schedule):
    """The rates of a Keras optimizer whose learning rate is a function of the step."""

    def __init__(self, optimizer):
        self.optimizer = optimizer

    def rates(self, base, first_step, count, steps_per_epoch, total_steps):
        return self.optimizer.rates(first_step, count)


class _Keeper(Callback):
    """Stands after the caller's callbacks: keeps the model, its optimizer and the training in step, and prints.

    The rate is the optimizer's and the training's at once: whichever a callback has changed goes to the other.
    """

    def __init__(self, model, offset, epochs, steps, verbose):
        self.model = model
        self.offset = offset
        self.epochs = epochs
        self.steps = steps
        self.verbose = verbose

    def _one_rate(self):
        optimizer = self.model.optimizer
        if optimizer.schedule is not None:
            return
        if optimizer._learning_rate != self.known:
            self.training.learning_rate = optimizer._learning_rate
        self.known = optimizer._learning_rate = self.training.learning_rate

    def on_train_begin(self, n_epochs):
        self.known = self.model.optimizer._learning_rate
        self._one_rate()

    def on_epoch_begin(self, epoch):
        self._one_rate()
        # weights that a callback has set on the model
        held = self.model._held_versions
        if self.model._engine() is not self.training.network or self.model._held_versions is not held:
            raise ValueError(
                "callbacks must not add, freeze or free layers, nor change the weights of those that are not trained")
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs):
        self._one_rate()
        if self.verbose:
            seconds = time.perf_counter() - self.started
            shown = {name: value for name, value in logs.items() if name != "learning_rate"}
            print(f"Epoch {epoch + self.offset}/{self.epochs}")
            print(f"{self.steps}/{self.steps} - {seconds:.0f}s - {1e3 * seconds / self.steps:.2g}ms/step - "
                  f"{data.line(dict(sorted(shown.items())))}")
        return self.model.stop_training


class _Shifted(Callback):
    """A caller's callback in a training that does not begin with the first epoch."""

    def __init__(self, inner, offset):
        self.inner = inner
        self.offset = offset

    @property
    def training(self):
        return self.inner.training

    @training.setter
    def training(self, run):
        self.inner.training = run

    def on_train_begin(self, n_epochs):
        self.inner.on_train_begin(n_epochs)

    def on_epoch_begin(self, epoch):
        self.inner.on_epoch_begin(epoch + self.offset)

    def on_rows(self, n_done, n_rows):
        self.inner.on_rows(n_done, n_rows)

    def on_epoch_end(self, epoch, logs):
        return self.inner.on_epoch_end(epoch + self.offset, logs)

    def on_divergence(self, epoch):
        return self.inner.on_divergence(epoch + self.offset)

    def on_train_end(self, history):
        self.inner.on_train_end(history)

    def state_dict(self):
        return self.inner.state_dict()

    def load_state_dict(self, state):
        self.inner.load_state_dict(state)


class SequentialFeed(Feed):
    """Blocks of a source for a Sequential: metrics are brought up to date from part to part of an epoch.

    Parameters
    ----------
    blocks : fasttrain.keras._data.RowBlocks
    objective : Objective
    batch_size, shuffle, random_state
        As for :class:`fasttrain.training.feed.Feed`.
    """

    def __init__(self, blocks, objective, batch_size, shuffle, random_state):
        super().__init__(blocks, batch_size, shuffle, random_state)
        self.objective = objective
        self._kept = None

    def bind(self, network, rows):
        super().bind(network, rows)
        if self.objective.metrics:
            self._kept = np.empty((rows.n_rows, self.objective.k), dtype=network.dtype)
            network.keep_outputs(self._kept)

    def run_epoch(self, network, rates, threads, tell=None):
        self.objective.reset()
        return super().run_epoch(network, rates, threads, tell)

    def taken(self, rows):
        if self.objective.metrics:
            _, _, weight, y = rows.arrays
            if rows.order is not None:
                y, weight = y[rows.order], None if weight is None else weight[rows.order]
            self.objective.update(y, self._kept, weight)


def fit_epochs(model, rows, validation, *, batch_size, epochs, initial_epoch, verbose, callbacks, shuffle,
               validation_freq, resume, history):
    """Run the epochs from ``initial_epoch`` on and fill ``history``; the arguments are Sequential.fit's, checked."""
    n, n_epochs = rows.n_rows, epochs - initial_epoch
    model.stop_training = False
    if n_epochs <= 0:
        return history
    objective, network, optimizer = model._objective, model._engine(), model.optimizer
    batch_size = min(batch_size, n)
    rng = model._generator() if shuffle else None
    kept = feed = None
    if isinstance(rows, data.RowBlocks):
        # a source draws as scikit-learn's estimators do
        drawn = None if rng is None else np.random.RandomState(int(rng.integers(2**31)))
        feed = SequentialFeed(rows, objective, batch_size, shuffle, drawn)
    else:
        network.bind(rows.x, rows.target, rows.weight)
    if feed is None and objective.metrics:
        kept = np.empty((n, objective.k), dtype=network.dtype)
        network.keep_outputs(kept)
    order = None

    def draw_order():
        nonlocal order
        if shuffle and n > batch_size:
            order = np.ascontiguousarray(rng.permutation(n), dtype=np.intp)
        return order

    def numbers():
        """After an epoch: metrics of the predictions that its steps were made from, then the validation's."""
        model.touch()
        found = {} if feed is None else objective.results()
        if kept is not None:
            y, weight = rows.y, rows.weight
            if order is not None:
                y, weight = y[order], None if weight is None else weight[order]
            found = objective.values(y, kept, weight)
        if validation is not None and keeper.training.epoch % validation_freq == 0:
            values = objective.evaluate(network, validation, get_num_threads())
            found.update({f"val_{name}": value for name, value in values.items()})
        return found

    given = [_Shifted(callback, initial_epoch) for callback in callbacks] if initial_epoch else list(callbacks)
    keeper = _Keeper(model, initial_epoch, epochs, history.params["steps"], verbose)
    result = train(network, Plan(
        n_epochs=n_epochs, batch_size=batch_size, n_samples=n, feed=feed,
        draw_order=None if feed is not None else draw_order,
        learning_rate=optimizer._learning_rate,
        schedule=Constant() if optimizer.schedule is None else _StepRates(optimizer),
        first_step=0 if resume is not None else int(network.counters["t"]), callbacks=[*given, keeper],
        random_state=rng if feed is None else feed.random_state, resume=resume,
    ), metrics=numbers)
    numbers_of = result.history
    rates = numbers_of.pop("learning_rate")
    history.history = {name: numbers_of[name] for name in sorted(numbers_of, key=lambda n: (n.startswith("val_"), n))}
    if any(isinstance(callback, (LearningRateScheduler, ReduceLROnPlateau)) for callback in callbacks):
        history.history["learning_rate"] = rates
    history.epoch = list(range(initial_epoch, initial_epoch + len(history.history.get("loss", ()))))
    return history


def step_once(model, rows):
    """One step on all rows as one batch; the loss and the metrics from before it, by name."""
    objective, network = model._objective, model._engine()
    network.bind(rows.x, rows.target, rows.weight)
    kept = None
    if objective.metrics:
        kept = np.empty((len(rows.x), objective.k), dtype=network.dtype)
        network.keep_outputs(kept)
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
