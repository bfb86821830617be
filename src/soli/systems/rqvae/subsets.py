"""Random subsets of the stems of a batch: which of them sound, which of them are known."""

from __future__ import annotations

import torch
from torch import Tensor


def sounding(n_items: int, n_stems: int, device: torch.device, *, probability: float) -> Tensor:
    """Which stems sound: all, or with some probability one of the 2^S - 1 subsets that are not empty.

    Args:
        n_items: B.
        n_stems: S.
        device: of the result.
        probability: of a subset, for each item.

    Returns:
        `[B S 1]`, zeros and ones.
    """
    numbers = torch.randint(1, 2**n_stems, (n_items, 1), device=device)
    chosen = numbers >> torch.arange(n_stems, device=device) & 1
    everything = torch.rand(n_items, 1, device=device) >= probability
    return torch.where(everything, 1, chosen)[..., None].float()


def known(n_items: int, n_stems: int, device: torch.device) -> Tensor:
    """Which stems are known: how many is drawn uniformly from 0 to S - 1, then which (orderless NADE).

    Args:
        n_items: B.
        n_stems: S.
        device: of the result.

    Returns:
        `[B S 1]`, zeros and ones.
    """
    n_known = torch.randint(n_stems, (n_items, 1), device=device)
    ranks = torch.rand(n_items, n_stems, device=device).argsort(dim=1)
    return (ranks < n_known)[..., None].float()
