from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from command_line import RATE, Run, files_in, noise, song
from soli import zoo
from tiny import Tiny


def test_the_stems_of_a_song_sum_to_it(run: Run) -> None:
    path = song("song.wav")
    outcome = run("separate", path)
    assert (outcome.code, outcome.err) == (0, "")
    stems = [soundfile.read(f"stems/song/{stem}.wav")[0] for stem in ("vocals", "drums", "other")]
    assert np.abs(sum(stems) - soundfile.read(path)[0]).max() < 1e-4
    assert files_in("stems") == sorted(f"stems/song/{stem}.wav" for stem in ("vocals", "drums", "other"))
    for written in files_in("stems"):
        assert written in outcome.out


def test_options_reach_the_files(run: Run) -> None:
    options = ("--stems", "drums", "--format", "flac", "--filename", "{model}-{stem}-{track}.{ext}")
    assert run("separate", song("song.wav"), "-o", "out", *options).code == 0
    assert files_in("out") == ["out/default-drums-song.flac", "out/default-residual-song.flac"]


def test_a_model_in_this_very_folder_has_a_name(run: Run, tmp_path, monkeypatch) -> None:
    path, (folder,) = song("song.wav").absolute(), (tmp_path / "weights").iterdir()
    monkeypatch.chdir(folder)
    outcome = run("separate", path, "-m", ".", "-o", tmp_path / "out", "--filename", "{model}/{stem}.{ext}")
    assert (outcome.code, outcome.err) == (0, "")
    assert {Path(written).parent for written in files_in(tmp_path / "out")} == {tmp_path / "out" / folder.name}


def bad_file(kind: str) -> Path:
    path = Path(f"{kind}.wav")
    match kind:
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("not audio at all " * 100)
        case "truncated":
            song(path)
            path.write_bytes(path.read_bytes()[:20_000])
        case "nan":
            samples = noise()
            samples[100, 1] = np.nan
            soundfile.write(path, samples, RATE, subtype="FLOAT")
    return path


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "truncated", "nan"])
def test_a_bad_file_gets_one_line_and_leaves_nothing(run: Run, kind: str) -> None:
    outcome = run("separate", bad_file(kind))
    assert outcome.code == 2
    assert f"{kind}.wav" in outcome.complaint
    assert outcome.out == ""
    assert files_in("stems") == []


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--model", "nothing"), ["'nothing'", "default"]),
        (("--model", "weights.pt"), ["weights.pt", "unpickled"]),
        (("--stems", "vocals,flute"), ["'flute'", "vocals, drums, other"]),
        (("--stems", ""), ["''", "vocals, drums, other"]),
        (("--format", "wma"), ["'wma'", "wav, flac, ogg, opus, mp3"]),
        (("--filename", "{song}/{stem}.{ext}"), ["{song}", "{track}"]),
        (("--filename", "{track.{ext}"), ["{track.{ext}"]),
        (("--filename", "{track}.{ext}"), ["{stem}"]),
        (("--filename", "../{track}/{stem}.{ext}"), ["../"]),
        (("--device", "gpu"), ["'gpu'", "cpu"]),
        (("--colour", "red"), ["--colour"]),
    ],
)
def test_a_wrong_option_gets_one_line_with_what_is_allowed(run: Run, options, parts) -> None:
    outcome = run("separate", song("song.wav"), *options)
    assert outcome.code == 2
    for part in parts:
        assert part in outcome.complaint
    assert outcome.out == ""
    assert files_in(".") == ["song.wav"]


def test_a_wrong_option_is_refused_once_for_many_files(run: Run) -> None:
    for name in "abc":
        song(f"album/{name}.wav")
    assert "flute" in run("separate", "album", "--stems", "flute").complaint


def test_a_folder_is_searched_with_everything_below_it(run: Run) -> None:
    for name in ("a.wav", "b.flac", "live/a.WAV", ".hidden.wav", ".trash/c.wav"):
        song(f"album/{name}")
    Path("album/cover.jpg").write_bytes(b"no sound")
    outcome = run("separate", "album", "-o", "out", "--stems", "vocals")
    assert (outcome.code, outcome.err) == (0, "")
    folders = {str(Path(name).parent) for name in files_in("out")}
    assert folders == {"out/a", "out/b", "out/live/a"}


def test_stems_inside_the_input_folder_are_not_separated_again(run: Run) -> None:
    song("album/a.wav")
    assert run("separate", "album", "-o", "album/stems").code == 0
    before = files_in("album")
    assert run("separate", "album", "-o", "album/stems").code == 0
    assert files_in("album") == before


