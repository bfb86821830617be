"""`soli prior`: learning an instrument from a folder of solos, and asking when it sounds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from command_line import files_in
from soli.cli.main import run

RATE = 8000
TINY = (
    "model.sample_rate=8000",
    "model.n_fft=512",
    "model.hop_length=128",
    "model.bands=[[32, 4], [16, 8]]",
    "model.n_features=8",
    "model.depths=[1]",
    "model.dilations=[1]",
    "model.n_mels=24",
    "model.n_blocks=2",
    "model.n_hidden=16",
    "model.n_layers=2",
    "mixing.segment_seconds=2.5",
    "training.steps=100",
    "training.ema=0.9",
    "training.learning_rate=0.01",
    "training.batch_size=2",
    "training.warmup=5",
    "training.n_workers=0",
)
SETTINGS = [part for value in TINY for part in ("--set", value)]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def note(frequency: float, seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return 0.3 * np.sin(2 * np.pi * frequency * time) * np.exp(-(time % 0.25) * 6)


def solos(folder: str, low: float, high: float, count: int = 4) -> Path:
    """Recordings of one instrument: half-second notes within a range of pitches."""
    rng = np.random.default_rng(round(low))
    Path(folder).mkdir()
    for number in range(count):
        tune = np.concatenate([note(rng.uniform(low, high), 0.5) for _ in range(12)])
        soundfile.write(f"{folder}/{number}.wav", tune, RATE)
    return Path(folder)


def train(instrument: str, folder: str, *options: str) -> int:
    return run(["prior", "train", folder, "--instrument", instrument, "--out", f"priors/{instrument}", *options])


def test_priors_are_learned_apart_plugged_in_and_asked(capsys) -> None:
    solos("tubas", 60, 200)
    solos("flutes", 1200, 3000)
    assert train("tuba", "tubas", "--bank", "flutes", *SETTINGS) == 0
    before = {name: Path(name).read_bytes() for name in files_in("priors")}
    assert train("flute", "flutes", "--bank", "tubas", *SETTINGS) == 0
    assert {name: Path(name).read_bytes() for name in before} == before
    song = np.concatenate([note(100, 4.0), note(100, 4.0) + note(2000, 4.0)])
    soundfile.write("song.wav", song, RATE)
    capsys.readouterr()

    assert run(["separate", "song.wav", "--model", "flowprior", "--priors", "priors/flute,priors/tuba"]) == 0
    stems = {name: soundfile.read(f"stems/song/{name}.wav")[0] for name in ("flute", "tuba")}
    residual = song - sum(stems.values())
    assert np.abs(residual).max() < 1e-3 or Path("stems/song/residual.wav").exists()
    half = len(song) // 2
    for name, true in {"tuba": note(100, 4.0), "flute": note(2000, 4.0)}.items():
        error = np.square(stems[name][half:] - true).sum() / np.square(song[half:] - true).sum()
        assert 10 * np.log10(error) < -6

    capsys.readouterr()
    assert run(["prior", "score", "song.wav", "--priors", "priors/flute,priors/tuba", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    starts = np.array(found["starts"])
    chances = {name: np.array(facts["probability"]) for name, facts in found["instruments"].items()}
    assert set(chances) == {"flute", "tuba"}
    first, second = starts + found["window_seconds"] < 4, (starts > 4) & (starts + found["window_seconds"] < 8)
    assert chances["flute"][second].min() > chances["flute"][first].max()
    assert run(["prior", "score", "song.wav", "--priors", "priors/tuba"]) == 0
    assert "of the time" in capsys.readouterr().out


def test_without_a_bank_the_prior_is_searched(capsys) -> None:
    solos("tubas", 60, 200, count=2)
    assert train("tuba", "tubas", *SETTINGS, "--set", "training.steps=2") == 0
    assert json.loads(Path("priors/tuba/config.json").read_text())["config"]["engine"] == "search"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["prior", "train", "nowhere", "--instrument", "tuba", "--out", "x"], "nowhere"),
        (["prior", "train", "empty", "--instrument", "tuba", "--out", "x"], "empty: no files"),
        (["prior", "train", "empty", "--instrument", "no/good", "--out", "x"], "instrument 'no/good'"),
        (["prior", "train", "empty", "--instrument", "tuba", "--out", "x", "--set", "speed=1"], "unknown key 'speed'"),
        (["separate", "song.wav", "--model", "flowprior", "--priors", "kazoo"], "unknown prior 'kazoo'"),
        (["separate", "song.wav", "--model", "rqvae", "--priors", "drums"], "--priors with --model rqvae"),
        (["prior", "score", "song.wav", "--priors", "kazoo"], "unknown prior 'kazoo'"),
        (["prior", "score", "song.wav", "--priors", "empty"], "config.json is missing"),
    ],
)
def test_what_the_user_can_mend_is_one_line(command: list[str], message: str, capsys) -> None:
    Path("empty").mkdir()
    soundfile.write("song.wav", note(100, 1.0), RATE)
    assert run(command) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert message in line
    assert files_in(".") == ["song.wav"]
