"""What the flow of the modern preset sees: mel bands of magnitudes, compressed, whatever their level."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from soli.dsp.mel import mel_filterbank

QUIET = 1e-4  # level, of compressed bands, below which an excerpt counts as silence


class Levelled(NamedTuple):
    """Bands of one level, and that level.

    Attributes:
        bands: compressed, `[B K N]`, root mean square 1.
        level: what they were divided by, `[B 1 1]`.
    """

    bands: Tensor
    level: Tensor


class Bands(nn.Module):
    """Mean magnitudes over mel bands, and the way back to masks over bins.

    Args:
        sample_rate: in Hz.
        n_fft: of the spectrogram.
        n_mels: K.
    """

    filters: Tensor
    spread: Tensor

    def __init__(self, sample_rate: int, n_fft: int, n_mels: int) -> None:
        super().__init__()
        filters = mel_filterbank(sample_rate, n_fft, n_mels)  # [K F], rows sum to one
        spread = (filters / filters.sum(dim=0).clamp(min=1e-9)).T  # [F K], rows sum to one
        spread[0], spread[-1] = torch.eye(n_mels)[0], torch.eye(n_mels)[-1]  # no filter sees the outermost bins
        self.register_buffer("filters", filters.float(), persistent=False)
        self.register_buffer("spread", spread.float(), persistent=False)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """`[B N F]` -> `[B K N]`, in single precision whatever autocast says."""
        with torch.autocast(magnitudes.device.type, enabled=False):
            return self.filters @ magnitudes.float().mT

    def mask(self, shares: Tensor) -> Tensor:
        """Interpolate shares of bands, `[... K N]`, to a mask over bins, `[... N F]`."""
        return (self.spread @ shares).mT


def level(bands: Tensor) -> Levelled:
    """Compress bands by a square root and bring excerpts to one level; silence stays silence.

    Args:
        bands: magnitudes `[B K N]`.

    Returns:
        Of each item by itself.
    """
    compressed = bands.clamp(min=0).sqrt()
    size = compressed.square().mean(dim=(1, 2), keepdim=True).sqrt()
    size = torch.where(size > QUIET, size, torch.ones_like(size))
    return Levelled(compressed / size, size)


def expand(levelled: Tensor, size: Tensor) -> Tensor:
    """The way back from `level`; the sign of what a flow makes does not count.

    Args:
        levelled: `[B K N]`.
        size: `[B 1 1]`.

    Returns:
        Magnitudes `[B K N]`.
    """
    return (levelled * size).square()
