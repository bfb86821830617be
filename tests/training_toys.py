"""A task whose weights are set by its first batch, and batches that anyone can count."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from soli.losses import Task
from soli.training.processes import Share


class Bent(Task):
    """Learns a linear map; if it is `fresh`, its offset is what the first batch it hears begins with."""

    def __init__(self, *, fresh: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.offset = nn.Parameter(torch.zeros(1))
        self.begun = not fresh

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        if not self.begun:
            self.offset.data.fill_(float(stems[0, 0]))
            self.begun = True
        return {"error": (stems @ self.weight + self.offset - 2 * stems.sum(dim=1)).square().mean()}


def numbered(batch_size: int, share: Share) -> Callable[[int], Iterator[Tensor]]:
    """Of each batch of all processes together, this one's part."""

    def start(first: int) -> Iterator[Tensor]:
        begin = first + share.rank * batch_size
        while True:
            yield torch.stack(
                [torch.tensor([0.2 + 0.3 * (i % 5), 1.0, 0.1 * (i % 3)]) for i in range(begin, begin + batch_size)]
            )
            begin += share.count * batch_size

    return start
