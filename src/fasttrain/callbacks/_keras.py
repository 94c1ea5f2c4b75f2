"""The bridge to Keras's callback protocol.

A callback of Keras is told the model and the parameters of the training, and has hooks with a dict of logs: epochs and
batches count from 0 there. Any object with these hooks will do, Keras's own classes among them; nothing of Keras is
imported.
"""

from fasttrain.callbacks._base import Callback

_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


def speaks_keras(callback):
    """Whether an object has Keras's protocol."""
    return not isinstance(callback, (Callback, type)) and all(
        callable(getattr(callback, name, None)) for name in ("set_model", "set_params", "on_epoch_end"))


def overrides(callback, names):
    """Whether the class of a callback of Keras, or the object, has hooks of its own by these names.

    A base class marks its own, which do nothing, with ``_is_default``.
    """
    for name in names:
        method = getattr(callback, name, None)
        if method is not None and not getattr(method, "_is_default", False):
            return True
    return False


class KerasBridge(Callback):
    """Callbacks of Keras in a training.

    Parameters
    ----------
    callbacks : list of objects of Keras's protocol
        Called in this order.
    model : object
        What they are told to be the model.
    params : dict
        ``epochs``, ``steps`` and ``verbose``.
    logs_of : callable
        From the logs of an epoch to those that Keras would give.
    batch_logs_of : callable
        From the number of a batch, from 1, and its logs to those that Keras would give.
    """

    def __init__(self, callbacks, model, params, logs_of=dict, batch_logs_of=lambda batch, logs: logs):
        self.callbacks = callbacks
        self.model = model
        self.params = params
        self.logs_of = logs_of
        self.batch_logs_of = batch_logs_of
        self.logs = {}
        self._hooks = {}

    @property
    def wants_batches(self):
        return any(overrides(callback, _BATCH_HOOKS) for callback in self.callbacks)

    def wants(self, kind):
        """Whether one of them has a hook of its own for the batches of a 'test' or a 'predict'."""
        names = (f"on_{kind}_batch_begin", f"on_{kind}_batch_end")
        return any(overrides(callback, names) for callback in self.callbacks)

    def tell(self, hook, *args):
        """Call a hook of all; whether one of them has asked the model to stop."""
        for callback in self.callbacks:
            method = getattr(callback, hook, None)
            if method is not None:
                method(*args)
        return bool(getattr(self.model, "stop_training", False))

    def tell_batch(self, kind, edge, batch, logs):
        """Call ``on_<kind>_batch_<edge>`` of those that have one of their own, with a batch that counts from 0."""
        for hook in self._batch_hooks(kind, edge):
            hook(batch, logs)
        return bool(getattr(self.model, "stop_training", False))

    def _batch_hooks(self, kind, edge):
        if (kind, edge) not in self._hooks:
            name = f"on_{kind}_batch_{edge}"
            names = (name, f"on_batch_{edge}") if kind == "train" else (name,)
            self._hooks[kind, edge] = [
                getattr(callback, name if hasattr(callback, name) else names[-1])
                for callback in self.callbacks if overrides(callback, names)
            ]
        return self._hooks[kind, edge]

    def on_train_begin(self, n_epochs):
        for callback in self.callbacks:
            callback.set_model(self.model)
            callback.set_params(self.params)
        self.tell("on_train_begin", {})

    def on_epoch_begin(self, epoch):
        self.tell("on_epoch_begin", epoch - 1, {})

    def on_batch_begin(self, batch):
        self.tell_batch("train", "begin", batch - 1, {})

    def on_batch_end(self, batch, logs):
        return self.tell_batch("train", "end", batch - 1, self.batch_logs_of(batch, logs))

    def on_epoch_end(self, epoch, logs):
        self.logs = self.logs_of(logs)
        return self.tell("on_epoch_end", epoch - 1, self.logs)

    def on_train_end(self, history):
        self.tell("on_train_end", self.logs)

    def state_dict(self):
        """Of those that tell what is to be kept; Keras's own do not."""
        return {
            str(i): callback.state_dict() for i, callback in enumerate(self.callbacks)
            if hasattr(callback, "state_dict")
        }

    def load_state_dict(self, state):
        for i, callback in enumerate(self.callbacks):
            if hasattr(callback, "load_state_dict") and str(i) in state:
                callback.load_state_dict(state[str(i)])
