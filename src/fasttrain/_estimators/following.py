"""scikit-learn's callback protocol: what ``set_callbacks`` was given is told of a fit and of each of its epochs.

scikit-learn calls it experimental and has it from 1.9 on; before that ``set_callbacks`` is not there, and nothing here
does anything.
"""

import inspect
from contextlib import contextmanager
from functools import cache, partial, wraps
from numbers import Integral

from fasttrain.callbacks import Callback

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:
        """Stands for scikit-learn's mixin where that has no callbacks."""

        def _init_callback_context(self, **facts):
            return None

    def with_callbacks(method):
        return method


def managed(method):
    """Method decorator: scikit-learn's ``with_callbacks``, of an estimator that was given callbacks."""
    told = with_callbacks(method)

    @wraps(method)
    def fit(self, *args, **kwargs):
        return (told if "_skl_callbacks" in vars(self) else method)(self, *args, **kwargs)

    return fit


# Among the attributes of an estimator during a fit that is followed.
_TASKS = "_fit_tasks"


class FitTasks(Callback):
    """Tells scikit-learn's callbacks of an epoch as of a task of the fit.

    Parameters
    ----------
    estimator : estimator
    context : sklearn.callback.CallbackContext
        Of the fit.
    told : dict
        ``X``, ``y`` and ``metadata``, as the fit was given them.
    task_name : str
    """

    def __init__(self, estimator, context, told, task_name="epoch"):
        self.estimator, self.context, self.told, self.task_name = estimator, context, told, task_name
        self._epoch = self._fitted = None

    def of(self, fitted):
        """These tasks, where ``fitted(training)`` gives the attributes of an estimator that predicts as of now."""
        self._fitted = fitted
        return self

    def branch(self, name, number):
        """Tasks of one of several models that the fit trains, whose epochs are no epochs of the whole."""
        context = self.context.subcontext(task_name=name, max_subtasks=None)
        context.call_on_fit_task_begin(estimator=self.estimator, **self.told)
        return FitTasks(self.estimator, context, self.told, self.task_name)

    def on_epoch_begin(self, epoch):
        self._epoch = self.context.subcontext(task_name=self.task_name)
        self._epoch.call_on_fit_task_begin(
            estimator=self.estimator, reconstruction_attributes=self._attributes(), **self.told)

    def on_epoch_end(self, epoch, logs):
        if self._epoch is None:
            # L-BFGS has no word for the beginning of an iteration
            self.on_epoch_begin(epoch)
        return self._end(self._attributes())

    def on_train_end(self, history):
        if self._epoch is not None:
            # the epoch that was interrupted
            self._end(None)

    @contextmanager
    def iterations(self, start, task_name):
        """``tell(x)`` of a minimizer that comes to x with an iteration: whether a callback wants it to end there.

        ``training`` is where it is. The iteration that is begun and does not come is told of too, as scikit-learn
        counts them.
        """
        def tell(x):
            self.training = x
            if self.on_epoch_end(None, None):
                return True
            self.on_epoch_begin(None)
            return False

        self.task_name, self.training = task_name, start
        self.on_epoch_begin(None)
        yield tell
        self.training = None
        self.on_train_end(None)

    def _attributes(self):
        """What makes the attributes of an estimator as of now, for those who ask; None where nothing predicts yet."""
        training, fitted = self.training, self._fitted
        return None if training is None or fitted is None else lambda: fitted(training)

    def _end(self, fitted):
        context, self._epoch = self._epoch, None
        return context.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes=fitted, **self.told)

    def finish(self, fitted=None):
        """After the last of its epochs: the task itself is done."""
        self.context.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes=fitted, **self.told)


def tasks_of(estimator):
    """The :class:`FitTasks` of the fit that runs; None where no callback of scikit-learn's follows it."""
    return vars(estimator).get(_TASKS)


@contextmanager
def told_iterations(tasks, start, fitted=None, task_name="lbfgs-iter"):
    """``tell(x)`` for a minimizer, as :meth:`FitTasks.iterations` has it; None where nobody follows the fit.

    Parameters
    ----------
    tasks : FitTasks or None
    start : array or None
        Where the minimizer begins, None where that predicts nothing.
    fitted : callable, optional
        From x to the attributes of an estimator that predicts by it.
    task_name : str
    """
    if tasks is None:
        yield None
        return
    with tasks.of(fitted).iterations(start, task_name) as tell:
        yield tell


def and_one(estimator):
    """Tasks of a fit by iterations at most, with the one that is begun and does not come; None of a wrong number."""
    most = estimator.max_iter
    return max(most, 1) + 1 if isinstance(most, Integral) else None


_signature = cache(inspect.signature)


def followed(method=None, *, epochs=None):
    """Decorator of ``fit`` and its like: callbacks of scikit-learn are told of the fit, and :func:`tasks_of` gives what
    tells them of epochs.

    ``epochs(estimator)`` is the most there can be, None where that is not known; by default the estimator's
    ``max_iter``, 1 for ``partial_fit``.
    """
    if method is None:
        return partial(followed, epochs=epochs)

    @with_callbacks
    def told_of(self, args, kwargs):
        # a source of blocks has y in it
        given = _signature(method).bind_partial(self, *args, **kwargs).arguments
        weight = given.get("sample_weight")
        metadata = None if weight is None else {"sample_weight": weight}
        told = {"X": given.get("X"), "y": given.get("y"), "metadata": metadata}
        most = epochs(self) if epochs is not None else 1 if method.__name__ == "partial_fit" else self.max_iter
        if not isinstance(most, Integral) or most < 1:
            # which the fit will refuse, or which says nothing
            most = None
        context = self._init_callback_context(max_subtasks=most)
        context.call_on_fit_task_begin(estimator=self, **told)
        tasks = FitTasks(self, context, told)
        vars(self)[_TASKS] = tasks
        try:
            result = method(self, *args, **kwargs)
        finally:
            vars(self).pop(_TASKS, None)
        tasks.finish({})
        return result

    @wraps(method)
    def fit(self, *args, **kwargs):
        if "_skl_callbacks" not in vars(self):
            return method(self, *args, **kwargs)
        return told_of(self, args, kwargs)

    return fit
