"""One cluster for all tests, and what is run on it."""

from pathlib import Path

import pytest
from cluster import Cluster, missing
from copies import LONG, Copy, longer


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A running cluster; without one the test is skipped and says why."""
    if reason := missing():
        pytest.skip(reason)
    with Cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def copy(tmp_path, cluster):
    """A copy of the repository with nothing computed."""
    made = Copy(tmp_path)
    yield made
    made.stop()
    cluster.empty()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """What the long run gives without a cluster and without faults, by its number of epochs."""
    known: dict[int, dict[Path, bytes]] = {}

    def outputs(epochs: int) -> dict[Path, bytes]:
        if epochs not in known:
            made = Copy(tmp_path_factory.mktemp(f"undisturbed{epochs}"))
            made.locally("runs", "--config", longer(epochs), overlays=LONG)
            known[epochs] = made.files(".parquet", ".safetensors")
        return known[epochs]

    return outputs
