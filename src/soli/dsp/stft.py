"""Short-time Fourier transform and its inverse, as two pure functions.

Frames are centred, the window is a periodic Hann window, and the ends are padded with
zeros until every sample lies between two frame centres: a waveform of any length (one
sample included) can be transformed, comes back with its exact length, and a masked
spectrogram gives no spike at the end, where a single window's skirt would be divided out.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.errors import SoliError


def stft(waveform: Tensor, n_fft: int, hop_length: int) -> Tensor:
    """Transform a waveform to its complex spectrogram.

    Args:
        waveform: `[... T]`, real; half precision is computed in single precision.
        n_fft: window and transform length in samples.
        hop_length: distance between frames in samples.

    Returns:
        Complex `[... F N]` with F = n_fft / 2 + 1 and N = ceil(T / hop_length) + 1.

    Raises:
        SoliError: if the window and hop cannot be inverted.
    """
    _check_lengths(n_fft, hop_length)
    waveform = waveform.to(torch.promote_types(waveform.dtype, torch.float32))
    n_samples = waveform.shape[-1]
    padding = (n_fft // 2, n_fft // 2 + -n_samples % hop_length)
    spectrogram = torch.stft(
        F.pad(waveform.reshape(-1, n_samples), padding),
        n_fft,
        hop_length,
        window=torch.hann_window(n_fft, dtype=waveform.dtype, device=waveform.device),
        center=False,
        return_complex=True,
    )
    return spectrogram.reshape(*waveform.shape[:-1], *spectrogram.shape[-2:])


def istft(spectrogram: Tensor, n_fft: int, hop_length: int, n_samples: int) -> Tensor:
    """Transform a complex spectrogram back to a waveform by weighted overlap-add.

    Args:
        spectrogram: complex `[... F N]`, as `stft` returns it.
        n_fft: the value given to `stft`.
        hop_length: the value given to `stft`.
        n_samples: length T of the waveform that `stft` was given.

    Returns:
        Real waveform `[... T]`.

    Raises:
        SoliError: if the window and hop cannot be inverted.
    """
    _check_lengths(n_fft, hop_length)
    real_dtype = torch.float64 if spectrogram.dtype == torch.complex128 else torch.float32
    waveform = torch.istft(
        spectrogram.reshape(-1, *spectrogram.shape[-2:]),
        n_fft,
        hop_length,
        window=torch.hann_window(n_fft, dtype=real_dtype, device=spectrogram.device),
        center=True,
        length=n_samples,
    )
    return waveform.reshape(*spectrogram.shape[:-2], n_samples)


def _check_lengths(n_fft: int, hop_length: int) -> None:
    """A Hann window is zero at its ends: frames must overlap by at least half a window."""
    if n_fft < 2 or n_fft % 2:
        raise SoliError(f"n_fft={n_fft}; an even number of at least 2 is needed")
    if not 1 <= hop_length <= n_fft // 2:
        raise SoliError(f"hop_length={hop_length}; allowed: 1 to n_fft/2 = {n_fft // 2}")
