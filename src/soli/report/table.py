"""The table of measured stems: numbers, and a pair of dots for before and after."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from soli.report.colour import source_colours
from soli.report.data import ReportData
from soli.report.text import MINUS, label, number

_EXPLANATION = (
    "Signal-to-distortion ratio over the whole clip, all channels together: "
    f'<span class="formula">10\N{MIDDLE DOT}log₁₀(‖s‖²/‖s{MINUS}ŝ‖²)</span>. '
    "The open dot is the mixture taken as the estimate."
)
_SCORES = ("SDR, dB", "Mixture, dB", "Gain, dB")


def table_section(data: ReportData) -> str:
    """Loudness of every stem and, where the true stems are known, SDR of each and of the mixture in its place.

    Args:
        data: with `loudness`, or `sdr` and, optionally, `mixture_sdr`.

    Returns:
        HTML; nothing if nothing was measured.
    """
    if not (data.sdr or data.loudness):
        return ""
    names = tuple(dict.fromkeys((*data.loudness, *data.sdr)))
    colours = source_colours(names)
    finite = [value for column in (data.sdr, data.mixture_sdr) for value in column.values() if np.isfinite(value)]
    span = min(finite, default=0.0), max(finite, default=1.0)
    rows = []
    for name in names:
        cells = [f'<td><span class="dot" style="--source: rgb{colours[name]}"></span>{label(name)}</td>']
        before, after = data.mixture_sdr.get(name), data.sdr.get(name, float("nan"))
        if data.sdr:
            cells.append(_cells(before, after))
        if data.loudness:
            cells.append(f"<td>{number(data.loudness.get(name), 1)}</td>")
        if data.sdr:
            cells.append(f'<td class="chart">{_dumbbell(before, after, span, colours[name])}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return _table(data, "".join(rows))


def _table(data: ReportData, rows: str) -> str:
    """Heading, columns and the mean around the rows."""
    columns = ["Stem", *(_SCORES if data.sdr else []), *(["Loudness, LUFS"] if data.loudness else [])]
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    text, foot, chart = "Integrated loudness after ITU-R BS.1770-4.", "", ""
    if data.sdr:
        chart = '<th class="chart"></th>'
        text = f"{_EXPLANATION} {text}" if data.loudness else _EXPLANATION
        total = _cells(mean(data.mixture_sdr) if data.mixture_sdr else None, mean(data.sdr))
        gap = "<td></td>" if data.loudness else ""
        foot = f'<tfoot><tr><td>Mean</td>{total}{gap}<td class="chart"></td></tr></tfoot>'
    title = "Measured against the true stems" if data.sdr else "Loudness"
    return (
        f'<section><h2>{title}</h2><p>{text}</p><div class="scroll" tabindex="0" role="group" aria-label="{title}">'
        f"<table><thead><tr>{head}{chart}</tr></thead><tbody>{rows}</tbody>{foot}</table></div></section>"
    )


def mean(values: Mapping[str, float]) -> float:
    """Mean of the finite values; NaN when there is none.

    Args:
        values: anything -> a number.

    Returns:
        The mean.
    """
    known = [value for value in values.values() if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _cells(before: float | None, after: float) -> str:
    gain = None if before is None else after - before
    plus = "+" if gain is not None and gain > 0 else ""
    return f'<td class="strong">{number(after)}</td><td>{number(before)}</td><td>{plus}{number(gain)}</td>'


def _dumbbell(before: float | None, after: float, span: tuple[float, float], colour: tuple[int, int, int]) -> str:
    """An open dot, a line, a full dot; a hairline marks 0 dB."""
    low, high = span

    def place(value: float) -> str:
        return f"{3 + 94 * (value - low) / max(high - low, 1e-9):.1f}%"

    line, dot = f'stroke="rgb{colour}" stroke-width="2"', 'cy="11"'
    shapes = []
    if low < 0 < high:
        shapes.append(f'<line x1="{place(0)}" x2="{place(0)}" y1="-8" y2="30" stroke="var(--line)"/>')
    if before is not None and np.isfinite(before) and np.isfinite(after):
        shapes.append(f'<line x1="{place(before)}" x2="{place(after)}" y1="11" y2="11" {line}/>')
        shapes.append(f'<circle cx="{place(before)}" {dot} r="4" fill="var(--paper)" {line}/>')
    if np.isfinite(after):
        shapes.append(f'<circle cx="{place(after)}" {dot} r="5.5" fill="rgb{colour}"/>')
    return f'<svg aria-hidden="true">{"".join(shapes)}</svg>'
