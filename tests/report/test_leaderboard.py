from __future__ import annotations

import copy
import json
import math
import re

import numpy as np
import pytest

from evaluations import SOURCES, evaluation
from soli.errors import SoliError
from soli.evaluation.protocols import Msdm, Museval
from soli.report.leaderboard import leaderboard_page, track_scores
from soli.report.results import ALL, parse, read_json

MODELS = {"poor": -3.0, "good": 6.0, "middling": 2.0}


@pytest.fixture(scope="module")
def content() -> dict:
    return evaluation(MODELS, failing="middling")


@pytest.fixture(scope="module")
def page(content) -> str:
    return leaderboard_page([parse(content, "file")])


def shown(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def test_models_stand_in_order_of_the_headline(content, page):
    assert parse(content, "file").models == ("good", "middling", "poor")
    assert re.findall(r'<tr><th scope="row">(\w+)</th>', page)[:3] == ["good", "middling", "poor"]


def test_every_number_of_the_summary_is_on_the_page(content, page):
    for cell in content["summary"]["cells"]:
        for statistic in ("median", "mean") if cell["metric"] == "sdr_museval" else ("median",):
            found = cell[statistic]
            assert f">{shown(found['value'])}<br><small>{shown(found['low'])} to {shown(found['high'])}<" in page, cell
    for found in content["summary"]["differences"]:
        sign = 1 if MODELS[found["first"]] > MODELS[found["second"]] else -1
        ends = sorted(shown(sign * found[end]) for end in ("low", "high"))
        text = re.findall(r'aria-label="[^"]*− [^"]*: (\S+) dB, (\S+) to (\S+)"', page)
        assert any(row[0] == shown(sign * found["difference"]) and sorted(row[1:]) == ends for row in text), found


def test_the_best_of_a_column_is_bold(content, page):
    best = max(c["median"]["value"] for c in content["summary"]["cells"] if c["source"] == ALL and "sdr" in c["metric"])
    assert f'class="best">{shown(best)}<' in page


def test_failures_are_told_and_escaped(page):
    assert "middling on test/Track 07: RuntimeError: out of &lt;memory&gt;" in page
    assert "<memory>" not in page


def test_a_track_has_the_protocols_statistic_of_its_pieces(content):
    scores = track_scores(parse(content, "file"))
    for record in content["records"]:
        values = record["metrics"].get("sdr_museval", {})
        known = {source: float(np.median(p)) for source, p in values.items() if None not in p}
        for source in SOURCES:
            found = scores[record["model"], source].get(record["track"])
            assert found == (pytest.approx(known[source]) if source in known else None)
        if known:
            assert scores[record["model"], ALL][record["track"]] == pytest.approx(np.mean(list(known.values())))


def test_means_are_means():
    content = evaluation({"a": 1.0}, protocol=Msdm())
    found = track_scores(parse(content, "file"))
    first = content["records"][0]
    pieces = first["metrics"]["si_sdr_improvement_published"]["drums"]
    assert found["a", "drums"][first["track"]] == pytest.approx(np.mean(pieces))


def test_infinite_numbers_are_left_out_of_the_boxes_and_counted():
    content = evaluation({"a": 1.0, "b": 2.0})
    content["records"][0]["metrics"]["sdr_museval"]["drums"] = ["-inf"]
    page = leaderboard_page([parse(content, "file")])
    assert "numbers that are not finite are left out" in page
    assert 'data-value="-Infinity"' in page
    assert not re.search(r"\bnan\b", page, flags=re.IGNORECASE)


def test_one_model_needs_no_comparison():
    page = leaderboard_page([parse(evaluation({"a": 1.0}, n_tracks=1), "file")])
    assert "Models compared" not in page


def test_several_evaluations_follow_each_other():
    found = [parse(evaluation(MODELS, dataset=name), name) for name in ("first", "second")]
    page = leaderboard_page(found, title="Two & more")
    assert page.index("first, official:test") < page.index("second, official:test")
    assert "<h1>Two &amp; more</h1>" in page
    ids = re.findall(r' id="(.*?)"', page)
    assert len(ids) == len(set(ids))


def test_what_was_measured_with_what_is_told(page, content):
    assert content["models"]["good"]["sha256"] in page
    assert "Version of torch" in page


def test_a_file_comes_back_as_it_was(tmp_path, content):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content))
    assert read_json(path) == content


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c.pop("summary"), "not a result of `soli evaluate`"),
        (lambda c: c.pop("format"), "not a result of `soli evaluate`"),
        (lambda c: c.update(format=99), "results of format 99; allowed: 1"),
        (lambda c: c["summary"]["cells"].clear(), "not a result of `soli evaluate`"),
        (lambda c: c["records"][0].pop("metrics"), "not a result of `soli evaluate`"),
        (lambda c: c["summary"].update(cells=3), "not a result of `soli evaluate`"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, content, damage, message):
    content = copy.deepcopy(content)
    damage(content)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content))
    with pytest.raises(SoliError, match=message) as caught:
        read_json(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "3", "null", '"text"', "{", "[1, 2]"])
def test_a_foreign_file_is_one_line(tmp_path, text):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(SoliError, match=r"not JSON|not a result") as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_the_protocol_decides_what_is_the_headline():
    content = evaluation(MODELS, protocol=Museval())
    assert parse(content, "file").cell("good", "sdr_museval", ALL).value > 6
    assert math.isnan(parse(content, "file").cell("good", "absent", ALL).value)
