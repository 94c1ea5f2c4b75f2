"""One cluster for all tests of the room; how many workers it has is a test's to say."""

import time

import pytest
from distributed import Client, LocalCluster


@pytest.fixture(scope="session")
def cluster():
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def client(cluster):
    with Client(cluster) as client:
        yield client


@pytest.fixture
def workers(cluster, client):
    """``workers(n)``: give the cluster so many workers."""

    def set_workers(n):
        cluster.scale(n)
        while len(client.scheduler_info()["workers"]) != n:
            time.sleep(0.05)

    return set_workers
