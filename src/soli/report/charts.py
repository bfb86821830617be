"""Charts whose text keeps its size on any screen: places along x are percentages, heights are pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from soli.report.axes import round_ticks, tick
from soli.report.data import Array
from soli.report.text import label

ROW_HEIGHT = 30
_MARGIN = 2.0  # percent left free on both sides


@dataclass(frozen=True)
class Axis:
    """A horizontal axis.

    Attributes:
        low: value at the left.
        high: value at the right, above `low`.
        unit: of the values.
    """

    low: float
    high: float
    unit: str = ""

    @classmethod
    def around(cls, values: Sequence[float], unit: str = "", *, zero: bool = False) -> Axis:
        """An axis that holds all finite values.

        Args:
            values: any.
            unit: of the values.
            zero: whether 0 must be on it.

        Returns:
            The axis, never empty.
        """
        known = [value for value in values if math.isfinite(value)] + [0.0] * zero
        low, high = min(known, default=0.0), max(known, default=1.0)
        if high - low < 1e-9:
            low, high = low - 0.5, high + 0.5
        return cls(low, high, unit)

    def at(self, value: float) -> str:
        """Where a value is, as a percentage of the width."""
        return f"{self.percent(value):.2f}%"

    def percent(self, value: float) -> float:
        """The same as a number."""
        return _MARGIN + (100 - 2 * _MARGIN) * (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Box:
    """Five numbers of a sample (Tukey 1977) and what lies beyond them.

    Attributes:
        low: the lowest value within 1.5 interquartile ranges of the box.
        first: first quartile.
        median: of all.
        third: third quartile.
        high: the highest value within 1.5 interquartile ranges of the box.
        outliers: all values beyond `low` and `high`.
    """

    low: float
    first: float
    median: float
    third: float
    high: float
    outliers: tuple[float, ...]


def box_of(values: Sequence[float]) -> Box | None:
    """Summarise a sample.

    Args:
        values: any; those that are not finite are left out.

    Returns:
        The numbers of its box; None for an empty sample.
    """
    known = np.array([value for value in values if math.isfinite(value)])
    if not len(known):
        return None
    first, median, third = (float(value) for value in np.quantile(known, [0.25, 0.5, 0.75]))
    reach = 1.5 * (third - first)
    within = known[(known >= first - reach) & (known <= third + reach)]
    beyond = known[(known < first - reach) | (known > third + reach)]
    return Box(float(within.min()), first, median, third, float(within.max()), tuple(sorted(map(float, beyond))))


def row_chart(title: str, rows: Sequence[tuple[str, str, str]], axis: Axis) -> str:
    """Rows of marks above one axis.

    Args:
        title: above the rows; empty for none.
        rows: name of each, what its marks say in words, and the marks as SVG, at heights from 0 to `ROW_HEIGHT`.
        axis: common to all rows.

    Returns:
        HTML.
    """
    grid = _grid(axis, ROW_HEIGHT)
    body = "".join(
        f'<span class="what" title="{label(name)}">{label(name)}</span>'
        f'<svg role="img" aria-label="{label(f"{name}: {words}")}" height="{ROW_HEIGHT}">{grid}{marks}</svg>'
        for name, words, marks in rows
    )
    heading = f"<h3>{label(title)}</h3>" if title else ""
    ticks = "".join(f'<i style="left: {axis.at(v)}">{tick(v)}</i>' for v in round_ticks(axis.low, axis.high))
    unit = f'<span class="unit">{label(axis.unit)}</span>'
    return f'<div class="rows">{heading}{body}{unit}<div class="ticks">{ticks}</div></div>'


def box_marks(box: Box | None, axis: Axis, colour: str) -> str:
    """A box plot.

    Args:
        box: what to draw; None draws nothing.
        axis: where values lie.
        colour: CSS colour.

    Returns:
        SVG.
    """
    if box is None:
        return ""
    middle, ink = ROW_HEIGHT / 2, f'stroke="{colour}"'
    width = axis.percent(box.third) - axis.percent(box.first)
    dots = "".join(f'<circle cx="{axis.at(v)}" cy="{middle}" r="2.5" fill="{colour}"/>' for v in box.outliers)
    return (
        f'<line x1="{axis.at(box.low)}" x2="{axis.at(box.high)}" y1="{middle}" y2="{middle}" {ink} stroke-width="1.5"/>'
        f'<rect x="{axis.at(box.first)}" width="{max(width, 0.3):.2f}%" y="{middle - 8}" height="16" rx="3" '
        f'fill="color-mix(in srgb, {colour} 28%, var(--paper))" {ink} stroke-width="1.5"/>'
        f'<line x1="{axis.at(box.median)}" x2="{axis.at(box.median)}" y1="{middle - 8}" y2="{middle + 8}" '
        f'stroke="var(--ink)" stroke-width="2.5"/>{dots}'
    )


def interval_marks(value: float, low: float, high: float, axis: Axis, colour: str, *, hollow: bool = False) -> str:
    """A dot and its interval.

    Args:
        value: of the dot; nothing is drawn where it is not finite.
        low: lower end.
        high: upper end.
        axis: where values lie.
        colour: CSS colour.
        hollow: whether the dot is a ring.

    Returns:
        SVG.
    """
    if not math.isfinite(value):
        return ""
    middle = ROW_HEIGHT / 2
    line = ""
    if math.isfinite(low) and math.isfinite(high):
        ends = f'x1="{axis.at(low)}" x2="{axis.at(high)}"'
        line = f'<line {ends} y1="{middle}" y2="{middle}" stroke="{colour}" stroke-width="2.5" stroke-linecap="round"/>'
    fill = f'fill="var(--paper)" stroke="{colour}" stroke-width="1.6"' if hollow else f'fill="{colour}"'
    return f'{line}<circle cx="{axis.at(value)}" cy="{middle}" r="5" {fill}/>'


def spread_out(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move numbers apart, in order, as little as need be.

    Args:
        places: any.
        gap: the least distance between two of the results.
        low: the least of the results.
        high: the greatest of them, where there is room for all.

    Returns:
        As many numbers, in the order of `places`.
    """
    order = np.argsort(np.asarray(places), kind="stable")
    groups: list[list[float]] = []  # sum of wanted starts, and size: neighbours that touch move as one
    for place in np.asarray(places)[order]:
        groups.append([float(place), 1])
        while len(groups) > 1 and _start(groups[-2], gap) + gap * groups[-2][1] > _start(groups[-1], gap):
            total, size = groups.pop()
            groups[-1][0] += total
            groups[-1][1] += size
    moved: Array = np.concatenate([_start(group, gap) + gap * np.arange(group[1]) for group in groups] or [[]])
    steps = gap * np.arange(len(moved))
    moved = np.minimum(moved, high - steps[::-1])
    moved = np.maximum(moved, low + steps)
    result = np.empty(len(moved))
    result[order] = moved
    return [float(value) for value in result]


def _start(group: list[float], gap: float) -> float:
    total, size = group
    return total / size - gap * (size - 1) / 2


def _grid(axis: Axis, height: int) -> str:
    """Hairlines at the ticks, a darker one at zero."""
    return "".join(
        f'<line x1="{axis.at(v)}" x2="{axis.at(v)}" y1="0" y2="{height}" '
        f'stroke="var(--{"soft" if v == 0 else "line"})"/>'
        for v in round_ticks(axis.low, axis.high)
    )
