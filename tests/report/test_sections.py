from __future__ import annotations

import json
import re
from html import unescape

import numpy as np
import pytest

from soli.errors import SoliError
from soli.report import ActivityCurves, ClassCodes, ClusterTable, Panel, SeparationGrid, TrainingCurves
from soli.report.activity import activity_section
from soli.report.clusters import clusters_section
from soli.report.curves import curves_section, read_log, thin
from soli.report.histogram import histogram_section
from soli.report.page import figure_section
from soli.report.separations import separations_section

NAN = float("nan")


def contrast(first: tuple[int, int, int], second: tuple[int, int, int]) -> float:
    """Of two colours, from 1 to 21 (WCAG 2)."""

    def luminance(colour: tuple[int, int, int]) -> float:
        parts = [v / 255 for v in colour]
        red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def cells(html: str) -> list[list[str]]:
    """The text of every row of a table."""
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [
        [unescape(re.sub("<.*?>", "", cell)) for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row)] for row in rows
    ]


def test_a_histogram_holds_all_counts_and_their_sums():
    counts = np.array([[3, 0, 1], [0, 240, 0]])
    html = histogram_section(
        ClassCodes(counts=counts, classes=("kick", "<b>"), codes=("0", "1", "2"), measures={"purity": 0.98361})
    )
    assert cells(html) == [
        ["Class", "0", "1", "2", "sum"],
        ["kick", "3", "0", "1", "4"],
        ["<b>", "0", "240", "0", "240"],
        ["sum", "3", "240", "1", "244"],
    ]
    assert "0.984" in html


def test_every_count_can_be_read_on_its_shade_and_more_is_brighter():
    counts = np.arange(1, 41)[None]
    html = histogram_section(ClassCodes(counts=counts, classes=("a",), codes=tuple(map(str, range(40)))))
    styles = re.findall(r"background: rgb\((\d+), (\d+), (\d+)\); color: (#\w+)", html)
    assert len(styles) == 40
    lightness = [np.dot([int(v) for v in style[:3]], [0.2126, 0.7152, 0.0722]) for style in styles]
    assert lightness == sorted(lightness)
    assert lightness[-1] > 200
    for red, green, blue, ink in styles:
        assert contrast((int(red), int(green), int(blue)), (0, 0, 0) if ink == "#000" else (255, 255, 255)) >= 4.5


def test_a_class_without_sounds_is_no_error():
    html = histogram_section(ClassCodes(counts=np.zeros((1, 2), int), classes=("a",), codes=("0", "1")))
    assert cells(html)[1] == ["a", "0", "0", "0"]


def test_the_grid_has_a_picture_for_every_panel_and_a_gap_for_none():
    panel = Panel(values=np.eye(8), frequencies=np.linspace(0, 4000, 8), seconds=1.0, low=0.0, high=1.0)
    html = separations_section(
        SeparationGrid(rows=("one", "two"), columns=("mixture", "code 0"), panels=[[panel, panel], [panel, None]])
    )
    assert re.findall(r'alt="(.*?)"', html) == ["one, mixture", "one, code 0", "two, mixture"]
    assert "<td></td>" in html


def test_clusters_have_a_bar_as_long_as_their_energy():
    html = clusters_section(
        ClusterTable(clusters=("a", "b", "c"), energy=np.array([0.2, 0.4, NAN]), measures={"MSE": [0.0077, NAN, 1.0]})
    )
    assert [row[:3] for row in cells(html)[1:]] == [
        ["a", "0.0077", "20.0 %"],
        ["b", "–", "40.0 %"],
        ["c", "1.0000", "– %"],
    ]
    assert [float(width) for width in re.findall(r"width: ([\d.]+)%", html)] == [50.0, 100.0, 0.0]


def test_a_log_becomes_a_series_for_every_number(tmp_path):
    lines = [{"step": 1, "seconds": 0.5, "loss": 3.0}, {"step": 2, "seconds": 1.0, "loss": 2.0}]
    lines += [{"step": 2, "seconds": 1.1, "validation": 4.5}, {"step": 3, "seconds": 1.5, "loss": NAN}]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    series = read_log(path).series
    assert {name: (s.tolist(), v.tolist()) for name, (s, v) in series.items()} == {
        "loss": ([1, 2], [3, 2]),
        "validation": ([2], [4.5]),
    }


@pytest.mark.parametrize("content", ["{", '{"loss": 1}\n', '{"step": 1, "loss": "low"}\n', "[1]\n", "1\n", "\xff"])
def test_what_is_no_log_is_one_line(tmp_path, content):
    path = tmp_path / "log.jsonl"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(SoliError, match=r"log.jsonl: not a training log") as caught:
        read_log(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(SoliError, match=r"absent: cannot be read"):
        read_log(tmp_path / "absent")


def test_a_curve_falls_where_its_numbers_do():
    html = curves_section(TrainingCurves(series={"<loss>": (np.array([0.0, 50, 100]), np.array([4.0, 1.0, 2.0]))}))
    assert re.findall(r' d="M(.*?)"', html) == ["0.0,0.0 500.0,200.0 1000.0,133.3"]
    assert "<loss>" not in html
    assert curves_section(TrainingCurves(series={})) == ""
    assert "h0" in curves_section(TrainingCurves(series={"a": (np.array([5.0]), np.array([1.0]))}))


def test_a_long_series_is_averaged_and_keeps_its_mean():
    values = np.random.default_rng(0).standard_normal(4000)
    steps, thinned = thin(np.arange(4000.0), values, 400)
    assert (len(steps), len(thinned)) == (400, 400)
    np.testing.assert_allclose(thinned, values.reshape(400, 10).mean(axis=1))
    np.testing.assert_allclose(steps, np.arange(4000.0).reshape(400, 10).mean(axis=1))


def test_every_kind_of_figure_has_its_section():
    figures = [
        ClassCodes(counts=np.ones((1, 1), int), classes=("a",), codes=("0",)),
        ClusterTable(clusters=("a",), energy=np.ones(1)),
        SeparationGrid(rows=(), columns=(), panels=[]),
        TrainingCurves(series={"a": (np.arange(2.0), np.arange(2.0))}),
    ]
    headings = [re.findall("<h2>(.*?)</h2>", figure_section(figure)) for figure in figures]
    assert headings == [["Classes and codes"], ["Clusters"], ["Separations"], ["Training"]]


def test_activity_is_a_line_for_each_source_and_says_how_often_it_sounds() -> None:
    levels = np.array([[-50.0, -10.0, -5.0, -80.0], [-90.0] * 4])
    html = activity_section(ActivityCurves(sources=("<a>", "b"), levels=levels, window_seconds=0.5, sounds_db=-40.0))
    assert html.count("<figure>") == 2
    assert "&lt;a&gt;</b> sounds 50 % of the time, -5.0 dB at the loudest" in html.replace("\N{MINUS SIGN}", "-")
    assert "sounds 0 % of the time" in html
    assert activity_section(ActivityCurves(sources=(), levels=levels[:0], window_seconds=0.5, sounds_db=-40.0)) == ""
