"""The figures of seed 000 for a model with a codebook of sources: arrays for the report out of songs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from soli.audio import read, resample
from soli.cli.discover_reporting import SOUNDS_DB
from soli.errors import SoliError
from soli.evaluation.metrics import normalized_mutual_information, perplexity, purity
from soli.report import ClassCodes, Excerpt, Panel, SeparationGrid
from soli.report.images import power_columns
from soli.separator import Estimates
from soli.systems.vqquery.discovery import CodeSeparator
from soli.zoo import load

_COLUMNS = 120
_RANGE_DB = 70.0


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A song and what a model made of it.

    Attributes:
        excerpt: with what sounds, for the player.
        panels: mel spectrograms of the mixture and of every code.
    """

    excerpt: Excerpt
    panels: tuple[Panel, ...]


def load_codes(name: str, device: str) -> CodeSeparator:
    """Load a model that has codes.

    Args:
        name: as for `soli.load`.
        device: likewise.

    Returns:
        The model.

    Raises:
        SoliError: for any other model.
    """
    model = load(name, device)
    if not isinstance(model, CodeSeparator):
        raise SoliError(f"model {name!r} has no codes to show; allowed: a model of vqquery")
    return model


def listen(model: CodeSeparator, path: Path, start: float, seconds: float) -> Heard:
    """Separate a part of a song by code.

    Args:
        model: with codes.
        path: of the song.
        start: in seconds.
        seconds: how much of it, at most.

    Returns:
        What there is to hear and see.

    Raises:
        SoliError: for a file that cannot be read, and where it has nothing from there on.
    """
    audio, rate = read(path, start, start + seconds)
    mixture = resample(audio, rate, model.sample_rate).to(next(model.parameters()).device)
    every = model.separate(mixture, model.sample_rate)
    found = model.found_in(every)
    return Heard(
        excerpt=Excerpt(
            title=path.stem,
            sample_rate=model.sample_rate,
            mixture=mixture.cpu().numpy(),
            stems={name: stem.cpu().numpy() for name, stem in found.items()},
            about=_about(found),
        ),
        panels=_panels(every, model.sample_rate),
    )


def grid_of(model: CodeSeparator, songs: list[Heard]) -> SeparationGrid:
    """The seed's first figure: each song, and what every code made of it.

    Args:
        model: whose codes these are.
        songs: one or more.

    Returns:
        The figure.
    """
    columns = ("mixture", *(model.label(code) for code in range(len(model.sources))))
    rows = tuple(song.excerpt.title for song in songs)
    return SeparationGrid(rows=rows, columns=columns, panels=[song.panels for song in songs])


def histogram_of(model: CodeSeparator) -> list[ClassCodes]:
    """The seed's second figure: how often each class had each code.

    Args:
        model: whose config has the counts.

    Returns:
        The figure; none where nothing was counted.
    """
    if not model.config.histogram:
        return []
    counts = torch.tensor(model.config.histogram)
    measures = {
        "purity": float(purity(counts)),
        "NMI": float(normalized_mutual_information(counts)),
        "perplexity": float(perplexity(counts.sum(dim=0))),
    }
    codes = tuple(str(code) for code in range(counts.shape[1]))
    return [ClassCodes(counts=counts.numpy(), classes=model.config.classes, codes=codes, measures=measures)]


def _panels(estimates: Estimates, sample_rate: int) -> tuple[Panel, ...]:
    """Levels below the mixture's loudest place."""
    signals = [estimates.mixture, *estimates.values()]
    powers = [power_columns(signal.cpu().numpy(), _COLUMNS) for signal in signals]
    top = max(float(powers[0].max()), 1e-20)
    frequencies = np.linspace(0, sample_rate / 2, len(powers[0]))
    seconds = estimates.mixture.shape[-1] / sample_rate
    return tuple(
        Panel(
            values=10 * np.log10(np.maximum(power / top, 1e-20)),
            frequencies=frequencies,
            seconds=seconds,
            low=-_RANGE_DB,
            high=0.0,
        )
        for power in powers
    )


def _about(found: Estimates) -> str:
    """Energy and activity of what sounds, in words."""
    rows = zip(found, found.info["energy_db"], found.info["activity_db"], strict=True)
    parts = [
        f"{name}: {energy:.1f} dB, sounds {np.mean(np.array(activity) > SOUNDS_DB):.0%} of the time"
        for name, energy, activity in rows
    ]
    return "; ".join(parts) or "nothing sounds"
