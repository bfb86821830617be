"""A causal transformer: every frame hears itself and what came before, and frames can be added one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.nn.attention import SelfAttention, rotate


class Past(NamedTuple):
    """What a layer keeps of the frames so far.

    Attributes:
        keys: rotated, `[B H N E]`.
        values: `[B H N E]`.
    """

    keys: Tensor
    values: Tensor


class CausalAttention(SelfAttention):
    """`SelfAttention` in which no frame hears a later one.

    Args:
        n_features: D.
        n_heads: must divide D into heads of even width.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`[B N D]` -> `[B N D]`."""
        query, key, value = self._heads(x)
        return self._add(x, _attended(rotate(query), rotate(key), value, None))

    def extend(self, x: Tensor, past: Past | None) -> tuple[Tensor, Past]:
        """The same for frames that come after others.

        Args:
            x: the new frames, `[B N D]`.
            past: of the frames before them; None if there are none.

        Returns:
            `[B N D]`, and the past of the frames after them.
        """
        query, key, value = self._heads(x)
        n_before = 0 if past is None else past.keys.shape[-2]
        query, key = rotate(query, n_before), rotate(key, n_before)
        if past is not None:
            key, value = torch.cat((past.keys, key), dim=-2), torch.cat((past.values, value), dim=-2)
        heard = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=x.device).tril(n_before)
        return self._add(x, _attended(query, key, value, heard)), Past(key, value)


class CausalTransformer(nn.Module):
    """Layers of `CausalAttention` and a last normalisation.

    Args:
        n_features: D.
        n_layers: of attention and MLP.
        n_heads: must divide D into heads of even width.
    """

    def __init__(self, n_features: int, n_layers: int, n_heads: int) -> None:
        super().__init__()
        self.layers: Sequence[CausalAttention] = nn.ModuleList(  # type: ignore[assignment]
            CausalAttention(n_features, n_heads) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(n_features)

    def forward(self, x: Tensor) -> Tensor:
        """`[B N D]` -> `[B N D]`."""
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def extend(self, x: Tensor, past: Sequence[Past] | None = None) -> tuple[Tensor, list[Past]]:
        """The same for frames that come after others: what `forward` gives for all of them together.

        Args:
            x: the new frames, `[B N D]`.
            past: what the last call returned; None at the beginning.

        Returns:
            `[B N D]`, and the past for the next call.
        """
        following = []
        for index, layer in enumerate(self.layers):
            x, kept = layer.extend(x, None if past is None else past[index])
            following.append(kept)
        return self.norm(x), following


def _attended(query: Tensor, key: Tensor, value: Tensor, heard: Tensor | None) -> Tensor:
    """Attention `[B H N E]`; without a mask of what is heard, to no later frame."""
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, attn_mask=heard, is_causal=heard is None)
    query, key, value = query.float(), key.float(), value.float()
    with torch.autocast("cpu", enabled=False):  # the gradient in bfloat16 takes six times as long for so few frames
        return F.scaled_dot_product_attention(query, key, value, attn_mask=heard, is_causal=heard is None)
