"""When each source of a recording sounds: its level over time."""

from __future__ import annotations

import numpy as np

from soli.report.axes import round_seconds
from soli.report.colour import source_colours
from soli.report.curves import Foot, Line, chart, thin
from soli.report.data import ActivityCurves
from soli.report.text import clock, label, number

_MOST, _SPAN = 600, (-60.0, 0.0)


def activity_section(figure: ActivityCurves) -> str:
    """Draw a small chart for every source.

    Args:
        figure: levels over time.

    Returns:
        HTML; empty without any.
    """
    if not len(figure.sources):
        return ""
    colours = source_colours(figure.sources)
    seconds = figure.levels.shape[1] * figure.window_seconds
    times = (np.arange(figure.levels.shape[1]) + 0.5) * figure.window_seconds
    foot = Foot(low=0.0, high=seconds, ticks=round_seconds(seconds, 5, least=1), written=clock)
    charts = []
    for name, levels in zip(figure.sources, figure.levels, strict=True):
        share, loudest = float(np.mean(levels > figure.sounds_db)), float(np.max(levels))
        words = f"sounds {100 * share:.0f} % of the time, {number(loudest, 1)} dB at the loudest"
        line = Line(**dict(zip("xy", thin(times, levels, _MOST), strict=True)), colour=f"rgb{colours[name]}")
        charts.append(
            chart([line], foot, words=f"{name} {words}", caption=f"<b>{label(name)}</b> {words}.", span=_SPAN)
        )
    about = (
        f"Level of each source in windows of {number(figure.window_seconds, 2)} s, in dB relative to the mixture's "
        f"loudest window; counted as sounding where it is above {number(figure.sounds_db, 0)} dB."
    )
    return f'<section><h2>When they sound</h2><p>{about}</p><div class="pair">{"".join(charts)}</div></section>'
