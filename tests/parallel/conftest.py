from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """A cluster of two cores on this machine, for all tests of the engine ray."""
    ray = pytest.importorskip("ray")
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(TESTS))  # workers import the units by name
    monkeypatch.setenv("RAY_worker_niceness", "0")  # by default workers wait for all else that runs
    _start(ray)
    monkeypatch.undo()
    yield
    ray.shutdown()


def _start(ray, n_tries: int = 2) -> None:
    """Ray gives its processes half a minute, which a cold and busy machine may need."""
    for left in reversed(range(n_tries)):
        try:
            ray.init(
                "local",
                num_cpus=2,
                include_dashboard=False,
                object_store_memory=80 * 2**20,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
            return
        except Exception:
            ray.shutdown()
            if not left:
                raise
