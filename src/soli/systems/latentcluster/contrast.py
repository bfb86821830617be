"""Contrast of points: those of one part of a mixture of mixtures close together, those of two parts apart."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Points(NamedTuple):
    """Some points of each item.

    Attributes:
        directions: `[B P E]`, of length one.
        owner: the part that is loudest there, `[B P]`.
        step: when, `[B P]`.
        weight: 0 where the item has no more points that count, else 1, `[B P]`.
    """

    directions: Tensor
    owner: Tensor
    step: Tensor
    weight: Tensor


def draw_points(directions: Tensor, energies: Tensor, n_points: int, *, dominance: float = 0.7) -> Points:
    """Draw points that belong to one part, loud ones more often.

    Args:
        directions: `[B K M E]`.
        energies: of each part, `[B P' K M]`.
        n_points: P.
        dominance: share of the energy that the owner must have.

    Returns:
        The points.
    """
    total = energies.sum(dim=1).flatten(1)  # [B K*M]
    share, owner = energies.flatten(2).max(dim=1)
    sure = share > dominance * total
    odds = total.sqrt() * sure + 1e-9 * total.mean(dim=1, keepdim=True).sqrt() + 1e-12
    chosen = torch.multinomial(odds, n_points)
    n_steps = directions.shape[2]
    return Points(
        directions.flatten(1, 2).gather(1, chosen[..., None].expand(-1, -1, directions.shape[-1])),
        owner.gather(1, chosen),
        chosen % n_steps,
        sure.gather(1, chosen).to(directions.dtype),
    )


def contrast(points: Points, *, temperature: float = 0.1, reach: int | None = None) -> Tensor:
    """InfoNCE (van den Oord et al. 2018) between points of the same part and points of other parts.

    With a reach, one near point of the same part that is alike is enough (Miech et al. 2020): what a song plays at one
    time may be two instruments. Without one, every point of the part should be alike (Khosla et al. 2020, eq. 2).

    Args:
        points: of a batch; points of other items are not looked at.
        temperature: of the similarities.
        reach: steps within which points of one part are compared; None for all of them.

    Returns:
        Scalar in nats.
    """
    likeness = points.directions @ points.directions.mT / temperature  # [B P P]
    counts = points.weight[:, :, None] * points.weight[:, None]
    counts = counts * (1 - torch.eye(likeness.shape[1], device=likeness.device))
    same = (points.owner[:, :, None] == points.owner[:, None]) & (counts > 0)
    near = same if reach is None else same & ((points.step[:, :, None] - points.step[:, None]).abs() <= reach)
    compared = near | ((counts > 0) & ~same)
    lowest = torch.finfo(likeness.dtype).min
    if reach is None:
        positive = (likeness * near).sum(dim=-1) / near.sum(dim=-1).clamp(min=1)
    else:
        positive = likeness.masked_fill(~near, lowest).logsumexp(dim=-1)
    everyone = likeness.masked_fill(~compared, lowest).logsumexp(dim=-1)
    useful = near.any(dim=-1) & (compared & ~near).any(dim=-1)
    return (everyone - positive).where(useful, 0.0).sum() / useful.sum().clamp(min=1)
