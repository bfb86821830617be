"""How priors were searched for the sources of a mixture (seed 003): quality over work, and likelihood against prior."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from soli.report.axes import round_ticks
from soli.report.colour import source_colours
from soli.report.curves import Foot, Line, chart, count_foot, reach
from soli.report.data import SearchCurves
from soli.report.text import label, number

_EXPLANATION = (
    "In the last chart every search goes from where it began to its dot. The lower the divergence of the mixture from "
    "the sum of the sources, the likelier is the mixture; the lower the energy of the latents, the likelier are the "
    "sources to their priors."
)


def search_section(figure: SearchCurves) -> str:
    """Draw SDR over iterations, SDR over seconds, and energy against divergence.

    Args:
        figure: the searches.

    Returns:
        HTML; empty where nothing can be drawn.
    """
    names = tuple(figure.paths)
    colours = {name: f"rgb{colour}" for name, colour in source_colours(names, known=False).items()}

    def lines(x: str, y: str) -> dict[str, Line]:
        found = {
            name: Line(x=getattr(path, x), y=getattr(path, y), colour=colours[name]).finite()
            for name, path in figure.paths.items()
        }
        return {name: line for name, line in found.items() if len(line.x)}

    charts = "".join(
        (
            _sdr(lines("iterations", "sdr"), "iterations", count_foot),
            _sdr(lines("seconds", "sdr"), "seconds", _second_foot),
            _trade(lines("divergence", "energy")),
        )
    )
    if not charts:
        return ""
    about = f"{label(figure.about)} " if figure.about else ""
    legend = "".join(
        f'<li><span class="dot" style="--source: {colours[name]}"></span>{label(name)}</li>' for name in names
    )
    return (
        f"<section><h2>The search</h2><p>{about}{_EXPLANATION}</p>"
        f'<ul class="legend row">{legend}</ul><div class="pair">{charts}</div></section>'
    )


def _sdr(lines: Mapping[str, Line], unit: str, foot: Callable[[float], Foot]) -> str:
    """SDR over iterations or seconds."""
    if not lines:
        return ""
    words = "; ".join(
        f"{name}: {number(line.y[0])} dB at {line.x[0]:.3g} {unit}, {number(line.y[-1])} dB at {line.x[-1]:.3g} {unit}"
        for name, line in lines.items()
    )
    last = ", ".join(f"{label(name)} {number(line.y[-1])}" for name, line in lines.items())
    axis = foot(max(float(line.x[-1]) for line in lines.values()))
    return chart([*lines.values()], axis, words=words, caption=f"<b>SDR, dB</b>, over {unit}; last: {last}.")


def _trade(lines: Mapping[str, Line]) -> str:
    """Energy against divergence."""
    if not lines:
        return ""
    words = "; ".join(
        f"{name}: energy {line.y[0]:.3g} at divergence {line.x[0]:.3g}, then {line.y[-1]:.3g} at {line.x[-1]:.3g}"
        for name, line in lines.items()
    )
    low, high = reach([line.x for line in lines.values()])
    foot = Foot(low=low, high=high, ticks=round_ticks(low, high, 5))
    caption = "<b>Energy of the latents</b> against the divergence of the mixture."
    return chart([*lines.values()], foot, words=words, caption=caption, ends=True)


def _second_foot(last: float) -> Foot:
    last = last if last > 0 else 1.0
    return Foot(low=0.0, high=last, ticks=round_ticks(0.0, last, 5))
