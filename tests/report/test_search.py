"""Curves of a search among latents: three charts, a line for every search in each."""

from __future__ import annotations

import re

import numpy as np

from soli.report import ReportData, SearchCurves, SearchPath, render
from soli.report.colour import source_colours
from soli.report.page import figure_section
from soli.report.search import search_section

NAN = float("nan")


def path(sdr=(0.0, 4.0, 5.0), seconds=(0.0, 1.0, 4.0), **changes) -> SearchPath:
    known = {
        "iterations": (0, 50, 100),
        "seconds": seconds,
        "sdr": sdr,
        "divergence": (3.0, 1.0, 1.0),
        "energy": (0.0, 0.5, 0.25),
    }
    return SearchPath(**{name: np.array(values, float) for name, values in (known | changes).items()})


def figures(html: str) -> list[str]:
    return re.findall(r"<figure>.*?</figure>", html)


def lines(figure: str) -> list[str]:
    """The points of every line, dots left out."""
    return re.findall(r'<path d="M(.*?)"', figure)


def test_every_search_is_drawn_where_its_numbers_are():
    curves = SearchCurves(paths={"drums": path(), "bass": path(sdr=(-5.0, 0.0, 2.5), seconds=(0, 2, 8))})
    over_iterations, over_seconds, trade = figures(search_section(curves))
    assert lines(over_iterations) == ["0.0,100.0 500.0,20.0 1000.0,0.0", "0.0,200.0 500.0,100.0 1000.0,50.0"]
    assert lines(over_seconds) == ["0.0,100.0 125.0,20.0 500.0,0.0", "0.0,200.0 250.0,100.0 1000.0,50.0"]
    assert lines(trade) == 2 * ["1000.0,200.0 0.0,0.0 0.0,100.0"]
    assert re.findall(r'class="end" d="M(.*?)h0"', trade) == 2 * ["0.0,100.0"]
    assert 'class="end"' not in over_iterations + over_seconds


def test_axes_name_their_numbers():
    over_iterations, over_seconds, trade = figures(search_section(SearchCurves(paths={"a": path()})))

    def ticks(figure: str, side: str) -> dict[str, float]:
        found = re.findall(rf'<i class="{side}" style="\w+: ([\d.]+)%">(.*?)</i>', figure)
        return {name: float(place) for place, name in found}

    assert ticks(over_iterations, "x") == {"0": 0.0, "20": 20.0, "40": 40.0, "60": 60.0, "80": 80.0, "100": 100.0}
    assert ticks(over_seconds, "x") == {"0": 0.0, "1": 25.0, "2": 50.0, "3": 75.0, "4": 100.0}
    assert ticks(over_seconds, "y") == {"0": 0.0, "2": 40.0, "4": 80.0}
    assert ticks(trade, "x") == {"1": 0.0, "1.5": 25.0, "2": 50.0, "2.5": 75.0, "3": 100.0}
    assert ticks(trade, "y") == {"0": 0.0, "0.2": 40.0, "0.4": 80.0}


def test_the_legend_and_the_lines_share_their_colours():
    html = search_section(SearchCurves(paths={"drums": path(), "my cello": path(), "mean": path()}, about="Ten songs."))
    colours = [f"rgb{colour}" for colour in source_colours(("drums", "my cello", "mean"), known=False).values()]
    legend = re.findall(r'<span class="dot" style="--source: (.*?)"></span>(.*?)</li>', html)
    assert len(set(colours)) == 3
    assert legend == list(zip(colours, ("drums", "my cello", "mean"), strict=True))
    for figure in figures(html):
        assert list(dict.fromkeys(re.findall(r"--source: (.*?)\"", figure))) == colours
    assert "<p>Ten songs. " in html


def test_what_it_came_to_is_in_words():
    html = search_section(SearchCurves(paths={"mean": path(sdr=(-1.234, 0, 6.789))}))
    assert 'aria-label="mean: −1.23 dB at 0 iterations, 6.79 dB at 100 iterations"' in html
    assert 'aria-label="mean: −1.23 dB at 0 seconds, 6.79 dB at 4 seconds"' in html
    assert 'aria-label="mean: energy 0 at divergence 3, then 0.25 at 1"' in html
    assert html.count("last: mean 6.79.") == 2


def test_what_is_not_finite_is_left_out():
    silent = path(sdr=(NAN, NAN, NAN))
    gap = path(sdr=(0.0, -np.inf, 5.0))
    over_iterations, over_seconds, trade = figures(search_section(SearchCurves(paths={"silent": silent, "gap": gap})))
    assert lines(over_iterations) == lines(over_seconds) == ["0.0,200.0 1000.0,0.0"]
    assert len(lines(trade)) == 2
    assert "nan" not in over_iterations + over_seconds + trade
    assert "silent" not in over_iterations
    (only,) = figures(search_section(SearchCurves(paths={"silent": silent})))
    assert "Energy" in only
    nothing = path(sdr=(NAN,) * 3, energy=(NAN,) * 3)
    assert search_section(SearchCurves(paths={"nothing": nothing})) == search_section(SearchCurves(paths={})) == ""


def test_one_step_that_took_no_time_is_a_dot():
    single = SearchPath(**dict.fromkeys(("iterations", "seconds", "sdr", "divergence", "energy"), np.zeros(1)))
    html = search_section(SearchCurves(paths={"a": single}))
    assert [lines(figure) for figure in figures(html)] == [["0.0,100.0h0"], ["0.0,100.0h0"], ["500.0,100.0h0"]]


def test_it_stands_on_the_page_of_a_separation_and_trusts_no_name():
    nasty = "<b>\"'"
    curves = SearchCurves(paths={nasty: path()}, about=nasty)
    audio = np.zeros((1, 800))
    page = render(ReportData(title="x", sample_rate=800, mixture=audio, stems={"a": audio}, figures=[curves]))
    assert figure_section(curves) in page
    assert "<h2>The search</h2>" in page
    assert nasty not in page
