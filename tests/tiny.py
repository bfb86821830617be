"""A separator of three numbers, for tests of everything around separators."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from soli import zoo
from soli.errors import SoliError
from soli.separator import Estimates, Separator

CARD = "---\nlicence: CC0-1.0\nsummary: splits by fixed shares\n---\n# Tiny\n"


@dataclass(frozen=True, kw_only=True)
class TinyConfig:
    """Which shares of the mixture exist."""

    sources: tuple[str, ...] = ("vocals", "drums", "other")
    sample_rate: int = 44100


class Plain(Separator):
    """Every source is a fixed share of the mixture; the shares sum to one."""

    Config = TinyConfig
    segment_seconds = 1.0
    context_seconds = 0.1

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.config = config
        self.sources = config.sources
        self.sample_rate = config.sample_rate
        self.shares = nn.Parameter(torch.randn(len(config.sources)))

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        return mixture[:, None] * self.shares.softmax(0)[None, :, None, None]


class Tiny(Plain):
    """The same, with a query."""

    @torch.inference_mode()
    def query(self, mixture: Tensor, example: Tensor, sample_rate: int, mode: str = "likelihood") -> Estimates:
        """Half of the mixture; `posterior` is a quarter."""
        if mode not in ("likelihood", "posterior"):
            raise SoliError(f"mode={mode!r}; allowed: likelihood, posterior")
        if not example.any():
            raise SoliError("the example is silent; there is nothing to look for")
        share = 0.5 if mode == "likelihood" else 0.25
        return Estimates(share * mixture[..., None, :, :], sources=("match",), sample_rate=sample_rate, mixture=mixture)


def install(monkeypatch, weights: Path) -> Tiny:
    """Make a Tiny the only bundled model, called `default`, in the folder `weights / "tiny"`."""
    monkeypatch.setattr(zoo, "SYSTEMS", {("tiny", "paper"): "tiny:Tiny", ("tiny", "plain"): "tiny:Plain"})
    monkeypatch.setattr(zoo, "WEIGHTS", weights)
    monkeypatch.setattr(zoo, "BUNDLED", {"default": "tiny", "absent": "absent"})
    separator = Tiny(TinyConfig())
    zoo.save(separator, weights / "tiny", CARD)
    return separator
