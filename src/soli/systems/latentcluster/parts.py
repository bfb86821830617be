"""What a mixture of mixtures is made of: the training knows these parts, never the sources inside them."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from soli.dsp.scale import USUAL_LEVEL
from soli.errors import SoliError

Parts = Literal["songs", "stems"]
"""`songs`: two mixtures are added, and no stem is ever looked at; `stems`: single instruments are the parts."""


def check_parts(parts: Parts) -> Parts:
    """Refuse another word.

    Args:
        parts: from a recipe.

    Returns:
        The same.

    Raises:
        SoliError: naming what is allowed.
    """
    if parts not in get_args(Parts):
        raise SoliError(f"parts = {parts!r}; allowed: {', '.join(get_args(Parts))}")
    return parts


def parts_of(stems: Tensor, parts: Parts) -> Tensor:
    """Mono parts, whose sum is a mixture at the usual level.

    With `songs` the stems of an item are summed first of all, and every item is added to the next one of the batch,
    both at one level.

    Args:
        stems: `[B S C T]`.
        parts: which.

    Returns:
        `[B P T]`, P = 2 or S.

    Raises:
        SoliError: for a single song, or a single stem, which make no mixture of parts.
    """
    mono = stems.mean(dim=2)
    if parts == "songs":
        if len(mono) < 2:
            raise SoliError("batch_size = 1 with parts = 'songs'; allowed: 2 or more")
        songs = _levelled(mono.sum(dim=1))
        mono = torch.stack((songs, songs.roll(1, dims=0)), dim=1)
    elif mono.shape[1] < 2:
        raise SoliError("mixing.sources names one class with parts = 'stems'; allowed: two or more")
    return mono / _level(mono.sum(dim=1))[..., None]


def two_groups(parts: Tensor) -> Tensor:
    """Share parts out at random between two mixtures, neither of which is silent if two parts sound.

    Args:
        parts: `[B P T]`.

    Returns:
        `[B 2 T]`, with the same sum.
    """
    if parts.shape[1] == 2:
        return parts
    sounding = parts.square().mean(dim=-1) > 1e-6
    order = torch.rand(sounding.shape, device=parts.device).masked_fill(~sounding, 2.0).argsort(dim=1).argsort(dim=1)
    count = sounding.sum(dim=1, keepdim=True).clamp(min=2)
    first = (torch.rand(len(parts), 1, device=parts.device) * (count - 1)).long() + 1  # 1 to count - 1
    share = (order < first).to(parts.dtype)
    return torch.stack([(parts * mask[..., None]).sum(dim=1) for mask in (share, 1 - share)], dim=1)


def loudest(parts: Tensor, number: int) -> Tensor:
    """The parts with the most energy; the others are added to the last of them.

    Args:
        parts: `[B P T]`.
        number: how many to keep apart.

    Returns:
        `[B min(P, number) T]`, with the same sum.
    """
    if parts.shape[1] <= number:
        return parts
    order = parts.square().sum(dim=-1).argsort(dim=1, descending=True)
    parts = parts.gather(1, order[..., None].expand_as(parts))
    return torch.cat((parts[:, : number - 1], parts[:, number - 1 :].sum(dim=1, keepdim=True)), dim=1)


def _level(waveform: Tensor) -> Tensor:
    """`[B T]` -> its level over the usual one, 1 for silence, `[B 1]`."""
    level = waveform.square().mean(dim=-1, keepdim=True).sqrt() / USUAL_LEVEL
    return torch.where(level > 1e-6, level, 1.0)


def _levelled(waveform: Tensor) -> Tensor:
    """Near silence stays what it is."""
    level = _level(waveform)
    return waveform / torch.where(level > 1e-2, level, 1.0)
