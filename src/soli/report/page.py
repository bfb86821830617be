"""The page itself: heading, numbers, player, table, figures, card."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import soli
from soli.errors import SoliError
from soli.report.activity import activity_section
from soli.report.assets import asset, fill
from soli.report.clusters import clusters_section
from soli.report.curves import curves_section
from soli.report.data import (
    ActivityCurves,
    ClassCodes,
    ClusterTable,
    DimensionPanels,
    EmbeddingMap,
    Figure,
    QueryPanels,
    ReportData,
    SearchCurves,
    SeparationGrid,
    TrainingCurves,
)
from soli.report.figures import dimension_section, embedding_section, query_section
from soli.report.histogram import histogram_section
from soli.report.player import player
from soli.report.search import search_section
from soli.report.separations import separations_section
from soli.report.table import mean, table_section
from soli.report.text import duration, label, number

_SECTIONS: dict[type, Callable[[Any], str]] = {
    ClassCodes: histogram_section,
    ClusterTable: clusters_section,
    ActivityCurves: activity_section,
    DimensionPanels: dimension_section,
    EmbeddingMap: embedding_section,
    QueryPanels: query_section,
    SearchCurves: search_section,
    SeparationGrid: separations_section,
    TrainingCurves: curves_section,
}
_SOUND = "Its audio is a compressed copy for listening; the stems are files of their own."


def write_report(path: str | os.PathLike[str], data: ReportData) -> Path:
    """Write one HTML file that needs nothing else: no network, no server, no other file.

    Args:
        path: where to; a file there is replaced, in one step.
        data: what to show.

    Returns:
        The path.

    Raises:
        SoliError: the file cannot be written.
    """
    return write_page(path, render(data))


def write_page(path: str | os.PathLike[str], page: str) -> Path:
    """Write a page whole or not at all.

    Args:
        path: where to; a file there is replaced, in one step.
        page: HTML.

    Returns:
        The path.

    Raises:
        SoliError: the file cannot be written.
    """
    target = Path(path)
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, suffix=".part", delete=False) as file:
            temporary = Path(file.name)
            file.write(page)
        temporary.chmod(0o644)  # temporary files are private to their owner, reports are not
        os.replace(temporary, target)
    except OSError as error:
        raise SoliError(f"cannot write the report {target}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return target


def document(title: str, body: str, footer: str = "") -> str:
    """Put sections into a page with its style and script.

    Args:
        title: of the page, as plain text.
        body: HTML.
        footer: HTML at the very end.

    Returns:
        HTML.
    """
    return fill(
        "page.html",
        title=label(title),
        version=label(soli.__version__),
        style=asset("style.css"),
        body=body,
        footer=f" {footer}" if footer else "",
        script=asset("page.js") + asset("player.js"),
    )


def render(data: ReportData) -> str:
    """The page as a string.

    Args:
        data: what to show.

    Returns:
        HTML.
    """
    tracks = player(
        {"mixture": data.mixture, **data.stems},
        data.sample_rate,
        truths=data.truths,
        loudness=data.loudness,
        total_seconds=data.duration,
    )
    figures = [figure_section(figure) for figure in data.figures]
    card = card_section({**({"Model": data.model} if data.model else {}), **data.facts}, data.manifest, data.files)
    body = "\n".join(part for part in (_heading(data), tracks, table_section(data), *figures, card) if part)
    return document(data.title, body, _SOUND)


def figure_section(figure: Figure) -> str:
    """Draw what a system has to show of itself.

    Args:
        figure: any of its kinds.

    Returns:
        HTML.
    """
    return _SECTIONS[type(figure)](figure)


def _heading(data: ReportData) -> str:
    channels = {1: "mono", 2: "stereo"}.get(len(data.mixture), f"{len(data.mixture)} channels")
    line = [duration(data.duration), channels, f"{data.sample_rate / 1000:g} kHz"]
    if data.model:
        line.append(f"{'made' if data.generated else 'separated'} by {label(data.model)}")
    return (
        f'<header><div class="eyebrow">soli \N{MIDDLE DOT} stems</div><h1>{label(data.title)}</h1>'
        f'<p>{" · ".join(line)}</p><dl class="facts">{"".join(_tiles(data))}</dl></header>'
    )


def _tiles(data: ReportData) -> list[str]:
    """The numbers at the top."""
    tiles = []
    if data.sdr:
        beside = f"; the mixture as estimate has {number(mean(data.mixture_sdr))}" if data.mixture_sdr else ""
        tiles.append(tile(number(mean(data.sdr)), "dB", f"SDR, mean of {len(data.sdr)} stems{beside}"))
    if data.seconds is not None:
        factor = data.seconds / max(data.duration, 1e-9)
        times = 1 / max(factor, 1e-9)
        done = "make" if data.generated else "separate"
        tiles.append(tile(number(data.seconds, 1), "s", f"to {done} {duration(data.duration)} of audio"))
        text = f"as fast as real time (real-time factor {factor:.3f})"
        tiles.append(tile(number(times, 0 if times >= 10 else 1), "×", text))
    if data.null_dbfs is not None:
        text = "null test: the peak of the mixture minus all stems"
        tiles.append(tile(number(data.null_dbfs, 0), "dBFS", text))
    return tiles


def tile(value: str, unit: str, text: str) -> str:
    """A number at the top of a page.

    Args:
        value: safe already.
        unit: beside it.
        text: what it is; safe already.

    Returns:
        HTML for inside a `.facts`.
    """
    return f"<div><dt>{text}</dt><dd>{value}<small>{unit}</small></dd></div>"


def card_section(facts: Mapping[str, str], manifest: Mapping[str, Any], files: Mapping[str, str] | None = None) -> str:
    """How a page came to be.

    Args:
        facts: a line each.
        manifest: the run for machines, as plain JSON.
        files: name -> link.

    Returns:
        HTML; empty where there is nothing to tell.
    """
    rows = [f"<dt>{label(name)}</dt><dd>{label(text)}</dd>" for name, text in facts.items()]
    if files:
        links = ", ".join(f'<a href="{label(link)}">{label(name)}</a>' for name, link in files.items())
        rows.append(f"<dt>Files</dt><dd>{links}</dd>")
    details = ""
    if manifest:
        text = label(json.dumps(manifest, indent=2, ensure_ascii=False, default=str))
        details = f'<details><summary>Manifest of this run</summary><pre id="manifest">{text}</pre></details>'
    if not rows and not details:
        return ""
    return f'<section><h2>How it was made</h2><dl class="card">{"".join(rows)}</dl>{details}</section>'
