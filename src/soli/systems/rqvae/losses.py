"""Distances between stems that more than one preset, or none but these, uses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soli.dsp.mel import mel_filterbank

_LOG_FLOOR = 1e-5


class MelDistance(nn.Module):
    """Multi-scale mel distance, equation 1: absolute errors plus the norm of the errors of logarithms (alpha = 1).

    Windows are scaled to unit energy, so that every scale counts alike; transforms are padded to 512 points where
    64 bands need them. Logarithms stop at 1e-5, below which there is silence.

    Args:
        sample_rate: in Hz.
        windows: window lengths in samples; the hop is a quarter.
        n_mels: bands.
    """

    def __init__(self, sample_rate: int, windows: tuple[int, ...], n_mels: int = 64) -> None:
        super().__init__()
        self.windows = windows
        for length in windows:
            bank = mel_filterbank(sample_rate, max(512, length), n_mels).float()
            self.register_buffer(f"bank{length}", bank.T.contiguous(), persistent=False)

    def forward(self, references: Tensor, estimates: Tensor) -> Tensor:
        """Distance summed over sources and averaged over scales, frames and items.

        Args:
            references: `[B S T]`, of unit level.
            estimates: the same shape.

        Returns:
            Scalar.
        """
        distances = []
        for length in self.windows:
            truth, guess = self._mel(references, length), self._mel(estimates, length)  # [B S N K]
            logs = truth.clamp(min=_LOG_FLOOR).log() - guess.clamp(min=_LOG_FLOOR).log()
            distance = (truth - guess).abs().sum(dim=-1) + torch.linalg.vector_norm(logs, dim=-1)
            distances.append(distance.mean(dim=-1).sum(dim=1).mean())
        return torch.stack(distances).mean()

    def _mel(self, waveform: Tensor, length: int) -> Tensor:
        return magnitudes(waveform, length, length // 4, n_fft=max(512, length)) @ getattr(self, f"bank{length}")


def magnitudes(waveform: Tensor, length: int, hop_length: int, *, n_fft: int | None = None) -> Tensor:
    """Magnitudes through a Hann window of unit energy.

    Args:
        waveform: `[... T]`.
        length: of the window.
        hop_length: between frames.
        n_fft: length of the transform, the window's by default.

    Returns:
        `[... N F]`.
    """
    window = torch.hann_window(length, device=waveform.device)
    window = window / torch.linalg.vector_norm(window)
    padded = nn.functional.pad(waveform, (length // 2, length // 2))
    spectrum = torch.fft.rfft(padded.unfold(-1, length, hop_length) * window, n=n_fft)
    return (spectrum.real.square() + spectrum.imag.square() + 1e-12).sqrt()


def thresholded_snr(references: Tensor, estimates: Tensor, *, floor_db: float, n_samples: int) -> Tensor:
    """Error of each source in dB, relative to the source where it sounds and to the mixture where it is silent.

    The clip is cut into pieces, each of which counts alike. In a piece, 10 log10(error / level + floor): the level is
    the source's own energy, but at least a thousandth of the mixture's.

    Args:
        references: `[B S T]`.
        estimates: `[B S T]`.
        floor_db: error below which nothing more is to gain.
        n_samples: length of the pieces; shorter clips are one piece, and the rest of longer ones is left out.

    Returns:
        Mean over pieces and sources, a scalar in dB.
    """
    n_samples = min(n_samples, references.shape[-1])
    truth, guess = (x.unfold(-1, n_samples, n_samples) for x in (references, estimates))  # [B S P n]
    mixture = truth.sum(dim=1, keepdim=True).square().mean(dim=-1)
    level = torch.maximum(truth.square().mean(dim=-1), 1e-3 * mixture) + 1e-9
    error = (truth - guess).square().mean(dim=-1)
    return 10 * torch.log10(error / level + 10 ** (floor_db / 10)).mean()


def magnitude_distance(references: Tensor, estimates: Tensor, windows: tuple[int, ...]) -> Tensor:
    """Mean absolute error of square roots of magnitudes at several resolutions, relative to the references' own mean.

    Args:
        references: `[B S T]`.
        estimates: `[B S T]`.
        windows: window lengths in samples; frames overlap by half.

    Returns:
        Scalar.
    """
    distances = []
    for length in windows:
        truth, guess = (magnitudes(x, length, length // 2).sqrt() for x in (references, estimates))
        distances.append((truth - guess).abs().mean() / (truth.mean() + 1e-3))
    return torch.stack(distances).mean()
