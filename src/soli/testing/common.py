"""What the contract checks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from torch import Tensor

Subject = TypeVar("Subject")


def run_checks(checks: Sequence[Callable[[Subject, Tensor], None]], subject: Subject, data: Tensor) -> tuple[str, ...]:
    """Run every check on a copy of the data.

    Args:
        checks: named `check_…`.
        subject: what is checked.
        data: what it is checked with.

    Returns:
        The names of the checks, all of which passed.

    Raises:
        AssertionError: the first check that failed, by name.
    """
    for check in checks:
        try:
            check(subject, data.clone())
        except AssertionError as error:
            raise AssertionError(f"{_name(check)}: {error}") from error
    return tuple(_name(check) for check in checks)


def require(condition: bool, message: str) -> None:
    """Assert, also under `python -O`."""
    if not condition:
        raise AssertionError(message)


def distance(first: Tensor, second: Tensor) -> float:
    """Largest absolute difference."""
    return float((first - second).detach().abs().max())


def _name(check: Callable[..., None]) -> str:
    return check.__name__.removeprefix("check_")
