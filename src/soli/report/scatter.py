"""Points with names: quality against speed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from soli.report.axes import round_ticks, tick
from soli.report.charts import Axis, spread_out
from soli.report.text import label, number

HEIGHT = 320
_TOP, _BOTTOM, _GAP = 14, 306, 17


@dataclass(frozen=True)
class Point:
    """One model.

    Attributes:
        name: beside the point.
        x: above zero; the axis is logarithmic.
        y: its value.
        low: lower end of the interval of y.
        high: upper end.
        colour: CSS colour.
    """

    name: str
    x: float
    y: float
    low: float
    high: float
    colour: str


def scatter(points: Sequence[Point], x_title: str, y_title: str) -> str:
    """Draw points over a logarithmic axis.

    Args:
        points: those with an `x` that is not above zero, or without a finite `y`, are left out.
        x_title: what x is.
        y_title: what y is.

    Returns:
        HTML; empty where nothing can be drawn.
    """
    points = [point for point in points if point.x > 0 and math.isfinite(point.x) and math.isfinite(point.y)]
    if not points:
        return ""
    across = Axis(
        math.floor(math.log10(min(point.x for point in points)) - 1e-9),
        math.ceil(math.log10(max(point.x for point in points)) + 1e-9),
    )
    up = Axis.around([value for point in points for value in (point.y, point.low, point.high)])

    def height(value: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * (value - up.low) / (up.high - up.low)

    names = spread_out([height(point.y) for point in points], _GAP, _TOP, _BOTTOM)
    decades = range(round(across.low), round(across.high) + 1)
    lines = "".join(
        f'<line x1="{across.at(d)}" x2="{across.at(d)}" y1="0" y2="{HEIGHT}" stroke="var(--line)"/>' for d in decades
    )
    levels = round_ticks(up.low, up.high)
    lines += "".join(
        f'<line x1="0" x2="100%" y1="{height(v):.1f}" y2="{height(v):.1f}" stroke="var(--line)"/>' for v in levels
    )
    shapes = "".join(_mark(point, across, height, at) for point, at in zip(points, names, strict=True))
    x_ticks = "".join(f'<i class="x" style="left: {across.at(d)}">{_decade(d)}</i>' for d in decades)
    y_ticks = "".join(f'<i class="y" style="bottom: {HEIGHT - height(v):.1f}px">{tick(v)}</i>' for v in levels)
    words = "; ".join(f"{point.name}: {number(point.y)} at {point.x:.3g}" for point in points)
    return (
        f'<figure class="scatter"><div class="above">{label(y_title)}</div><div class="plot">'
        f'<svg role="img" aria-label="{label(words)}" height="{HEIGHT}">{lines}{shapes}</svg>{x_ticks}{y_ticks}</div>'
        f"<figcaption>{label(x_title)}</figcaption></figure>"
    )


def _mark(point: Point, across: Axis, height: Callable[[float], float], name_at: float) -> str:
    """A dot, its interval and its name, in pixels around the dot's place."""
    x, y = math.log10(point.x), height(point.y)
    whisker = ""
    if math.isfinite(point.low) and math.isfinite(point.high):
        ends = f'y1="{height(point.low):.1f}" y2="{height(point.high):.1f}"'
        whisker = f'<line {ends} stroke="{point.colour}" stroke-width="2" opacity=".6"/>'
    side = -1 if across.percent(x) > 55 else 1
    leader = f'<path d="M{6 * side} {y:.1f}L{14 * side} {name_at:.1f}" stroke="var(--soft)" fill="none"/>'
    anchor = "end" if side < 0 else "start"
    return (
        f'<svg x="{across.at(x)}" overflow="visible">{whisker}{leader}'
        f'<circle cy="{y:.1f}" r="6" fill="{point.colour}"/>'
        f'<text x="{17 * side}" y="{name_at + 4:.1f}" text-anchor="{anchor}">{label(point.name)}</text></svg>'
    )


def _decade(exponent: int) -> str:
    return tick(10.0**exponent) if -4 < exponent < 5 else f"1e{exponent}"
