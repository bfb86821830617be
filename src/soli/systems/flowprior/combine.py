"""Priors that were learned apart, put together without learning anything again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import nn

from soli.config import to_dict
from soli.errors import SoliError
from soli.separator import Separator

S = TypeVar("S", bound=Separator)


def combine(separators: Sequence[S]) -> S:
    """One separator that holds the very priors of several, in the order given.

    Args:
        separators: of one class and one config but for its `sources`, no two of which share an instrument, and what
            `config.SEARCH` names; each keeps all it has learned in `priors`, one for each of its sources.

    Returns:
        A separator of all their sources, which searches as the first one does. Its priors are theirs, not copies. One
        prior that can only be searched has all of them searched.

    Raises:
        SoliError: for no separator, an instrument that comes twice, another class or config, and a separator whose
            instruments share weights.
    """
    if not separators:
        raise SoliError("no priors to combine; allowed: at least one")
    first: Any = separators[0]
    for separator in separators:
        _check_kind(first, separator)
        check_apart(separator)
    sources = tuple(name for separator in separators for name in separator.sources)
    for name in sources:
        if sources.count(name) > 1:
            raise SoliError(f"{sources.count(name)} priors of {name!r}; allowed: one of each instrument")
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers are not spent on weights nobody keeps
        combined = type(first)(replace(first.config, sources=sources, **_engine(separators)))
    combined.to(next(first.parameters()).device)
    combined.priors = nn.ModuleList(prior for separator in separators for prior in _priors(separator))
    return combined.train(first.training)


def _engine(separators: Sequence[Any]) -> dict[str, str]:
    """The engine that serves all of them, where the config names one."""
    engines = [separator.config.engine for separator in separators if hasattr(separator.config, "engine")]
    return {"engine": max(engines, key=("extract", "hybrid", "search").index)} if engines else {}


def _check_kind(first: Any, other: Any) -> None:
    """Refuse what does not fit beside the first."""
    if type(other) is not type(first):
        kinds = type(other).__name__, type(first).__name__
        raise SoliError(f"{_named(other)} is of {kinds[0]}, {_named(first)} of {kinds[1]}; allowed: one class")
    due = to_dict(first.config)
    for key, value in to_dict(other.config).items():
        if key not in ("sources", *first.config.SEARCH) and value != due[key]:
            raise SoliError(
                f"the prior of {_named(other)} has {key} = {value}; allowed beside that of {_named(first)}: {due[key]}"
            )


def check_apart(separator: Any) -> None:
    """Refuse weights that belong to no single instrument.

    Args:
        separator: of either preset.

    Raises:
        SoliError: for a separator whose instruments share weights.
    """
    shared = [name for name in separator.state_dict() if not name.startswith("priors.")]
    if shared or len(_priors(separator)) != len(separator.sources):
        what = shared[0] if shared else "priors"
        raise SoliError(f"the instruments of {_named(separator)} share weights ({what}); allowed: one prior for each")


def _priors(separator: Any) -> nn.ModuleList:
    return separator.priors


def _named(separator: Separator) -> str:
    return ", ".join(separator.sources)
