"""What multi-source diffusion learns from: stems with noise of random levels."""

from __future__ import annotations

import torch
from torch import Tensor

from soli.baselines.diffusion.karras import draw_sigmas, loss_weight
from soli.baselines.diffusion.separator import Diffusion
from soli.errors import SoliError
from soli.losses import Task


class DiffusionTask(Task[Diffusion]):
    """Weighted error of the denoised stems.

    Args:
        separator: to train.
        sigma_mean: of the logarithm of the noise levels.
        sigma_deviation: of the same.

    Raises:
        SoliError: for a deviation below zero.
    """

    def __init__(self, separator: Diffusion, *, sigma_mean: float = -3.0, sigma_deviation: float = 1.0) -> None:
        super().__init__()
        if not sigma_deviation >= 0:
            raise SoliError(f"task.sigma_deviation = {sigma_deviation}; allowed: at least 0")
        self.separator = separator
        self.sigma_mean, self.sigma_deviation = sigma_mean, sigma_deviation

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Terms whose sum is minimised.

        Args:
            stems: `[B S C T]`, in the order of `separator.sources`; mixed down to mono.

        Returns:
            One for each source; for stems of deviation `sigma_data` they begin with a sum of 1.
        """
        clean = stems.mean(dim=2)
        sigma = draw_sigmas(len(clean), mean=self.sigma_mean, deviation=self.sigma_deviation, device=clean.device)
        noisy = clean + sigma[:, None, None] * torch.randn_like(clean)
        errors = (self.separator.denoise(noisy, sigma) - clean).square().mean(dim=-1)  # [B S]
        weighted = loss_weight(sigma, self.separator.config.sigma_data)[:, None] * errors
        shares = weighted.mean(dim=0) / len(self.separator.sources)
        return dict(zip(self.separator.sources, shares, strict=True))
