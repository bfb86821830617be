"""Multi-source diffusion as a separator: stems are sampled from their prior, given that they sum to the mixture."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from soli.baselines.diffusion.config import DiffusionConfig
from soli.baselines.diffusion.karras import precondition, sample, schedule
from soli.baselines.diffusion.network import UNet
from soli.baselines.diffusion.posterior import constrained, dirac, gaussian
from soli.streaming import MonoSeparator


class Diffusion(MonoSeparator):
    """Multi-source diffusion model (MSDM) and independent source diffusion models (ISDM), Mariani et al. 2023.

    Args:
        config: sizes, and how a mixture is separated.
    """

    Config: ClassVar[type[DiffusionConfig]] = DiffusionConfig
    segment_seconds = 12.0

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.config, self.sources, self.sample_rate = config, config.sources, config.sample_rate
        n_networks = 1 if config.joint else len(config.sources)
        n_signals = len(config.sources) // n_networks
        self.networks = nn.ModuleList(UNet(n_signals, config) for _ in range(n_networks))

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The mean of the clean stems given noisy ones.

        Args:
            x: `[B S T]`.
            sigma: deviation of the noise, `[B]`.

        Returns:
            `[B S T]`.
        """
        return precondition(self._networks, self.config.sigma_data)(x, sigma)

    def _networks(self, x: Tensor, noise: Tensor) -> Tensor:
        """`[B S T]`, `[B]` -> `[B S T]`; a network for each source hears nothing of the others."""
        parts = x.chunk(len(self.networks), dim=1)
        return torch.cat([network(part, noise) for network, part in zip(self.networks, parts, strict=True)], dim=1)

    def _separate_mono(self, mixture: Tensor) -> Tensor:
        """`[B T]` -> `[B S T]`, all from the same noise."""
        config, generator = self.config, torch.Generator().manual_seed(self.config.seed)

        def noise() -> Tensor:
            drawn = torch.randn(len(config.sources), mixture.shape[-1], generator=generator)
            return drawn.to(mixture.device).expand(len(mixture), -1, -1)

        heeds_dirac = config.likelihood == "dirac"
        derivative = (
            dirac(self.denoise, mixture, config.source_id)
            if heeds_dirac
            else gaussian(self.denoise, mixture, config.gamma)
        )
        sigmas = schedule(config.steps, sigma_min=config.sigma_min, sigma_max=config.sigma_max, rho=config.rho)
        stems = sample(derivative, noise, sigmas, churn=config.churn, correction=config.correction)
        return constrained(stems, mixture, config.source_id) if heeds_dirac else stems
