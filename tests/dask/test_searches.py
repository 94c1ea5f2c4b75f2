"""Searches on a cluster give what they give here; other libraries' tasks find one thread each."""

import joblib
import numpy as np
import pytest
from cluster_data import LABELS, X, dask_of
from sklearn.pipeline import make_pipeline

import fasttrain
import fasttrain.dask
from fasttrain.linear_model import LinearClassifier, LogisticRegression, SGDClassifier
from fasttrain.model_selection import GridSearchCV, RandomizedSearchCV
from fasttrain.preprocessing import StandardScaler

SEARCHES = [
    GridSearchCV(
        make_pipeline(StandardScaler(), SGDClassifier(max_iter=5, tol=None, random_state=0)),
        {"sgdclassifier__alpha": [1e-4, 1e-2]}, cv=3, return_train_score=True),
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=3, scoring=["accuracy", "neg_log_loss"], refit="accuracy"),
    RandomizedSearchCV(LinearClassifier(), {"alpha": [1e-3, 1e-2, 1e-1]}, n_iter=2, cv=3, random_state=0),
]


@pytest.mark.parametrize("search", SEARCHES)
def test_as_here(workers, client, search):
    workers(2)
    here = search.fit(X, LABELS).cv_results_
    there = fasttrain.dask.fit(client, search, X, LABELS).cv_results_
    assert here["params"] == there["params"]
    for name in here:
        if "_test_" in name or "_train_" in name:
            np.testing.assert_allclose(there[name], here[name], rtol=1e-9, err_msg=name)
    assert "_batch_class" not in vars(search)


def test_a_collection_is_refused(client):
    with pytest.raises(TypeError, match=r"X must be an array for a search.*X\.compute\(\)"):
        fasttrain.dask.fit(client, SEARCHES[1], dask_of(X), dask_of(LABELS))


def threads_here(_):
    from distributed import get_worker

    return fasttrain.get_num_threads(), get_worker().state.nthreads


def test_joblib_on_dask_has_one_thread_a_task(workers, client):
    workers(2)
    with joblib.parallel_config("dask"):
        # tasks of workers that have gone would be waited for without end
        found = joblib.Parallel(timeout=60)(joblib.delayed(threads_here)(i) for i in range(4))
    assert found == [(1, 1)] * 4


def test_a_task_has_its_share_of_threads(workers, client):
    from fasttrain.data._dask import threads_of_task

    workers(2)
    assert client.gather(client.map(lambda i: threads_of_task(), range(3), pure=False)) == [1, 1, 1]
