"""The same work on many units, by several workers, here or on a cluster: the only room that knows what a worker is.

A unit is whatever the work takes: a file, the number of a song. Each worker is set up once, with a loaded model for
example, and then does unit after unit. A unit that fails does not stop the others, and a worker that dies has its unit
done again by another one.
"""

from __future__ import annotations

from soli.errors import SoliError
from soli.parallel.engine import Engine, InProcess, Outcome

ENGINES = ("local", "ray")

__all__ = ["ENGINES", "Engine", "Outcome", "open_engine"]


def open_engine(name: str = "local", *, n_workers: int = 1, address: str | None = None, gpu: bool = False) -> Engine:
    """Choose what does the work; use the engine in a `with` statement, which leaves no worker behind.

    Args:
        name: "local" for processes of this machine, "ray" for a Ray cluster.
        n_workers: how many; 0 leaves it to the engine: "local" then does the work in this process, and "ray" takes as
            many as the cluster has cores, or GPUs where each needs one.
        address: of the cluster: "auto", "host:port" or "ray://host:port". None uses the cluster that this process is
            connected to, or else starts one on this machine alone.
        gpu: whether each worker on a cluster needs a GPU of its own.

    Returns:
        The engine.

    Raises:
        SoliError: for an unknown name, a number of workers that is not allowed, a cluster that cannot be reached, and
            where Ray is not installed.
    """
    if name not in ENGINES:
        raise SoliError(f"engine {name!r} does not exist; allowed: {', '.join(ENGINES)}")
    if n_workers < 0:
        raise SoliError(f"workers={n_workers}; allowed: 0 or more")
    if name == "local":
        if address is not None:
            raise SoliError(f"address {address!r} is for the engine ray; the engine local works on this machine")
        if n_workers == 0:
            return InProcess()
        from soli.parallel.local import LocalEngine

        return LocalEngine(n_workers)
    from soli.parallel.cluster import RayEngine

    return RayEngine(n_workers, address, gpu=gpu)