def test_a_folder_without_audio_is_an_error(run: Run) -> None:
    Path("album").mkdir()
    assert "album" in run("separate", "album").complaint


def test_the_other_files_of_a_folder_go_through(run: Run) -> None:
    for name in "ace":
        song(f"album/{name}.wav")
    Path("album/b.wav").write_bytes(b"")
    Path("album/d.mp3").write_bytes(b"noise" * 1000)
    outcome = run("separate", "album", "missing.wav")
    assert outcome.code == 2
    assert {Path(name).parent.name for name in files_in("stems")} == set("ace")
    lines = outcome.err.splitlines()
    assert all(line.startswith("soli: ") for line in lines)
    assert len(lines) == 4
    assert "3 of 6 files failed: album/b.wav, album/d.mp3, missing.wav" in lines[-1]


def test_two_songs_of_one_name_are_refused_before_any_work(run: Run) -> None:
    outcome = run("separate", song("a/song.wav"), song("b/song.wav"))
    assert outcome.code == 2
    assert "a/song.wav" in outcome.complaint
    assert "b/song.wav" in outcome.complaint
    assert files_in("stems") == []


def test_a_file_named_twice_is_separated_once(run: Run) -> None:
    path = song("album/song.wav")
    outcome = run("separate", path, "album", "--json")
    assert len(json.loads(outcome.out)["files"]) == 1


def test_json_is_all_there_is_on_stdout(run: Run) -> None:
    Path("bad.wav").write_bytes(b"")
    outcome = run("separate", song("good.wav"), "bad.wav", "--json")
    result = json.loads(outcome.out)
    good, bad = result["files"]
    assert outcome.code == 2
    assert result["model"] == "default"
    assert (good["status"], bad["status"]) == ("done", "failed")
    assert sorted(good["paths"].values()) == files_in("stems")
    assert good["seconds"] == pytest.approx(0.5)
    assert good["null_dbfs"] < -90
    assert "bad.wav" in bad["error"]


def test_existing_stems_are_skipped_on_demand(run: Run) -> None:
    path = song("song.wav")
    run("separate", path)
    before = {name: Path(name).stat().st_mtime_ns for name in files_in("stems")}
    outcome = run("separate", path, "--skip-existing", "--json")
    assert json.loads(outcome.out)["files"][0]["status"] == "skipped"
    assert {name: Path(name).stat().st_mtime_ns for name in files_in("stems")} == before


def test_a_report_lies_beside_the_stems(run: Run) -> None:
    outcome = run("separate", song("song.wav"), "--report")
    assert outcome.code == 0
    assert "stems/song/report.html" in outcome.out
    page = Path("stems/song/report.html").read_text()
    for fact in ("song", "tiny, paper preset", "CC0-1.0", 'href="vocals.wav"'):
        assert fact in page


def test_the_model_is_loaded_once_for_many_files(run: Run, monkeypatch) -> None:
    loaded = []
    load = zoo.load
    monkeypatch.setattr(zoo, "load", lambda *arguments: loaded.append(arguments) or load(*arguments))
    assert run("separate", song("a.wav"), song("b.wav")).code == 0
    assert len(loaded) == 1


def test_ctrl_c_says_so_and_leaves_nothing(run: Run, monkeypatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Tiny, "_separate", interrupted)
    outcome = run("separate", song("song.wav"))
    assert outcome.code == 130
    assert "interrupted" in outcome.complaint
    assert files_in("stems") == []


def album(*names: str) -> Path:
    for name in names:
        song(f"album/{name}.wav")
    return Path("album")


def lines_of(manifest: str) -> dict[str, dict]:
    """Name of the input -> its line; every input has one only."""
    lines = [json.loads(line) for line in Path(manifest).read_text().splitlines()]
    found = {Path(line["source"]).name: line for line in lines}
    assert len(found) == len(lines)
    return found


def times() -> dict[str, int]:
    return {name: Path(name).stat().st_mtime_ns for name in files_in("stems")}


