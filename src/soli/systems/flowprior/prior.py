"""What one instrument is to the modern preset: its flow and its extractor, learned from its solos."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soli.nn.glow import Glow, log_likelihood
from soli.systems.flowprior.bands import level
from soli.systems.flowprior.config import FlowPriorConfig
from soli.systems.flowprior.extractor import Extractor


class Prior(nn.Module):
    """One instrument.

    Args:
        config: of the modern preset.

    Attributes:
        usual: mean and deviation of the likelihood of its solos, `[2]`.
        calibration: weights of the evidence that it sounds, `[3]`; see `presence`.
        calibrated: whether they were learned.
    """

    usual: Tensor
    calibration: Tensor
    calibrated: Tensor

    def __init__(self, config: FlowPriorConfig) -> None:
        super().__init__()
        self.noise = config.noise
        self.register_buffer("usual", torch.tensor([0.0, 1.0]))
        self.register_buffer("calibration", torch.zeros(3))
        self.register_buffer("calibrated", torch.tensor(False))
        self.extractor = Extractor(config)
        self.flow = Glow(
            config.n_mels,
            n_blocks=config.n_blocks,
            n_hidden=config.n_hidden,
            n_layers=config.n_layers,
            kernel_size=config.kernel_size,
            largest_log_scale=config.largest_log_scale,
        )

    def score(self, bands: Tensor) -> Tensor:
        """Exact log-likelihood of excerpts, whatever their level.

        Args:
            bands: magnitudes `[B K N]`, N even.

        Returns:
            Nats for each band and frame, `[B]`.
        """
        levelled = level(bands).bands
        if self.training:  # the noise floor that makes a density of silence possible
            levelled = levelled + self.noise * torch.randn_like(levelled)
        return log_likelihood(*self.flow(levelled)) / levelled[0].numel()

    def features(self, log_likelihood: Tensor, share_db: Tensor) -> Tensor:
        """What `calibration` weighs: one, the likelihood in deviations from that of solos, tens of decibels.

        Args:
            log_likelihood: of estimates, from `score`.
            share_db: their energy, from `presence.evidence`.

        Returns:
            `[... 3]`.
        """
        mean, deviation = self.usual
        surprise = ((log_likelihood - mean) / deviation).clamp(-20, 5)
        return torch.stack((torch.ones_like(surprise), surprise, share_db / 10), dim=-1)
