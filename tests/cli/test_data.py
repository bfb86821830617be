from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import Run
from data_trees import FOUR, LENGTH, RATE, parts, with_mixture, write


def song(name: str) -> Path:
    return write(Path("set") / name, with_mixture(parts(FOUR))).parent


def test_a_dataset_is_described(run: Run) -> None:
    song("[One]")
    outcome = run("data", "check", "set")
    assert (outcome.code, outcome.err) == (0, "")
    assert f"set: musdb18-hq, 1 track, 0.00 h, {RATE} Hz" in outcome.out
    assert "split official: train 1, validation 0, test 0" in outcome.out
    assert "no problems found" in outcome.out
    for name in FOUR:
        assert name in outcome.out


def test_the_json_holds_the_same(run: Run) -> None:
    song("One")
    outcome = run("data", "check", "set", "--json")
    report = json.loads(outcome.out)
    assert outcome.code == 0
    assert (report["layout"], report["n_tracks"], report["broken"]) == ("musdb18-hq", 1, False)
    assert report["hours"] == pytest.approx(LENGTH / RATE / 3600)
    assert report["classes"]["bass"]["stems"] == 1
    assert report["problems"] == []


def test_what_is_broken_is_listed_and_sets_the_exit_code(run: Run) -> None:
    song("[One]")
    Path("set", "[One]", "bass.wav").write_bytes(b"no audio")
    outcome = run("data", "check", "set")
    assert (outcome.code, outcome.err) == (1, "")
    assert "unreadable" in outcome.out
    assert "[One]" in outcome.out
    outcome = run("data", "check", "set", "--json")
    assert outcome.code == 1
    assert [problem["stem"] for problem in json.loads(outcome.out)["problems"]] == ["bass"]


def test_a_layout_can_be_forced(run: Run) -> None:
    song("One")
    outcome = run("data", "check", "set", "--layout", "stems", "--json")
    assert json.loads(outcome.out)["layout"] == "stems"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "nowhere: there is no such folder"),
        (("empty",), "empty: no known layout of a dataset"),
        (("empty", "--layout", "slakh"), "empty: no tracks in this folder"),
        (("empty", "--layout", "radio"), "'radio' does not exist; allowed: auto, musdb18"),
    ],
)
def test_what_cannot_be_opened_is_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    Path("empty").mkdir()
    outcome = run("data", "check", *arguments)
    assert outcome.code == 2
    assert message in outcome.complaint
    assert outcome.out == ""


def test_the_group_shows_its_commands(run: Run) -> None:
    outcome = run("data", "--help")
    assert outcome.code == 0
    assert "check" in outcome.out
