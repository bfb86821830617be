"""What a worker does, wherever it runs."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Generic, TypeVar, cast

from soli.errors import SoliError

S = TypeVar("S")
U = TypeVar("U")
R = TypeVar("R")


@dataclass(frozen=True)
class Answer(Generic[R]):
    """What came of one call.

    Attributes:
        value: what it returned.
        error: why it returned nothing, in one line.
        died: whether the worker is gone.
    """

    value: R | None = None
    error: str | None = None
    died: bool = False


class Worker(Generic[S, U, R]):
    """One worker: set up once, then asked for unit after unit."""

    _state: S
    _work: Callable[[S, U], R]

    def prepare(self, setup: Callable[[], S], work: Callable[[S, U], R]) -> Answer[None]:
        """Set up.

        Args:
            setup: makes what the work needs.
            work: takes that and a unit.

        Returns:
            Without a value; with the reason where it did not work.
        """
        answer = attempt(setup)
        if answer.error is None:
            self._state, self._work = cast(S, answer.value), work
        return Answer(error=answer.error)

    def do(self, unit: U) -> Answer[R]:
        """Do one unit.

        Args:
            unit: what the work takes.

        Returns:
            What it gave, or why it gave nothing.
        """
        return attempt(self._work, self._state, unit)


def attempt(function: Callable[..., R], *arguments: object) -> Answer[R]:
    """Call a function, and turn what it raises into one line.

    Args:
        function: what to call.
        *arguments: for it.

    Returns:
        Its value, or the message of a `SoliError`; of any other exception the type, the message and the place.
    """
    try:
        return Answer(function(*arguments))
    except SoliError as error:
        return Answer(error=_one_line(str(error)))
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{PurePath(frame.filename).name}:{frame.lineno}"
        return Answer(error=_one_line(f"{type(error).__name__}: {error} ({place})"))


def _one_line(text: str) -> str:
    return " ".join(text.split())
