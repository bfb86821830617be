from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import Run, files_in
from data_trees import FOUR, parts, with_mixture, write
from soli import zoo
from tiny import CARD, Tiny, TinyConfig

OUT = ("--protocol", "global", "--out", "results.json")


@pytest.fixture
def songs(run: Run) -> Path:
    """Two songs in the empty folder that commands run in."""
    for name in ("One", "Two"):
        write(Path("set", "test", name), with_mixture(parts(FOUR)))
    return Path("set")


def test_a_table_is_printed_and_written_in_three_forms(run: Run, songs: Path) -> None:
    outcome = run("evaluate", "default", "oracle:ratio", songs, *OUT)
    assert (outcome.code, outcome.err) == (0, "")
    assert files_in(".") == sorted(["results.json", "results.md", "results.tex", *files_in("set")])
    assert outcome.out.strip() == Path("results.md").read_text().strip()
    result = json.loads(Path("results.json").read_text())
    assert list(result["models"]) == ["default", "oracle:ratio"]
    assert result["tracks"] == ["test/One", "test/Two"]
    for name in ("default", "oracle:ratio", *result["sources"]):
        assert name in outcome.out
    assert Path("results.tex").read_text().count(r" \\") == 2


def test_options_choose_tracks_and_sources(run: Run, songs: Path) -> None:
    options = ("--split", "folders:test", "--limit", "1", "--sources", "bass, drums")
    assert run("evaluate", "mixture", songs, *OUT, *options).code == 0
    result = json.loads(Path("results.json").read_text())
    assert (result["tracks"], result["sources"]) == (["test/One"], ["bass", "drums"])
    assert result["dataset"] == {"name": "place/set", "layout": "musdb18-hq", "split": "folders:test"}


def test_a_failure_is_told_and_sets_the_exit_code(run: Run, songs: Path) -> None:
    Path("set", "test", "Two", "drums.wav").write_bytes(b"no audio")
    outcome = run("evaluate", "mixture", songs, *OUT)
    assert outcome.code == 1
    assert "mixture failed on test/Two: " in outcome.complaint
    assert "drums.wav" in outcome.complaint
    assert json.loads(Path("results.json").read_text())["summary"]["work"]["mixture"]["n_failed"] == 1


def test_models_of_one_name_keep_their_folders(run: Run, songs: Path) -> None:
    for folder in ("a", "b"):
        zoo.save(Tiny(TinyConfig()), Path(folder, "checkpoint"), CARD)
    assert run("evaluate", "a/checkpoint", "b/checkpoint", "default", songs, *OUT, "--limit", "1").code == 0
    assert list(json.loads(Path("results.json").read_text())["models"]) == ["a/checkpoint", "b/checkpoint", "default"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("default",), "at least one model, then the folder of a dataset"),
        (("nothing", "set"), "unknown model 'nothing'"),
        (("default", "nowhere"), "nowhere: there is no such folder"),
        (("default", "set", "--protocol", "sdr"), "unknown protocol 'sdr'; allowed: museval, global, msdm, seed003"),
        (("default", "set", "--split", "test"), "no tracks in split 'test'; allowed: official:test"),
        (("default", "set", "--sources", "flute"), "the dataset has no source 'flute'"),
        (("default", "set", "--out", "results.md"), "results.md; allowed: a name that ends in .json"),
        (("default", "set", "--layout", "radio"), "'radio' does not exist"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(run: Run, songs: Path, arguments, message) -> None:
    outcome = run("evaluate", *OUT, *arguments)
    assert outcome.code == 2
    assert message in outcome.complaint
    assert outcome.out == ""
    assert files_in(".") == files_in("set")
