from __future__ import annotations

import json
import math

import numpy as np
import pytest

from soli.evaluation.journal import Record
from soli.evaluation.protocols import Global, Msdm, Museval, Protocol, Seed003
from soli.evaluation.summary import number_of, resampled, summarise
from soli.evaluation.tables import escape_latex, latex, markdown

NAN = float("nan")


def records(model: str, values: np.ndarray, protocol: Protocol) -> list[Record]:
    """values: `[tracks S pieces]`, the same for every metric."""
    return [
        Record(
            model=model,
            track=f"track {i}",
            audio_seconds=2.0,
            seconds=1.0 + i,
            metrics={name: dict(zip(("a", "b"), track.tolist(), strict=True)) for name in protocol.metrics},
        )
        for i, track in enumerate(values)
    ]


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_a_draw_is_the_statistic_of_its_pieces(statistic):
    values, tracks = random(30), np.random.default_rng(1).integers(0, 7, 30)
    counts = np.random.default_rng(2).multinomial(7, [1 / 7] * 7, size=50)
    expected = [getattr(np, statistic)(np.repeat(values, draw[tracks])) for draw in counts]
    np.testing.assert_allclose(resampled(values, tracks, counts, statistic), expected)


def test_infinities_count_and_undefined_numbers_do_not():
    values = np.array([-math.inf, 1.0, 2.0, NAN])
    assert number_of(values, "median") == 1.0
    assert number_of(values, "mean") == -math.inf
    assert math.isnan(number_of(np.array([NAN]), "mean"))
    counts = np.array([[0, 1, 1], [1, 1, 1], [0, 0, 0]])
    means = resampled(values[:3], np.arange(3), counts, "mean")
    np.testing.assert_array_equal(means, [1.5, -math.inf, NAN])


def test_museval_is_a_median_of_medians():
    values = random(5, 2, 7)
    values[0, 0, :3] = NAN
    values[1, 1] = NAN
    summary = summarise(records("m", values, Museval()), Museval(), ("a", "b"))
    expected = [
        np.nanmedian([np.nanmedian(track[i]) for track in values if np.isfinite(track[i]).any()]) for i in (0, 1)
    ]
    cells = [summary.cell("m", "sdr_museval", source) for source in ("a", "b", "all")]
    assert [cell.median.value for cell in cells] == pytest.approx([*expected, np.mean(expected)])
    assert [cell.n_tracks for cell in cells] == [5, 4, 5]
    assert [cell.n_pieces for cell in cells] == [32, 28, 60]
    for cell in cells:
        assert cell.median.low <= cell.median.value <= cell.median.high


@pytest.mark.parametrize(("protocol", "statistic"), [(Msdm(), "mean"), (Seed003(), "median")])
def test_pooled_protocols_weigh_every_piece_alike(protocol, statistic):
    values = random(4, 2, 6)
    values[0, :, 1:] = NAN
    summary = summarise(records("m", values, protocol), protocol, ("a", "b"))
    measure = getattr(np, f"nan{statistic}")
    expected = [measure(values[:, i]) for i in (0, 1)]
    found = [getattr(summary.cell("m", protocol.metrics[0], s), statistic).value for s in ("a", "b", "all")]
    assert found == pytest.approx([*expected, np.mean(expected)])


def test_the_interval_is_that_of_whole_tracks():
    levels = random(100)[:, None, None]
    summary = summarise(records("m", levels + np.zeros((100, 2, 4)), Msdm()), Msdm(), ("a", "b"))
    cell = summary.cell("m", Msdm.metrics[0], "a")
    half = 1.96 * levels.std() / math.sqrt(100)  # a draw of single pieces would find half of this
    assert (cell.mean.low, cell.mean.high) == pytest.approx((cell.mean.value - half, cell.mean.value + half), abs=0.02)
    assert summary.cell("m", Msdm.metrics[0], "all").mean == cell.mean  # sources are drawn together


def test_models_are_compared_on_the_tracks_that_both_have():
    hard = 20 * random(12, 2, 1)
    first, second = records("x", hard + 0.5, Global()), records("y", hard, Global())
    first[3] = Record(model="x", track="track 3", error="too hard")
    second[4].metrics["sdr_global"]["b"] = [NAN]
    summary = summarise([*first, *second], Global(), ("a", "b"))
    assert [d.source for d in summary.differences] == ["a", "b", "all"]
    assert [d.n_tracks for d in summary.differences] == [11, 10, 11]
    for difference in summary.differences:
        assert (difference.first, difference.second, difference.metric) == ("x", "y", "sdr_global")
        assert (difference.low, difference.difference, difference.high) == pytest.approx((0.5, 0.5, 0.5))
    assert (summary.work["x"].n_failed, summary.work["y"].n_failed) == (1, 0)
    assert summary.work["y"].real_time_factor == pytest.approx(np.median(np.arange(1, 13) / 2))


def test_what_has_no_number_is_null_and_a_dash():
    failed = [Record(model="m", track="t", error="no")]
    silent = records("s", np.full((1, 2, 1), NAN), Global())
    summary = summarise([*failed, *silent], Global(), ("a", "b"))
    plain = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    assert [cell["median"]["value"] for cell in plain["cells"]] == [None] * 18
    assert plain["differences"] == []
    assert "| m | – | – | – | 0 | 1 | – |" in markdown(summary, "x")
    assert "m & -- & -- & -- \\\\" in latex(summary)


def test_names_are_escaped_in_tables():
    summary = summarise(records("my_model|50%", random(3, 2, 1), Global()), Global(), ("a", "b"))
    assert "| my\\_model\\|50% |" in markdown(summary, "x")
    assert latex(summary).splitlines()[1].startswith(r"my\_model|50\% & $")
    assert escape_latex("a\\b^{2}~#$&") == r"a\textbackslash{}b\textasciicircum{}\{2\}\textasciitilde{}\#\$\&"


def test_tables_show_the_number_and_its_interval():
    values = np.full((4, 2, 1), 1.5)
    summary = summarise(records("m", values, Global()), Global(), ("a", "b"))
    assert "| m | 1.50 (1.50 to 1.50) | 1.50 (1.50 to 1.50) | 1.50 (1.50 to 1.50) | 4 | 0 |" in markdown(summary, "x")
    assert r"$1.50$ {\scriptsize $[1.50, 1.50]$}" in latex(summary)
