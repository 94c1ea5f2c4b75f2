"""Clusters: estimators learn from Dask collections where these lie; ``pip install 'fasttrain[dask]'``.

Every estimator that takes a source of blocks takes a Dask array or data frame in the place of X, and then runs on the
client that was made last; :func:`fit` names the client and how to go about it. What comes of it is an ordinary fitted
estimator of this process. ``predict`` and ``transform`` of a collection are collections themselves, computed when asked
for. A model depends on the collection's blocks and the parameters: not on how many workers there were, nor on which
died.
"""

from typing import Any

from fasttrain._core.checks import check_choice, check_integer, check_real
from fasttrain._core.public import publish
from fasttrain.data import BlocksLost, from_dask
from fasttrain.data._dask import client_of, is_collection
from fasttrain.model_selection import validation
from fasttrain.model_selection.search import BatchSearch

STRATEGIES = ("sequential", "local")


def fit(client: Any, estimator: Any, X: Any, y: Any = None, sample_weight: Any = None, *, strategy: str = "sequential",
        n_replicas: int | None = None, sync_rows: int | None = None, timeout: float = 300.0, retries: int = 2,
        buffer_blocks: int = 4, shuffle: bool = True, **fit_params: Any) -> Any:
    """Fit an estimator to a Dask collection on a client's cluster.

    Full-batch descent, L-BFGS, least squares, classes, means, categories: each block gives sums of its rows, which are
    added in pairs by the blocks' numbers. An evaluation of loss and gradient is a *round*: the p parameters go out and
    p float64 sums come back along a tree of 16 to a node. With n blocks, w workers, c seconds of work a block, a
    bandwidth of b bytes a second and t seconds of scheduling a task, a round takes about

        c ceil(n / w) + t (1.1 n + 1) + 8 p (w + n / 16) / b  seconds.

    Training in steps has no such sums. ``strategy='sequential'`` makes exactly the steps that the same blocks give in
    one process, here: an epoch brings every block to this process once, so it is for data that the cluster holds and
    one processor can train on. ``strategy='local'`` is another algorithm, local stochastic gradient descent: each of R
    replicas makes the steps of its next ``sync_rows`` rows from common weights w, which leaves w_r after n_r rows, then

        w <- sum_r n_r w_r / sum_r n_r,

    and what the optimizer remembers likewise (arXiv 1805.09767). A round of it moves (1 + s) p numbers to and from each
    replica, s of them remembered a weight (2 with Adam), and trains R sync_rows rows: with u seconds a row about
    u sync_rows ceil(R / w) + t (R + 1) + 2 R (1 + s) p size / b seconds. R is the user's to set, never the cluster's
    size, so that the model is the same on any number of workers; workers past R have nothing to do.

    Parameters
    ----------
    client : distributed.Client or None
        None is the one that was made last.
    estimator : estimator
        ``Linear*``, ``MLP*``, ``SGD*``, ``LogisticRegression``, ``PoissonRegressor`` and its kin,
        ``HuberRegressor``, ``LinearSVC``, ``LinearSVR``, ``Ridge``, ``RidgeClassifier``, ``LinearRegression``, scalers,
        encoders or TablePreprocessor. Changed in place.
        GridSearchCV, RandomizedSearchCV and RacingSearchCV take arrays: X is sent to the workers once, what a batch
        trains together of a fold is a task, and the best candidate is refitted in this process.
    X, y, sample_weight
        As for :func:`fasttrain.data.from_dask`.
    strategy : {'sequential', 'local'}, default='sequential'
        How to train in steps; no matter to sums. 'local' is for ``Linear*`` and ``MLP*``; ``SGD*`` refuse it.
    n_replicas : int, default=None
        Needed by 'local'; at most the number of blocks.
    sync_rows : int, default=None
        Rows of a replica between two averages; None is all rows of ``buffer_blocks`` blocks.
    timeout : float, default=300
        Seconds without one finished task after which :class:`BlocksLost` is raised.
    retries : int, default=2
        How often a task that raises is tried again.
    buffer_blocks, shuffle
        As for :class:`fasttrain.data.Blocks`.
    **fit_params
        For the estimator's ``fit``, such as ``validation_data``.

    Returns
    -------
    estimator
        The same, fitted.

    Raises
    ------
    BlocksLost
        When no task finishes for ``timeout`` seconds, there being no worker perhaps, or Dask has given a task up. With
        a round behind it the estimator holds that, and ``warm_start=True`` goes on from there.
    ValueError, TypeError
        For bad data, parameters or a client that is none; nothing is changed.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> import fasttrain.dask
    >>> from fasttrain.linear_model import LinearRegressor
    >>> with Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as client:
    ...     X = da.arange(40.0, chunks=40).reshape(20, 2).rechunk((8, 2)) % 7
    ...     model = fasttrain.dask.fit(client, LinearRegressor(penalty=None), X, X @ [1.0, 2.0] + 3.0)
    >>> model.predict([[0.0, 0.1]]).round(2)
    array([3.2])
    """
    check_choice(strategy, "strategy", STRATEGIES)
    if strategy == "local" and n_replicas is None:
        raise ValueError("n_replicas must be a number with strategy='local', got None")
    if strategy != "local" and (n_replicas, sync_rows) != (None, None):
        raise ValueError("n_replicas and sync_rows are for strategy='local', got strategy='sequential'")
    if isinstance(estimator, BatchSearch):
        if sample_weight is not None:
            fit_params["sample_weight"] = sample_weight
        with _batches_on(client, X, timeout, retries):
            return estimator.fit(X, y, **fit_params)
    source = from_dask(
        X, y, sample_weight, client=client, timeout=timeout, retries=retries, n_replicas=n_replicas,
        sync_rows=sync_rows, buffer_blocks=buffer_blocks, shuffle=shuffle)
    return estimator.fit(source, **fit_params)


