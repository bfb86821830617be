"""Self-attention over frames with rotary positions, as one residual block."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Attention and a gated MLP, each normalised first and added to its input.

    Args:
        n_features: D.
        n_heads: must divide D into heads of even width.
    """

    def __init__(self, n_features: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm, self.mlp_norm = nn.LayerNorm(n_features), nn.LayerNorm(n_features)
        self.qkv = nn.Linear(n_features, 3 * n_features, bias=False)
        self.out = nn.Linear(n_features, n_features, bias=False)
        self.up = nn.Linear(n_features, 4 * n_features, bias=False)
        self.down = nn.Linear(2 * n_features, n_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[B N D]` -> `[B N D]`."""
        query, key, value = self._heads(x)
        return self._add(x, F.scaled_dot_product_attention(rotate(query), rotate(key), value))

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`[B N D]` -> queries, keys and values of each head, `[B H N E]`."""
        qkv = self.qkv(self.norm(x)).view(*x.shape[:2], 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        return qkv[0], qkv[1], qkv[2]

    def _add(self, x: Tensor, attended: Tensor) -> Tensor:
        """Add what attention found, `[B H N E]`, and then the MLP."""
        x = x + self.out(attended.transpose(1, 2).reshape(x.shape))
        gate, value = self.up(self.mlp_norm(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * value)


def rotate(x: Tensor, start: int = 0) -> Tensor:
    """Rotary position embedding (Su et al. 2021): products of two vectors then depend on their distance alone.

    Args:
        x: `[... N E]` with E even.
        start: position of the first vector.

    Returns:
        The same shape and type.
    """
    n_frames, half = x.shape[-2], x.shape[-1] // 2
    rates = 10000 ** (-torch.arange(half, device=x.device) / half)
    angles = torch.arange(start, start + n_frames, device=x.device)[:, None] * rates
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)
