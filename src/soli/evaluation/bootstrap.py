"""Is one model better than another, or were the clips kind to it?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soli.errors import SoliError

_BLOCK = 1000  # resamplings at a time, so that thousands of clips need little memory


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A difference between two models on the same clips.

    Attributes:
        difference: first minus second.
        low: lower end of the interval.
        high: upper end of the interval.
        n_clips: how many clips both models have a number for.
    """

    difference: float
    low: float
    high: float
    n_clips: int


def paired_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    *,
    statistic: Literal["median", "mean"] = "median",
    confidence: float = 0.95,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare two models clip by clip and say how sure the difference is (percentile bootstrap, Efron 1979).

    The clips are drawn with replacement, both models always together, so that what makes a clip easy or hard
    cancels.

    Args:
        first: a number per clip, `[clips]`; NaN where there is none.
        second: the other model's number for the same clips, `[clips]`.
        statistic: of the differences per clip. The median difference is not the difference of the medians.
        confidence: share of the resamplings the interval holds.
        n_resamples: how often to draw.
        seed: of the draws.

    Returns:
        The statistic of first minus second, and its interval.

    Raises:
        SoliError: the lengths differ, or no clip has both numbers.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise SoliError(f"shapes {list(a.shape)} and {list(b.shape)}; a paired comparison needs one shape [clips]")
    both = np.isfinite(a) & np.isfinite(b)
    differences = (a - b)[both]
    if not len(differences):
        raise SoliError(f"none of {len(a)} clips has a finite number for both models")
    measure = np.median if statistic == "median" else np.mean
    draws = _resample(differences, measure, n_resamples, np.random.default_rng(seed))
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Comparison(
        difference=float(measure(differences)), low=float(low), high=float(high), n_clips=len(differences)
    )


def _resample(values: NDArray[Any], measure: Any, n_resamples: int, random: np.random.Generator) -> NDArray[Any]:
    """The statistic of many draws with replacement, `[n_resamples]`."""
    blocks = []
    for start in range(0, n_resamples, _BLOCK):
        chosen = random.integers(len(values), size=(min(_BLOCK, n_resamples - start), len(values)))
        blocks.append(measure(values[chosen], axis=1))
    return np.concatenate(blocks)
