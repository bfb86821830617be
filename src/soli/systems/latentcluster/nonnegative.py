"""Non-negative factorisation of latent activations, and its parts as shares of every channel and step."""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-8


def factorise(activations: Tensor, n_parts: int, *, n_steps: int = 100, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Multiplicative updates for the Kullback-Leibler divergence (Lee and Seung 1999).

    Args:
        activations: `[D M]`, 0 or more.
        n_parts: R.
        n_steps: updates of both factors.
        seed: of the first guess.

    Returns:
        Templates `[D R]` and levels `[R M]`, 0 or more.
    """
    generator = torch.Generator().manual_seed(seed)
    scale = (activations.mean() / n_parts).sqrt() + _TINY
    templates = scale * torch.rand(len(activations), n_parts, generator=generator).to(activations)
    levels = scale * torch.rand(n_parts, activations.shape[1], generator=generator).to(activations)
    return refine(activations, templates + _TINY, levels + _TINY, n_steps)


def refine(activations: Tensor, templates: Tensor, levels: Tensor, n_steps: int) -> tuple[Tensor, Tensor]:
    """Go on from factors.

    Args:
        activations: `[D M]`.
        templates: `[D R]`.
        levels: `[R M]`.
        n_steps: updates of both, the levels first.

    Returns:
        Templates and levels.
    """
    for _ in range(n_steps):
        ratio = activations / (templates @ levels + _TINY)
        levels = levels * (templates.T @ ratio) / (templates.sum(dim=0)[:, None] + _TINY)
        ratio = activations / (templates @ levels + _TINY)
        templates = templates * (ratio @ levels.T) / (levels.sum(dim=1) + _TINY)
    return templates, levels


def part_shares(templates: Tensor, levels: Tensor) -> Tensor:
    """Share of each part in every channel and step.

    Args:
        templates: `[D R]`.
        levels: `[R M]`.

    Returns:
        `[R D M]`, sums to one over R.
    """
    parts = templates.T[:, :, None] * levels[:, None, :] + _TINY
    return parts / parts.sum(dim=0)
