"""The figures of the class-conditional embedding (seed 004, figures 2, 3 and 4)."""

from __future__ import annotations

import numpy as np

from soli.report.axes import frequency_ticks, time_ticks
from soli.report.charts import spread_out
from soli.report.colour import heat_palette, source_colours
from soli.report.data import Array, DimensionPanels, EmbeddingMap, Panel, QueryPanels
from soli.report.images import panel_top, panel_uri
from soli.report.text import label, number

_WIDTH, _HEIGHT, _MARGIN = 760.0, 520.0, 26.0
_ROUNDS = 8
_NAME_GAP = 22.0
_NAME_STYLE = (
    'text-anchor="middle" font-size="17" font-weight="600" fill="var(--ink)" '
    'stroke="var(--well)" stroke-width="5" paint-order="stroke"'
)


def embedding_section(figure: EmbeddingMap) -> str:
    """Figure 2: every time-frequency bin as a dot, coloured by its class.

    Args:
        figure: the points in two dimensions.

    Returns:
        HTML.
    """
    colours = source_colours(figure.classes)
    counts, unit = np.bincount(figure.labels, minlength=len(figure.classes)), label(figure.unit)
    rows = "".join(
        f'<li><span class="dot" style="--source: rgb{colours[name]}"></span>{label(name)}, {count} {unit}</li>'
        for name, count in zip(figure.classes, counts, strict=True)
    )
    kept = " and ".join(f"{100 * share:.0f} %" for share in figure.explained)
    return (
        f"<section><h2>{label(figure.title)}</h2><p>{label(figure.about)}</p>"
        f'<div class="space">{_scatter(figure, colours)}<ul class="legend">{rows}'
        f"<li><p>The two directions of greatest variance; they keep {kept} of it. "
        "Ellipses: one and two standard deviations of each class.</p></li></ul></div></section>"
    )


def query_section(figure: QueryPanels) -> str:
    """Figure 4: the query by example in four panels.

    Args:
        figure: the panels.

    Returns:
        HTML.
    """
    panels = (
        picture(figure.mixture, "<b>Mixture.</b> What was searched.", "Mixture"),
        picture(figure.example, "<b>Example.</b> One Gaussian is fitted to its embeddings.", "Example"),
        picture(figure.masked, "<b>Masked mixture.</b> What was found.", "Masked mixture"),
        picture(figure.mask, "<b>Mask.</b> How much of each bin is taken for what the example shows.", "Query mask"),
    )
    return (
        "<section><h2>Query by example</h2>"
        f"<p>No class was named: the example, {label(figure.about)}, alone says what to look for.</p>"
        f'<div class="pair">{"".join(panels)}</div></section>'
    )


def dimension_section(figure: DimensionPanels) -> str:
    """Figure 3: the embedding dimension in which one class varies least.

    Args:
        figure: the two panels.

    Returns:
        HTML.
    """
    source = label(figure.source)
    caption = f"<b>Dimension {figure.index + 1}.</b> Variance for {source}: {number(figure.variance, 4)}."
    return (
        "<section><h2>One dimension of the embedding</h2>"
        f"<p>The coordinate in which {source} varies least. "
        "The narrower a class is there, the more that coordinate alone is its mask.</p>"
        f'<div class="pair">{picture(figure.mixture, "<b>Mixture.</b> Level in dB.", "Mixture")}'
        f"{picture(figure.dimension, caption, 'Embedding dimension')}</div></section>"
    )


def _scatter(figure: EmbeddingMap, colours: dict[str, tuple[int, int, int]]) -> str:
    """Dots as round line caps: thousands of them in a few dozen elements."""
    low, high = np.quantile(figure.points, [0.002, 0.998], axis=0)
    room = np.array([_WIDTH, _HEIGHT]) - 2 * _MARGIN
    scale = float(np.min(room / np.maximum(high - low, 1e-9)))
    middle, centre = (low + high) / 2, np.array([_WIDTH, _HEIGHT]) / 2
    flip = np.array([1.0, -1.0])

    def place(points: Array) -> Array:
        return (points - middle) * scale * flip + centre

    placed = np.clip(place(figure.points), 2, [_WIDTH - 2, _HEIGHT - 2])
    shapes = []
    for turn in range(_ROUNDS):  # classes take turns, so that none lies on top of all others
        for index, name in enumerate(figure.classes):
            chosen = placed[figure.labels == index][turn::_ROUNDS]
            dots = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in chosen)
            shapes.append(
                f'<path d="{dots}" stroke="rgb{colours[name]}" stroke-width="4.2" stroke-linecap="round" opacity=".5"/>'
            )
    for name, mean, spread in zip(figure.classes, place(figure.centres), figure.spreads, strict=True):
        shapes.append(_ellipses(mean, spread * scale**2, colours[name]))
    shapes += _names(figure, place(figure.centres))
    box = f'viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" fill="none"'
    return f'<svg {box} role="img" aria-label="Embedding space, coloured by class">{"".join(shapes)}</svg>'


def _names(figure: EmbeddingMap, centres: Array) -> list[str]:
    """Each class's name at its centre, or as near as the other names let it."""
    heights = spread_out([float(y) for _, y in centres], _NAME_GAP, 0, _HEIGHT)
    return [
        f'<text x="{x:.0f}" y="{y + 6:.0f}" {_NAME_STYLE}>{label(name)}</text>'
        for name, (x, _), y in zip(figure.classes, centres, heights, strict=True)
    ]


def _ellipses(mean: Array, spread: Array, colour: tuple[int, int, int]) -> str:
    variances, axes = np.linalg.eigh(spread)
    radii = np.sqrt(np.maximum(variances, 0))
    turn = -np.degrees(np.arctan2(axes[1, 0], axes[0, 0]))  # the page's y axis points down
    return "".join(
        f'<ellipse rx="{size * radii[0]:.1f}" ry="{size * radii[1]:.1f}" stroke="rgb{colour}" stroke-width="{width}" '
        f'transform="translate({mean[0]:.1f} {mean[1]:.1f}) rotate({turn:.1f})"/>'
        for size, width in ((1, 2.2), (2, 1.1))
    )


def picture(panel: Panel, caption: str, alt: str) -> str:
    """A time-frequency image with its axes.

    Args:
        panel: what to draw.
        caption: HTML below it.
        alt: what it is, for those who do not see it.

    Returns:
        HTML.
    """
    image = f'<img src="{panel_uri(panel, heat_palette())}" alt="{label(alt)}">'
    ticks = frequency_ticks(panel_top(panel)) + '<i class="y" style="bottom: 98%">Hz</i>' + time_ticks(panel.seconds)
    return f'<figure><div class="plot">{image}{ticks}</div><figcaption>{caption}</figcaption></figure>'
