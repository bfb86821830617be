"""The numbers of an evaluation as Markdown tables and as rows for LaTeX."""

from __future__ import annotations

import math
from collections.abc import Sequence

from soli.evaluation.summary import ALL, Estimate, Statistic, Summary

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def markdown(summary: Summary, data: str) -> str:
    """All tables: the headline metric, its other statistic, the other metrics, and the models compared.

    Args:
        summary: the numbers.
        data: what they were measured on, in a few words.

    Returns:
        The text of a Markdown file.
    """
    protocol = summary.protocol
    other: Statistic = "mean" if protocol.statistic == "median" else "median"
    text = f"# {protocol.name}\n\n{protocol.about}. In dB with 95 % intervals (bootstrap over tracks); {_cell(data)}.\n"
    for metric in protocol.metrics:
        text += f"\n## {metric}, {protocol.statistic}\n\n" + _numbers(summary, metric, protocol.statistic)
        if metric == protocol.metrics[0]:
            text += f"\n## {metric}, {other}\n\n" + _numbers(summary, metric, other)
    if summary.differences:
        text += f"\n## Compared\n\n{protocol.statistic.capitalize()} difference per track in {protocol.metrics[0]}, "
        text += "first minus second (paired bootstrap over tracks):\n\n" + _compared(summary)
    return text


def latex(summary: Summary) -> str:
    r"""Rows of the headline metric for a `tabular`; a comment names the columns.

    Args:
        summary: the numbers.

    Returns:
        A line per model, ending in `\\`.
    """
    protocol, sources = summary.protocol, (*summary.sources, ALL)
    lines = [f"% {protocol.name}, {protocol.metrics[0]}, {protocol.statistic}: model, {', '.join(sources)}"]
    for model in summary.work:
        cells = [summary.cell(model, protocol.metrics[0], source) for source in sources]
        numbers = [_latex_number(getattr(cell, protocol.statistic)) for cell in cells]
        lines.append(" & ".join([escape_latex(model), *numbers]) + r" \\")
    return "\n".join(lines) + "\n"


def escape_latex(text: str) -> str:
    """Make any text safe in LaTeX.

    Args:
        text: a name.

    Returns:
        The same with its special characters escaped.
    """
    return "".join(_LATEX.get(character, character) for character in text)


def _numbers(summary: Summary, metric: str, statistic: Statistic) -> str:
    """A row per model, a column per source."""
    unit = "tracks" if summary.protocol.tracks_first else "pieces"
    rows = []
    for model, work in summary.work.items():
        cells = [summary.cell(model, metric, source) for source in (*summary.sources, ALL)]
        counts = [cell.n_tracks if unit == "tracks" else cell.n_pieces for cell in cells[:-1]]
        spread = str(min(counts)) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        speed = "–" if math.isnan(work.real_time_factor) else f"{work.real_time_factor:.3f}"
        rows.append([model, *(_interval(getattr(cell, statistic)) for cell in cells), spread, work.n_failed, speed])
    return _table(["", *summary.sources, ALL, unit, "failed", "s per s of audio"], rows)


def _compared(summary: Summary) -> str:
    rows = []
    for d in summary.differences:
        interval = _interval(Estimate(value=d.difference, low=d.low, high=d.high))
        rows.append([f"{d.first} – {d.second}", d.source, interval, d.n_tracks])
    return _table(["", "source", "difference", "tracks"], rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [[_cell(column) for column in columns], ["---"] * len(columns)]
    lines += [[_cell(str(cell)) for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    """Keep what Markdown would take for its own."""
    return "".join(f"\\{character}" if character in "\\|`*_<[" else character for character in text)


def _interval(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "–"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def _latex_number(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "--"
    value, low, high = (
        f"{x:.2f}" if math.isfinite(x) else ("-" if x < 0 else "") + r"\infty" for x in vars(estimate).values()
    )
    return f"${value}$ {{\\scriptsize $[{low}, {high}]$}}"
