"""What can be set about multi-source diffusion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from soli.errors import SoliError

_AT_LEAST_ONE = ("patch", "n_blocks", "n_heads", "steps", "correction")
_POSITIVE = ("sigma_data", "sigma_min", "sigma_max", "rho", "gamma")


@dataclass(frozen=True, kw_only=True)
class DiffusionConfig:
    """Network, noise levels and how a mixture is separated; sizes are for hours of a CPU, the rest is the paper's.

    Attributes:
        sources: in the order of the source axis.
        sample_rate: in Hz.
        joint: one network of all sources together, which needs songs to learn from; otherwise a network for each
            source, which needs only recordings of that source alone (weak supervision).
        patch: samples the network takes as one frame.
        widths: features of each level, multiples of 8.
        factors: frames a level of the network makes one frame of the next.
        n_blocks: residual blocks of each level, on either way.
        n_attention: how many of the inmost levels have attention.
        n_heads: of the attention.
        sigma_data: root mean square of the stems.
        sigma_min: lowest noise level of the schedule but for zero.
        sigma_max: highest.
        rho: how much denser the schedule is at low levels.
        likelihood: how the mixture is heeded: `"dirac"` takes one source as what the others leave, `"gaussian"` pulls
            the sum of all to it.
        source_id: `dirac`: index of the source that the others determine.
        gamma: `gaussian`: deviation of the sum, in units of the noise level.
        steps: noise levels of the schedule.
        churn: noise added and taken away again over all steps, S_churn.
        correction: times each level is sampled, R; 1 corrects nothing.
        seed: of all noise: the same mixture gives the same stems.
    """

    sources: tuple[str, ...] = ("bass", "drums", "guitar", "piano")
    sample_rate: int = 22050
    joint: bool = True
    patch: int = 16
    widths: tuple[int, ...] = (96, 128, 160, 192, 192)
    factors: tuple[int, ...] = (4, 4, 2, 2)
    n_blocks: int = 1
    n_attention: int = 2
    n_heads: int = 6
    sigma_data: float = 0.2
    sigma_min: float = 1e-4
    sigma_max: float = 1.0
    rho: float = 7.0
    likelihood: Literal["dirac", "gaussian"] = "dirac"
    source_id: int = 0
    gamma: float = 0.75
    steps: int = 150
    churn: float = 20.0
    correction: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise SoliError(f"{name} = {getattr(self, name)}; allowed: at least 1")
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise SoliError(f"{name} = {getattr(self, name)}; allowed: more than 0")
        if not self.sigma_min < self.sigma_max:
            raise SoliError(f"sigma_min = {self.sigma_min}; allowed: less than sigma_max = {self.sigma_max}")
        if not self.churn >= 0:
            raise SoliError(f"churn = {self.churn}; allowed: at least 0")
        if not 0 <= self.source_id < len(self.sources):
            raise SoliError(f"source_id = {self.source_id}; allowed: 0 to {len(self.sources) - 1}")
        self._check_network()

    def _check_network(self) -> None:
        if not self.widths or len(self.factors) != len(self.widths) - 1:
            raise SoliError(f"{len(self.factors)} factors for {len(self.widths)} widths; allowed: one less than widths")
        if any(factor < 2 or factor % 2 for factor in self.factors):
            raise SoliError(f"factors = {list(self.factors)}; allowed: even numbers")
        if any(width < 8 or width % 8 for width in self.widths):
            raise SoliError(f"widths = {list(self.widths)}; allowed: multiples of 8")
        if not 0 <= self.n_attention <= len(self.widths):
            raise SoliError(f"n_attention = {self.n_attention}; allowed: 0 to {len(self.widths)}, the number of levels")
        for width in self.widths[len(self.widths) - self.n_attention :]:
            if width % (2 * self.n_heads):
                raise SoliError(f"n_heads = {self.n_heads}; {width} features do not divide into heads of even width")

    @property
    def stride(self) -> int:
        """Samples of one frame at the inmost level."""
        return self.patch * math.prod(self.factors)

    @property
    def steps_down(self) -> list[tuple[int, int, int]]:
        """Width above, width below and factor of each step between levels."""
        return [(*pair, factor) for pair, factor in zip(pairwise(self.widths), self.factors, strict=True)]
