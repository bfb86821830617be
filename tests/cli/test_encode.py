"""`soli encode` and `soli decode`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from command_line import Run, files_in, song
from rqvae_models import RATE, modern
from soli import zoo
from soli.codes import read_codes
from tiny import CARD

SOURCES = ("bass", "drums", "guitar", "piano")


@pytest.fixture
def model(run: Run, monkeypatch, tmp_path) -> Path:
    """A small codec that is bundled as `rqvae`."""
    separator = modern()
    separator.network.quantizer.ready.fill_(True)
    monkeypatch.setattr(zoo, "SYSTEMS", {**zoo.SYSTEMS, ("rqvae", "modern"): "soli.systems.rqvae.separator:RQVAE"})
    monkeypatch.setattr(zoo, "BUNDLED", {**zoo.BUNDLED, "rqvae": "rqvae"})
    return zoo.save(separator, tmp_path / "weights" / "rqvae", CARD)


def test_a_song_becomes_codes_and_stems(run: Run, model: Path) -> None:
    outcome = run("encode", song("album/song.wav", seconds=1.5))
    assert (outcome.code, outcome.err) == (0, "")
    codes = read_codes("song.soli").codes
    assert codes.shape[:2] == (4, 3)
    size = Path("song.soli").stat().st_size
    rate = 4 * 3 * 5 * RATE / 128 / 1000
    for part in ("4 x 3 codebooks of 32", f"{codes.shape[-1]} frames", f"{size} bytes", f"{rate:.1f} kbit/s in all"):
        assert part in outcome.out
    assert f"{rate / 4:.1f} per stem" in outcome.out
    outcome = run("decode", "song.soli")
    assert (outcome.code, outcome.err) == (0, "")
    assert files_in("stems") == [f"stems/song/{source}.wav" for source in SOURCES]
    for path in files_in("stems"):
        info = soundfile.info(path)
        assert (info.frames, info.samplerate, info.channels) == (round(1.5 * RATE), RATE, 1)
        assert path in outcome.out


def test_options_reach_the_files(run: Run, model: Path) -> None:
    made = run("encode", song("song.wav"), "-o", "out/a.soli", "-m", model, "--device", "cpu", "--json")
    facts = json.loads(made.out)
    assert (facts["path"], facts["n_bytes"]) == ("out/a.soli", Path("out/a.soli").stat().st_size)
    assert facts["bits_per_second"] == 4 * 3 * 5 * RATE / 128
    options = ("--format", "flac", "--filename", "{stem}-{track}.{ext}", "--levels", "1", "--json")
    done = json.loads(run("decode", "out/a.soli", "-o", "out", *options).out)
    assert sorted(done["paths"].values()) == files_in("out")[1:] == [f"out/{source}-a.flac" for source in SOURCES]
    assert run("decode", "out/a.soli", "-o", "all").code == 0
    few, all_levels = soundfile.read("out/bass-a.flac")[0], soundfile.read("all/a/bass.wav")[0]
    assert np.abs(few - all_levels).max() > 1e-3


def test_a_model_in_this_very_folder_has_a_name(run: Run, model: Path, tmp_path, monkeypatch) -> None:
    assert run("encode", song("song.wav"), "-o", tmp_path / "a.soli").code == 0
    monkeypatch.chdir(model)
    out = tmp_path / "out"
    assert run("decode", tmp_path / "a.soli", "-m", ".", "-o", out, "--filename", "{model}/{stem}.{ext}").code == 0
    assert files_in(out) == [f"{out}/rqvae/{source}.wav" for source in SOURCES]
    assert run("encode", tmp_path / "place" / "song.wav", "-m", ".", "-o", tmp_path / "b.soli").code == 0
    assert read_codes(tmp_path / "b.soli").model == "rqvae"


def test_older_files_are_replaced(run: Run, model: Path) -> None:
    Path("song.soli").write_text("old")
    Path("stems/song").mkdir(parents=True)
    Path("stems/song/bass.wav").write_text("old")
    assert run("encode", song("song.wav")).code == 0
    assert run("decode", "song.soli").code == 0
    assert soundfile.info("stems/song/bass.wav").frames == RATE // 2


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("encode", "song.wav", "-m", "nothing"), ["'nothing'", "rqvae"]),
        (("encode", "song.wav", "-m", "default"), ["'default' has no codes"]),
        (("encode", "missing.wav"), ["missing.wav"]),
        (("encode", "empty.wav"), ["empty.wav", "empty"]),
        (("encode", "song.wav", "-o", "folder"), ["folder"]),
        (("encode", "song.wav", "-o", "song.wav"), ["song.wav", "own recording"]),
        (("encode", "song.wav", "-o", "empty.wav/a.soli"), ["empty.wav"]),
        (("encode", "song.wav", "-o", f"{'x' * 300}.soli"), ["xxx.soli", "cannot be written"]),
        (("encode", "song.wav", "-o", f"new/{'x' * 300}/a.soli"), ["a.soli", "cannot be written"]),
        (("encode", "song.wav", "--device", "gpu"), ["'gpu'"]),
        (("decode", "missing.soli"), ["missing.soli"]),
        (("decode", "song.wav"), ["song.wav", "not a file of codes"]),
        (("decode", "codes.soli", "-m", "default"), ["codes.soli", "'rqvae'", "'default'", "--model"]),
        (("decode", "codes.soli", "-m", "nothing"), ["'nothing'"]),
        (("decode", "codes.soli", "--levels", "0"), ["levels=0", "1 to 3"]),
        (("decode", "codes.soli", "--levels", "4"), ["levels=4", "1 to 3"]),
        (("decode", "codes.soli", "--format", "wma"), ["'wma'"]),
        (("decode", "codes.soli", "--filename", "{track}.{ext}"), ["{stem}"]),
        (("decode", "cut.soli"), ["cut.soli", "truncated"]),
        (("decode", "codes.soli", "-o", "empty.wav"), ["empty.wav"]),
    ],
)
def test_a_mistake_gets_one_line_and_leaves_nothing(run: Run, model: Path, arguments, parts) -> None:
    song("song.wav")
    Path("empty.wav").touch()
    Path("folder").mkdir()
    assert run("encode", "song.wav", "-o", "codes.soli").code == 0
    Path("cut.soli").write_bytes(Path("codes.soli").read_bytes()[:-10])
    before = files_in(".")
    outcome = run(*arguments)
    assert outcome.code == 2
    for part in parts:
        assert part in outcome.complaint
    assert outcome.out == ""
    assert files_in(".") == before


def test_without_the_bundled_model_both_say_so(run: Run, model: Path, monkeypatch) -> None:
    assert run("encode", song("song.wav")).code == 0
    monkeypatch.setattr(zoo, "BUNDLED", {"default": "tiny"})
    for arguments in (("encode", "song.wav"), ("decode", "song.soli")):
        assert "unknown model 'rqvae'; available: default" in run(*arguments).complaint
