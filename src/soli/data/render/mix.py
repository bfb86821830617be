"""Levels, pans and one gain for all: the mixture stays exactly the sum of its stems."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import torch

from soli.dsp.loudness import integrated_loudness

MIX_LUFS = -13.0
"""What a mixture is brought to unless its peak forbids it."""
PEAK_DBFS = -1.0

_LEVELS = {  # LUFS of a stem before the gain for all; tunes in front, pads behind
    "drums": -19.0,
    "bass": -21.0,
    "voice": -18.0,
    "piano": -23.0,
    "electric_guitar": -22.0,
    "acoustic_guitar": -24.0,
    "organ": -25.0,
    "synth_lead": -23.0,
    "synth_pad": -27.0,
    "strings": -26.0,
    "brass": -24.0,
    "reed": -23.0,
    "pipe": -24.0,
    "chromatic_percussion": -26.0,
}
_OTHER_LEVEL = -25.0
_SPREAD_DB = 2.5
_CENTRED = {"drums": 0.05, "bass": 0.05, "voice": 0.1}  # how far they may stand from the middle
_WIDTH = 0.5


def draw_level(rng: random.Random, instrument: str) -> float:
    """Draw the loudness of a stem.

    Args:
        rng: decides.
        instrument: a class.

    Returns:
        LUFS, around the mean of the class; not more than 6 dB from it.
    """
    return round(_LEVELS.get(instrument, _OTHER_LEVEL) + min(max(rng.gauss(0.0, _SPREAD_DB), -6.0), 6.0), 2)


def draw_pan(rng: random.Random, instrument: str) -> float:
    """Draw a place between left (-1) and right (1).

    Args:
        rng: decides.
        instrument: a class; drums, bass and voice stay near the middle.

    Returns:
        The place.
    """
    return round(_CENTRED.get(instrument, _WIDTH) * (2 * rng.random() - 1), 3)


def pan_gains(pan: float, n_channels: int) -> np.ndarray:
    """The gain of each channel, of constant power.

    Args:
        pan: -1 to 1.
        n_channels: 1 or 2.

    Returns:
        Float32 `[C 1]`; 1 in the middle, and for a single channel.
    """
    if n_channels == 1:
        return np.ones((1, 1), np.float32)
    angle = np.pi / 4 * (pan + 1)
    return np.array([[np.cos(angle)], [np.sin(angle)]], np.float32) * np.float32(np.sqrt(2))


def loudness(audio: np.ndarray, sample_rate: int) -> float:
    """Integrated loudness of a stem or a mixture.

    Args:
        audio: float32 `[C T]`.
        sample_rate: in Hz.

    Returns:
        LUFS, to two decimals so that no gain hangs on the last bits of a sum; minus infinity when nothing is above -70.
    """
    return round(float(integrated_loudness(torch.from_numpy(audio), sample_rate)), 2)


def level_gain(audio: np.ndarray, sample_rate: int, lufs: float) -> float:
    """The gain that brings a stem to a loudness.

    Args:
        audio: `[C T]`.
        sample_rate: in Hz.
        lufs: the loudness wanted.

    Returns:
        A linear gain. A stem too quiet to be measured, such as one short hit, is brought to that level by its peak.
    """
    measured = loudness(audio, sample_rate)
    if np.isfinite(measured):
        return 10 ** ((lufs - measured) / 20)
    peak = float(np.abs(audio).max(initial=0.0))
    return 10 ** (lufs / 20) / peak if peak > 0 else 0.0


def summed(stems: Sequence[np.ndarray]) -> np.ndarray:
    """The sum of stems, without holding them all twice.

    Args:
        stems: at least one, `[C T]` each.

    Returns:
        `[C T]`, added in order.
    """
    total = stems[0].copy()
    for stem in stems[1:]:
        total += stem
    return total


def master_gain(stems: Sequence[np.ndarray], sample_rate: int) -> float:
    """The one gain for all stems.

    Args:
        stems: `[C T]` each, at their levels.
        sample_rate: in Hz.

    Returns:
        The smaller of the gain to `MIX_LUFS` and of that to a peak of `PEAK_DBFS`; 1 for silence.
    """
    mixture = summed(stems)
    peak = float(np.abs(mixture).max(initial=0.0))
    if peak == 0:
        return 1.0
    gain = 10 ** (PEAK_DBFS / 20) / peak
    measured = loudness(mixture, sample_rate)
    return min(gain, 10 ** ((MIX_LUFS - measured) / 20)) if np.isfinite(measured) else gain