def test_the_manifest_has_every_input_once_and_a_second_run_does_what_is_left(run: Run) -> None:
    album("a", "c")
    Path("album/b.wav").write_bytes(b"")
    assert run("separate", "album", "--manifest", "out/list.jsonl").code == 2
    lines = lines_of("out/list.jsonl")
    assert {name: line["status"] for name, line in lines.items()} == {
        "a.wav": "done",
        "b.wav": "failed",
        "c.wav": "done",
    }
    assert "b.wav" in lines["b.wav"]["error"]
    assert lines["c.wav"]["seconds"] == pytest.approx(0.5)
    assert all(Path(path).is_absolute() and Path(path).exists() for path in lines["a.wav"]["paths"].values())
    before = times()
    album("b", "d")
    outcome = run("separate", "album", "--manifest", "out/list.jsonl", "--json")
    assert outcome.code == 0
    assert [file["status"] for file in json.loads(outcome.out)["files"]] == ["skipped", "done", "skipped", "done"]
    lines = lines_of("out/list.jsonl")
    assert {name: line["status"] for name, line in lines.items()} == dict.fromkeys(
        ("a.wav", "b.wav", "c.wav", "d.wav"), "done"
    )
    assert before.items() <= times().items()


@pytest.mark.parametrize("change", ["a stem is gone", "another format", "another folder"])
def test_what_the_manifest_says_is_done_again_where_it_no_longer_holds(run: Run, change: str) -> None:
    album("a", "b")
    run("separate", "album", "--manifest", "list.jsonl")
    options = {"another format": ("--format", "flac"), "another folder": ("--out", "new")}.get(change, ())
    if change == "a stem is gone":
        Path("stems/a/drums.wav").unlink()
    outcome = run("separate", "album", "--manifest", "list.jsonl", "--json", *options)
    statuses = [file["status"] for file in json.loads(outcome.out)["files"]]
    assert statuses == (["done", "skipped"] if change == "a stem is gone" else ["done", "done"])
    for line in lines_of("list.jsonl").values():
        assert all(Path(path).exists() for path in line["paths"].values())


def test_what_a_killed_worker_has_left_of_a_file_is_removed(run: Run) -> None:
    album("a", "a-b")
    left = Path("stems/.a-vocals.wav.0123abcd.part"), Path("stems/.a-residual.flac.0123abcd.part")
    others = Path("stems/.a-b-c-vocals.wav.0123abcd.part"), Path("stems/.notes.part"), Path("stems/a-vocals.part")
    Path("stems").mkdir()
    for path in left + others:
        path.touch()
    assert run("separate", "album", "--filename", "{track}-{stem}.{ext}").code == 0
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in others)


def test_lines_about_other_inputs_stay(run: Run) -> None:
    album("a")
    run("separate", "album", "--manifest", "list.jsonl")
    run("separate", song("single.wav"), "--manifest", "list.jsonl")
    assert set(lines_of("list.jsonl")) == {"a.wav", "single.wav"}


@pytest.mark.parametrize("torn", [False, True])
def test_an_interrupted_catalogue_is_gone_on_with(run: Run, monkeypatch, torn: bool) -> None:
    album("a", "b", "c", "d")
    separate = Tiny._separate
    calls = []

    def interrupted(separator: Tiny, mixture: object) -> object:
        calls.append(mixture)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return separate(separator, mixture)

    with monkeypatch.context() as patch:
        patch.setattr(Tiny, "_separate", interrupted)
        assert run("separate", "album", "--manifest", "list.jsonl").code == 130
    assert set(lines_of("list.jsonl")) == {"a.wav", "b.wav"}
    if torn:  # killed while a line was written
        with Path("list.jsonl").open("a") as file:
            file.write('{"source": "/somewhere/c.w')
    before = times()
    assert run("separate", "album", "--manifest", "list.jsonl").code == 0
    assert set(lines_of("list.jsonl")) == {"a.wav", "b.wav", "c.wav", "d.wav"}
    assert before.items() <= times().items()


@pytest.mark.parametrize("content", ["my diary", "my diary\n", '{"sources": 3}\n', "[1]\n"])
def test_a_file_that_is_no_manifest_is_refused_and_kept(run: Run, content: str) -> None:
    Path("list.jsonl").write_text(content)
    outcome = run("separate", album("a"), "--manifest", "list.jsonl")
    assert outcome.code == 2
    assert "list.jsonl" in outcome.complaint
    assert Path("list.jsonl").read_text() == content
    assert files_in("stems") == []


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--engine", "dask"), ["'dask'", "local, ray"]),
        (("--workers", "-1"), ["-1"]),
        (("--address", "auto"), ["'auto'", "ray"]),
    ],
)
def test_a_wrong_engine_is_one_line(run: Run, options, parts) -> None:
    outcome = run("separate", song("song.wav"), *options)
    assert outcome.code == 2
    for part in parts:
        assert part in outcome.complaint
    assert files_in(".") == ["song.wav"]
