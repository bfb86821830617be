"""Models compared on a dataset: tables with intervals, box plots, quality against speed, track by track."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np

from soli.report.charts import Axis, box_marks, box_of, interval_marks, row_chart
from soli.report.colour import source_colours
from soli.report.page import document
from soli.report.results import ALL, Interval, Results
from soli.report.scatter import Point, scatter
from soli.report.text import DASH, label, number

Scores = Mapping[tuple[str, str], Mapping[str, float]]
"""(model, source) -> track -> a number."""


def leaderboard_page(results: Sequence[Results], title: str = "Leaderboard") -> str:
    """Draw the page.

    Args:
        results: evaluations, each of one dataset by one protocol.
        title: of the page.

    Returns:
        HTML.
    """
    heading = (
        f'<header><div class="eyebrow">soli \N{MIDDLE DOT} evaluation</div><h1>{label(title)}</h1>'
        f"<p>{len({model for found in results for model in found.models})} models, all numbers in dB.</p></header>"
    )
    parts = [part for index, found in enumerate(results) for part in _sections(found, f"results-{index}")]
    return document(title, "\n".join([heading, *parts]))


def track_scores(results: Results) -> Scores:
    """One number per track: the protocol's statistic of the track's pieces in the headline metric.

    Args:
        results: an evaluation.

    Returns:
        The numbers by model and source, "all" being the mean over the sources that have one.
    """
    scores: dict[tuple[str, str], dict[str, float]] = {}
    measure = np.median if results.statistic == "median" else np.mean
    for record in results.records:
        values = record.metrics.get(results.metrics[0], {})
        for source in results.sources:
            known = [value for value in values.get(source, []) if not math.isnan(value)]
            if known:
                with np.errstate(invalid="ignore"):
                    scores.setdefault((record.model, source), {})[record.track] = float(measure(known))
        found = [scores.get((record.model, source), {}).get(record.track) for source in results.sources]
        if known := [value for value in found if value is not None]:
            scores.setdefault((record.model, ALL), {})[record.track] = float(np.mean(known))
    return scores


def _sections(results: Results, key: str) -> list[str]:
    scores = track_scores(results)
    colours = {name: f"rgb{colour}" for name, colour in source_colours(results.models, known=False).items()}
    return [
        _standings(results, colours),
        _boxes(results, scores, colours),
        _speed(results, colours),
        _differences(results),
        _tracks(results, scores, key),
        _facts(results),
    ]


def _standings(results: Results, colours: Mapping[str, str]) -> str:
    """The table of the headline metric; the others behind a fold."""
    headline = results.metrics[0]
    other = "mean" if results.statistic == "median" else "median"
    intervals = [results.cell(model, headline, ALL) for model in results.models]
    axis = Axis.around([value for found in intervals for value in (found.value, found.low, found.high)], "dB")
    rows = [
        (
            model,
            f"{number(found.value)} dB, {number(found.low)} to {number(found.high)}",
            interval_marks(found.value, found.low, found.high, axis, colours[model]),
        )
        for model, found in zip(results.models, intervals, strict=True)
    ]
    more = [_numbers(results, headline, other)]
    more += [_numbers(results, metric, results.statistic) for metric in results.metrics[1:]]
    return (
        f"<section><h2>{label(results.dataset)}, {len(results.tracks)} tracks</h2>"
        f"<p>Protocol {label(results.protocol)}: {label(results.about)}. Intervals of 95 % by a bootstrap over tracks; "
        f"“all” is the mean over sources.</p>"
        f'<div class="boxes wide">{row_chart(f"{headline}, {results.statistic}, all sources", rows, axis)}</div>'
        f"{_numbers(results, headline, results.statistic)}"
        f"<details><summary>{label(other)} and other metrics</summary>{''.join(more)}</details>{_failures(results)}"
        "</section>"
    )


def _numbers(results: Results, metric: str, statistic: str) -> str:
    """A row per model, a column per source; the best of each column is set in bold."""
    columns = (ALL, *results.sources)
    best = {
        source: max((results.cell(model, metric, source, statistic).value for model in results.models), key=_order)
        for source in columns
    }
    rows = []
    for model in results.models:
        cells = "".join(
            _interval_cell(found, best=len(results.models) > 1 and found.value == best[source])
            for source in columns
            for found in (results.cell(model, metric, source, statistic),)
        )
        factor, failed = results.real_time_factor[model], results.n_failed[model]
        rows.append(
            f'<tr><th scope="row">{label(model)}</th>{cells}<td>{_factor(factor)}</td><td>{failed or DASH}</td></tr>'
        )
    names = (*columns, "s per s", "failed")
    head = "".join(f'<th scope="col">{label(name)}</th>' for name in names)
    title = f"{metric}, {statistic}"
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{label(title)}"><h3>{label(title)}</h3>'
        f'<table><thead><tr><th scope="col">Model</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _factor(value: float) -> str:
    return "&lt;0.001" if value < 0.001 else number(value, 3)


def _order(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _interval_cell(found: Interval, *, best: bool) -> str:
    if math.isnan(found.value):
        return f"<td>{DASH}</td>"
    ends = f"<br><small>{number(found.low)} to {number(found.high)}</small>"
    opening = '<td class="best">' if best else "<td>"
    return f"{opening}{number(found.value)}{ends}</td>"


def _failures(results: Results) -> str:
    failed = [record for record in results.records if record.error]
    items = "".join(f"<li>{label(r.model)} on {label(r.track)}: {label(r.error)}</li>" for r in failed)
    return f'<h3>Failed</h3><ul class="failures">{items}</ul>' if failed else ""


def _boxes(results: Results, scores: Scores, colours: Mapping[str, str]) -> str:
    """A box per model and source, all on one axis."""
    drawn = {key: box_of(list(tracks.values())) for key, tracks in scores.items()}
    reach = [v for box in drawn.values() if box is not None for v in (box.low, box.high, *box.outliers)]
    axis = Axis.around(reach, "dB")
    charts = []
    for source in (ALL, *results.sources):
        rows = []
        for model in results.models:
            box = drawn.get((model, source))
            words = "no numbers" if box is None else f"median {number(box.median)}, quartiles {number(box.first)} to "
            words += "" if box is None else number(box.third)
            rows.append((model, words, box_marks(box, axis, colours[model])))
        charts.append(row_chart(source, rows, axis))
    infinite = sum(not math.isfinite(value) for tracks in scores.values() for value in tracks.values())
    note = f" {infinite} numbers that are not finite are left out." if infinite else ""
    return (
        f"<section><h2>Spread over tracks</h2><p>{label(results.metrics[0])} of every track. Box: quartiles and "
        f"median; whiskers: the last track within 1.5 box lengths; dots: tracks beyond.{note}</p>"
        f'<div class="boxes">{"".join(charts)}</div></section>'
    )


def _speed(results: Results, colours: Mapping[str, str]) -> str:
    points = []
    for model in results.models:
        found = results.cell(model, results.metrics[0], ALL)
        factor = results.real_time_factor[model]
        points.append(Point(model, factor, found.value, found.low, found.high, colours[model]))
    chart = scatter(
        points,
        "Seconds of work per second of audio (real-time factor), on the machine that evaluated; left is faster",
        f"{results.metrics[0]}, {results.statistic} over all sources, dB",
    )
    if not chart:
        return ""
    return f"<section><h2>Quality against speed</h2><p>Bars: intervals of 95 %.</p>{chart}</section>"


def _differences(results: Results) -> str:
    """Every pair of models, the better one first."""
    if not results.differences:
        return ""
    place = {model: index for index, model in enumerate(results.models)}
    pairs: dict[str, list[tuple[int, int, str, Interval]]] = {}
    for found in results.differences:
        first, second, ends = found.first, found.second, found.interval
        if place[first] > place[second]:
            first, second, ends = second, first, Interval(-ends.value, -ends.high, -ends.low)
        pairs.setdefault(found.source, []).append((place[first], place[second], f"{first} − {second}", ends))
    axis = Axis.around([v for rows in pairs.values() for *_, i in rows for v in vars(i).values()], "dB", zero=True)
    charts = []
    for source in (ALL, *results.sources):
        rows = []
        for *_, name, ends in sorted(pairs.get(source, []), key=lambda row: row[:2]):
            sure = ends.low > 0 or ends.high < 0
            colour = "var(--ink)" if sure else "var(--soft)"
            marks = interval_marks(ends.value, ends.low, ends.high, axis, colour, hollow=not sure)
            rows.append((name, f"{number(ends.value)} dB, {number(ends.low)} to {number(ends.high)}", marks))
        if rows:
            charts.append(row_chart(source, rows, axis))
    return (
        f"<section><h2>Models compared</h2><p>{results.statistic.capitalize()} difference in "
        f"{label(results.metrics[0])} on the same tracks, with intervals of 95 % (paired bootstrap). "
        f'A ring where the interval holds zero.</p><div class="boxes wide">{charts[0]}</div>'
        f'<details><summary>By source</summary><div class="boxes">{"".join(charts[1:])}</div></details></section>'
    )


def _tracks(results: Results, scores: Scores, key: str) -> str:
    """A table for every source, of which one is shown; columns sort."""
    sources = (ALL, *results.sources)
    options = "".join(f'<option value="{label(source)}">{label(source)}</option>' for source in sources)
    names = ("Track", *results.models)
    head = "".join(f'<th scope="col"><button type="button">{label(name)}</button></th>' for name in names)
    bodies = []
    for source in sources:
        rows = []
        for track in results.tracks:
            found = [scores.get((model, source), {}).get(track, math.nan) for model in results.models]
            cells = "".join(f'<td data-value="{_plain(value)}">{number(value)}</td>' for value in found)
            rows.append(f'<tr><th scope="row">{label(track)}</th>{cells}</tr>')
        hidden = "" if source == ALL else " hidden"
        bodies.append(f'<tbody data-name="{label(source)}"{hidden}>{"".join(rows)}</tbody>')
    return (
        f"<section><h2>Track by track</h2><p>{label(results.metrics[0])} in dB; a click on a heading sorts.</p>"
        f'<label class="pick-one">Source <select class="choice" data-table="{key}">{options}</select></label>'
        '<div class="scroll" tabindex="0" role="group" aria-label="Track by track">'
        f'<table class="sortable" id="{key}"><thead><tr>{head}</tr></thead>{"".join(bodies)}</table></div></section>'
    )


def _plain(value: float) -> str:
    """As a script reads it; empty for what has no place in an order."""
    if math.isnan(value):
        return ""
    return repr(value) if math.isfinite(value) else ("-" if value < 0 else "") + "Infinity"


def _facts(results: Results) -> str:
    rows = {f"SHA-256 of {model}": facts.get("sha256") for model, facts in results.facts["models"].items()}
    rows |= {f"Version of {name}": text for name, text in results.facts["versions"].items()}
    card = "".join(f"<dt>{label(name)}</dt><dd>{label(text)}</dd>" for name, text in rows.items() if text)
    manifest = label(json.dumps(results.facts, indent=2, ensure_ascii=False))
    return (
        f'<section><h2>How it was measured</h2><dl class="card">{card}</dl>'
        f"<details><summary>Manifest of this evaluation</summary><pre>{manifest}</pre></details></section>"
    )
