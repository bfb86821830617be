"""The way back from `combine`: a separator of several instruments becomes one for each."""

from __future__ import annotations

import re
from dataclasses import replace

import torch
from torch import nn

from soli.errors import SoliError
from soli.systems.flowprior.separator import FlowPrior


def split(separator: FlowPrior) -> list[FlowPrior]:
    """One separator for each instrument, which can be combined again in any other way.

    Args:
        separator: of any number of instruments.

    Returns:
        In the order of its sources. Their priors are its own, not copies.
    """
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


def _alone(separator: FlowPrior, index: int) -> FlowPrior:
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers are not spent on weights nobody keeps
        alone = FlowPrior(replace(separator.config, sources=(separator.sources[index],)))
    alone.to(separator.priors[index].usual.device)
    alone.priors = nn.ModuleList([separator.priors[index]])  # pyright: ignore[reportAttributeAccessIssue]
    return alone.train(separator.training)
