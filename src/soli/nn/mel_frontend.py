"""From waveform to whitened mel levels, and from mel masks back to waveforms.

Frames come before bands here (`[B N K]`), because that is how recurrent and dense layers
want them and how the Fourier transform leaves them in memory.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soli.dsp.level import decibels, whiten
from soli.dsp.mel import mel_filterbank, mel_pseudo_inverse
from soli.dsp.stft import istft, stft


class MelFrontEnd(nn.Module):
    """Fixed analysis and synthesis around a network that works on mel bands.

    The two matrices are buffers that are computed, not stored in checkpoints.

    Args:
        sample_rate: in Hz.
        n_fft: window length in samples.
        hop_length: in samples.
        n_mels: number of bands K.
    """

    filterbank: Tensor
    inverse: Tensor

    def __init__(self, sample_rate: int, n_fft: int, hop_length: int, n_mels: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        filterbank = mel_filterbank(sample_rate, n_fft, n_mels)
        self.register_buffer("filterbank", filterbank.float(), persistent=False)
        self.register_buffer("inverse", mel_pseudo_inverse(filterbank).float(), persistent=False)

    def spectrogram(self, waveform: Tensor) -> Tensor:
        """Transform `[... T]` to the complex spectrogram `[... N F]`."""
        return stft(waveform, self.n_fft, self.hop_length).transpose(-1, -2)

    @torch.no_grad()
    def mono_magnitudes(self, stems: Tensor) -> tuple[Tensor, Tensor]:
        """Magnitudes of a batch of stems, for networks that hear one channel.

        Args:
            stems: `[B S C T]`; mixed down to mono.

        Returns:
            Magnitudes of the mixture `[B N F]` and of the sources `[B S N F]`.
        """
        spectrograms = self.spectrogram(stems.mean(dim=2))
        return magnitudes(spectrograms.sum(dim=1)), magnitudes(spectrograms)

    def features(self, magnitude: Tensor) -> Tensor:
        """Whitened levels in mel bands.

        Each example is put in dB below its own loudest bin, whitened as a whole, and only
        then averaged into bands.

        Args:
            magnitude: `[B N F]`.

        Returns:
            `[B N K]`, single precision.
        """
        level = decibels(magnitude, magnitude.amax(dim=(-2, -1), keepdim=True))
        with torch.autocast(magnitude.device.type, enabled=False):
            return self.project(whiten(level, dims=(-2, -1)))

    def project(self, linear: Tensor) -> Tensor:
        """Average bins `[... F]` into bands `[... K]`."""
        return linear @ self.filterbank.T

    def restore(self, mel_mask: Tensor) -> Tensor:
        """Spread a mask over bands `[... K]` to bins `[... F]`, clamped to 0 and 1, in single precision."""
        with torch.autocast(mel_mask.device.type, enabled=False):
            return (mel_mask.float() @ self.inverse.T).clamp(0.0, 1.0)

    def synthesise(self, mel_masks: Tensor, spectrogram: Tensor, n_samples: int) -> Tensor:
        """Mask a mixture, keep its phase, and go back to waveforms, one source at a time.

        Args:
            mel_masks: `[B S N K]`.
            spectrogram: of the mixture, complex `[B N F]`.
            n_samples: length T of the mixture.

        Returns:
            `[B S T]`.
        """
        stems = []
        for mask in mel_masks.unbind(dim=1):
            masked = (self.restore(mask) * spectrogram).transpose(-1, -2)
            stems.append(istft(masked, self.n_fft, self.hop_length, n_samples))
        return torch.stack(stems, dim=1)


def magnitudes(spectrogram: Tensor) -> Tensor:
    """`|X|`; twice as fast on a CPU as the `abs` of complex numbers, which is not vectorised."""
    parts = torch.view_as_real(spectrogram)
    return torch.hypot(parts[..., 0], parts[..., 1])
