"""One cluster for the tests of a file; how many workers it has is a test's to say."""

import time
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

HERE = Path(__file__).parent


# before pytest-xdist, which makes groups of what is marked by then
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """All in one process of pytest-xdist, one after the other: more clusters would be company for the other tests."""
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.xdist_group("dask"))


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(cluster):
    with Client(cluster) as client:
        yield client


@pytest.fixture
def workers(cluster, client):
    """``workers(n)``: give the cluster so many workers."""

    def set_workers(n):
        # one that has been killed may not come back by itself
        for _ in range(5):
            cluster.scale(n)
            deadline = time.monotonic() + 15
            while time.monotonic() < deadline:
                # those that the cluster keeps, each as it is now: a killed one comes back at another address
                kept = {worker.worker_address for worker in list(cluster.workers.values())}
                if len(kept) == len(cluster.workers) == n and kept == set(client.scheduler_info()["workers"]):
                    return
                time.sleep(0.05)
            cluster.scale(0)
        pytest.fail(f"the cluster has not come to {n} workers: {client.scheduler_info()['workers']}")

    return set_workers
