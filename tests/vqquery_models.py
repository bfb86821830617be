"""Small models of the query codebook, and songs of three kinds of sound for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from soli.data.cache import Cache, CacheWriter
from soli.systems.vqquery.config import VQQueryConfig
from soli.systems.vqquery.paper import VQQueryPaper
from soli.systems.vqquery.paper_config import VQQueryPaperConfig
from soli.systems.vqquery.separator import VQQuery

RATE = 8000
KINDS = ("hum", "hiss", "clicks")
SMALL = VQQueryConfig(
    codebook_size=4,
    code_size=8,
    sample_rate=RATE,
    n_fft=512,
    hop_length=256,
    bands=((16, 4), (12, 16)),
    n_features=16,
    depths=(1,),
    dilations=(1,),
    mask_features=8,
    query_fft=256,
    query_mels=16,
    query_widths=(8, 16),
)
SMALL_PAPER = VQQueryPaperConfig(
    codebook_size=3,
    sample_rate=RATE,
    n_frames=32,
    n_fft=256,
    hop_length=128,
    n_mels=32,
    widths=(8, 8),
    critic_widths=(8, 8),
    query_widths=(8, 8),
    code_size=4,
    griffin_lim=4,
)


def small(seed: int = 0, **settings: object) -> VQQuery:
    from dataclasses import replace

    torch.manual_seed(seed)
    return VQQuery(replace(SMALL, **settings)).eval()  # type: ignore[arg-type]


def small_paper(seed: int = 0) -> VQQueryPaper:
    torch.manual_seed(seed)
    return VQQueryPaper(SMALL_PAPER).eval()


def sound(kind: str, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """A low hum with overtones, high noise, or clicks that die away: `[1 T]` at about -20 dBFS."""
    time = np.arange(n_samples) / RATE
    if kind == "hum":
        pitch = rng.uniform(90, 140)
        audio = sum(np.sin(2 * np.pi * pitch * k * time + rng.uniform(0, 6)) / k for k in range(1, 5))
    elif kind == "hiss":
        spectrum = np.fft.rfft(rng.standard_normal(n_samples))
        spectrum[: round(2000 * n_samples / RATE)] = 0
        audio = np.fft.irfft(spectrum, n_samples) * (1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.5, 2) * time))
    else:
        beat, tone = rng.uniform(0.3, 0.5), rng.uniform(700, 900)
        audio = np.exp(-(time % beat) * 60) * np.sin(2 * np.pi * tone * time)
    return (0.1 * audio / np.sqrt(np.mean(audio**2)))[None].astype(np.float32)


def songs(folder: Path, n_songs: int = 6, seconds: float = 6.0) -> Cache:
    """Songs of the three kinds, the last of them for validation."""
    rng = np.random.default_rng(0)
    with CacheWriter(folder, sample_rate=RATE, n_channels=1) as writer:
        for song in range(n_songs):
            split = "validation" if song == n_songs - 1 else "train"
            for kind in KINDS:
                audio = sound(kind, round(seconds * RATE), rng)
                writer.add(audio, collection="kinds", track=f"song{song}", label=kind, split=split)
    return Cache(folder)
