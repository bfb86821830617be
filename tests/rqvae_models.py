"""Small models of both presets and a song of four very different stems, for the tests of `rqvae`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from soli.systems.rqvae.config import RQVAEConfig
from soli.systems.rqvae.paper import RQVAEPaper, RQVAEPaperConfig
from soli.systems.rqvae.separator import RQVAE

RATE = 8000
MODERN: dict[str, Any] = {
    "sample_rate": RATE,
    "n_fft": 256,
    "hop_length": 64,
    "bands": ((16, 2), (8, 4), (8, 8)),
    "widths": (16, 24),
    "stem_widths": (12, 16),
    "depths": (1, 1),
    "n_features": 32,
    "n_layers": 1,
    "n_heads": 2,
    "latent_size": 12,
    "bypass_size": 8,
    "n_codebooks": 3,
    "codebook_size": 32,
    "refined_groups": 2,
}
PAPER: dict[str, Any] = {
    "sample_rate": RATE,
    "n_channels": 8,
    "strides": (4, 4),
    "n_layers": 1,
    "dropout": 0.0,
    "n_codebooks": 3,
    "codebook_size": 32,
}


def modern(**settings: Any) -> RQVAE:
    torch.manual_seed(0)
    return RQVAE(RQVAEConfig(**{**MODERN, **settings})).eval()


def paper(**settings: Any) -> RQVAEPaper:
    torch.manual_seed(0)
    return RQVAEPaper(RQVAEPaperConfig(**{**PAPER, **settings})).eval()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def song(seconds: float = 1.0) -> Tensor:
    """A low tone, noise bursts, a sweep and a chord, `[S 1 T]` in the order of the sources."""
    time = torch.arange(round(seconds * RATE)) / RATE

    def tones(*frequencies: float) -> Tensor:
        return torch.stack([torch.sin(2 * math.pi * frequency * time) for frequency in frequencies]).sum(dim=0)

    bursts = 2 * noise(len(time), seed=5).diff(n=2, prepend=torch.zeros(2)) * (time % 0.25 < 0.1)
    sweep = 0.15 * torch.sin(2 * math.pi * (1000 * time + 400 * time.square()))
    return torch.stack([0.2 * tones(70, 140), bursts, sweep, 0.08 * tones(440, 554, 659)])[:, None]
