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
_HEAD = "<th>Stem</th><th>Mixture, dB</th><th>SDR, dB</th><th>Gain, dB</th><th></th>"


def table_section(data: ReportData) -> str:
    """SDR of every stem and of the mixture in its place.

    Args:
        data: with `sdr` and, optionally, `mixture_sdr`.

    Returns:
        HTML; nothing if nothing was measured.
    """
    if not data.sdr:
        return ""
    colours = source_colours(tuple(data.sdr))
    finite = [value for column in (data.sdr, data.mixture_sdr) for value in column.values() if np.isfinite(value)]
    span = min(finite, default=0.0), max(finite, default=1.0)
    rows = []
    for name, after in data.sdr.items():
        before = data.mixture_sdr.get(name)
        dot = f'<span class="dot" style="--source: rgb{colours[name]}"></span>'
        chart = _dumbbell(before, after, span, colours[name])
        rows.append(f'<tr><td>{dot}{label(name)}</td>{_cells(before, after)}<td class="chart">{chart}</td></tr>')
    total = _cells(mean(data.mixture_sdr) if data.mixture_sdr else None, mean(data.sdr))
    return (
        f"<section><h2>Measured against the true stems</h2><p>{_EXPLANATION}</p>"
        f'<div class="scroll"><table><thead><tr>{_HEAD}</tr></thead><tbody>{"".join(rows)}</tbody>'
        f"<tfoot><tr><td>Mean</td>{total}<td></td></tr></tfoot></table></div></section>"
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
    return f'<td>{number(before)}</td><td class="strong">{number(after)}</td><td>{plus}{number(gain)}</td>'


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
