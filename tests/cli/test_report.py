from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from command_line import Run, files_in
from data_trees import FOUR, LENGTH, RATE, parts, slakh, with_mixture, write
from evaluations import evaluation
from soli.cli.results import read_results
from soli.evaluation.protocols import Global
from soli.evaluation.summary import ALL


def save(name: str, content: object) -> Path:
    path = Path(name)
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def songs(run: Run) -> Path:
    for index in range(5):
        write(Path("set", "test", f"Song {index}"), with_mixture(parts(FOUR)))
    return Path("set")


def titles(path: str) -> list[str]:
    return re.findall(r'<h2 id="song-\d+-title">(.*?)</h2>', Path(path).read_text())


def test_results_become_a_page(run: Run) -> None:
    save("a.json", evaluation({"one": 1.0, "two": 2.0}))
    outcome = run("report", "a.json", "--out", "sub/page.html")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.strip() == str(Path("sub/page.html"))
    assert files_in(".") == ["a.json", "sub/page.html"]
    assert "<h1>Leaderboard</h1>" in Path("sub/page.html").read_text()
    assert (
        run("report", "--out", "sub/page.html", "--title", "Mine", "a.json").code == 0
    )  # a page of its own is replaced
    assert "<h1>Mine</h1>" in Path("sub/page.html").read_text()


def test_files_measured_alike_are_joined_as_if_measured_together(run: Run) -> None:
    together = evaluation({"one": 1.0, "two": 2.0})
    apart = []
    for model in ("one", "two"):
        content = json.loads(json.dumps(together))
        content["models"] = {model: content["models"][model]}
        content["records"] = [record for record in content["records"] if record["model"] == model]
        content["summary"]["work"] = {model: content["summary"]["work"][model]}
        content["summary"]["differences"] = []
        content["summary"]["cells"] = [cell for cell in content["summary"]["cells"] if cell["model"] == model]
        apart.append(save(f"{model}.json", content))
    (joined,) = read_results(apart)
    (whole,) = read_results([save("together.json", together)])
    assert joined == whole
    assert joined.differences


def test_files_measured_otherwise_stay_apart(run: Run) -> None:
    save("a.json", evaluation({"one": 1.0}))
    save("b.json", evaluation({"one": 1.0}, protocol=Global()))
    save("c.json", evaluation({"one": 1.0}, dataset="other"))
    assert len(read_results([Path("a.json"), Path("b.json"), Path("c.json")])) == 3


def test_models_of_one_name_get_the_name_of_their_file(run: Run) -> None:
    save("a.json", evaluation({"one": 1.0, "two": 0.0}))
    save("b.json", evaluation({"one": 5.0}))
    (found,) = read_results([Path("a.json"), Path("b.json")])
    assert found.models == ("one (b.json)", "one (a.json)", "two")
    assert (
        found.cell("one (b.json)", "sdr_museval", ALL).value > found.cell("one (a.json)", "sdr_museval", ALL).value + 3
    )


def test_a_protocol_that_has_changed_cannot_be_joined(run: Run) -> None:
    for name in ("a", "b"):
        content = evaluation({name: 1.0})
        content["protocol"]["about"] = "an older way"
        save(f"{name}.json", content)
    outcome = run("report", "a.json", "b.json", "--out", "page.html")
    assert outcome.code == 2
    assert "a.json: protocol museval has changed since" in outcome.complaint


def test_an_evaluation_writes_its_own_page(run: Run, songs: Path) -> None:
    arguments = ("evaluate", "default", "mixture", songs, "-p", "global", "-o", "r.json", "--limit", "2")
    assert run(*arguments, "--report", "r.html").code == 0
    page = Path("r.html").read_text()
    for cell in json.loads(Path("r.json").read_text())["summary"]["cells"]:
        if cell["source"] == ALL:
            assert f"{cell['mean']['value']:.2f}".replace("-", "−") in page
    assert run(*arguments, "--report", "r.json").code == 2


