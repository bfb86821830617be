from __future__ import annotations

import importlib.util
import math
import re
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch

from soli import zoo
from soli.cli.demo import example_song, run, true_stems
from soli.errors import SoliError
from soli.systems.classcond.config import ClassCondConfig
from soli.systems.classcond.separator import ClassCond
from tiny import CARD, Tiny, TinyConfig

RATE = 44100
NAMES = ("drums", "bass", "other", "vocals")


@pytest.fixture(autouse=True)
def default_model(monkeypatch, tmp_path):
    """A default model that returns four fixed shares of the mixture."""
    monkeypatch.setattr(zoo, "SYSTEMS", {("tiny", "paper"): "tiny:Tiny"})
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(zoo, "BUNDLED", {"default": "tiny"})
    tiny = Tiny(TinyConfig(sources=NAMES))
    with torch.no_grad():
        tiny.shares.copy_(torch.tensor([0.4, 0.3, 0.2, 0.1]).log())
    zoo.save(tiny, tmp_path / "weights" / "tiny", CARD)


@pytest.fixture
def package(monkeypatch, tmp_path) -> Path:
    """A package that, as the real one, cannot be imported here but holds a file of five streams."""
    folder = tmp_path / "site" / "stempeg"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('FFmpeg is missing')\n")
    time = np.arange(RATE) / RATE
    stems = [0.15 * np.sin(2 * np.pi * f * time) * np.ones((2, 1)) for f in (300, 700, 1500, 4000)]
    write_streams(folder / "data" / "A Song.stem.mp4", [sum(stems), *stems])
    monkeypatch.syspath_prepend(str(folder.parent))
    importlib.invalidate_caches()
    return folder


def write_streams(path: Path, signals: list[np.ndarray]) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        streams = [container.add_stream("aac", rate=RATE, layout="stereo") for _ in signals]
        for stream, signal in zip(streams, signals, strict=True):
            signal = np.ascontiguousarray(signal, dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(signal, format="fltp", layout="stereo")
            frame.sample_rate = RATE
            for packet in (*stream.encode(frame), *stream.encode(None)):
                container.mux(packet)


def test_the_demo_measures_writes_and_reports(package, tmp_path, capsys):
    assert run(["-o", str(tmp_path / "out")]) == 0
    folder = tmp_path / "out" / "A Song"
    assert {path.name for path in folder.iterdir()} >= {*(f"{name}.wav" for name in NAMES), "report.html"}
    shown = capsys.readouterr().out
    # a share w of a mixture of four equal stems: error (1 - w)^2 + 3 w^2; the mixture itself: 3
    for name, share in zip(NAMES, (0.4, 0.3, 0.2, 0.1), strict=True):
        due = -10 * math.log10((1 - share) ** 2 + 3 * share**2)
        row = re.search(rf"^{name} +(-?[\d.]+) dB +(-?[\d.]+) dB", shown, re.MULTILINE)
        assert row is not None, shown
        assert float(row[1]) == pytest.approx(due, abs=0.15)
        assert float(row[2]) == pytest.approx(-10 * math.log10(3), abs=0.15)
    assert "real-time factor" in shown
    assert str(folder / "report.html") in shown
    assert "Measured against the true stems" in (folder / "report.html").read_text()


def test_a_song_of_ones_own_has_no_truth_columns(tmp_path, capsys):
    song = tmp_path / "mine.wav"
    soundfile.write(song, 0.1 * np.random.default_rng(0).standard_normal((4000, 1)), 8000)
    assert run([str(song), "-o", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "SDR" not in shown
    assert "real-time factor" in shown
    page = (tmp_path / "out" / "mine" / "report.html").read_text()
    assert "Measured against" not in page
    assert 'href="drums.wav"' in page


def test_the_embedding_of_the_default_model_is_drawn_and_queried(package, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.syspath_prepend(str(package.parent))
    importlib.invalidate_caches()
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(zoo, "BUNDLED", {"default": "small"})
    config = ClassCondConfig(
        n_fft=512, hop_length=128, bands=((8, 8), (4, 48)), n_features=8, depths=(1, 1), dilations=(1,),
        embedding_size=4, refinement_features=4, refined_groups=1, sample_rate=8000,
    )  # fmt: skip
    zoo.save(ClassCond(config), tmp_path / "weights" / "small", CARD)
    assert run(["-o", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "A Song" / "report.html").read_text()
    for heading in ("The embedding space", "One dimension of the embedding", "Query by example"):
        assert heading in page
    assert "3 s of the true drums" in page


def test_the_song_is_found_without_importing_the_package(package):
    assert example_song().name == "A Song.stem.mp4"


def test_a_missing_package_is_named(monkeypatch, capsys):
    monkeypatch.setattr("soli.cli.demo.find_spec", lambda name: None)
    assert run([]) == 2
    assert "pip install stempeg" in one_line(capsys)


def test_a_missing_song_is_one_line_and_leaves_nothing(tmp_path, capsys):
    assert run([str(tmp_path / "absent.mp3"), "-o", str(tmp_path / "out")]) == 2
    assert "absent.mp3" in one_line(capsys)
    assert not (tmp_path / "out").exists()


def test_an_unknown_option_is_one_line(capsys):
    assert run(["--loud"]) == 2
    assert "--loud" in one_line(capsys)


def test_true_stems_need_five_streams(tmp_path):
    path = tmp_path / "two.stem.mp4"
    write_streams(path, [np.zeros((2, 2000))] * 2)
    with pytest.raises(SoliError, match="2 audio streams"):
        true_stems(path)


def one_line(capsys) -> str:
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error
