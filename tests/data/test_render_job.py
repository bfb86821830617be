from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rendering import contents, midi_folder, tiny_recipe
from soli.data.check import check_track, summarise
from soli.data.layouts import open_dataset
from soli.data.render import job
from soli.data.render.job import Summary, render_dataset
from soli.data.render.recipe import Recipe
from soli.data.render.tree import STATE_FILE, open_tree
from soli.errors import SoliError
from soli.parallel import open_engine

SONGS = 4  # of `tiny_recipe`


def render(recipe: Recipe, root: Path, workers: int = 0, **options: object) -> Summary:
    with open_engine(n_workers=workers) as engine:
        return render_dataset(recipe, root, engine, **options)  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def midi(tmp_path_factory) -> Path:
    return midi_folder(tmp_path_factory.mktemp("midi"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, midi) -> Path:
    """A dataset rendered without interruption."""
    root = tmp_path_factory.mktemp("whole") / "set"
    summary = render(tiny_recipe(), root, midi=midi)
    assert (summary.songs, summary.found, summary.failed) == (SONGS, 0, {})
    return root


def test_the_result_is_a_clean_dataset(whole: Path) -> None:
    dataset = open_dataset(whole)
    report = summarise(dataset, [check_track(track) for track in dataset.tracks])
    assert dataset.layout == "slakh"
    assert report.problems == []
    assert report.splits == {"folders": {"train": 3, "test_b": 1}}
    assert {"bass", "drums"} <= report.classes.keys()
    assert report.residual_db == (-200.0, -200.0, -200.0)
    assert report.hours > SONGS * 15 / 3600
    sources = [track.metadata["recipe"]["source"] for track in dataset.tracks]
    assert sum(source.endswith(".mid") for source in sources) == 1
    assert sum(source.startswith("composed") for source in sources) == SONGS - 1


def test_the_number_of_workers_does_not_change_the_bytes(whole: Path, midi: Path, tmp_path: Path) -> None:
    render(tiny_recipe(), tmp_path / "set", workers=2, midi=midi)
    assert contents(tmp_path / "set") == contents(whole)


def test_a_killed_run_is_gone_on_with_to_the_same_bytes(whole: Path, midi: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    spawned = multiprocessing.get_context("spawn").Process(
        target=render, args=(tiny_recipe(), root), kwargs={"midi": midi}
    )
    spawned.start()
    deadline = time.monotonic() + 120
    while not (any(root.glob("train/Track10001")) and any(root.glob("*/.Track*.part/stems/*"))):
        assert spawned.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(spawned.pid or 0, signal.SIGKILL)
    spawned.join()
    assert any(root.glob("*/.*.part")), "nothing was half-written"
    kept = (root / "train/Track10001/mix.flac").stat().st_mtime_ns
    summary = render(tiny_recipe(), root, midi=midi)
    assert summary.found >= 1
    assert (root / "train/Track10001/mix.flac").stat().st_mtime_ns == kept
    assert contents(root) == contents(whole)


def test_an_interrupted_run_leaves_whole_songs_only(whole: Path, midi: Path, tmp_path: Path, monkeypatch) -> None:
    written = []

    def interrupted(song, folder, **options):
        write_slakh(song, folder, **options)
        written.append(folder)
        if len(written) == 2:
            raise KeyboardInterrupt

    write_slakh = job.write_slakh
    monkeypatch.setattr(job, "write_slakh", interrupted)
    with pytest.raises(KeyboardInterrupt):
        render(tiny_recipe(), tmp_path / "set", midi=midi)
    left = contents(tmp_path / "set")
    assert left.items() <= contents(whole).items()
    assert {name.rpartition("Track")[2][:5] for name in left if "Track" in name} == {"10001"}


def test_what_a_full_disk_cuts_off_is_not_there(tmp_path: Path, midi: Path, whole: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limits[1]))  # no file can be larger: as on a disk that is full
    try:
        with pytest.raises(SoliError, match="cannot be written"):
            render(tiny_recipe(), tmp_path / "set", midi=midi)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(contents(tmp_path / "set")) == [STATE_FILE]
    render(tiny_recipe(), tmp_path / "set", midi=midi)
    assert contents(tmp_path / "set") == contents(whole)


def test_a_subset_is_as_in_the_whole_and_can_be_gone_on_with(whole: Path, midi: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    assert render(tiny_recipe(), root, midi=midi, subset="mini").songs == 1
    mini = contents(root)
    assert mini.items() <= contents(whole).items()
    assert {Path(name).parts[:2] for name in mini} == {(STATE_FILE,), ("train", "Track10001")}
    assert render(tiny_recipe(), root, midi=midi, subset="test_b").songs == 1
    assert {track.split for track in open_dataset(root).tracks} == {"train", "test_b"}
    assert render(tiny_recipe(), root, midi=midi).found == 2
    assert contents(root) == contents(whole)


def test_other_seeds_give_other_songs(whole: Path, midi: Path, tmp_path: Path) -> None:
    render(replace(tiny_recipe(), seed=1), tmp_path, midi=midi, subset="mini")
    name = "train/Track10001/mix.flac"
    assert contents(tmp_path)[name] != contents(whole)[name]


@pytest.mark.parametrize(
    ("changes", "without_midi", "message"),
    [
        ({"seed": 1}, False, "begun with recipe.seed = 0 instead of 1"),
        ({"drum_pieces": True}, False, "begun with recipe.drum_pieces = false instead of true"),
        ({}, True, "begun with midi = "),
    ],
)
def test_another_dataset_is_not_mixed_in(
    whole: Path, midi: Path, changes: dict, without_midi: bool, message: str
) -> None:
    before = contents(whole)
    with pytest.raises(SoliError, match=message):
        render(replace(tiny_recipe(), **changes), whole, midi=None if without_midi else midi)
    assert contents(whole) == before


def test_sounds_that_have_changed_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "set"
    render(tiny_recipe(), root, subset="mini")
    state = json.loads((root / STATE_FILE).read_text())
    assert set(state["sounds"]) == {"TimGM6mb.sf2"}
    state["sounds"]["TimGM6mb.sf2"] = "another"
    (root / STATE_FILE).write_text(json.dumps(state))
    with pytest.raises(SoliError, match=r"begun with other contents of TimGM6mb\.sf2"):
        render(tiny_recipe(), root)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SoliError, match=r"holds files but no render\.json"):
        render(tiny_recipe(), tmp_path)
    assert list(contents(tmp_path)) == ["notes.txt"]


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    code = "import sys, pathlib; from soli.data.render.tree import open_tree\n"
    code += "with open_tree(pathlib.Path(sys.argv[1]), {'sounds': {}}):\n print('in', flush=True)\n sys.stdin.read()"
    other = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == b"in\n"
    with pytest.raises(SoliError, match="another run is writing to it"), open_tree(tmp_path, {"sounds": {}}):
        pass
    other.kill()  # without a chance to give the folder back
    other.communicate()
    with open_tree(tmp_path, {"sounds": {}}):
        pass
    assert list(contents(tmp_path)) == [STATE_FILE]


def test_a_song_that_fails_is_told_and_the_others_are_rendered(tmp_path: Path, monkeypatch) -> None:
    def broken(song, folder):
        if song.name == "Track10002":
            raise ValueError("a defect")
        return parts_of(song, folder)

    parts_of = job.parts_of
    monkeypatch.setattr(job, "parts_of", broken)
    summary = render(tiny_recipe(), tmp_path)
    assert summary.songs == SONGS - 1
    assert list(summary.failed) == ["train/Track10002"]
    assert "ValueError: a defect" in summary.failed["train/Track10002"]
    monkeypatch.setattr(job, "parts_of", lambda *_: 1 / 0)
    with pytest.raises(SoliError, match="given up after 3 songs in a row"):
        render(tiny_recipe(), tmp_path / "none")
