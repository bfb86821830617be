"""Several processes that train one model, each on its share of every batch, as `torchrun` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.distributed as dist
from accelerate import PartialState
from torch import nn


class Share(NamedTuple):
    """Which process this is.

    Attributes:
        rank: from 0; the first one writes files and speaks.
        count: of all processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and speaks; the only one is."""
        return self.rank == 0


def own_share() -> Share:
    """This process among those that `torchrun` or `accelerate launch` has started; alone where none has."""
    return Share(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


@contextmanager
def first_alone() -> Iterator[None]:
    """The first process goes ahead, the others follow once it is through: what it has built they find."""
    if own_share().count == 1:
        yield
        return
    with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
        yield


@torch.no_grad()
def agree(module: nn.Module) -> None:
    """Give all processes the numbers of the first one, where a first batch has set some of them.

    Args:
        module: changed in place.
    """
    if dist.is_initialized():
        for tensor in (*module.parameters(), *module.buffers()):
            dist.broadcast(tensor, 0)
