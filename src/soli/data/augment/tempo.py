"""Tempo and pitch apart from each other: a phase vocoder, and resampling.

The phase vocoder measures how far each bin's phase turns over exactly one hop of the output, at the place in the input
where that output frame is taken from. Peaks keep this turn, the bins around a peak turn with it (identity phase
locking, Laroche and Dolson, 1999), and all channels turn alike, so that the stereo image stays. At an onset the phases
start afresh from those of the input.
"""

from __future__ import annotations

import math

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from torch import Tensor

from soli.dsp.stft import istft

_FRAME_SECONDS = 0.093  # tells the notes of a chord apart from about C3 up
_ONSET = 0.5  # part of a frame's magnitude that the frame before had not


def replay(audio: Tensor, n_samples: int, pitch: float, sample_rate: int) -> Tensor:
    """Play a recording in another time and at another pitch.

    Args:
        audio: `[C T]`.
        n_samples: the length it gets; T / n_samples is the change of tempo.
        pitch: factor of all frequencies; equal to T / n_samples, it is the change of a tape's speed.
        sample_rate: in Hz.

    Returns:
        `[C n_samples]`.
    """
    return resample(stretch(audio, round(n_samples * pitch), sample_rate), n_samples)


def resample(audio: Tensor, n_samples: int) -> Tensor:
    """Change tempo and pitch together, as a tape's speed does.

    Args:
        audio: `[C T]`.
        n_samples: the length it gets.

    Returns:
        `[C n_samples]`.
    """
    length = audio.shape[-1]
    if length == n_samples:
        return audio
    out = soxr.resample(audio.T.contiguous().numpy(), length, n_samples, quality="HQ")[:n_samples]
    return F.pad(torch.from_numpy(np.ascontiguousarray(out.T)), (0, n_samples - len(out)))


def stretch(audio: Tensor, n_samples: int, sample_rate: int) -> Tensor:
    """Change the tempo and keep the pitch.

    Args:
        audio: `[C T]`.
        n_samples: the length it gets.
        sample_rate: in Hz.

    Returns:
        `[C n_samples]`.
    """
    length = audio.shape[-1]
    if length == n_samples:
        return audio
    hop = 1 << round(math.log2(_FRAME_SECONDS * sample_rate / 4))
    n_fft, step = 4 * hop, hop * length / n_samples
    places = (torch.arange(-(-n_samples // hop) + 1, dtype=torch.float64) * step).round().long()  # [N], in the input
    padded = F.pad(audio, (n_fft // 2 + hop, n_fft // 2 + int(step) + 2))
    frames, earlier = _spectra(padded, places + hop, n_fft), _spectra(padded, places, n_fft)  # [C N F], a hop apart
    turn = (frames[:, :-1] * earlier[:, 1:].conj()).sum(dim=0)
    phase = F.pad(torch.atan2(turn.imag.contiguous(), turn.real.contiguous()).cumsum(dim=0), (0, 0, 1, 0))  # [N F]
    magnitude = (frames.real.square() + frames.imag.square()).sum(dim=0).sqrt()
    phase = (phase - phase[_last_onset(magnitude)]).take(_nearest_peak(magnitude))
    frames *= torch.complex(phase.cos(), phase.sin())
    return istft(frames.transpose(1, 2), n_fft, hop, n_samples)


def _spectra(padded: Tensor, starts: Tensor, n_fft: int) -> Tensor:
    """Windowed frames that begin at the given samples, transformed: `[C N F]`."""
    return torch.fft.rfft(padded.unfold(1, n_fft, 1)[:, starts] * torch.hann_window(n_fft))


def _last_onset(magnitude: Tensor) -> Tensor:
    """For each frame the latest one, itself included, at which much of the sound is new: `[N F]` -> `[N]`."""
    rise = magnitude.diff(dim=0).clamp_(min=0).sum(dim=1)
    onset = F.pad(rise > _ONSET * magnitude[1:].sum(dim=1), (1, 0), value=True)
    return torch.where(onset, torch.arange(len(onset)), 0).cummax(dim=0).values


def _nearest_peak(magnitude: Tensor) -> Tensor:
    """For each bin the place in the flattened frames of the nearest bin that neither neighbour exceeds: `[N F]`."""
    n_bins = magnitude.shape[1]
    peaks = np.flatnonzero(F.max_pool1d(magnitude, 3, stride=1, padding=1) == magnitude)
    below, above = peaks[:-1], peaks[1:]
    same_frame = below // n_bins == above // n_bins  # a frame's strongest bin is a peak, so that each frame has one
    borders = np.where(same_frame, (below + above) // 2 + 1, above - above % n_bins)
    regions = np.diff(borders, prepend=0, append=magnitude.numel())
    return torch.from_numpy(np.repeat(peaks, regions)).reshape(magnitude.shape)
