"""Which worker does which unit, and what becomes of the unit of one that died."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from soli.errors import SoliError
from soli.parallel.worker import Answer, Worker

S = TypeVar("S")
U = TypeVar("U")
R = TypeVar("R")

MAX_DEATHS = 3
"""A unit is begun three times at most; then it is held to be what kills the workers."""


@dataclass(frozen=True)
class Outcome(Generic[U, R]):
    """What became of one unit.

    Attributes:
        unit: as it was given.
        value: what the work returned; None after an error.
        error: why there is no value, in one line; None when all went well.
    """

    unit: U
    value: R | None = None
    error: str | None = None


class Engine(ABC):
    """Something with workers."""

    @abstractmethod
    def map(self, setup: Callable[[], S], work: Callable[[S, U], R], units: Iterable[U]) -> Iterator[Outcome[U, R]]:
        """Do every unit once.

        Units are taken from the iterable only as workers become free, so that there may be any number of them.

        Args:
            setup: called once by each worker before its first unit; like `work`, a function that can be imported by
                name, or a `functools.partial` of one.
            work: takes what `setup` returned, and a unit.
            units: what there is to do.

        Yields:
            An outcome for each unit, in the order in which they are done. An exception of the work is the error of its
            outcome. A unit whose worker died is begun again, twice at most.

        Raises:
            SoliError: when `setup` fails.
        """

    def close(self) -> None:  # noqa: B027 (the simplest engine has nothing to stop)
        """Stop all workers."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all workers, also after an exception or Ctrl-C."""
        self.close()


class InProcess(Engine):
    """No workers: this process does one unit after the other."""

    def map(self, setup: Callable[[], S], work: Callable[[S, U], R], units: Iterable[U]) -> Iterator[Outcome[U, R]]:
        """See `Engine.map`."""
        worker = Worker()
        _check_setup(worker.prepare(setup, work))
        for unit in units:
            answer = worker.do(unit)
            yield Outcome(unit, answer.value, answer.error)


class Crew(ABC):
    """The workers of one `map`."""

    @abstractmethod
    def start(self) -> Any:
        """Start a worker, which answers once it is set up.

        Returns:
            What it is known by to the other methods; hashable.
        """

    @abstractmethod
    def give(self, worker: Any, unit: Any) -> None:
        """Have a unit done.

        Args:
            worker: which has answered.
            unit: for it.
        """

    @abstractmethod
    def wait(self, workers: Iterable[Any]) -> tuple[Any, Answer[Any]]:
        """Wait for the next answer.

        Args:
            workers: that owe one.

        Returns:
            A worker and its answer; one that died is no longer to be used.
        """

    @abstractmethod
    def stop(self) -> None:
        """Stop all workers, whatever they do."""


@dataclass
class _Task:
    """A unit, and how many workers it has cost."""

    unit: Any
    deaths: int = 0


class CrewEngine(Engine):
    """An engine whose workers run elsewhere.

    Args:
        n_workers: at most; no more are started than there are units.
    """

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers
        self._crews: list[Crew] = []

    @abstractmethod
    def _crew(self, setup: Callable[[], Any], work: Callable[[Any, Any], Any]) -> Crew:
        """Workers for one `map`; none is started yet."""

    def map(self, setup: Callable[[], S], work: Callable[[S, U], R], units: Iterable[U]) -> Iterator[Outcome[U, R]]:
        """See `Engine.map`."""
        crew = self._crew(setup, work)
        self._crews.append(crew)
        try:
            yield from _Schedule(crew, iter(units), self.n_workers).outcomes()
        finally:
            crew.stop()
            self._crews.remove(crew)

    def close(self) -> None:
        """Stop all workers."""
        for crew in self._crews:
            crew.stop()


class _Schedule(Generic[U, R]):
    """One `map`: every unit is waiting, being done, or its outcome was given."""

    def __init__(self, crew: Crew, units: Iterator[U], n_workers: int) -> None:
        self._crew = crew
        self._units = units
        self._waiting = deque(_Task(unit) for unit in islice(units, n_workers))
        self._idle: list[Any] = []
        self._busy: dict[Any, _Task | None] = {}  # None: being set up
        self._failed_starts = 0

    def outcomes(self) -> Iterator[Outcome[U, R]]:
        """Keep all workers busy until there is nothing left to do."""
        for _ in self._waiting:
            self._start()
        while self._waiting or any(self._busy.values()):
            worker, answer = self._crew.wait(self._busy)
            task = self._busy.pop(worker)
            outcome = self._replace(task) if answer.died else self._take(task, answer)
            if not answer.died:
                self._employ(worker)
            if outcome is not None:
                yield outcome

    def _start(self) -> None:
        self._busy[self._crew.start()] = None

    def _take(self, task: _Task | None, answer: Answer[R]) -> Outcome[U, R] | None:
        """What a worker has answered: an outcome, or that it is set up."""
        if task is not None:
            return Outcome(task.unit, answer.value, answer.error)
        _check_setup(answer)
        self._failed_starts = 0
        return None

    def _employ(self, worker: Any) -> None:
        """Give a worker the next unit, if there is one."""
        if not self._waiting:
            self._waiting.extend(self._next())
        if not self._waiting:
            self._idle.append(worker)
            return
        task = self._waiting.popleft()
        self._busy[worker] = task
        self._crew.give(worker, task.unit)

    def _replace(self, task: _Task | None) -> Outcome[U, R] | None:
        """Do again what a dead worker was at; the outcome of a unit that was begun often enough."""
        if task is None:
            self._failed_starts += 1
            if self._failed_starts == MAX_DEATHS:
                raise SoliError(f"{MAX_DEATHS} workers died while they were set up; is there enough memory?")
            self._start()
            return None
        task.deaths += 1
        given_up = task.deaths == MAX_DEATHS
        self._waiting.extend([task] if not given_up else self._next())
        if self._idle and self._waiting:
            self._employ(self._idle.pop())
        elif self._waiting:
            self._start()
        return Outcome(task.unit, error="worker died") if given_up else None

    def _next(self) -> list[_Task]:
        """The next unit; empty when there is none."""
        return [_Task(unit) for unit in islice(self._units, 1)]


def _check_setup(answer: Answer[Any]) -> None:
    if answer.error is not None:
        raise SoliError(answer.error)
