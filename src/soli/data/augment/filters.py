"""Equaliser, tilt, room and bandwidth, all applied as one product of spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import ceil

import numpy as np
import torch
from torch import Tensor

EQUALISER_HZ = (60.0, 250.0, 1000.0, 4000.0, 16000.0)
_TILT_PIVOT, _TILT_RANGE = 1000.0, (20.0, 20000.0)  # Hz
_DAMPING_HZ = 5000.0  # above it a room's tail falls by 6 dB per octave


@dataclass(frozen=True, kw_only=True)
class Room:
    """A synthetic room: noise that decays exponentially after the direct sound.

    Attributes:
        seconds: RT60, the time in which the tail falls by 60 dB.
        wet_db: energy of the tail over that of the direct sound.
        delay: seconds from the direct sound to the tail.
        seed: of the noise, which differs between the channels.
    """

    seconds: float
    wet_db: float
    delay: float
    seed: int


def filter_stems(
    stems: Tensor, responses: Sequence[Tensor], *, size: int, bandwidth: float, sample_rate: int
) -> Tensor:
    """Filter stems and cut them at a bandwidth.

    Args:
        stems: `[S C T]`.
        responses: each broadcasts to `[S C F]`, with F = size // 2 + 1.
        size: of the transform; at least T. What rings beyond it comes round to the beginning.
        bandwidth: nothing is left above, in Hz.
        sample_rate: in Hz.

    Returns:
        `[S C T]`.
    """
    spectrum = torch.fft.rfft(stems, n=size)
    for response in responses:
        spectrum *= response
    spectrum[..., int(bandwidth * size / sample_rate) + 1 :] = 0
    return torch.fft.irfft(spectrum, n=size)[..., : stems.shape[-1]]


def colour(equaliser_db: Sequence[Sequence[float]], tilt_db: Sequence[float], size: int, sample_rate: int) -> Tensor:
    """Gains of an equaliser and a tilt, without any change of phase.

    Args:
        equaliser_db: for each of S stems, the level at each of `EQUALISER_HZ`; between them the level is a straight
            line over octaves, beyond them it stays. An empty one is flat.
        tilt_db: S slopes in dB per octave, around 1 kHz, between 20 Hz and 20 kHz.
        size: of the transform.
        sample_rate: in Hz.

    Returns:
        `[S 1 F]`.
    """
    flat = (0.0,) * len(EQUALISER_HZ)
    knots = [(*(levels or flat), tilt) for levels, tilt in zip(equaliser_db, tilt_db, strict=True)]
    decibels = torch.tensor(knots) @ _shapes(size, sample_rate)
    return torch.exp(decibels * (np.log(10) / 20))[:, None]


def rooms(parts: Sequence[Room | None], n_channels: int, size: int, sample_rate: int) -> Tensor:
    """Responses of rooms, the direct sound included.

    Args:
        parts: S rooms; None is the direct sound alone.
        n_channels: C.
        size: of the transform, in samples; tails are cut there.
        sample_rate: in Hz.

    Returns:
        Complex `[S C F]`.
    """
    response = torch.ones(len(parts), n_channels, size // 2 + 1, dtype=torch.complex64)
    for position, part in enumerate(parts):
        if part is not None:
            response[position] += _tail(part, n_channels, size, sample_rate)
    return response


@lru_cache(maxsize=64)
def filter_size(n_samples: int, tail_seconds: float, sample_rate: int) -> int:
    """Size of a quick transform that holds a signal and the tail of a room.

    Args:
        n_samples: T.
        tail_seconds: of the longest tail, taken in steps of a quarter second, as tables are kept for each size; 0 gives
            T itself.
        sample_rate: in Hz.

    Returns:
        The size in samples.
    """
    if tail_seconds == 0:
        return n_samples
    least = n_samples + ceil(4 * tail_seconds) * sample_rate // 4
    odd = (3**a * 5**b * 7**c for a, b, c in product(range(5), range(4), range(3)))
    return min(factor << max((-(-least // factor) - 1).bit_length(), 0) for factor in odd)


def _tail(room: Room, n_channels: int, size: int, sample_rate: int) -> Tensor:
    """Spectrum `[C F]` of the tail alone."""
    delay = round(room.delay * sample_rate)
    length = min(round(room.seconds * sample_rate), size - delay)
    noise = np.random.default_rng(room.seed).standard_normal((n_channels, length), dtype=np.float32)
    decay = torch.exp(torch.arange(length) * (-3 * np.log(10) / (room.seconds * sample_rate)))
    impulse = torch.zeros(n_channels, size)
    impulse[:, delay : delay + length] = torch.from_numpy(noise) * decay
    damping = _frequencies(size, sample_rate) / _DAMPING_HZ
    spectrum = torch.fft.rfft(impulse) / torch.complex(torch.ones_like(damping), damping)
    energy = torch.view_as_real(spectrum).square().sum(dim=-1).mean()  # Parseval
    return spectrum * (10 ** (room.wet_db / 20) / energy.sqrt())


@lru_cache(maxsize=8)
def _shapes(size: int, sample_rate: int) -> Tensor:
    """`[K + 1 F]`: what one dB at each knot of the equaliser adds, and one dB per octave of tilt."""
    frequencies = _frequencies(size, sample_rate).numpy()
    octaves, knots = np.log2(np.maximum(frequencies, 1.0)), np.log2(EQUALISER_HZ)
    rows = [np.interp(octaves, knots, row) for row in np.eye(len(knots))]
    rows.append(np.log2(np.clip(frequencies, *_TILT_RANGE) / _TILT_PIVOT))
    return torch.from_numpy(np.stack(rows).astype(np.float32))


@lru_cache(maxsize=8)
def _frequencies(size: int, sample_rate: int) -> Tensor:
    """Centres of the bins, in Hz."""
    return torch.arange(size // 2 + 1) * (sample_rate / size)
