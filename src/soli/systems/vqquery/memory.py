"""Embeddings of the last batches, from which the codes start and over which they are balanced."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Memory(nn.Module):
    """A ring of vectors; all it holds are buffers, so that a resumed training goes on as if it had not stopped.

    Args:
        size: P, how many vectors.
        n_features: D.
    """

    vectors: Tensor
    seen: Tensor

    def __init__(self, size: int, n_features: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(size, n_features))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def add(self, vectors: Tensor) -> None:
        """Remember `[M D]`, at the cost of the oldest."""
        vectors = vectors[-len(self.vectors) :]
        places = (self.seen + torch.arange(len(vectors), device=vectors.device)) % len(self.vectors)
        self.vectors[places] = vectors.to(self.vectors.dtype)
        self.seen += len(vectors)

    @property
    def full(self) -> bool:
        """Whether every place has been used."""
        return int(self.seen) >= len(self.vectors)

    def held(self) -> Tensor:
        """What it remembers, `[up to P, D]`."""
        return self.vectors if self.full else self.vectors[: int(self.seen)]
