"""Harmonic-percussive separation by median filters (Fitzgerald 2010): what lasts, and what strikes.

Nothing is learned. Steady tones are ridges along time in the spectrogram, strokes are ridges along frequency; a
median filter along one axis keeps its ridges and removes the other's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.dsp.stft import istft, stft
from soli.separator import Separator


@dataclass(frozen=True, kw_only=True)
class HPSSConfig:
    """Sizes of the filters.

    Attributes:
        sources: names of the two estimates.
        sample_rate: in Hz.
        n_fft: window in samples.
        hop_length: in samples.
        frames: length of the filter along time, odd.
        bins: length of the filter along frequency, odd.
        exponent: of the ridges in the soft mask; 2 is the paper's Wiener-like one.
    """

    sources: tuple[str, ...] = ("harmonic", "percussive")
    sample_rate: int = 44100
    n_fft: int = 4096
    hop_length: int = 1024
    frames: int = 17
    bins: int = 17
    exponent: float = 2.0


class HPSS(Separator):
    """Two estimates that sum to the mixture, each channel on its own.

    Args:
        config: sizes of the filters.
    """

    Config: ClassVar[type[HPSSConfig]] = HPSSConfig

    def __init__(self, config: HPSSConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate, self.sources = config.sample_rate, config.sources
        self.context_seconds = ((config.frames // 2 + 1) * config.hop_length + config.n_fft) / config.sample_rate

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        """`[B C T]` -> `[B 2 C T]`."""
        config = self.config
        spectrogram = stft(mixture.float(), config.n_fft, config.hop_length)  # [B C F N]
        magnitude = spectrogram.abs()
        lasting = median_filter(magnitude, config.frames, dim=-1) ** config.exponent
        striking = median_filter(magnitude, config.bins, dim=-2) ** config.exponent
        harmonic = (lasting + 1e-20) / (lasting + striking + 2e-20)
        masked = torch.stack((harmonic * spectrogram, (1 - harmonic) * spectrogram), dim=1)
        return istft(masked, config.n_fft, config.hop_length, mixture.shape[-1])


def median_filter(magnitude: Tensor, length: int, dim: int) -> Tensor:
    """Median of the neighbourhood along one axis; the ends are mirrored as far as there is anything to mirror.

    Args:
        magnitude: `[B C F N]`.
        length: of the neighbourhood, odd.
        dim: -1 along frames, -2 along bins.

    Returns:
        The same shape.
    """
    half = length // 2
    lines = magnitude if dim == -1 else magnitude.mT
    mode = "reflect" if half < lines.shape[-1] else "replicate"
    padded = F.pad(lines.flatten(0, 1), (half, half), mode=mode).view(*lines.shape[:-1], -1)
    filtered = torch.stack([_line_medians(item, length) for item in padded])  # one item at a time keeps memory down
    return filtered if dim == -1 else filtered.mT


def _line_medians(padded: Tensor, length: int) -> Tensor:
    """`[C ... L + length - 1]` -> `[C ... L]`."""
    return padded.unfold(-1, length, 1).median(dim=-1).values
