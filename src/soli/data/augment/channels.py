"""Polarity, width, balance, swap and mixing down: all of it is one small matrix for each stem."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def channel_matrix(
    *,
    inverted: Sequence[bool],
    width: Sequence[float],
    balance_db: Sequence[float],
    swapped: bool = False,
    mono: bool = False,
    n_channels: int = 2,
) -> Tensor:
    """What takes the channels of each stem to those of the mixture.

    Args:
        inverted: S, whether the sign is flipped.
        width: S factors of the side signal: 0 is mono, 1 as recorded.
        balance_db: S levels of left over right, added half to the one and taken half from the other.
        swapped: exchange left and right.
        mono: average both to one channel.
        n_channels: of the stems; those of one channel sound alike on the left and on the right.

    Returns:
        `[S C n_channels]` with C = 1 if mono and 2 otherwise; multiply it with stems `[S n_channels T]`.
    """
    sign = 1.0 - 2.0 * torch.tensor(inverted, dtype=torch.float32)
    near, far = (1 + torch.tensor(width)) / 2, (1 - torch.tensor(width)) / 2
    left = 10 ** (torch.tensor(balance_db) / 40)
    matrix = torch.stack((near * left, far * left, far / left, near / left), dim=-1).reshape(-1, 2, 2)
    if swapped:
        matrix = matrix.flip(1)
    if mono:
        matrix = matrix.mean(dim=1, keepdim=True)
    if n_channels == 1:
        matrix = matrix.sum(dim=2, keepdim=True)
    return matrix * sign[:, None, None]
