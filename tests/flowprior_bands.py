"""Small models of the modern preset of `flowprior` and two instruments to learn, for its tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from soli.systems.flowprior.config import FlowPriorConfig
from soli.systems.flowprior.separator import FlowPrior

TINY = FlowPriorConfig(
    sources=("low", "high"),
    sample_rate=8000,
    n_fft=512,
    hop_length=128,
    bands=((32, 4), (16, 8)),
    n_features=8,
    depths=(1,),
    dilations=(1,),
    n_mels=24,
    n_blocks=2,
    n_hidden=16,
    n_layers=2,
)


def tiny(**changes) -> FlowPrior:
    torch.manual_seed(0)
    return FlowPrior(replace(TINY, **changes)).eval()


def tones(seconds: float = 2.0, seed: int = 0) -> torch.Tensor:
    """Two instruments `[S 1 T]`: notes of pure tones below 500 Hz, and of noise above 1500 Hz."""
    rng = np.random.default_rng(seed)
    n_samples, rate = round(seconds * TINY.sample_rate), TINY.sample_rate
    low, high = np.zeros(n_samples), np.zeros(n_samples)
    for start in range(0, n_samples, rate // 4):
        time = np.arange(min(rate // 4, n_samples - start)) / rate
        low[start : start + len(time)] = np.sin(2 * np.pi * rng.uniform(80, 500) * time) * np.exp(-3 * time)
        burst = np.diff(np.diff(rng.normal(size=len(time) + 2)))
        high[start : start + len(time)] = burst * np.exp(-20 * time) * rng.integers(0, 2)
    return torch.from_numpy(np.stack((0.2 * low, 0.1 * high)))[:, None].float()
