"""Small models of `latentcluster`, mixtures they can learn from, and a discoverer of two numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from soli.separator import Estimates, Separator
from soli.systems.latentcluster.config import LatentClusterConfig, LatentSlotsConfig
from soli.systems.latentcluster.paper import LatentClusterPaper, LatentClusterPaperConfig
from soli.systems.latentcluster.separator import LatentCluster
from soli.systems.latentcluster.slots import LatentSlots

RATE = 8000
SMALL: dict[str, Any] = {
    "sample_rate": RATE,
    "n_fft": 256,
    "hop_length": 128,
    "bands": ((8, 2), (8, 4), (8, 10)),
    "n_features": 12,
    "depths": (1,),
    "dilations": (1, 2),
    "max_sources": 4,
}


def modern(**settings: Any) -> LatentCluster:
    torch.manual_seed(0)
    return LatentCluster(LatentClusterConfig(**{**SMALL, "n_points": 300, **settings})).eval()


def slots(**settings: Any) -> LatentSlots:
    torch.manual_seed(0)
    return LatentSlots(LatentSlotsConfig(**{**SMALL, "n_slots": 3, **settings})).eval()


def paper(**settings: Any) -> LatentClusterPaper:
    torch.manual_seed(0)
    small = {"sample_rate": RATE, "dimension": 8, "n_filters": 4, "ratios": (4, 4), "n_lstm": 1, "max_sources": 4}
    return LatentClusterPaper(LatentClusterPaperConfig(**{**small, **settings})).eval()


def tone(hertz: float, seconds: float, *, decay: float = 0.0, every: float = 0.5, n_partials: int = 6) -> Tensor:
    """A pitch with partials, struck again and again if it decays: `[T]`."""
    time = torch.arange(round(seconds * RATE)) / RATE
    wave = sum((2 * math.pi * hertz * k * time).sin() / k for k in range(1, n_partials + 1) if hertz * k < RATE / 2)
    return 0.1 * torch.as_tensor(wave) * torch.exp(-decay * (time % every))


def two_instruments(seconds: float = 2.0, *, seed: int = 0) -> Tensor:
    """Low plucked notes and a high held one, `[2 1 T]`."""
    generator = torch.Generator().manual_seed(seed)
    low = 110 * 2 ** (float(torch.randint(0, 8, (), generator=generator)) / 12)
    high = 900 * 2 ** (float(torch.randint(0, 8, (), generator=generator)) / 12)
    every = 0.3 + 0.3 * float(torch.rand((), generator=generator))
    return torch.stack((tone(low, seconds, decay=6, every=every, n_partials=4), 0.6 * tone(high, seconds)))[:, None]


@dataclass(frozen=True, kw_only=True)
class HalvesConfig:
    """At which rate it works."""

    sources: tuple[str, ...] = ("one", "two")
    sample_rate: int = 44100


class Halves(Separator):
    """Finds two sources, the mixture's halves, or as many equal parts as are asked for."""

    Config = HalvesConfig

    def __init__(self, config: HalvesConfig) -> None:
        super().__init__()
        self.config, self.sources, self.sample_rate = config, config.sources, config.sample_rate
        self.share = nn.Parameter(torch.tensor(0.5))

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        return self.share * mixture[:, None].expand(-1, 2, -1, -1)

    def discover(self, mixture: Tensor, sample_rate: int, n_sources: int | None = None) -> Estimates:
        """Equal parts of the mixture."""
        count = n_sources or 2
        stems = mixture[None].expand(count, -1, -1) / count
        names = tuple(f"code{index:02}" for index in range(count))
        return Estimates(stems, sources=names, sample_rate=sample_rate, mixture=mixture)


class Decided(Halves):
    """The same, whose number cannot be asked for."""

    def discover(self, mixture: Tensor, sample_rate: int) -> Estimates:
        """Two halves."""
        return super().discover(mixture, sample_rate)
