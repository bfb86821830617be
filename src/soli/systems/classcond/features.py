"""Training targets of the paper preset: who dominates a bin, and which bins count (section 4.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from soli.dsp.level import decibels

SILENCE_DB = -40.0


def ideal_binary_masks(
    sources: Tensor, mixture: Tensor, *, threshold_db: float = SILENCE_DB, per_source_reference: bool = False
) -> Tensor:
    """Give each loud bin of the mixture to its loudest source.

    Args:
        sources: magnitudes `[B S N F]`.
        mixture: magnitudes `[B N F]`.
        threshold_db: bins this far below the mixture's loudest bin belong to nobody, in dB.
        per_source_reference: compare each source in dB below its own maximum, as the released
            code does. A quiet source then wins bins it does not dominate, and a silent source
            wins all of them.

    Returns:
        `[B S N F]`, zeros and ones.
    """
    levels = sources
    if per_source_reference:
        levels = decibels(sources, sources.amax(dim=(-2, -1), keepdim=True))
    loudest = mixture.amax(dim=(-2, -1), keepdim=True)
    heard = mixture > loudest * 10 ** (threshold_db / 20)
    return torch.stack([owned & heard for owned in _loudest(levels)], dim=1).to(sources.dtype)


def _loudest(levels: Tensor) -> list[Tensor]:
    """For every source where it is the loudest, the first one if they tie."""
    # argmax over an outer axis takes ten times as long
    best = levels.amax(dim=1)
    owned, free = [], torch.ones_like(best, dtype=torch.bool)
    for level in levels.unbind(dim=1):
        owned.append((level == best) & free)
        free &= ~owned[-1]
    return owned
