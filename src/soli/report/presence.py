"""A page of which instruments sound in a recording, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from soli.report.axes import round_seconds
from soli.report.colour import source_colours
from soli.report.curves import Foot, Line, chart, thin
from soli.report.data import Array
from soli.report.page import card_section, document, tile
from soli.report.text import clock, duration, label, number

_MOST = 1000  # points of a line
_DEVIATIONS, _DECIBELS = (-20.0, 5.0), (-60.0, 0.0)
_EXPLANATION = (
    "For every instrument the probability that it sounds, of windows that overlap by half; the ground is shaded where "
    "it is at least one half. Below it, the evidence: how likely what was extracted is as a solo of the instrument, "
    "and how much of the energy it has."
)


@dataclass(frozen=True, kw_only=True)
class InstrumentCurves:
    """One instrument; W windows.

    Attributes:
        probability: that it sounds, `[W]`.
        deviations: likelihood of what was extracted, in deviations from that of its solos, -20 to 5, `[W]`.
        share_db: energy of what was extracted relative to the recording's, `[W]`.
        spans: start and end of each stretch in which it sounds, in seconds.
        sounding: share of the recording within them.
    """

    probability: Array
    deviations: Array
    share_db: Array
    spans: Sequence[tuple[float, float]]
    sounding: float


@dataclass(frozen=True, kw_only=True)
class PresenceData:
    """Everything the page shows.

    Attributes:
        title: name of the recording.
        seconds: its length, above zero.
        times: middle of each window in seconds, `[W]`.
        instruments: name -> its curves.
        facts: what is worth a line about the model or the run.
        manifest: the run for machines, as plain JSON.
    """

    title: str
    seconds: float
    times: Array
    instruments: Mapping[str, InstrumentCurves]
    facts: Mapping[str, str] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)


def presence_page(data: PresenceData) -> str:
    """Draw the page.

    Args:
        data: what to show.

    Returns:
        HTML.
    """
    colours = source_colours(tuple(data.instruments))
    tiles = "".join(
        tile(number(100 * curves.sounding, 0), "%", f"of the time: {label(name)}")
        for name, curves in data.instruments.items()
    )
    heading = (
        f'<header><div class="eyebrow">soli \N{MIDDLE DOT} instruments</div><h1>{label(data.title)}</h1>'
        f'<p>{duration(data.seconds)}. {_EXPLANATION}</p><dl class="facts">{tiles}</dl></header>'
    )
    ticks = round_seconds(data.seconds, 7, least=1)
    foot = Foot(low=0.0, high=data.seconds, ticks=ticks, written=clock)
    parts = [
        _instrument(name, curves, data.times, foot, f"rgb{colours[name]}") for name, curves in data.instruments.items()
    ]
    return document(data.title, "\n".join([heading, *parts, card_section(data.facts, data.manifest)]))


def _instrument(name: str, curves: InstrumentCurves, times: Array, foot: Foot, colour: str) -> str:
    """Its probability, and the evidence below."""
    spans = ", ".join(f"{clock(round(start))} to {clock(round(end))}" for start, end in curves.spans)
    words = f"sounds from {spans}" if spans else "is not heard"

    def draw(values: Array, what: str, about: str, span: tuple[float, float], *, shaded: bool = False) -> str:
        x, y = thin(times, values, _MOST)
        mean = number(float(np.mean(values)))
        return chart(
            [Line(x=x, y=y, colour=colour)],
            foot,
            words=f"{name}, {what}: {mean} on average" + (f"; {words}" if shaded else ""),
            caption=f"<b>{what}</b>, {about}; {mean} on average.",
            span=span,
            shaded=curves.spans if shaded else (),
        )

    sounds = draw(curves.probability, "Probability", "by the calibration of the prior", (0.0, 1.0), shaded=True)
    likely = draw(curves.deviations, "Likelihood", "in deviations from that of its solos", _DEVIATIONS)
    share = draw(curves.share_db, "Share of the energy", "in dB", _DECIBELS)
    return (
        f"<section><h2>{label(name)}</h2><p>{words.capitalize()}.</p>"
        f'<div class="whole">{sounds}</div><div class="pair">{likely}{share}</div></section>'
    )
