"""An epoch while it runs, in one part or in several."""

from __future__ import annotations

from fasttrain.callbacks import StopTraining
from fasttrain.training.engine import SLICE_SECONDS


class Epoch:
    """What the fit loop, or a plan's ``feed``, runs an epoch's steps with.

    Parameters
    ----------
    run : fasttrain.training.running.Training
    batch_callbacks : list of Callback
        Those that are told of batches.
    n_steps : int
        Steps at most, where rows do not end before.
    threads : int

    Attributes
    ----------
    network : fasttrain._kernels.network.Network
    steps_made : int
    rate : float
        Of the latest step.
    loss : float
        Mean over the rows so far of the batch objectives.
    losses : list of float
        The same of each epoch that is over and another has followed, of several that are made in one call.
    ended : bool
        Whether a callback has ended it with a batch.
    """

    def __init__(self, run, batch_callbacks, n_steps, threads):
        self.network = run.network
        self.run = run
        self.n_steps = n_steps
        self.threads = threads
        self.steps_made, self.rate, self.ended = 0, 0.0, False
        self.losses = []
        self._batch_callbacks = batch_callbacks
        self._loss = None

    @property
    def loss(self):
        return self.network.epoch_loss if self._loss is None else self._loss

    def add(self, order, batch_size, count, n_epochs=1):
        """Make ``count`` steps on the rows that the engine is bound to, ``n_epochs`` times; whether more may follow."""
        network, run = self.network, self.run
        run.order = order
        rates = run.rates(count)
        if self._batch_callbacks:
            rates = rates.copy()
        steps_before = run.steps - int(network.counters["t"])
        network.start_epoch(order, batch_size, rates, self.threads, self.steps_made > 0, n_epochs)
        self.losses = network.losses
        try:
            if self._batch_callbacks:
                self._batch_by_batch(rates)
            else:
                while not network.run(SLICE_SECONDS):
                    pass
        finally:
            # Ctrl-C comes between steps that count
            run.steps = steps_before + int(network.counters["t"])
            done = network.batches_done
            self.rate = float(rates[max(done - 1, 0)])
        self.steps_made += done
        return not (network.diverged or self.ended)

    def add_sums(self, sums):
        """Make one step with the sums over rows that lie elsewhere."""
        rates = self.run.rates(1)
        self.network.step_of_sums(sums.n_rows, sums.loss, sums.weight, sums.gradient, rates)
        self.run.steps += 1
        self.rate = float(rates[0])
        self.steps_made += 1

    def rates(self):
        """Learning rates of all its steps, for a feed that makes them elsewhere and says when :meth:`made`."""
        rates = self.run.rates(self.n_steps)
        self.rate = float(rates[-1])
        return rates

    def made(self, loss):
        """All its steps have been made elsewhere, with this mean loss."""
        self.run.steps += self.n_steps
        self.steps_made = self.n_steps
        self._loss = loss

    def tell_rows(self, n_done):
        """So many rows are done."""
        if self.run.plan.callbacks:
            self.run.tell_rows(n_done)

    def _batch_by_batch(self, rates):
        """Tell callbacks of each batch; what they make of the learning rate goes into ``rates``."""
        network, run, before = self.network, self.run, self.steps_made + 1
        for batch in range(len(rates)):
            for callback in self._batch_callbacks:
                callback.on_batch_begin(before + batch)
            rates[batch] = run.learning_rate
            while network.batches_done == batch and not network.diverged:
                network.run(-1.0)
            if network.diverged:
                return
            run.steps += 1
            logs = {"loss": network.epoch_loss, "learning_rate": float(rates[batch])}
            for callback in self._batch_callbacks:
                try:
                    self.ended = bool(callback.on_batch_end(before + batch, dict(logs))) or self.ended
                except StopTraining:
                    self.ended = True
            if self.ended:
                return


__all__ = ["Epoch"]
