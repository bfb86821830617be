"""What the modern network sees of a stereo spectrogram, always relative to its local level.

Timbre and position are read from logarithmic magnitudes, which no phase can blur: with the same
time and data they beat complex inputs by far. Phases are for the refinement.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.systems.classcond.config import ClassCondConfig

N_MAGNITUDES = 6
_FLOOR = 1e-7  # of a bin's power relative to the level


def magnitude_planes(spectrogram: Tensor, config: ClassCondConfig) -> Tensor:
    """Logarithmic magnitudes: left, right, middle and side, and middle and side again through a short window.

    Args:
        spectrogram: complex `[B 2 N F]`, Nyquist included.
        config: of the modern preset.

    Returns:
        `[B 6 N F-1]`, roughly from -2 to 3.
    """
    left, right = spectrogram[..., :-1].unbind(dim=1)
    long = torch.stack([_power(x) for x in (left, right, left + right, left - right)], dim=1)
    level = local_level(spectrogram, config)
    planes = torch.cat((long, short_window_power(spectrogram, config.n_fft)), dim=1)
    planes[:, 2:] *= 0.5  # of the sums and differences, to one scale with their channels
    return planes.div_(level).add_(_FLOOR).log_().mul_(0.25).add_(2.0)


def short_window_power(spectrogram: Tensor, n_fft: int) -> Tensor:
    """Power of left + right and left - right through a window a quarter as long, for the onsets inside a frame.

    The middle half of each frame, which its neighbours at half overlap do not share, is cut into four: value
    4 f + k along frequency is bin f of piece k, so that a band of the long transform holds the same band here.

    Args:
        spectrogram: complex `[B 2 N F]`, Nyquist included.
        n_fft: length of the frames, a multiple of 16.

    Returns:
        `[B 2 N F-1]`.
    """
    left, right = torch.fft.irfft(spectrogram, n=n_fft).unbind(dim=1)
    length = n_fft // 4
    middle = slice(n_fft // 4 - length // 4, 3 * n_fft // 4 + length // 4)
    pieces = torch.stack((left + right, left - right), dim=1)[..., middle].unfold(-1, length, length // 2)
    window = 2 * torch.hann_window(length, dtype=pieces.dtype, device=pieces.device)  # half as many cycles add up
    return _power(torch.fft.rfft(pieces * window)[..., :-1]).movedim(-2, -1).flatten(-2)


def complex_planes(spectrogram: Tensor, config: ClassCondConfig, n_bins: int) -> Tensor:
    """Real and imaginary parts of the lowest bins, with compressed magnitudes.

    Args:
        spectrogram: complex `[B 2 N F]`.
        config: of the modern preset.
        n_bins: how many bins.

    Returns:
        `[B 4 N n_bins]`: left real, left imaginary, right real, right imaginary.
    """
    level = local_level(spectrogram, config)
    low = spectrogram[..., :n_bins]
    scale = level.rsqrt() * (_power(low) / level + 1e-5) ** ((config.compression - 1) / 2)
    return torch.stack((low.real * scale, low.imag * scale), dim=2).flatten(1, 2)


def local_level(spectrogram: Tensor, config: ClassCondConfig) -> Tensor:
    """Mean power of the bins of both channels around each frame.

    Args:
        spectrogram: complex `[B 2 N F]`.
        config: gives the length of the stretch.

    Returns:
        `[B 1 N 1]`, positive.
    """
    frames = 2 * round(config.level_seconds * config.sample_rate / config.hop_length / 2) + 1
    power = _power(spectrogram).mean(dim=(1, 3))
    level = F.avg_pool1d(power, frames, stride=1, padding=frames // 2, count_include_pad=False)
    return level[:, None, :, None] + 1e-10


def _power(spectrogram: Tensor) -> Tensor:
    return spectrogram.real.square() + spectrogram.imag.square()
