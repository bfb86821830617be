"""Training curves from the log of a training: one small chart per number."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from soli.errors import SoliError
from soli.report.axes import round_ticks, tick
from soli.report.data import Array, TrainingCurves
from soli.report.text import label

_WIDTH, _HEIGHT, _MOST = 1000.0, 200.0, 400


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
    last = max(float(steps.max()) for steps, _ in series.values())
    charts = "".join(_chart(name, steps, values, max(last, 1.0)) for name, (steps, values) in series.items())
    return f'<section><h2>Training</h2><div class="pair">{charts}</div></section>'


def _chart(name: str, steps: Array, values: Array, last: float) -> str:
    steps, values = thin(steps, values, _MOST)
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-12:
        low, high = low - 0.5, high + 0.5
    x, y = _WIDTH * steps / last, _HEIGHT * (1 - (values - low) / (high - low))
    path = "M" + " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)) + ("h0" if len(x) == 1 else "")
    heights = "".join(
        f'<i class="y" style="bottom: {100 * (v - low) / (high - low):.1f}%">{tick(v)}</i>'
        for v in round_ticks(low, high, 4)
    )
    feet = "".join(f'<i class="x" style="left: {100 * v / last:.1f}%">{_steps(v)}</i>' for v in round_ticks(0, last, 5))
    box = f'viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" preserveAspectRatio="none"'
    words = f"{name}: {values[0]:.4g} at step {steps[0]:g}, {values[-1]:.4g} at step {steps[-1]:g}"
    return (
        f'<figure><div class="plot curve"><svg {box} role="img" aria-label="{label(words)}"><path d="{path}" '
        f'vector-effect="non-scaling-stroke"/></svg>{heights}{feet}</div>'
        f"<figcaption><b>{label(name)}</b> over steps; last {values[-1]:.4g}.</figcaption></figure>"
    )


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
