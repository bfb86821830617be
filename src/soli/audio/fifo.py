"""A queue of samples: blocks of any length go in, blocks of the wanted length come out."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor


class SampleFifo:
    """First-in-first-out buffer along the last axis; all other axes stay as they are.

    Attributes:
        n_samples: how many samples can be taken now.
    """

    def __init__(self) -> None:
        self._blocks: deque[Tensor] = deque()
        self.n_samples = 0

    def push(self, block: Tensor) -> None:
        """Append a block.

        Args:
            block: `[... T]`; kept by reference, so it must not be edited afterwards.
        """
        if block.shape[-1]:
            self._blocks.append(block)
            self.n_samples += block.shape[-1]

    def pop(self, n_samples: int) -> Tensor:
        """Take the oldest samples out.

        Args:
            n_samples: how many, from 1 to `self.n_samples`.

        Returns:
            A tensor `[... n_samples]`.
        """
        taken: list[Tensor] = []
        self.n_samples -= n_samples
        while n_samples:
            block = self._blocks.popleft()
            if block.shape[-1] > n_samples:
                self._blocks.appendleft(block[..., n_samples:])
                block = block[..., :n_samples]
            taken.append(block)
            n_samples -= block.shape[-1]
        return taken[0] if len(taken) == 1 else torch.cat(taken, dim=-1)

    def peek(self, start: int, stop: int) -> Tensor:
        """Look at samples without taking them.

        Args:
            start: first sample, counted from the oldest one held.
            stop: one past the last, at most `self.n_samples`.

        Returns:
            A tensor `[... stop-start]`, copied where it spans several blocks.
        """
        seen: list[Tensor] = []
        offset = 0
        for block in self._blocks:
            length = block.shape[-1]
            if offset < stop and offset + length > start:
                seen.append(block[..., max(0, start - offset) : stop - offset])
            offset += length
        return seen[0] if len(seen) == 1 else torch.cat(seen, dim=-1)
