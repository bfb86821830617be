"""Mel filterbank on Slaney's scale, each filter a weighted mean, and its pseudo-inverse.

The scale is linear below 1 kHz (3 mel per 200 Hz) and logarithmic above (27 mel per factor 6.4).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from soli.errors import SoliError

HZ_PER_MEL = 200.0 / 3.0
BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ / HZ_PER_MEL
LOG_STEP = math.log(6.4) / 27.0
RANK_TOLERANCE = 1e-9


def hz_to_mel(frequency: Tensor) -> Tensor:
    """Convert frequencies in Hz to mel, any shape."""
    above = BREAK_MEL + (frequency.clamp(min=BREAK_HZ) / BREAK_HZ).log() / LOG_STEP
    return torch.where(frequency < BREAK_HZ, frequency / HZ_PER_MEL, above)


def mel_to_hz(mel: Tensor) -> Tensor:
    """Convert mel to frequencies in Hz, any shape."""
    above = BREAK_HZ * (LOG_STEP * (mel - BREAK_MEL).clamp(min=0.0)).exp()
    return torch.where(mel < BREAK_MEL, mel * HZ_PER_MEL, above)


def mel_filterbank(sample_rate: int, n_fft: int, n_mels: int) -> Tensor:
    """Triangular filters equally spaced in mel from 0 Hz to half the sample rate.

    Args:
        sample_rate: in Hz.
        n_fft: transform length in samples.
        n_mels: number of filters K.

    Returns:
        Double precision `[K F]`; every row sums to one.

    Raises:
        SoliError: if a filter is so narrow that no frequency bin falls into it.
    """
    nyquist = torch.tensor(sample_rate / 2, dtype=torch.float64)
    edges = mel_to_hz(torch.linspace(0.0, hz_to_mel(nyquist).item(), n_mels + 2, dtype=torch.float64))
    bins = torch.linspace(0.0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    filters = torch.minimum(rising, falling).clamp(min=0.0)
    sums = filters.sum(dim=1, keepdim=True)
    if (sums == 0).any():
        raise SoliError(f"n_mels={n_mels} is too many for n_fft={n_fft} at {sample_rate} Hz: a filter is empty")
    return filters / sums


def mel_pseudo_inverse(filterbank: Tensor) -> Tensor:
    """Least-squares way back from mel bands to frequency bins.

    Narrow neighbouring filters can see the same single bin; such exact repeats have no
    inverse and are cut off.

    Args:
        filterbank: `[K F]`.

    Returns:
        `[F K]`; a bin that no filter sees gets zeros.
    """
    return torch.linalg.pinv(filterbank, rtol=RANK_TOLERANCE)
