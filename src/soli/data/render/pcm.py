"""16-bit samples: what the files of a rendered track hold, so that sums of files are exact."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from soli.audio import AudioWriter, round_together

FULL_SCALE = 2**15
_LARGEST = 0.998
"""Of a signal; what is left is more than the rounding errors of a hundred stems add up to."""


def fitting_gain(signals: Iterable[np.ndarray]) -> float:
    """The gain that lets all signals, and the sums of their rounded samples, stay within 16 bits.

    Args:
        signals: full scale at +-1.

    Returns:
        1, or less where one is too loud.
    """
    peak = max((max(float(signal.max(initial=0)), -float(signal.min(initial=0))) for signal in signals), default=0.0)
    return min(1.0, _LARGEST / peak) if peak > 0 else 1.0


def quantise(audio: np.ndarray, gain: float = 1.0) -> np.ndarray:
    """Round a signal to integers.

    Args:
        audio: `[C T]`, within full scale at +-1 after the gain.
        gain: applied before.

    Returns:
        int16 of the same shape.
    """
    return np.rint(audio * np.float32(gain * FULL_SCALE)).astype(np.int16)


def quantise_together(parts: np.ndarray, gain: float = 1.0) -> np.ndarray:
    """Round signals so that the integers sum to the rounded sum.

    Args:
        parts: `[S C T]`, each within full scale at +-1 after the gain.
        gain: applied before.

    Returns:
        int16 of the same shape.
    """
    return (round_together(torch.from_numpy(parts).double() * gain, 16) * FULL_SCALE).short().numpy()


def add(signals: Iterable[np.ndarray], like: np.ndarray) -> np.ndarray:
    """The exact sum of integers.

    Args:
        signals: int16, of one shape.
        like: of that shape.

    Returns:
        int32; zeros for no signals.
    """
    total = np.zeros(like.shape, np.int32)
    for signal in signals:
        total += signal
    return total


def write_pcm(path: Path, samples: np.ndarray, sample_rate: int) -> None:
    """Write integers as they are.

    Args:
        path: of a file whose format holds 16 bits; its folder is made if missing.
        samples: `[C T]`, within the range of 16 bits.
        sample_rate: in Hz.

    Raises:
        SoliError: when it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with AudioWriter(path, sample_rate, len(samples), "PCM_16") as file:
        file.write(torch.from_numpy(samples).float() / FULL_SCALE)
