"""Any number of channels for methods that were made for two."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def in_pairs(separate: Callable[[Tensor], Tensor], mixture: Tensor) -> Tensor:
    """Separate channels two by two; a single one goes in as both sides and comes out as their mean.

    Args:
        separate: `[B 2 T]` -> `[B S 2 T]`.
        mixture: `[B C T]`.

    Returns:
        `[B S C T]`.
    """
    return torch.cat([_pair(separate, pair) for pair in mixture.split(2, dim=1)], dim=2)


def _pair(separate: Callable[[Tensor], Tensor], mixture: Tensor) -> Tensor:
    stems = separate(mixture.expand(-1, 2, -1))
    return stems if mixture.shape[1] == 2 else stems.mean(dim=2, keepdim=True)