def cross_validate(client: Any, estimator: Any, X: Any, y: Any, *, timeout: float = 300.0, retries: int = 2,
                   **options: Any) -> dict[str, Any]:
    """Scores and times of an estimator over folds, whose fits run on a client's cluster.

    X is sent to the workers once. The result is that of :func:`fasttrain.model_selection.cross_validate`, but for the
    times.

    Parameters
    ----------
    client : distributed.Client or None
        None is the one that was made last.
    estimator : estimator
        One of fasttrain, alone or behind its scalers and encoders in a Pipeline.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        In this process: folds are rows of it.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    timeout : float, default=300
        Seconds without one finished task after which :class:`BlocksLost` is raised.
    retries : int, default=2
        How often a task that raises is tried again.
    **options
        Those of :func:`fasttrain.model_selection.cross_validate`, such as ``cv`` and ``scoring``.

    Returns
    -------
    dict of arrays of shape (n_folds,)

    Raises
    ------
    BlocksLost
        When no task finishes for ``timeout`` seconds, or the workers that had the data died again and again.
    ValueError, TypeError
        For bad data, parameters or a client that is none, and for estimators of other libraries.

    Examples
    --------
    >>> from distributed import Client
    >>> from sklearn.datasets import load_iris
    >>> import fasttrain.dask
    >>> from fasttrain.linear_model import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> with Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as client:
    ...     found = fasttrain.dask.cross_validate(client, LogisticRegression(max_iter=200), X, y, cv=3)
    >>> found["test_score"].round(2)
    array([0.98, 0.96, 0.98])
    """
    with _batches_on(client, X, timeout, retries):
        return validation.cross_validate(estimator, X, y, **options)


def _batches_on(client, X, timeout, retries):
    client = client_of(client)
    timeout = check_real(timeout, "timeout", low=0, open_low=True)
    retries = check_integer(retries, "retries", low=0)
    if is_collection(X):
        raise TypeError(
            "X must be an array for a search, whose folds are rows of it, got a Dask collection: take X.compute()")
    # distributed is imported when it is there to be used
    from fasttrain.dask._search import batches_on

    return batches_on(client, timeout, retries)


__all__ = ["BlocksLost", "cross_validate", "fit", "from_dask"]

publish(globals())
