from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soli.report.axes import frequency_ticks, round_ticks, time_ticks
from soli.report.charts import Axis, box_marks, box_of, interval_marks, row_chart, spread_out
from soli.report.images import LOWEST_HZ, to_mel
from soli.report.scatter import Point, scatter

NAN, INF = float("nan"), float("inf")


def test_a_box_has_tukeys_numbers():
    box = box_of([1, 2, 3, 4, 5, 6, 7, 8, 9, 30, NAN, -INF])
    assert box is not None
    assert (box.first, box.median, box.third) == tuple(np.quantile([*range(1, 10), 30], [0.25, 0.5, 0.75]))
    assert (box.low, box.high, box.outliers) == (1.0, 9.0, (30.0,))


def test_a_box_of_nothing_is_none_and_draws_nothing():
    assert box_of([NAN, INF]) is None
    assert box_marks(None, Axis(0, 1), "red") == ""


def test_a_box_is_drawn_where_its_numbers_are():
    axis = Axis(0.0, 100.0)
    marks = box_marks(box_of([10, 20, 30, 40, 50]), axis, "red")
    places = [float(value) for value in re.findall(r'x[12]?="([\d.]+)%"', marks)]
    assert places == pytest.approx([axis.percent(v) for v in (10, 50, 20, 30, 30)], abs=0.01)
    assert float(re.findall(r'width="([\d.]+)%"', marks)[0]) == pytest.approx(axis.percent(40) - axis.percent(20))


def test_an_axis_holds_all_finite_values_and_is_never_empty():
    axis = Axis.around([3.0, NAN, -INF, 7.0])
    assert (axis.low, axis.high) == (3.0, 7.0)
    assert Axis.around([3.0, 7.0], zero=True).low == 0.0
    for values in ([], [NAN], [2.0, 2.0]):
        empty = Axis.around(values)
        assert empty.high > empty.low
    assert 0 < axis.percent(3.0) < axis.percent(7.0) < 100


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e6), st.integers(2, 10))
def test_ticks_are_round_evenly_spaced_within_and_not_too_many(spans, span, most):
    low = spans * span
    ticks = round_ticks(low, low + span, most)
    assert len(ticks) <= most + 1
    assert all(low - 1e-6 * span <= value <= low + span * (1 + 1e-6) for value in ticks)
    steps = np.diff(ticks)
    if len(steps):
        assert np.allclose(steps, steps[0], rtol=1e-6)
        mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-9)
        assert round(float(mantissa), 6) in (1, 2, 5, 10)


def test_frequencies_stand_where_the_picture_has_them():
    found = dict(re.findall(r'bottom: ([\d.]+)%">(\w+)<', frequency_ticks(8000)))
    assert list(found.values()) == ["100", "500", "1k", "2k", "4k"]
    low, high = to_mel(LOWEST_HZ), to_mel(8000)
    for at, name in found.items():
        frequency = float(name.replace("k", "000"))
        assert float(at) == pytest.approx(100 * (to_mel(frequency) - low) / (high - low), abs=0.06)


def test_seconds_stand_where_they_are():
    found = [(float(at), text) for at, text in re.findall(r'left: ([\d.]+)%">([^<]+)<', time_ticks(8.0, most=8))]
    assert found == [(12.5 * k, "0 s" if k == 0 else str(k)) for k in range(9)]
    assert [text for _, text in re.findall(r'left: ([\d.]+)%">([^<]+)<', time_ticks(8.0, most=8, edge=0.97))][-1] == "7"


@given(st.lists(st.floats(0, 300), max_size=12))
def test_names_are_moved_apart_in_order_and_no_further_than_need_be(places):
    moved = spread_out(places, 17.0, 0.0, 320.0)
    order = np.argsort(places, kind="stable")
    assert (np.diff(np.array(moved)[order]) >= 17 - 1e-6).all()
    assert all(-1e-6 <= value <= 320 + 1e-6 for value in moved)
    if len(places) < 2 or np.diff(np.sort(places)).min() >= 17:
        assert moved == pytest.approx(places)


def test_an_interval_that_is_not_finite_is_left_out():
    axis = Axis(0.0, 1.0)
    assert "<line" in interval_marks(0.5, 0.4, 0.6, axis, "red")
    assert "<line" not in interval_marks(0.5, NAN, 0.6, axis, "red")
    assert interval_marks(-INF, 0, 1, axis, "red") == ""


def test_rows_are_told_in_words_and_names_are_escaped():
    chart = row_chart("<t>", [("<a>", "5 dB", "")], Axis(0, 1, "dB"))
    assert 'aria-label="&lt;a&gt;: 5 dB"' in chart
    assert "<a>" not in chart
    assert "<t>" not in chart


def test_a_scatter_has_a_logarithmic_axis_and_leaves_out_what_has_no_place():
    points = [
        Point("fast", 0.01, 1.0, 0.5, 1.5, "red"),
        Point("middle", 0.1, 2.0, NAN, NAN, "red"),
        Point("slow", 1.0, 3.0, 2.5, 3.5, "red"),
        Point("instant", 0.0, 4.0, 3.5, 4.5, "red"),
        Point("failed", NAN, NAN, NAN, NAN, "red"),
    ]
    chart = scatter(points, "x", "y")
    places = [float(at) for at in re.findall(r'<svg x="([\d.]+)%"', chart)]
    assert len(places) == 3
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.02)
    heights = [float(at) for at in re.findall(r'<circle cy="([\d.]+)"', chart)]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.2)
    assert "instant" not in chart
    assert scatter(points[3:], "x", "y") == ""
