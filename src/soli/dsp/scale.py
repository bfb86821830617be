"""Spectrograms on the scale that networks see, relative to a mixture of usual level.

Timbre is read from logarithmic magnitudes of a long and a short window; phases are for complex masks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.dsp.frames import analyse

N_MAGNITUDES = 2
USUAL_LEVEL = 0.1
"""RMS of a mixture of usual level, -20 dBFS."""
_FLOOR = 1e-7  # of a bin's power relative to that level
_SHORT = 4  # how much shorter the short window is


def magnitude_planes(waveform: Tensor, spectrogram: Tensor, n_fft: int, hop_length: int) -> Tensor:
    """Logarithmic power through the long window and through one a quarter as long.

    Value 4 f + k of the short one is its bin f in the k-th quarter of the hop, so that a band of the long transform
    holds the same band of the short one.

    Args:
        waveform: `[B T]` with T = (N - 1) * hop_length.
        spectrogram: complex `[B N F]`, Nyquist included.
        n_fft: of the spectrogram.
        hop_length: of the spectrogram, a multiple of 4.

    Returns:
        `[B 2 N F-1]`, roughly from -2 to 3.
    """
    n_frames = spectrogram.shape[1]
    ahead = hop_length // 2  # the four short frames of a long one lie around its centre
    padded = F.pad(waveform, (ahead, hop_length // _SHORT))
    short = analyse(padded, n_fft // _SHORT, hop_length // _SHORT)
    short = short[:, : n_frames * _SHORT, :-1].unflatten(1, (n_frames, _SHORT)).mT.flatten(-2)
    return log_power(torch.stack((power(spectrogram[..., :-1]), _SHORT * power(short)), dim=1), n_fft)


def log_power(planes: Tensor, n_fft: int) -> Tensor:
    """Powers on the scale the network sees.

    Args:
        planes: any shape; changed in place.
        n_fft: of the transform they come from.

    Returns:
        The same shape, 2 for a mixture of usual level.
    """
    return planes.div_(usual_power(n_fft)).add_(_FLOOR).log_().mul_(0.25).add_(2.0)


def compressed(spectrogram: Tensor, n_fft: int) -> Tensor:
    """Square roots of the magnitudes with the phases as they are, around one for a mixture of usual level.

    Args:
        spectrogram: complex `[...]`.
        n_fft: of the spectrogram.

    Returns:
        Complex `[...]`.
    """
    return spectrogram * (power(spectrogram) * usual_power(n_fft) + 1e-12) ** -0.25


def expanded(spectrogram: Tensor, n_fft: int) -> Tensor:
    """The inverse of `compressed`.

    Args:
        spectrogram: complex `[...]`.
        n_fft: of the result.

    Returns:
        Complex `[...]`.
    """
    return spectrogram * (power(spectrogram) * usual_power(n_fft) + 1e-12).sqrt()


def power(spectrogram: Tensor) -> Tensor:
    """Squared magnitudes."""
    return spectrogram.real.square() + spectrogram.imag.square()


def usual_power(n_fft: int) -> float:
    """Of a bin of white noise of usual level through a Hann window, whose energy is 3/8 of its length."""
    return USUAL_LEVEL**2 * 0.375 * n_fft
