"""Numbers over time or steps as lines; and the curves of a training, one small chart per number of its log."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from soli.errors import SoliError
from soli.report.axes import round_ticks, tick
from soli.report.data import Array, TrainingCurves
from soli.report.text import label

_WIDTH, _HEIGHT, _MOST = 1000.0, 200.0, 400


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a chart.

    Attributes:
        x: `[n]`.
        y: `[n]`.
        colour: CSS colour; empty for that of all curves.
    """

    x: Array
    y: Array
    colour: str = ""

    def finite(self) -> Line:
        """The same without points that cannot be drawn."""
        known = np.isfinite(self.x) & np.isfinite(self.y)
        return replace(self, x=self.x[known], y=self.y[known])


@dataclass(frozen=True, kw_only=True)
class Foot:
    """The axis under a chart.

    Attributes:
        low: value at the left.
        high: value at the right, above `low`.
        ticks: values to name.
        written: how a value is named.
    """

    low: float
    high: float
    ticks: Sequence[float]
    written: Callable[[float], str] = tick


def read_log(path: str | Path) -> TrainingCurves:
    """Read the log that a training leaves behind.

    Args:
        path: of a file with one JSON object a line: `step`, and numbers by name.

    Returns:
        A series for every name but `step` and `seconds`; values that are not finite are left out.

    Raises:
        SoliError: for a file that cannot be read or is no such log.
    """
    found: dict[str, tuple[list[float], list[float]]] = {}
    try:
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            values = json.loads(line)
            step = float(values.pop("step"))
            values.pop("seconds", None)
            for name, value in values.items():
                if math.isfinite(number := float(value)):
                    steps, numbers = found.setdefault(name, ([], []))
                    steps.append(step)
                    numbers.append(number)
    except OSError as error:
        raise SoliError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SoliError(f"{path}: not a training log; allowed: one JSON object a line, each with a step") from error
    return TrainingCurves(series={name: (np.array(steps), np.array(values)) for name, (steps, values) in found.items()})


def curves_section(figure: TrainingCurves) -> str:
    """Draw every series over the steps.

    Args:
        figure: the series.

    Returns:
        HTML; empty without any.
    """
    series = {name: pair for name, pair in figure.series.items() if len(pair[0])}
    if not series:
        return ""
    foot = count_foot(max(float(steps.max()) for steps, _ in series.values()))
    charts = "".join(_series(name, *thin(steps, values, _MOST), foot) for name, (steps, values) in series.items())
    return f'<section><h2>Training</h2><div class="pair">{charts}</div></section>'


def _series(name: str, steps: Array, values: Array, foot: Foot) -> str:
    words = f"{name}: {values[0]:.4g} at step {steps[0]:g}, {values[-1]:.4g} at step {steps[-1]:g}"
    caption = f"<b>{label(name)}</b> over steps; last {values[-1]:.4g}."
    return chart([Line(x=steps, y=values)], foot, words=words, caption=caption)


def count_foot(last: float) -> Foot:
    """An axis of steps from 0 on.

    Args:
        last: the highest of them.

    Returns:
        The axis.
    """
    last = max(last, 1.0)
    return Foot(low=0.0, high=last, ticks=round_ticks(0, last, 5), written=_steps)


def chart(
    lines: Sequence[Line],
    foot: Foot,
    *,
    words: str,
    caption: str,
    span: tuple[float, float] | None = None,
    shaded: Sequence[tuple[float, float]] = (),
    ends: bool = False,
) -> str:
    """Draw lines over one axis.

    Args:
        lines: what is not finite is left out.
        foot: where x lies.
        words: what they show, in plain text, for who does not see them.
        caption: under them; safe HTML.
        span: of y, from bottom to top; points beyond are drawn at its edge. None fits it to the lines.
        shaded: from where to where along x the ground is shaded, in the colour of the first line.
        ends: whether the last point of each line has a dot.

    Returns:
        HTML; empty where no point can be drawn.
    """
    known = [line for line in map(Line.finite, lines) if len(line.x)]
    if not known:
        return ""
    low, high = span or reach([line.y for line in known])

    def across(x: Array) -> Array:
        return _WIDTH * (x - foot.low) / (foot.high - foot.low)

    paths = "".join(
        _path(across(line.x), _HEIGHT * (1 - (line.y.clip(low, high) - low) / (high - low)), line.colour, ends=ends)
        for line in known
    )
    ground = "".join(
        f'<rect x="{a:.1f}" y="0" width="{b - a:.1f}" height="{_HEIGHT:.0f}"{_style(known[0].colour)}/>'
        for a, b in across(np.array(shaded))
    )
    heights = "".join(
        f'<i class="y" style="bottom: {100 * (v - low) / (high - low):.1f}%">{tick(v)}</i>'
        for v in round_ticks(low, high, 4)
    )
    feet = "".join(
        f'<i class="x" style="left: {100 * (v - foot.low) / (foot.high - foot.low):.1f}%">{foot.written(v)}</i>'
        for v in foot.ticks
    )
    box = f'viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" preserveAspectRatio="none"'
    return (
        f'<figure><div class="plot curve"><svg {box} role="img" aria-label="{label(words)}">{ground}{paths}</svg>'
        f"{heights}{feet}</div><figcaption>{caption}</figcaption></figure>"
    )


def reach(values: Sequence[Array]) -> tuple[float, float]:
    """What an axis must span.

    Args:
        values: at least one among them.

    Returns:
        The lowest and the highest, or half around them where they are the same.
    """
    low, high = (float(bound(np.concatenate(values))) for bound in (np.min, np.max))
    return (low - 0.5, high + 0.5) if high - low < 1e-12 else (low, high)


def _path(x: Array, y: Array, colour: str, *, ends: bool) -> str:
    """A line through places on the page, and a dot at its end."""
    form = f'{_style(colour)} vector-effect="non-scaling-stroke"/>'
    line = "M" + " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)) + ("h0" if len(x) == 1 else "")
    dot = f'<path class="end" d="M{x[-1]:.1f},{y[-1]:.1f}h0"{form}' if ends else ""
    return f'<path d="{line}"{form}{dot}'


def _style(colour: str) -> str:
    return f' style="--source: {colour}"' if colour else ""


def thin(steps: Array, values: Array, most: int) -> tuple[Array, Array]:
    """Average a long series in pieces; a short one stays as it is.

    Args:
        steps: `[n]`.
        values: `[n]`.
        most: how many points may stay.

    Returns:
        Steps and values, each `[min(n, most)]`.
    """
    if len(steps) <= most:
        return steps, values
    borders = np.linspace(0, len(steps), most + 1).astype(int)
    sizes = np.diff(borders)
    return np.add.reduceat(steps, borders[:-1]) / sizes, np.add.reduceat(values, borders[:-1]) / sizes


def _steps(value: float) -> str:
    return f"{tick(value / 1000)}k" if value >= 1000 else tick(value)
