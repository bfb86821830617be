"""`soli prior`: learning an instrument from a folder of solos, and asking when it sounds."""

from __future__ import annotations

import hashlib
import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from command_line import files_in
from soli import zoo
from soli.cli.main import run
from soli.systems.flowprior.config import FlowPriorConfig
from soli.systems.flowprior.separator import FlowPrior

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
    "training.precision=no",
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
    command = ["prior", "score", "song.wav", "--priors", "priors/flute,priors/tuba", "--json"]
    assert run([*command, "--report", "pages/song.html"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["report"] == "pages/song.html"
    check_page("pages/song.html", found)
    starts = np.array(found["starts"])
    chances = {name: np.array(facts["probability"]) for name, facts in found["instruments"].items()}
    assert set(chances) == {"flute", "tuba"}
    first, second = starts + found["window_seconds"] < 4, (starts > 4) & (starts + found["window_seconds"] < 8)
    assert chances["flute"][second].min() > chances["flute"][first].max()
    assert run(["prior", "score", "song.wav", "--priors", "priors/tuba", "--report", "pages/song.html"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert "of the time" in told[0]
    assert told[-1].strip() == "pages/song.html"
    assert "flute" not in Path("pages/song.html").read_text()  # the older page was replaced


def check_page(path: str, found: dict) -> None:
    """The page shows what `--json` prints, and what it came from."""
    page = Path(path).read_text(encoding="utf-8")
    seconds, middle = found["seconds"], found["window_seconds"] / 2
    assert seconds == pytest.approx(8.0)
    for name, facts in found["instruments"].items():
        section = page.partition(f"<h2>{name}</h2>")[2].partition("</section>")[0]
        first = re.findall(r' d="M(.*?)"', section)[0]
        points = np.array([point.split(",") for point in first.split()], float)
        np.testing.assert_allclose(points[:, 0], 1000 * (np.array(found["starts"]) + middle) / seconds, atol=0.051)
        np.testing.assert_allclose(points[:, 1], 200 * (1 - np.array(facts["probability"])), atol=0.051)
        ground = re.findall(r'<rect x="([\d.]+)" y="0" width="([\d.]+)"', section)
        spans = [(1000 * start / seconds, 1000 * (end - start) / seconds) for start, end in facts["spans"]]
        np.testing.assert_allclose(np.array(ground, float).reshape(-1, 2), np.reshape(spans, (-1, 2)), atol=0.051)
        assert all(0 <= start < end <= seconds for start, end in facts["spans"])
        assert f"<dt>SHA-256 of {name}</dt><dd>{digest(f'priors/{name}/model.safetensors')}</dd>" in page
    manifest = json.loads(unescape(re.findall(r'<pre id="manifest">(.*?)</pre>', page, flags=re.DOTALL)[0]))
    assert manifest["input"]["sha256"] == digest("song.wav")
    assert manifest["model"]["config"]["sources"] == ["flute", "tuba"]
    assert set(manifest["priors"]) == {"flute", "tuba"}
    assert set(manifest["versions"]) >= {"soli", "torch"}


def digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_a_foreign_page_is_refused_before_any_work(capsys, monkeypatch) -> None:
    Path("notes.html").write_text("<p>mine</p>")
    soundfile.write("song.wav", note(100, 1.0), RATE)
    monkeypatch.setattr("soli.zoo.load", lambda *_: pytest.fail("a model was loaded"))
    for name, message in (("notes.html", "no page of soli's"), ("page.json", "ends in .html"), (".", ".html")):
        assert run(["prior", "score", "song.wav", "--priors", "nowhere", "--report", name]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert Path("notes.html").read_text() == "<p>mine</p>"
    assert files_in(".") == ["notes.html", "song.wav"]


def test_without_a_bank_the_prior_is_searched(capsys) -> None:
    solos("tubas", 60, 200, count=2)
    assert train("tuba", "tubas", *SETTINGS, "--set", "training.steps=2") == 0
    assert json.loads(Path("priors/tuba/config.json").read_text())["config"]["engine"] == "search"


def test_a_model_is_cut_into_folders(capsys) -> None:
    torch.manual_seed(0)
    config = FlowPriorConfig(
        sources=("808", "flute"), sample_rate=RATE, n_features=8, depths=(1,), n_mels=24, n_blocks=2, n_hidden=16
    )
    zoo.save(FlowPrior(config), "model", "---\nlicence: CC0-1.0\nsummary: two of them\n---\n\nMade here.\n")
    assert run(["prior", "split", "model", "--out", "priors"]) == 0
    assert capsys.readouterr().out.splitlines() == ["priors/808", "priors/flute"]
    assert zoo.model_info("flowprior:priors/flute,priors/808").sources == ("flute", "808")
    assert "Made here." in Path("priors/808/card.md").read_text()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["prior", "train", "nowhere", "--instrument", "tuba", "--out", "x"], "nowhere"),
        (["prior", "train", "empty", "--instrument", "tuba", "--out", "x"], "empty: no files"),
        (["prior", "train", "empty", "--instrument", "no/good", "--out", "x"], "instrument 'no/good'"),
        (["prior", "train", "empty", "--instrument", "808", "--out", "x"], "empty: no files"),
        (["prior", "train", "empty", "--instrument", "residual", "--out", "x"], "instrument 'residual'"),
        (["prior", "train", "empty", "--instrument", "tuba", "--out", "x", "--set", "speed=1"], "unknown key 'speed'"),
        (["prior", "train", "empty", "--instrument", "tuba", "--out", "song.wav"], "song.wav: cannot be written"),
        (["prior", "split", "nowhere", "--out", "x"], "unknown model 'nowhere'"),
        (["prior", "split", "default", "--out", "x"], "allowed: one of flowprior"),
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
