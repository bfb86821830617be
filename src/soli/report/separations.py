"""Many mixtures and what every query made of each (seed 000): pictures in rows and columns."""

from __future__ import annotations

from soli.report.colour import heat_palette
from soli.report.data import Panel, SeparationGrid
from soli.report.images import panel_uri
from soli.report.text import label


def separations_section(figure: SeparationGrid) -> str:
    """Draw the grid.

    Args:
        figure: the pictures.

    Returns:
        HTML.
    """
    head = "".join(f"<th scope='col'>{label(name)}</th>" for name in figure.columns)
    rows = "".join(
        f'<tr><th scope="row">{label(name)}</th>'
        f"{''.join(_cell(panel, f'{name}, {column}') for panel, column in zip(row, figure.columns, strict=True))}</tr>"
        for name, row in zip(figure.rows, figure.panels, strict=True)
    )
    return (
        "<section><h2>Separations</h2><p>Each row is one mixture: time runs to the right, frequency (mel) upwards, "
        "brighter is louder.</p>"
        '<div class="scroll" tabindex="0" role="group" aria-label="Separations">'
        f'<table class="grid"><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def _cell(panel: Panel | None, alt: str) -> str:
    if panel is None:
        return "<td></td>"
    return f'<td><img src="{panel_uri(panel, heat_palette(), rows=72, columns=120)}" alt="{label(alt)}"></td>'
