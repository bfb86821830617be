"""Workers that are processes of this machine, each at the end of a pipe of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from soli.parallel.engine import Crew, CrewEngine
from soli.parallel.worker import Answer, Worker, attempt


class LocalEngine(CrewEngine):
    """Processes of this machine, which share its cores.

    Args:
        n_workers: how many.

    Attributes:
        n_threads: of each worker, for the libraries that obey OMP_NUM_THREADS; where that is set already, it stays.
    """

    def __init__(self, n_workers: int) -> None:
        super().__init__(n_workers)
        self.n_threads = max(1, count_cores() // n_workers)

    def _crew(self, setup: Callable[[], Any], work: Callable[[Any, Any], Any]) -> Crew:
        return _LocalCrew(setup, work, self.n_threads)


def count_cores() -> int:
    """Cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, eq=False)
class _Process:
    """A process and the parent's end of its pipe."""

    process: SpawnProcess
    pipe: Connection


class _LocalCrew(Crew):
    """Spawned, not forked: libraries with threads do not survive a fork."""

    def __init__(self, setup: Callable[[], Any], work: Callable[[Any, Any], Any], n_threads: int) -> None:
        self._job = (setup, work)
        self._n_threads = n_threads
        self._workers: list[_Process] = []

    def start(self) -> _Process:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True)
        resource_tracker.ensure_running()  # else `start` does it, and lets SIGINT through again
        with _environment(self._n_threads), _without_interrupts():
            process.start()
        theirs.close()
        worker = _Process(process, ours)
        self._workers.append(worker)
        self.give(worker, self._job)
        return worker

    def give(self, worker: _Process, unit: Any) -> None:
        with suppress(ConnectionError):  # it died since its last answer, which `wait` will find
            worker.pipe.send(unit)

    def wait(self, workers: Iterable[_Process]) -> tuple[_Process, Answer[Any]]:
        by_pipe = {worker.pipe: worker for worker in workers}
        pipe = wait(list(by_pipe))[0]
        worker = by_pipe[pipe]  # pyright: ignore[reportArgumentType]
        try:
            return worker, worker.pipe.recv()
        except (EOFError, OSError):  # the other end is closed, perhaps in the middle of an answer
            self._workers.remove(worker)
            _end([worker])
            return worker, Answer(died=True)

    def stop(self) -> None:
        workers, self._workers = self._workers, []
        _end(workers)


def _end(workers: Iterable[_Process]) -> None:
    """Ask processes to stop, and wait however long they take: one that is killed leaves its temporary files behind.

    A worker obeys once the call of a library returns that it is in, on a busy machine after some time; one that misses
    the signal ends with its unit, as nobody listens any more.
    """
    workers = list(workers)
    for worker in workers:
        worker.process.terminate()
        worker.pipe.close()
    for worker in workers:
        worker.process.join()
        worker.process.close()


def _serve(pipe: Connection) -> None:
    """The life of a worker process: it ends with the pipe, with SIGTERM, or with the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one stops the others
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_follow_parent, daemon=True).start()
    with suppress(EOFError, ConnectionError):
        worker = Worker()
        job = attempt(pipe.recv)  # fails where the module of a function cannot be imported
        pipe.send(job if job.value is None else worker.prepare(*job.value))
        while True:
            _reply(pipe, worker.do(pipe.recv()))


def _reply(pipe: Connection, answer: Answer[Any]) -> None:
    """Send an answer, or why it cannot be sent."""
    sent = attempt(pipe.send, answer)
    if sent.error is not None:
        pipe.send(Answer(error=f"the result cannot be sent: {sent.error}"))


def _leave(*_: object) -> None:
    """End as after an exception, so that temporary files are dropped; a second SIGTERM must not disturb that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(128 + signal.SIGTERM)


def _follow_parent() -> None:
    """Leave when the parent is gone, even if it was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _environment(n_threads: int) -> Iterator[None]:
    """Let a process that is started here have so many threads; libraries read this when they are loaded."""
    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OMP_NUM_THREADS"] = str(n_threads)
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold back SIGINT; a process that is started here does not get it even before it can ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
