"""What a Sequential minimizes and reports: a loss with its metrics, for the layers of one model."""

import numpy as np

from fasttrain._kernels.losses import loss_and_gradient
from fasttrain.keras import _data as data, metrics as metric_functions, ops
from fasttrain.keras._chain import penalty_of
from fasttrain.keras.activations import linear
from fasttrain.keras.losses._base import reduced
from fasttrain.keras.metrics._base import number
from fasttrain.training.engine import raw_predict

# Of the engine's sums over a batch, by Keras's reductions.
_OVER = {"sum_over_batch_size": "rows", "mean": "rows", "mean_with_sample_weight": "weights", "sum": "nothing"}


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
        self._rows = self._order = None
        self.answering = False
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

    # ---- the engine ----

    def set_on(self, network):
        """Tell the engine what to minimize."""
        if self.kernel is None:
            network.set_caller_loss(self.answer)
            network.set_reduction(1.0, "nothing")
            network.set_output_activation(linear.name)
            return
        network.set_caller_loss(None)
        network.set_loss(self.kernel, self.loss.parameter)
        network.set_reduction(self.scale, _OVER[self.loss.reduction])
        activation = self.activation or linear
        network.set_output_activation(activation.name, float(activation.parameter))

    def engine_target(self, rows):
        """What the engine reads as targets; it does not where it asks for the loss."""
        return rows.target if self.kernel is not None else np.zeros((len(rows.x), self.k), dtype=rows.x.dtype)

    def answer_for(self, rows, order):
        """Note the rows of the epoch to come, which :meth:`answer` is asked for."""
        self._rows, self._order = rows, order

    def answer(self, start, raw):
        """The loss of a batch that the engine does not have, and its gradient by the raw outputs."""
        part = slice(start, start + len(raw))
        part = part if self._order is None else self._order[part]
        target, weight = self._rows.target[part], self._rows.weight
        weight = None if weight is None else weight[part]

        def objective(y_true, y_pred):
            return reduced(self.loss.call(y_true, y_pred), weight, self.loss.reduction)

        objective.__name__ = self.loss.name
        activation = self.chain.activation
        predictions = data.activated(raw.copy(), activation)
        self.answering = True
        try:
            value, gradient = ops.value_and_gradient(objective, target, predictions)
        finally:
            self.answering = False
        if activation.name == "softmax":
            gradient = predictions * (gradient - (gradient * predictions).sum(axis=1, keepdims=True))
        elif activation.name != "identity":
            gradient = gradient * activation.derivative(raw)
        return float(value), gradient

    # ---- numbers ----

    def reset(self):
        """Metrics of no rows."""
        for _, metric, _ in self.metrics:
            metric.reset_state()

    def update(self, y, raw, weight):
        """Metrics of these rows too."""
        predictions = data.activated(np.array(raw), self.chain.activation)
        for _, metric, weighted in self.metrics:
            metric.update_state(y, predictions, weight if weighted else None)

    def results(self):
        """The metrics, by name."""
        return {name: number(metric.result()) for name, metric, _ in self.metrics}

    def values(self, y, raw, weight):
        """The metrics of raw outputs, by name."""
        if not self.metrics:
            return {}
        self.reset()
        self.update(y, raw, weight)
        return self.results()

    def mean_loss(self, rows, raw, batch_size, threads):
        """The loss of rows, without regularization; the mean over batches where it is no mean over rows."""
        if self.kernel is None or _OVER[self.loss.reduction] != "rows":
            predictions = data.activated(raw.copy(), self.chain.activation)
            # what the engine reads may be encoded for it
            target = rows.target if self.kernel is None else rows.y
            total = 0.0
            for start in range(0, len(raw), batch_size):
                part = slice(start, start + batch_size)
                weight = None if rows.weight is None else rows.weight[part]
                total += self.loss(target[part], predictions[part], weight) * len(raw[part])
            return total / len(raw)
        z = raw if self.activation is None else self.activation(raw)
        target, weight = rows.target, rows.weight
        if self.kernel == "softmax_crossentropy" and target.shape[1] > 1:
            return _crossentropy_of_shares(target, z, weight) / len(rows.x)
        if self.loss.mean_over_outputs and self.k > 1 and weight is not None:
            weight = np.repeat(weight, self.k)
            target, z = target.reshape(-1, 1), z.reshape(-1, 1)
        total = loss_and_gradient(self.kernel, target, z, weight, self.loss.parameter, None, True, threads)
        return total * self.scale / len(rows.x)

    def evaluate(self, network, rows, threads, batch_size=32, bridges=()):
        """Loss, regularization included, and metrics of rows or of blocks of them, by name.

        ``bridges`` are told of the batches.
        """
        told = [bridge for bridge in bridges if bridge.wants("test")]
        total, done, batch = 0.0, 0, 0
        penalty = penalty_of(self.chain)
        logs = {}
        self.reset()
        for whole in rows.parts():
            step = batch_size if told else max(len(whole.x), 1)
            for start in range(0, len(whole.x), step):
                for bridge in told:
                    bridge.tell_batch("test", "begin", batch, {})
                part = whole.part(start, start + step) if told else whole
                raw = raw_predict(network, part.x, threads)
                total += self.mean_loss(part, raw, batch_size, threads) * len(part.x)
                done += len(part.x)
                if self.metrics:
                    self.update(part.y, raw, part.weight)
                logs = {"loss": total / done + penalty, **self.results()}
                for bridge in told:
                    bridge.tell_batch("test", "end", batch, dict(logs))
                batch += 1
        return logs


def _crossentropy_of_shares(target, z, weight):
    """Weighted sum of the cross-entropies of rows of shares."""
    top = z.max(axis=1)
    spread = np.log(np.exp(z - top[:, None]).sum(axis=1, dtype=np.float64))
    values = target.sum(axis=1, dtype=np.float64) * (top + spread) - np.einsum("ij,ij->i", target, z, dtype=np.float64)
    return float(values.sum() if weight is None else values @ weight)
