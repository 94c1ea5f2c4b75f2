"""What callbacks of scikit-learn's (``set_callbacks``) are told of a search whose fits are made as a batch.

The tasks are those of scikit-learn's own searches: ``search``, in it ``candidate-split-evaluation`` for each candidate
and fold (a race has them in a ``halving-iteration`` each rung), then ``refit-with-best-params``. Fits that are made
together have no epochs of their own to tell of.
"""

from contextlib import contextmanager

from fasttrain.model_selection.batch.folds import take_rows

try:
    from sklearn.callback import ProgressBar
except ImportError:
    ProgressBar = None


def hears_of_epochs(search):
    """Whether a callback of the search wants to be told what goes on within each fit, which must then be one by itself.

    A ProgressBar does not: it has the fits to show.
    """
    return any(
        getattr(callback, "max_propagation_depth", 0) != 0 and type(callback) is not ProgressBar
        for callback in vars(search).get("_skl_callbacks", ()))


def _weights(sample_weight):
    return None if sample_weight is None else {"sample_weight": sample_weight}


class SearchTasks:
    """The tasks of one search.

    Parameters
    ----------
    search : estimator
        With callbacks.
    X, y, sample_weight
        What its ``fit`` was given.
    """

    def __init__(self, search, X, y, sample_weight):
        self.search = search
        self.told = {"X": X, "y": y, "metadata": _weights(sample_weight)}
        self.root = search._init_callback_context(max_subtasks=1 + (search.refit is not False))
        self.root.call_on_fit_task_begin(estimator=search, **self.told)
        self._rungs = self._stage = None
        self._untold = []

    def _begun(self, parent, name, **facts):
        context = parent.subcontext(task_name=name, **facts)
        context.call_on_fit_task_begin(estimator=self.search)
        return context

    def begin_rungs(self, number):
        """The fits come in so many rungs, each of which begins and ends its own."""
        self._rungs = self._begun(self.root, "search", max_subtasks=number)

    def begin_fits(self, batch):
        """The jobs of a batch, which are under way together."""
        facts = {"max_subtasks": len(batch.jobs), "sequential_subtasks": False}
        if self._rungs is None:
            self._stage = self._begun(self.root, "search", **facts)
        else:
            self._stage = self._begun(self._rungs, "halving-iteration", **facts)
        for number, job in enumerate(batch.jobs):
            context = self._stage.subcontext(task_name="candidate-split-evaluation", task_id=number)
            told = _of_fold(batch, job.fold)
            context.call_on_fit_task_begin(estimator=self.search, **told)
            self._untold.append((job, context, told))

    def tell(self):
        """Of the jobs that are done by now."""
        untold, self._untold = self._untold, []
        for job, context, told in untold:
            if job.done:
                context.call_on_fit_task_end(estimator=self.search, **told)
            else:
                self._untold.append((job, context, told))

    def end_fits(self):
        """All of them are done."""
        self.tell()
        self._stage.call_on_fit_task_end(estimator=self.search)

    def end_rungs(self):
        """The last of them has ended."""
        self._rungs.call_on_fit_task_end(estimator=self.search)

    @contextmanager
    def refitting(self, best):
        """While the block fits the best candidate, which tells of its own epochs."""
        context = self.root.subcontext(task_name="refit-with-best-params")
        with context.propagate_callback_context(best):
            context.call_on_fit_task_begin(estimator=self.search, **self.told)
            yield
        context.call_on_fit_task_end(estimator=self.search, **self.told)

    def finish(self):
        """The search is done."""
        self.root.call_on_fit_task_end(estimator=self.search, **self.told)


def _of_fold(batch, fold):
    """The rows of a fit, made for those who ask."""
    train = batch.folds[fold][0]
    return {
        "X": lambda: take_rows(batch.X, train), "y": lambda: take_rows(batch.y, train),
        "metadata": None if batch.weights is None else lambda: _weights(batch.weights[train]),
    }
