"""What WaveGAN generators make: waveforms (Donahue et al. 2019, section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soli.baselines.gan_prior.config import GANPriorConfig
from soli.dsp.stft import stft


class Waveform(nn.Module):
    """Waveforms as they are, and the spectrograms by which the search compares them.

    Args:
        config: sizes.
    """

    def __init__(self, config: GANPriorConfig) -> None:
        super().__init__()
        self.config = config

    def learn(self, waveforms: Tensor, weight: float) -> None:
        """There is nothing to learn."""

    def encode(self, waveforms: Tensor) -> Tensor:
        """What the generators should make, `[B S T]` -> `[B S T]`."""
        return waveforms

    def magnitudes(self, made: Tensor) -> Tensor:
        """Magnitudes of what the generators made, and of its sum.

        Args:
            made: `[B S T]`.

        Returns:
            `[B S+1 F N]`, those of the sum last.
        """
        return self.observe(torch.cat((made, made.sum(dim=1, keepdim=True)), dim=1))

    def observe(self, waveforms: Tensor) -> Tensor:
        """Magnitudes, `[... T]` -> `[... F N]`."""
        return stft(waveforms, self.config.n_fft, self.config.hop_length).abs()

    def decode(self, made: Tensor, mixture: Tensor) -> Tensor:
        """The waveforms themselves, `[B S T]` and `[B T]` -> `[B S T]`."""
        return made
