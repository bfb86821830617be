"""Distances between stems that more than one preset, or none but these, uses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soli.dsp.mel import mel_filterbank
from soli.losses import magnitudes

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


def separation_error(references: Tensor, estimates: Tensor, *, floor_db: float, n_samples: int) -> Tensor:
    """Mean of two errors in dB, `thresholded_snr` and `scale_invariant_error`, over pieces of the clip.

    The first alone has a resting place: while a source is small beside the others, the best scaling of a bad estimate
    of it is next to nothing, and an estimate of next to nothing has no gradient. The second asks for the right shape
    however small the estimate is.

    Args:
        references: `[B S T]`.
        estimates: `[B S T]`.
        floor_db: error below which nothing more is to gain.
        n_samples: length of the pieces, roughly: the clip is cut into equal ones.

    Returns:
        Scalar in dB.
    """
    n_samples = references.shape[-1] // max(1, round(references.shape[-1] / n_samples))
    truth, guess = (x.unfold(-1, n_samples, n_samples) for x in (references, estimates))  # [B S P n]
    floor = 10 ** (floor_db / 10)
    return 0.5 * (thresholded_snr(truth, guess, floor) + scale_invariant_error(truth, guess, floor))


def relative_error(references: Tensor, estimates: Tensor) -> Tensor:
    """Energy of the error of each source, relative to the mixture's: quiet sources count for little.

    Args:
        references: `[B S T]`.
        estimates: the same shape.

    Returns:
        Mean over items and sources, a scalar.
    """
    mixture = references.sum(dim=1, keepdim=True).square().mean(dim=-1) + 1e-8
    return ((references - estimates).square().mean(dim=-1) / mixture).mean()


def thresholded_snr(references: Tensor, estimates: Tensor, floor: float) -> Tensor:
    """Error of each source in dB, relative to the source where it sounds and to the mixture where it is silent.

    10 log10(error / level + floor): the level is the source's own energy, but at least a thousandth of the mixture's.

    Args:
        references: `[B S P T]`, P pieces that count alike.
        estimates: the same shape.
        floor: relative energy of an error below which nothing more is to gain.

    Returns:
        Mean over items, sources and pieces, a scalar in dB.
    """
    level, _ = _levels(references)
    error = (references - estimates).square().mean(dim=-1)
    return 10 * torch.log10(error / level + floor).mean()


def scale_invariant_error(references: Tensor, estimates: Tensor, floor: float) -> Tensor:
    """Minus the SI-SDR of each source, where it sounds, bounded on both sides.

    With the part of the estimate that lies along the reference, t, and the rest, e:
    10 log10((|e|^2 + floor |t|^2) / (|t|^2 + 0.01 |e|^2)), at most 20 dB. Unlike in the metric, an estimate of the
    opposite sign has no part along the reference.

    Args:
        references: `[B S P T]`, P pieces that count alike.
        estimates: the same shape.
        floor: relative energy of an error below which nothing more is to gain.

    Returns:
        Mean over those pieces of sources that are above -30 dB of the mixture, a scalar in dB.
    """
    _, sounding = _levels(references)
    product = (references * estimates).mean(dim=-1).clamp(min=0)
    along = product.square() / (references.square().mean(dim=-1) + 1e-12)
    rest = (estimates.square().mean(dim=-1) - along).clamp(min=0)
    error = 10 * torch.log10((rest + floor * along + 1e-12) / (along + 0.01 * rest + 1e-12))
    return (error * sounding).sum() / sounding.sum().clamp(min=1)


def _levels(references: Tensor) -> tuple[Tensor, Tensor]:
    """What errors are relative to, `[B S P]`, and which sources sound."""
    power = references.square().mean(dim=-1)
    least = 1e-3 * references.sum(dim=1, keepdim=True).square().mean(dim=-1)
    return torch.maximum(power, least) + 1e-9, (power > least) & (power > 1e-8)
