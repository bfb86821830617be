"""The modern preset as a separator and a codec."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from soli.dsp.frames import synthesise
from soli.dsp.scale import USUAL_LEVEL
from soli.systems.rqvae.codec import CodecSeparator
from soli.systems.rqvae.config import RQVAEConfig
from soli.systems.rqvae.network import RQVAENetwork


class RQVAE(CodecSeparator):
    """Residual-quantised autoencoder over spectrograms, modern preset.

    Args:
        config: of the network.
    """

    Config: ClassVar[type[RQVAEConfig]] = RQVAEConfig
    segment_seconds = 12.0
    context_seconds = 1.5

    def __init__(self, config: RQVAEConfig) -> None:
        super().__init__()
        self.config, self.sources, self.sample_rate = config, config.sources, config.sample_rate
        self.network = RQVAENetwork(config)

    def waveforms(self, spectrogram: Tensor, n_samples: int | None = None) -> Tensor:
        """Complex `[... N F]` -> `[... T]`, by default up to the centre of the last frame."""
        n_samples = (spectrogram.shape[-2] - 1) * self.config.hop_length if n_samples is None else n_samples
        return synthesise(spectrogram, self.config.n_fft, self.config.hop_length, n_samples)

    def estimate(self, mixture: Tensor, known: Tensor | None = None) -> Tensor:
        """Stems of mono mixtures, given those already known; loudness does not matter.

        Args:
            mixture: `[B T]`.
            known: `[B S T]`, zeros where unknown; needs a model with `partial_stems`.

        Returns:
            `[B S T]`.
        """
        level = mixture.square().mean(dim=-1, keepdim=True).sqrt() / USUAL_LEVEL
        level = torch.where(level > 1e-6, level, 1.0)
        encoded = self.network.encode(mixture / level, None if known is None else known / level[:, None])
        features = self.network.decode(self.network.quantizer(encoded.latents).latents, encoded)
        estimates = self.network.masked(features, encoded.spectrogram, encoded.phases)
        return self.waveforms(estimates, mixture.shape[-1]) * level[:, None]

    def _separate_mono(self, mixture: Tensor) -> Tensor:
        return self.estimate(mixture)

    def _encode_mono(self, mixture: Tensor) -> Tensor:
        return self.network.quantizer.encode(self.network.encode(mixture).latents)

    def _decode_mono(self, codes: Tensor) -> Tensor:
        features = self.network.decode(self.network.quantizer.decode(codes))
        return self.waveforms(self.network.expand(self.network.painted(features)))
