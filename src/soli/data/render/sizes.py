"""Lengths that a Fourier transform is quick with: products of 2, 3, 5, 7 and 11."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

LARGEST = 2**25
_CLOSE_ENOUGH = 2e-4  # of a ratio: a third of a cent


def fast_pair(n_samples: int, ratio: float) -> tuple[int, int]:
    """Two quick lengths whose ratio is close to a given one: between them a spectrum is cut or filled to resample.

    Args:
        n_samples: the least of the second.
        ratio: first over second.

    Returns:
        First and second. Where no quick pair is within a third of a cent, the first is the nearest whole number.
    """
    sizes = _sizes()
    start = int(np.searchsorted(sizes, n_samples))
    seconds = sizes[start : start + 40]
    if not len(seconds):
        return max(round(n_samples * ratio), 1), n_samples
    seconds = seconds[seconds <= max(1.1 * n_samples, seconds[0])]
    wanted = seconds * ratio
    above = np.minimum(np.searchsorted(sizes, wanted), len(sizes) - 1)
    below = np.maximum(above - 1, 0)
    firsts = np.where(sizes[above] - wanted < wanted - sizes[below], sizes[above], sizes[below])
    errors = np.abs(firsts / wanted - 1)
    best = int(errors.argmin())
    if errors[best] < _CLOSE_ENOUGH:
        return int(firsts[best]), int(seconds[best])
    return max(round(seconds[0] * ratio), 1), int(seconds[0])


@lru_cache(maxsize=1)
def _sizes() -> np.ndarray:
    """All of them, in order."""
    numbers = np.array([1], np.int64)
    for prime in (2, 3, 5, 7, 11):
        powers = prime ** np.arange(int(np.log(LARGEST) / np.log(prime)) + 1, dtype=np.int64)
        numbers = np.outer(numbers, powers).ravel()
        numbers = numbers[numbers <= LARGEST]
    return np.unique(numbers)
