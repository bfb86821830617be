from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import Run, files_in
from rendering import midi_folder

TINY = """
sample_rate = 8000
n_channels = 1
[splits.train]
songs = 2
seconds = [15, 16]
[splits.test_b]
hours = 0.001
seconds = [15, 16]
[subsets.mini]
test_b = 1
"""


def recipe(text: str = TINY) -> Path:
    Path("recipe.toml").write_text(text)
    return Path("recipe.toml")


def test_a_dataset_is_made_and_made_only_once(run: Run) -> None:
    arguments = ("data", "render", recipe(), "--out", "set", "--workers", "0")
    outcome = run(*arguments)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("3 songs, 0.02 hours, ")
    assert outcome.out.endswith(" hours per hour\n")
    before = files_in("set")
    again = run(*arguments)
    assert again.out == "0 songs, 0.00 hours, 0 seconds; 3 found there already\n"
    assert files_in("set") == before
    checked = run("data", "check", "set", "--json")
    assert (checked.code, json.loads(checked.out)["problems"]) == (0, [])


@pytest.fixture
def short(monkeypatch) -> None:
    monkeypatch.setattr("soli.cli.render._SECONDS", (15.0, 16.0))


def test_songs_are_composed_without_a_recipe(run: Run, short) -> None:
    outcome = run("data", "render", "--hours", "0.001", "--layout", "musdb", "--out", "set", "--workers", "0")
    assert outcome.code == 0
    report = json.loads(run("data", "check", "set", "--json").out)
    assert (report["layout"], report["n_tracks"], report["sample_rates"]) == ("musdb18-hq", 1, {"44100": 1})
    assert not report["broken"]
    assert {problem["kind"] for problem in report["problems"]} <= {"silent"}


def test_own_midi_files_are_played(run: Run, short) -> None:
    midi_folder(Path("midi"), 2)
    Path("midi", "broken.mid").write_bytes(b"no notes")
    outcome = run(
        "data", "render", "--hours", "0.012", "--midi", "midi", "--out", "set", "--workers", "0", "--seed", "3"
    )
    assert outcome.code == 0
    assert "soli: 1 MIDI file left out: unreadable" in outcome.err
    assert "soli: 1 song composed, as the MIDI files do not suffice" in outcome.err


def test_a_subset_is_rendered_alone(run: Run) -> None:
    outcome = run("data", "render", recipe(), "-o", "set", "--workers", "0", "--subset", "mini")
    assert outcome.out.startswith("1 song, ")
    assert [path.name for path in Path("set/test_b").iterdir()] == ["Track20001"]
    assert not any(Path("set/train").iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.toml",), "nowhere.toml: cannot read this recipe"),
        (("recipe.toml", "--subset", "maxi"), "subset 'maxi' does not exist; allowed: mini, train, test_b"),
        (("recipe.toml", "--layout", "musdb"), "--layout with recipe.toml: the recipe states this"),
        (("recipe.toml", "--hours", "2"), "hours=2, but train is to have a number of songs"),
        (("recipe.toml", "--midi", "midi"), "no split of recipe.toml takes songs from there"),
        (("recipe.toml", "--set", "seeds=1"), "unknown key 'seeds'; known: seed, layout"),
        (("--hours", "0"), "hours=0; allowed: more than 0"),
        (("--layout", "moisesdb"), "layout = 'moisesdb'; allowed: 'slakh', 'musdb'"),
        (("--midi", "nowhere"), "nowhere: there is no such folder"),
        (("--soundfont", "none.sf2"), "SoundFont 'none.sf2' is not there"),
        (("--soundfont", "recipe.toml"), "not a SoundFont"),
        (("--kit", "none"), "drum kit 'none' is not there"),
        (("--voices", "none"), "folder of voices 'none' is not there"),
        (("--engine", "cloud"), "engine 'cloud' does not exist; allowed: local, ray"),
        (("--workers", "-1"), "workers=-1; allowed"),
        (("--set", "seeds=1"), "unknown key 'seeds'; known: seed, layout"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(run: Run, arguments: tuple[str, ...], message: str) -> None:
    recipe()
    Path("midi").mkdir()
    outcome = run(
        "data", "render", *arguments, "--out", "set", *(() if "--workers" in arguments else ("--workers", "0"))
    )
    assert outcome.code == 2
    assert message in outcome.complaint
    assert outcome.out == ""
    assert not Path("set").exists()


def test_a_folder_of_something_else_is_refused(run: Run) -> None:
    Path("set").mkdir()
    Path("set", "mine.txt").write_text("")
    outcome = run("data", "render", recipe(), "--out", "set", "--workers", "0")
    assert outcome.code == 2
    assert "set: holds files but no render.json" in outcome.complaint
    assert [path.name for path in Path("set").iterdir()] == ["mine.txt"]


def test_songs_that_fail_set_the_exit_code(run: Run, monkeypatch) -> None:
    monkeypatch.setattr("soli.data.render.job.parts_of", lambda *_: 1 / 0)
    outcome = run("data", "render", recipe(), "--out", "set", "--workers", "0", "--subset", "train")
    assert outcome.code == 1
    assert outcome.err.count("ZeroDivisionError") == 2
    assert outcome.out == "0 songs, 0.00 hours, 0 seconds\n"
