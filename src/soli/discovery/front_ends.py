"""What comes before a discovery: a separator that takes away what has a name, so that the "others" remain."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from soli.baselines.by_name import find_baseline, load_baseline
from soli.errors import SoliError
from soli.separator import Separator
from soli.streaming import stream
from soli.zoo import load

NO_FRONT_END = "none"
NAMED = ("vocals", "drums", "bass")
"""What is taken away; whatever else a front end separates stays in."""


class Split(NamedTuple):
    """A mixture in two.

    Attributes:
        outside: what has a name -> `[C T]`.
        inside: all else, `[C T]`; with the outside it sums to the mixture.
    """

    outside: dict[str, Tensor]
    inside: Tensor


def load_front_end(name: str, device: str = "cpu") -> Separator | None:
    """Get a front end ready.

    Args:
        name: what `soli.load` takes, a baseline such as `htdemucs-onnx:FILE`, or `none`.
        device: for models.

    Returns:
        The separator; None for `none`.

    Raises:
        SoliError: for an unknown name, or a model that separates none of `NAMED`.
    """
    if name == NO_FRONT_END:
        return None
    separator = load_baseline(name) if find_baseline(name) else load(name, device)
    if not set(NAMED) & {*separator.sources}:
        raise SoliError(
            f"front end {name!r} separates {', '.join(separator.sources)}; needed: at least one of {', '.join(NAMED)}"
        )
    return separator


def split_off(front_end: Separator | None, mixture: Tensor, sample_rate: int) -> Split:
    """Take away what has a name.

    Args:
        front_end: from `load_front_end`.
        mixture: `[C T]` at any rate.
        sample_rate: of the mixture, in Hz.

    Returns:
        The two sides; without a front end all is inside.
    """
    if front_end is None:
        return Split({}, mixture)
    stems = torch.cat([piece.stems for piece in stream(front_end, [mixture], sample_rate)], dim=-1)
    outside = {name: stems[index] for index, name in enumerate(front_end.sources) if name in NAMED}
    return Split(outside, mixture - torch.stack(list(outside.values())).sum(dim=0))