def test_a_listening_page_draws_tracks_by_its_seed(run: Run, songs: Path) -> None:
    arguments = ("report", "tracks", songs, "--count", "2", "--seconds", "0.2")
    for name, seed in (("a", 0), ("b", 0), ("c", 1), ("d", 2)):
        outcome = run(*arguments, "--seed", seed, "--out", f"{name}.html")
        assert (outcome.code, outcome.err) == (0, "")
    assert len(set(titles("a.html"))) == 2
    assert titles("a.html") == titles("b.html")
    assert len({tuple(titles(f"{name}.html")) for name in "acd"}) > 1
    page = Path("a.html").read_text()
    listings = [json.loads(text) for text in re.findall(r'class="player-data">(.*?)</script>', page)]
    assert [listing["duration"] for listing in listings] == [0.2] * 2
    assert [[track["name"] for track in listing["tracks"]] for listing in listings] == [["mixture", *FOUR]] * 2


def test_short_tracks_and_few_of_them_are_played_whole(run: Run, songs: Path) -> None:
    assert run("report", "tracks", songs, "--out", "page.html").code == 0
    assert sorted(titles("page.html")) == [f"Song {index}" for index in range(5)]
    assert f'"duration": {LENGTH / RATE}' in Path("page.html").read_text()


def test_stems_that_do_not_name_their_class_get_it(run: Run) -> None:
    slakh(Path("set", "train", "Track00001"))
    assert run("report", "tracks", "set", "--out", "page.html").code == 0
    names = [track["name"] for track in json.loads(
        re.findall(r'class="player-data">(.*?)</script>', Path("page.html").read_text())[0])["tracks"]]  # fmt: skip
    assert names[0] == "mixture"
    assert any(re.fullmatch("S03 .*drums?", name) for name in names), names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.json",), "--out"),
        (("nothing.json", "--out", "p.html"), "nothing.json: cannot be read"),
        (("text.txt", "--out", "p.html"), "text.txt: not JSON"),
        (("foreign.json", "--out", "p.html"), "foreign.json: not a result of `soli evaluate`"),
        (("a.json", "./a.json", "--out", "p.html"), "each only once"),
        (("a.json", "--out", "p.json"), "p.json; allowed: a name that ends in .html"),
        (("a.json", "--out", "foreign.html"), "foreign.html: exists and is no page of soli's"),
        (("a.json", "--out", "folder.html"), "folder.html: is a folder"),
        (("a.json", "--out", "text.txt/p.html"), "p.html"),
        (("tracks", "nowhere", "--out", "p.html"), "nowhere: there is no such folder"),
        (("tracks", "folder.html", "--out", "p.html"), "folder.html: no known layout"),
        (("tracks", "folder.html", "--layout", "stems", "--out", "p.html"), "no tracks in this folder"),
        (("tracks", "set", "--count", "0", "--out", "p.html"), "--count 0; allowed: 1 or more"),
        (("tracks", "set", "--seed", "-1", "--out", "p.html"), "--seed -1; allowed: 0 or more"),
        (("tracks", "set", "--seconds", "nan", "--out", "p.html"), "--seconds nan; allowed: 0.1 to 600"),
        (("tracks", "set", "--out", "foreign.html"), "exists and is no page of soli's"),
        (("tracks", "broken", "--out", "p.html"), "drums.wav"),
    ],
)
def test_what_cannot_be_shown_is_one_line_and_leaves_nothing(run: Run, songs: Path, arguments, message) -> None:
    save("a.json", evaluation({"one": 1.0}, n_tracks=2))
    save("foreign.json", {"format": 1, "name": "something else"})
    Path("text.txt").write_text("no JSON")
    Path("foreign.html").write_text("<p>someone's</p>")
    Path("folder.html").mkdir()
    write(Path("broken", "test", "Song"), with_mixture(parts(FOUR)))
    Path("broken", "test", "Song", "drums.wav").write_bytes(b"no audio")
    before = {name: Path(name).read_bytes() for name in files_in(".")}
    outcome = run("report", *arguments)
    assert outcome.code == 2
    assert message in outcome.complaint
    assert outcome.out == ""
    assert {name: Path(name).read_bytes() for name in files_in(".")} == before


def test_help_names_both_ways(run: Run) -> None:
    outcome = run("report", "--help")
    assert outcome.code == 0
    assert "results.json" in outcome.out
    assert "tracks" in outcome.out
    assert np.all([run("report", name, "--help").code == 0 for name in ("tracks", "leaderboard")])
