"""What the transformer learns from: crops of encoded songs, with the stems of each in an order of their own."""

from __future__ import annotations

import torch
from torch import Tensor

from soli.errors import SoliError
from soli.losses import Task
from soli.systems.rqvae.music.separator import RQVAEMusic


class MusicTask(Task[RQVAEMusic]):
    """The mean negative log-likelihood of codes.

    Args:
        separator: to train.
        depth_every: both transformers learn from the codes of one frame in so many; the spatial one hears all frames.

    Raises:
        SoliError: for a distance that is not 1 or more.
    """

    def __init__(self, separator: RQVAEMusic, *, depth_every: int = 8) -> None:
        super().__init__()
        if not isinstance(depth_every, int) or depth_every < 1:
            raise SoliError(f"depth_every = {depth_every!r}; allowed: a whole number, 1 or more")
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
