"""From what `discover_file` has found to the figures of an HTML report: latent space, clusters, spectrograms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from soli.report import ActivityCurves, ClusterTable, EmbeddingMap, Figure, Panel, ReportData, SeparationGrid

if TYPE_CHECKING:
    from torch import Tensor

    from soli.discovery import Discovery
    from soli.separator import Estimates

N_MELS, N_FFT, HOP = 72, 2048, 1024
RANGE_DB = 60.0
WINDOW_SECONDS, SOUNDS_DB = 0.5, -40.0
LATENTS, LABELS = "latents", "labels"
"""What a discoverer may tell in `Estimates.info`: points `[P D]`, and the source of each, `[P]`; -1 for none."""


def report_on_discovery(done: Discovery, folder: Path, model: str) -> ReportData:
    """Gather what a report of one discovery shows.

    Args:
        done: what was found.
        folder: where the page will be, for its links to the stems.
        model: a name or folder for `soli.load`.

    Returns:
        The data.
    """
    from soli.cli.reporting import report_on

    return replace(report_on(done.file, folder, model), figures=discovery_figures(done.estimates))


def discovery_figures(found: Estimates) -> list[Figure]:
    """Draw what is known of the sources that were found.

    Args:
        found: on the CPU; its `info` may have `latents` and `labels`.

    Returns:
        Clusters, levels over time, spectrograms and, where there are latents of two sources or more, their map.
    """
    if not len(found):
        return []
    figures: list[Figure] = [cluster_figure(found), activity_figure(found), spectrogram_figure(found)]
    return figures + [figure for figure in [latent_figure(found)] if figure is not None]


def cluster_figure(found: Estimates) -> ClusterTable:
    """Energy, entropy and sparsity of every source (seed 001), and how well its latents keep together.

    Args:
        found: the sources.

    Returns:
        The table.
    """
    import torch

    from soli.evaluation.metrics import cluster_table
    from soli.nn.silhouette import silhouette_values

    table = cluster_table(found.mixture, found.stems)
    measures = {"Entropy (bits)": table.entropy_bits.tolist(), "Sparsity": table.sparsity.tolist()}
    if LATENTS in found.info:
        labels = found.info[LABELS]
        values = silhouette_values(found.info[LATENTS], labels)
        own = [values[labels == index] for index in range(len(found))]
        measures["Silhouette"] = [float(part.mean()) if len(part) else float("nan") for part in own]
    missed = float(torch.nan_to_num(table.mse).mean())
    about = f"Mean squared difference of the mixture and the sum of its clusters: {missed:.3g}."
    return ClusterTable(
        clusters=tuple(found), energy=table.energy_percent.numpy() / 100, measures=measures, about=about
    )


def activity_figure(found: Estimates) -> ActivityCurves:
    """Levels of every source over time.

    Args:
        found: the sources.

    Returns:
        The curves.
    """
    from soli.dsp.level import window_levels

    levels = window_levels(found.stems, found.mixture, max(round(WINDOW_SECONDS * found.sample_rate), 1))
    return ActivityCurves(
        sources=tuple(found), levels=levels.numpy(), window_seconds=WINDOW_SECONDS, sounds_db=SOUNDS_DB
    )


def spectrogram_figure(found: Estimates) -> SeparationGrid:
    """Mel spectrograms of the mixture and of every source.

    Args:
        found: the sources.

    Returns:
        A row of pictures.
    """
    signals = [found.mixture, *found.stems]
    levels = [_levels(signal, found.sample_rate) for signal in signals]
    loudest = float(levels[0].max())
    panels = [
        Panel(
            values=level,
            frequencies=np.linspace(0, found.sample_rate / 2, N_MELS),
            seconds=found.mixture.shape[-1] / found.sample_rate,
            low=loudest - RANGE_DB,
            high=loudest,
        )
        for level in levels
    ]
    return SeparationGrid(rows=("spectrogram",), columns=("mixture", *found), panels=[panels])


def latent_figure(found: Estimates) -> EmbeddingMap | None:
    """Latents in the plane of their two largest principal components, coloured by source.

    Args:
        found: the sources.

    Returns:
        The map; None without latents of two sources or more.
    """
    import torch

    if LATENTS not in found.info:
        return None
    labels = found.info[LABELS]
    points, labels = found.info[LATENTS][labels >= 0].double(), labels[labels >= 0]
    if len(labels.unique()) < 2:
        return None
    centred = points - points.mean(dim=0)
    _, sizes, axes = torch.linalg.svd(centred, full_matrices=False)
    plane = centred @ axes[:2].mT
    parts = [plane[labels == index] for index in range(len(found))]
    spreads = [torch.cov(part.mT) if len(part) > 1 else torch.zeros(2, 2).double() for part in parts]
    centres = [part.mean(dim=0) if len(part) else torch.zeros(2).double() for part in parts]
    return EmbeddingMap(
        points=plane.numpy(),
        labels=labels.numpy(),
        classes=tuple(found),
        centres=torch.stack(centres).numpy(),
        spreads=torch.stack(spreads).numpy(),
        explained=(sizes.square() / sizes.square().sum())[:2].numpy(),
        title="The latent space",
        about="Each dot is a point of the latent space that was clustered, coloured by the source it went to.",
        unit="points",
    )


def _levels(signal: Tensor, sample_rate: int) -> np.ndarray:
    """`[C T]` -> mel levels in dB, `[K N]`."""
    from soli.dsp.mel import mel_filterbank
    from soli.dsp.stft import stft

    magnitude = stft(signal, N_FFT, HOP).abs().mean(dim=0)
    bank = mel_filterbank(sample_rate, N_FFT, N_MELS).to(magnitude)
    return (20 * (bank @ magnitude).clamp(min=1e-6).log10()).numpy()
