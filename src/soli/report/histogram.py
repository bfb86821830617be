"""Which query code was chosen for which class of sounds (seed 000): a table shaded by its counts."""

from __future__ import annotations

import numpy as np

from soli.report.colour import heat_palette
from soli.report.data import ClassCodes
from soli.report.text import label, number


def histogram_section(figure: ClassCodes) -> str:
    """Counts by class and code; a row's shade is its share of the row, so that rare classes are seen too.

    Args:
        figure: the counts.

    Returns:
        HTML.
    """
    counts = np.asarray(figure.counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = shares / max(float(shares.max(initial=0)), 1e-9)
    head = "".join(f"<th scope='col'>{label(code)}</th>" for code in figure.codes)
    rows = "".join(
        f'<tr><th scope="row">{label(name)}</th>'
        f"{''.join(_cell(count, share) for count, share in zip(row, shared, strict=True))}"
        f"<td>{row.sum():g}</td></tr>"
        for name, row, shared in zip(figure.classes, counts, shares, strict=True)
    )
    sums = "".join(f"<td>{value:g}</td>" for value in counts.sum(axis=0))
    measures = "".join(
        f"<div><dt>{label(name)}</dt><dd>{number(value, 3)}</dd></div>" for name, value in figure.measures.items()
    )
    return (
        "<section><h2>Classes and codes</h2><p>How often each query code was chosen for isolated sounds of each class. "
        "No class was named in training; a code that answers to one class alone has found it.</p>"
        + (f'<dl class="facts small">{measures}</dl>' if measures else "")
        + '<div class="scroll" tabindex="0" role="group" aria-label="Classes and codes">'
        f'<table class="shaded"><thead><tr><th>Class</th>{head}<th>sum</th></tr></thead><tbody>{rows}</tbody>'
        f"<tfoot><tr><td>sum</td>{sums}<td>{counts.sum():g}</td></tr></tfoot></table></div></section>"
    )


def _cell(count: float, share: float) -> str:
    """One count on its shade, in black or white, whichever is read more easily."""
    palette = heat_palette()
    red, green, blue = palette[round(float(share) * (len(palette) - 1)), :3]
    ink = "#000" if _luminance(red, green, blue) > 0.179 else "#fff"  # where both contrasts are equal (WCAG 2)
    return f'<td style="background: rgb({red}, {green}, {blue}); color: {ink}">{count:g}</td>'


def _luminance(*channels: int) -> float:
    values = np.array(channels) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
