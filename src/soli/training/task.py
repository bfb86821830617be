"""What a system hands to the training loop: a separator and named losses of a batch."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from soli.separator import Separator


class Task(Protocol):
    """A module that owns the separator being trained.

    Attributes:
        separator: the model whose weights are exported.
    """

    separator: Separator

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Named, weighted scalar losses of a batch of stems `[B S C T]`; their sum is minimised."""
        ...


class LossModule(nn.Module):
    """A task seen as a module whose forward pass gives the losses, which is what DDP and autocast wrap."""

    def __init__(self, task: nn.Module) -> None:
        super().__init__()
        self.task = task

    def forward(self, stems: Tensor) -> dict[str, Tensor]:
        """`[B S C T]` -> named scalars."""
        return self.task.losses(stems)
