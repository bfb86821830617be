"""The page of instruments in a recording: curves where their numbers are, over a clock."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from soli.report.colour import source_colours
from soli.report.presence import InstrumentCurves, PresenceData, presence_page

TIMES = np.arange(1.0, 200.0)  # of windows of 2 s in 200 s


def curves(**changes) -> InstrumentCurves:
    waves = np.sin(TIMES / 9)
    known = {
        "probability": 0.5 + 0.5 * waves,
        "deviations": -7.5 + 12.5 * waves,
        "share_db": -30 + 30 * waves,
        "spans": [(0.0, 29.0), (57.0, 85.6)],
        "sounding": 0.288,
    }
    return InstrumentCurves(**(known | changes))


@pytest.fixture(scope="module")
def data() -> PresenceData:
    quiet = curves(probability=np.full(199, 0.25), spans=[], sounding=0.0)
    facts = {"SHA-256 of drums": "d" * 64, "Command": "soli prior score <song>"}
    return PresenceData(
        title="A song",
        seconds=200.0,
        times=TIMES,
        instruments={"drums": curves(), "my cello": quiet},
        facts=facts,
        manifest={"priors": {"drums": "d" * 64}, "versions": {"soli": "1"}},
    )


@pytest.fixture(scope="module")
def html(data) -> str:
    return presence_page(data)


def sections(html: str) -> dict[str, str]:
    """What stands under every heading."""
    return dict(re.findall(r"<section><h2>(.*?)</h2>(.*?)</section>", html, flags=re.DOTALL))


def lines(section: str) -> list[np.ndarray]:
    """The points of every line, `[n 2]`, in the order of the page."""
    found = re.findall(r' d="M([^"]*?)(?:h0)?"', section)
    return [np.array([point.split(",") for point in line.split()], float) for line in found]


def test_every_curve_is_where_its_numbers_are(html, data):
    for name, instrument in data.instruments.items():
        drawn = lines(sections(html)[name])
        spans = {"probability": (0, 1), "deviations": (-20, 5), "share_db": (-60, 0)}
        for points, (measure, (low, high)) in zip(drawn, spans.items(), strict=True):
            values = getattr(instrument, measure)
            np.testing.assert_allclose(points[:, 0], 1000 * TIMES / 200, atol=0.051)
            np.testing.assert_allclose(points[:, 1], 200 * (high - values) / (high - low), atol=0.051)


def test_where_it_sounds_is_shaded_and_told(html):
    drums, cello = sections(html)["drums"], sections(html)["my cello"]
    ground = re.findall(r'<rect x="([\d.]+)" y="0" width="([\d.]+)" height="200"', drums)
    assert [tuple(map(float, place)) for place in ground] == [(0.0, 145.0), (285.0, 143.0)]
    assert drums.index("<rect") < drums.index("<path")  # under the line
    assert "Sounds from 0:00 to 0:29, 0:57 to 1:26." in drums
    assert "<rect" not in cello
    assert "Is not heard." in cello
    tiles = re.findall(r"<dt>of the time: (.*?)</dt><dd>(.*?)<small>", html)
    assert tiles == [("drums", "29"), ("my cello", "0")]


def test_time_is_in_minutes_and_seconds(html):
    for section in (sections(html)["drums"], sections(html)["my cello"]):
        ticks = re.findall(r'<i class="x" style="left: ([\d.]+)%">(.*?)</i>', section)
        names = ["0:00", "0:30", "1:00", "1:30", "2:00", "2:30", "3:00"]
        assert ticks == 3 * [(f"{15 * index:.1f}", name) for index, name in enumerate(names)]
    assert "3:20 min" in html


@pytest.mark.parametrize(("seconds", "last"), [(0.4, "0:00"), (3.0, "0:03"), (6000.0, "90:00")])
def test_no_two_ticks_have_one_name(data, seconds, last):
    page = presence_page(replace(data, seconds=seconds, times=TIMES * seconds / 200))
    names = re.findall(r'<i class="x" style="left: [\d.]+%">(.*?)</i>', sections(page)["drums"])
    names = names[: len(names) // 3]
    assert len(set(names)) == len(names) <= 8
    assert names[-1] == last


def test_an_instrument_has_one_colour(html):
    colours = source_colours(("drums", "my cello"))
    for name, colour in colours.items():
        section = sections(html)[name]
        n_shapes = section.count("<path") + section.count("<rect")
        assert re.findall(r'style="--source: (.*?)"', section) == [f"rgb{colour}"] * n_shapes


def test_values_beyond_the_axis_stay_in_the_picture(data):
    extreme = curves(share_db=np.full(199, -1e3), deviations=np.full(199, 80.0))
    _, likely, share = lines(sections(presence_page(replace(data, instruments={"x": extreme})))["x"])
    assert set(likely[:, 1]) == {0.0}
    assert set(share[:, 1]) == {200.0}


def test_one_window_is_a_dot_and_hours_are_averaged(data):
    one = {name: np.array([value]) for name, value in (("probability", 0.75), ("deviations", 0.0), ("share_db", -6.0))}
    page = presence_page(replace(data, seconds=2.0, times=np.ones(1), instruments={"x": curves(**one, spans=[])}))
    assert 'd="M500.0,50.0h0"' in page
    many = np.tile([0.0, 0.5], 4000)
    long = curves(probability=many, deviations=many, share_db=many)
    page = presence_page(replace(data, seconds=8001.0, times=np.arange(8000.0) + 1, instruments={"x": long}))
    first = lines(sections(page)["x"])[0]
    assert len(first) == 1000
    np.testing.assert_allclose(first[:, 1], 150.0)


def test_facts_and_manifest_are_on_the_page(html):
    card = sections(html)["How it was made"]
    assert f"<dt>SHA-256 of drums</dt><dd>{'d' * 64}</dd>" in card
    manifest = re.findall(r'<pre id="manifest">(.*?)</pre>', card, flags=re.DOTALL)[0]
    assert json.loads(unescape(manifest)) == {"priors": {"drums": "d" * 64}, "versions": {"soli": "1"}}
    assert "soli prior score &lt;song&gt;" in card


def test_the_page_needs_nothing_but_itself_and_trusts_no_name(data):
    nasty = "<script>alert(1)</script>\"'"
    page = presence_page(replace(data, title=nasty, instruments={nasty: curves()}, facts={nasty: nasty}))
    assert "<script>alert" not in page
    assert page.count("alert(1)") >= 6
    assert not re.search(r"https?://|@import|url\(|fetch\(", page)
    assert 'name="generator" content="soli' in page
