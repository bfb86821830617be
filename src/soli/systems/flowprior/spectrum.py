"""What the paper preset sees: linear magnitudes, and the way back with the phases of the mixture."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.dsp.stft import istft, stft

_STEP = 2.0**-15  # of 16-bit audio


class Spectrum(NamedTuple):
    """A spectrogram in two parts, whose product it is.

    Attributes:
        magnitudes: `[B F N]`.
        phases: complex `[B F N]`, of magnitude 1, and 0 where nothing sounds.
    """

    magnitudes: Tensor
    phases: Tensor


def analyse(waveform: Tensor, n_fft: int, hop_length: int, squeeze: int) -> Spectrum:
    """Magnitudes and phases of waveforms, with so many frames that a flow can take them.

    Args:
        waveform: `[B T]`; padded with zeros at its end.
        n_fft: window in samples.
        hop_length: in samples.
        squeeze: what N is a multiple of.

    Returns:
        See `Spectrum`.
    """
    n_frames = -(-waveform.shape[-1] // hop_length) + 1
    n_samples = (n_frames + -n_frames % squeeze - 1) * hop_length
    spectrogram = stft(F.pad(waveform.float(), (0, n_samples - waveform.shape[-1])), n_fft, hop_length)
    magnitudes = spectrogram.abs()
    return Spectrum(magnitudes, spectrogram / magnitudes.clamp(min=1e-12))


def synthesise(magnitudes: Tensor, phases: Tensor, n_fft: int, hop_length: int, n_samples: int) -> Tensor:
    """Waveforms of estimated magnitudes with the phases of their mixture.

    Args:
        magnitudes: `[B S F N]`.
        phases: of the mixture, complex `[B F N]`.
        n_fft: as given to `analyse`.
        hop_length: as given to `analyse`.
        n_samples: T, as given to `analyse`.

    Returns:
        `[B S T]`.
    """
    spectrogram = magnitudes * phases[:, None]
    whole = istft(spectrogram, n_fft, hop_length, (spectrogram.shape[-1] - 1) * hop_length)
    return whole[..., :n_samples]


def inner_magnitudes(waveform: Tensor, n_fft: int, hop_length: int, squeeze: int) -> Tensor:
    """Magnitudes of the frames that lie within an excerpt, for training: cutting it out leaves no trace in them.

    Args:
        waveform: `[... T]`, T at least `n_fft`.
        n_fft: window in samples.
        hop_length: in samples.
        squeeze: what N is a multiple of; frames at the end are left out.

    Returns:
        `[... F N]`.
    """
    first = -(-n_fft // (2 * hop_length))
    last = (waveform.shape[-1] - n_fft // 2) // hop_length
    n_frames = (last - first + 1) // squeeze * squeeze
    return stft(waveform, n_fft, hop_length)[..., first : first + n_frames].abs()


def dequantise(waveform: Tensor) -> Tensor:
    """Fill the steps of 16-bit audio with noise, without which a density could grow without bound.

    Args:
        waveform: any shape.

    Returns:
        The same shape, more by something between 0 and one step.
    """
    return waveform + _STEP * torch.rand_like(waveform)


def with_zero_bin(magnitudes: Tensor) -> Tensor:
    """One more bin, always zero, to make their number even.

    Args:
        magnitudes: `[... F N]`.

    Returns:
        `[... F+1 N]`.
    """
    return F.pad(magnitudes, (0, 0, 0, 1))
