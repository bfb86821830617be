"""The page itself: heading, numbers, player, table, figures, card."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

import soli
from soli.errors import SoliError
from soli.report.assets import asset, fill
from soli.report.data import ReportData
from soli.report.figures import dimension_section, embedding_section, query_section
from soli.report.player import player_section
from soli.report.table import mean, table_section
from soli.report.text import duration, label, number


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
    target = Path(path)
    page = render(data)
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


def render(data: ReportData) -> str:
    """The page as a string.

    Args:
        data: what to show.

    Returns:
        HTML.
    """
    sections = [_heading(data), player_section(data), table_section(data)]
    if data.query is not None:
        sections.append(query_section(data.query))
    if data.embedding is not None:
        sections.append(embedding_section(data.embedding))
    if data.dimension is not None:
        sections.append(dimension_section(data.dimension))
    sections += [_card(data), _footer()]
    return fill(
        "page.html",
        title=label(data.title),
        style=asset("style.css"),
        body="\n".join(section for section in sections if section),
        script=asset("player.js"),
    )


def _heading(data: ReportData) -> str:
    channels = {1: "mono", 2: "stereo"}.get(len(data.mixture), f"{len(data.mixture)} channels")
    line = [duration(data.duration), channels, f"{data.sample_rate / 1000:g} kHz"]
    if data.model:
        line.append(f"separated by {label(data.model)}")
    return (
        f'<header><div class="eyebrow">soli \N{MIDDLE DOT} stems</div><h1>{label(data.title)}</h1>'
        f'<p>{" · ".join(line)}</p><dl class="facts">{"".join(_tiles(data))}</dl></header>'
    )


def _tiles(data: ReportData) -> list[str]:
    """The numbers at the top."""
    tiles = []
    if data.sdr:
        beside = f"; the mixture as estimate has {number(mean(data.mixture_sdr))}" if data.mixture_sdr else ""
        tiles.append(_tile(number(mean(data.sdr)), "dB", f"SDR, mean of {len(data.sdr)} stems{beside}"))
    if data.seconds is not None:
        factor = data.seconds / max(data.duration, 1e-9)
        times = 1 / max(factor, 1e-9)
        tiles.append(_tile(number(data.seconds, 1), "s", f"to separate {duration(data.duration)} of audio"))
        text = f"as fast as real time (real-time factor {factor:.3f})"
        tiles.append(_tile(number(times, 0 if times >= 10 else 1), "×", text))
    if data.null_dbfs is not None:
        text = "null test: the peak of the mixture minus all stems"
        tiles.append(_tile(number(data.null_dbfs, 0), "dBFS", text))
    return tiles


def _tile(value: str, unit: str, text: str) -> str:
    return f"<div><dt>{text}</dt><dd>{value}<small>{unit}</small></dd></div>"


def _card(data: ReportData) -> str:
    facts = {**({"Model": data.model} if data.model else {}), **data.facts}
    rows = [f"<dt>{label(name)}</dt><dd>{label(text)}</dd>" for name, text in facts.items()]
    if data.files:
        links = ", ".join(f'<a href="{label(link)}">{label(name)}</a>' for name, link in data.files.items())
        rows.append(f"<dt>Files</dt><dd>{links}</dd>")
    return f'<section><h2>How it was made</h2><dl class="card">{"".join(rows)}</dl></section>' if rows else ""


def _footer() -> str:
    return (
        f"<footer>soli {soli.__version__}. This page holds everything it shows and asks nothing of the network. "
        "Its audio is a compressed copy for listening; the stems are files of their own.</footer>"
    )
