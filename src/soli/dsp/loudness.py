"""Integrated loudness after ITU-R BS.1770-4, in LUFS.

The K-weighting is applied in the frequency domain, block by block: the two filters die away within a sixth of a second,
and nothing has to be computed sample by sample.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK_SECONDS, HOP_SECONDS = 0.4, 0.1
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0
_OFFSET = -0.691  # of the standard: a full-scale sine of 997 Hz in one channel is then at -3.01
_TAIL_SECONDS = 0.15

Biquad = tuple[tuple[float, float, float], tuple[float, float, float]]


def integrated_loudness(waveform: Tensor, sample_rate: int) -> Tensor:
    """Loudness of a whole recording, silence left out of the mean by the two gates.

    All channels count alike, as left, right and centre do. A recording shorter than a block is one block.

    Args:
        waveform: `[... C T]`.
        sample_rate: in Hz.

    Returns:
        `[...]` in LUFS; minus infinity when nothing is above -70 LUFS.
    """
    n_samples = waveform.shape[-1]
    block, hop = round(BLOCK_SECONDS * sample_rate), round(HOP_SECONDS * sample_rate)
    block = min(block, n_samples)
    energy = k_weight(waveform, sample_rate).square().sum(dim=-2)  # [... T]
    energy = F.pad(energy.cumsum(dim=-1, dtype=torch.float64), (1, 0))
    starts = torch.arange(0, n_samples - block + 1, hop, device=energy.device)
    power = ((energy[..., starts + block] - energy[..., starts]) / block).to(waveform.dtype)  # [... M]
    loud = power > _power(torch.tensor(ABSOLUTE_GATE))
    gate = _power(_loudness(_masked_mean(power, loud)) + RELATIVE_GATE)
    return _loudness(_masked_mean(power, loud & (power > gate[..., None])))


def k_weight(waveform: Tensor, sample_rate: int) -> Tensor:
    """The two filters of the standard: a shelf for the head, a high-pass for the ear.

    Args:
        waveform: `[... T]`.
        sample_rate: in Hz.

    Returns:
        `[... T]`, at least single precision.
    """
    waveform = waveform.to(torch.promote_types(waveform.dtype, torch.float32))
    n_samples, taps = waveform.shape[-1], round(_TAIL_SECONDS * sample_rate)
    size = 2 ** math.ceil(math.log2(4 * taps))
    hop = size - taps + 1
    frames = F.pad(waveform, (taps - 1, -n_samples % hop)).unfold(-1, size, hop)  # [... M size]
    spectrum = torch.fft.rfft(frames)
    spectrum *= _response(sample_rate, taps, size).to(spectrum)
    return torch.fft.irfft(spectrum, n=size)[..., taps - 1 :].flatten(-2)[..., :n_samples]


def k_filters(sample_rate: int) -> tuple[Biquad, Biquad]:
    """Coefficients at any rate; at 48 kHz they are those printed in the standard.

    Args:
        sample_rate: in Hz.

    Returns:
        Shelf and high-pass, each as numerator and denominator.
    """
    k, q = math.tan(math.pi * 1681.974450955533 / sample_rate), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    norm = 1 + k / q + k * k
    shelf = (
        ((high + band * k / q + k * k) / norm, 2 * (k * k - high) / norm, (high - band * k / q + k * k) / norm),
        (1.0, 2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm),
    )
    k, q = math.tan(math.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    norm = 1 + k / q + k * k
    high_pass = ((1.0, -2.0, 1.0), (1.0, 2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm))
    return shelf, high_pass


@lru_cache(maxsize=8)
def _response(sample_rate: int, taps: int, size: int) -> Tensor:
    """Of both filters, cut off after `taps` samples, at the frequencies of a transform of `size` samples."""
    z = torch.exp(-2j * math.pi * torch.arange(size // 2 + 1, dtype=torch.float64) / size)
    response = torch.ones_like(z)
    for (b0, b1, b2), (a0, a1, a2) in k_filters(sample_rate):
        response = response * (b0 + b1 * z + b2 * z**2) / (a0 + a1 * z + a2 * z**2)
    return torch.fft.rfft(torch.fft.irfft(response, n=size)[:taps], n=size)


def _loudness(power: Tensor) -> Tensor:
    return _OFFSET + 10 * torch.log10(power)


def _power(loudness: Tensor) -> Tensor:
    return 10 ** ((loudness - _OFFSET) / 10)


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the last axis where the mask is set; zero where it nowhere is."""
    return (values * mask).sum(dim=-1) / mask.sum(dim=-1).clamp(min=1)
