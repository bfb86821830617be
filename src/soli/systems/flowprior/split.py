"""The way back from `combine`: a separator of several instruments becomes one for each."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import nn

from soli.errors import SoliError
from soli.separator import Separator
from soli.systems.flowprior.combine import check_apart

S = TypeVar("S", bound=Separator)


def split(separator: S) -> list[S]:
    """One separator for each instrument, which can be combined again in any other way.

    Args:
        separator: of any number of instruments, of either preset.

    Returns:
        In the order of its sources. Their priors are its own, not copies.

    Raises:
        SoliError: for a separator whose instruments share weights.
    """
    check_apart(separator)
    return [_alone(separator, index) for index in range(len(separator.sources))]


def check_instrument(name: str, taken: tuple[str, ...] = ()) -> None:
    """Refuse what can be no name of an instrument, which is one of a folder and a file too.

    Args:
        name: of an instrument.
        taken: words that mean something else.

    Raises:
        SoliError: for a name that is no word, or taken.
    """
    if not re.fullmatch(r"\w+", name) or name in taken:
        but = f", but not {', '.join(taken)}" if taken else ""
        raise SoliError(f"instrument {name!r}; allowed: a word of letters, digits and _{but}")


def _alone(separator: Any, index: int) -> Any:
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers are not spent on weights nobody keeps
        alone = type(separator)(replace(separator.config, sources=(separator.sources[index],)))
    alone.to(next(separator.parameters()).device)
    alone.priors = nn.ModuleList([separator.priors[index]])
    return alone.train(separator.training)
