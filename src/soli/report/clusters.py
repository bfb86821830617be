"""The clusters a mixture was split into (seed 001): a table, and a bar of energy for each."""

from __future__ import annotations

import math

from soli.report.colour import source_colours
from soli.report.data import ClusterTable
from soli.report.text import label, number


def clusters_section(figure: ClusterTable) -> str:
    """Draw the table.

    Args:
        figure: what was measured.

    Returns:
        HTML.
    """
    colours = source_colours(figure.clusters)
    head = "".join(f"<th scope='col'>{label(name)}</th>" for name in figure.measures)
    longest = max((float(share) for share in figure.energy if math.isfinite(share)), default=1.0)
    rows = []
    for index, name in enumerate(figure.clusters):
        share = float(figure.energy[index])
        cells = "".join(f"<td>{number(values[index], 4)}</td>" for values in figure.measures.values())
        colour = f"rgb{colours[name]}"
        width = 100 * share / max(longest, 1e-9) if math.isfinite(share) else 0
        rows.append(
            f'<tr><td><span class="dot" style="--source: {colour}"></span>{label(name)}</td>{cells}'
            f"<td>{number(100 * share, 1)} %</td>"
            f'<td class="bar"><div style="width: {width:.1f}%; background: {colour}"></div></td></tr>'
        )
    about = f"<p>{label(figure.about)}</p>" if figure.about else ""
    return (
        f'<section><h2>Clusters</h2>{about}<div class="scroll" tabindex="0" role="group" aria-label="Clusters">'
        f"<table><thead><tr><th>Cluster</th>{head}<th scope='col'>Energy</th><th></th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )
