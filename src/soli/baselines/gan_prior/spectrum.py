"""What SpecGAN generators make: log-magnitude spectrograms, each bin normalised (Donahue et al. 2019, section 3.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.baselines.gan_prior.config import GANPriorConfig
from soli.dsp.stft import istft, stft

CLIP_DEVIATIONS = 3.0
SMALLEST_DEVIATION = 0.1


class Spectrum(nn.Module):
    """Spectrograms of waveforms and back; the moments of each bin of each source are learned from training data.

    Args:
        config: sizes.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: GANPriorConfig) -> None:
        super().__init__()
        self.config = config
        n_bins = config.shape[0]
        self.register_buffer("mean", torch.zeros(len(config.sources), n_bins, 1))
        self.register_buffer("deviation", torch.ones(len(config.sources), n_bins, 1))

    @torch.no_grad()
    def learn(self, waveforms: Tensor, weight: float) -> None:
        """Move the moments towards those of new waveforms.

        Args:
            waveforms: `[B S T]`, T = `segment`.
            weight: of the new ones; 1 forgets the old ones.
        """
        logs = self._log(self.observe(waveforms))
        square = torch.lerp(self.deviation.square() + self.mean.square(), _over_all(logs.square()), weight)
        self.mean.lerp_(_over_all(logs), weight)
        self.deviation.copy_((square - self.mean.square()).clamp(min=SMALLEST_DEVIATION**2).sqrt())

    def encode(self, waveforms: Tensor) -> Tensor:
        """What the generators should make.

        Args:
            waveforms: one for each source, `[B S T]`.

        Returns:
            `[B S F N]` from -1 to 1: what is further from the mean than three deviations is clipped.
        """
        logs = self._log(self.observe(waveforms))
        return ((logs - self.mean) / (CLIP_DEVIATIONS * self.deviation)).clamp(-1, 1)

    def magnitudes(self, made: Tensor) -> Tensor:
        """Magnitudes of what the generators made, and their sum.

        Args:
            made: `[B S F N]`, from -1 to 1.

        Returns:
            `[B S+1 F N]`, the sum last: magnitudes are taken to add.
        """
        sources = self._linear(made)
        return torch.cat((sources, sources.sum(dim=1, keepdim=True)), dim=1)

    def observe(self, waveforms: Tensor) -> Tensor:
        """Magnitudes without the highest bin and the last frame.

        Args:
            waveforms: `[... T]`, T = `segment`.

        Returns:
            `[... F N]`.
        """
        spectrogram = stft(waveforms, self.config.n_fft, self.config.hop_length)
        return spectrogram[..., :-1, :-1].abs()

    def decode(self, made: Tensor, mixture: Tensor) -> Tensor:
        """Waveforms with the phase of the mixture.

        Args:
            made: `[B S F N]`.
            mixture: `[B T]`.

        Returns:
            `[B S T]`.
        """
        n_fft, hop_length = self.config.n_fft, self.config.hop_length
        phase = stft(mixture, n_fft, hop_length).angle()[:, None]
        magnitudes = F.pad(self._linear(made), (0, 0, 0, 1))  # nothing is made for the highest bin
        magnitudes = torch.cat((magnitudes, magnitudes[..., -1:]), dim=-1)  # nor for the last frame
        return istft(torch.polar(magnitudes, phase.expand_as(magnitudes)), n_fft, hop_length, mixture.shape[-1])

    def _log(self, magnitudes: Tensor) -> Tensor:
        return (magnitudes + self.config.floor).log()

    def _linear(self, made: Tensor) -> Tensor:
        """`[B S F N]` from -1 to 1 -> magnitudes."""
        logs = made * (CLIP_DEVIATIONS * self.deviation) + self.mean
        return (logs.exp() - self.config.floor).relu()


def _over_all(logs: Tensor) -> Tensor:
    """Mean over examples and frames, `[B S F N]` -> `[S F 1]`."""
    return logs.mean(dim=(0, -1))[..., None]
