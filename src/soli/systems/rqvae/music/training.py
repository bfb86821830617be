"""What the transformer learns from: crops of encoded songs, with the stems of each in an order of their own."""

from __future__ import annotations

import torch
from torch import Tensor

from soli.losses import Task
from soli.systems.rqvae.music.separator import RQVAEMusic


class MusicTask(Task[RQVAEMusic]):
    """The mean negative log-likelihood of codes.

    Args:
        separator: to train.
        depth_every: the depth transformer learns from one frame in so many, the spatial one from all.
    """

    def __init__(self, separator: RQVAEMusic, *, depth_every: int = 4) -> None:
        super().__init__()
        self.separator, self.depth_every = separator, depth_every

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """The term that is minimised.

        Args:
            stems: codes `[B S K N]`.

        Returns:
            `nll`, in nats, mean over all codes.
        """
        n_items, n_stems, _, n_frames = stems.shape
        orders = torch.rand(n_items, n_stems, device=stems.device).argsort(dim=1)
        first = int(torch.randint(min(self.depth_every, n_frames), ()))
        frames = torch.arange(first, n_frames, self.depth_every, device=stems.device)
        return {"nll": self.separator.transformer.nll(stems, orders, frames).mean()}
