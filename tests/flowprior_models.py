"""Small models of the paper preset and two instruments that sound nothing alike, for the tests of `flowprior`."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import Tensor

from soli.systems.flowprior.paper import InstGlow, InstGlowConfig
from soli.systems.flowprior.paper_training import InstGlowTask

RATE = 4000
SMALL: dict[str, Any] = {
    "sources": ("low", "high"),
    "sample_rate": RATE,
    "n_fft": 128,
    "hop_length": 32,
    "n_blocks": 3,
    "n_hidden": 16,
    "n_layers": 2,
    "kernel_size": 3,
    "dropout": 0.0,
    "n_condition": 8,
    "iterations": 6,
}


def small(**settings: Any) -> InstGlow:
    """A model that has learned nothing."""
    torch.manual_seed(0)
    return InstGlow(InstGlowConfig(**{**SMALL, **settings})).eval()


def tones(seed: int, n_items: int = 4, seconds: float = 1.0) -> Tensor:
    """Plucked notes of two instruments, low and high, `[B 2 1 T]`."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(round(seconds * RATE)) / RATE
    stems = torch.zeros(n_items, 2, 1, len(time))
    for source, (lowest, highest, decay) in enumerate(((80.0, 200.0, 4.0), (700.0, 1600.0, 12.0))):
        for item in range(n_items):
            for onset in torch.arange(0.0, seconds, 0.25):
                pitch = lowest * (highest / lowest) ** float(torch.rand((), generator=generator))
                since = (time - onset).clamp(min=0)
                sound = (2 * math.pi * pitch * since).sin() * (-decay * since).exp()
                stems[item, source, 0] += (0.2 + 0.2 * float(torch.rand((), generator=generator))) * sound
    return stems


def trained(**settings: Any) -> InstGlow:
    """A model that has heard the two instruments, each alone."""
    separator = small(**settings)
    separator.load_state_dict(_learned(separator.config.shared))
    return separator


@functools.cache
def _learned(shared: bool) -> dict[str, Tensor]:
    separator = small(shared=shared)
    task, optimizer = InstGlowTask(separator.train()), torch.optim.Adam(separator.parameters(), lr=3e-3)
    for step in range(80):
        optimizer.zero_grad()
        torch.stack(list(task(tones(step, 8)).values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(separator.parameters(), 4.0)
        optimizer.step()
    return separator.state_dict()
