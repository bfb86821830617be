"""Workers that are actors of a Ray cluster."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterable
from typing import Any

from soli.errors import SoliError
from soli.parallel.engine import Crew, CrewEngine
from soli.parallel.worker import Answer, Worker

CONNECT_SECONDS = 10.0


class RayEngine(CrewEngine):
    """One actor per worker; those for which the cluster has no room yet wait, and the others do their units.

    Args:
        n_workers: how many; 0 for as many as the cluster has room for.
        address: see `open_engine`.
        gpu: see `open_engine`.
    """

    def __init__(self, n_workers: int, address: str | None, *, gpu: bool) -> None:
        ray = _import_ray()
        self._gpu = gpu
        self._connected = address is not None or not ray.is_initialized()
        if self._connected:
            _connect(ray, n_workers or None, address)
        super().__init__(n_workers or max(1, int(ray.cluster_resources().get("GPU" if gpu else "CPU", 1))))

    def _crew(self, setup: Callable[[], Any], work: Callable[[Any, Any], Any]) -> Crew:
        return _RayCrew(setup, work, gpu=self._gpu)

    def close(self) -> None:
        """Stop all workers and leave the cluster, unless this process was connected before."""
        super().close()
        if self._connected:
            _import_ray().shutdown()
            self._connected = False


class _RayCrew(Crew):
    """A worker is known by its actor's id; each owes one answer, or none."""

    def __init__(self, setup: Callable[[], Any], work: Callable[[Any, Any], Any], *, gpu: bool) -> None:
        self._ray = _import_ray()
        self._make = self._ray.remote(num_cpus=1, num_gpus=int(gpu), max_restarts=0)(Worker).remote
        self._job = (setup, work)
        self._actors: dict[str, Any] = {}
        self._owed: dict[str, Any] = {}

    def start(self) -> str:
        actor = self._make()
        worker = actor._actor_id.hex()
        self._actors[worker] = actor
        self._owed[worker] = actor.prepare.remote(*self._job)
        return worker

    def give(self, worker: str, unit: Any) -> None:
        self._owed[worker] = self._actors[worker].do.remote(unit)

    def wait(self, workers: Iterable[str]) -> tuple[str, Answer[Any]]:
        by_answer = {self._owed[worker]: worker for worker in workers}
        answer = self._ray.wait(list(by_answer), num_returns=1)[0][0]
        worker = by_answer[answer]
        del self._owed[worker]
        try:
            return worker, self._ray.get(answer)
        except self._ray.exceptions.RayTaskError as error:  # not of the work, whose exceptions are answers
            return worker, Answer(error=f"the cluster could not pass it on: {str(error).splitlines()[-1]}")
        except self._ray.exceptions.RayError:
            self._ray.kill(self._actors.pop(worker))
            return worker, Answer(died=True)

    def stop(self) -> None:
        actors, self._actors = self._actors, {}
        for actor in actors.values():
            self._ray.kill(actor)


def _import_ray() -> Any:
    """Ray, or the extra that brings it."""
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise SoliError("the engine ray needs Ray: pip install 'soli[cluster]'") from error
    return ray


def _connect(ray: Any, n_workers: int | None, address: str | None) -> None:
    """Join a cluster, or start one on this machine alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    try:
        if address is None:
            ray.init("local", num_cpus=n_workers, include_dashboard=False, **quiet)
        else:
            _knock(address)
            ray.init(address, **quiet)
    except Exception as error:  # Ray raises that very class, too
        reason = str(error).split(". ")[0].split("\n")[0]
        place = "on this machine" if address is None else f"at {address!r}"
        raise SoliError(f"no Ray cluster {place}: {reason}; start one with `ray start --head`") from error


def _knock(address: str) -> None:
    """See that somebody listens at host:port; Ray itself tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
