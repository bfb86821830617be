import shutil
import sys
from pathlib import Path

import pytest

from soli.data.compose import STYLES, Song, compose, compose_with_mma, to_midi
from soli.data.compose.harmony import _MAJOR_QUALITIES, _MINOR_QUALITIES
from soli.data.compose.mma import _SUFFIXES, GROOVES, mma_chart
from soli.errors import SoliError


def install_fake(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """A program called mma that runs this Python instead."""
    script = folder / "mma"
    script.write_text(f"#!{sys.executable}\nimport shutil, sys\n{body}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def in_metre(name: str) -> Song:
    songs = (compose(seed, "ballad", seconds=30) for seed in range(60))
    return next(song for song in songs if song.metre.name == name)


def test_every_style_has_a_groove_and_every_chord_a_name():
    assert set(GROOVES) == set(STYLES)
    assert {*_MAJOR_QUALITIES.values(), *_MINOR_QUALITIES.values()} == set(_SUFFIXES)


@pytest.mark.parametrize(("metre", "beats"), [("4/4", 4), ("3/4", 3), ("6/8", 4)])
def test_the_chart_has_a_line_per_bar_and_a_word_per_beat(metre: str, beats: int):
    song = in_metre(metre)
    bars = [line.split() for line in mma_chart(song).splitlines()[3:]]
    assert [int(bar[0]) for bar in bars] == list(range(1, len(bars) + 1))
    assert len(bars) == sum(section.n_bars for section in song.sections)
    assert all(len(bar) == beats + 1 and bar[1] != "/" for bar in bars)
    assert sum(word != "/" for bar in bars for word in bar[1:]) <= len(song.chords)


def test_without_the_program_its_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SoliError, match="apt install mma"):
        compose_with_mma(0, seconds=20)


def test_what_the_program_plays_replaces_the_band_and_keeps_the_tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    band = compose(5, "rock", seconds=20)
    (tmp_path / "canned.mid").write_bytes(to_midi(band))
    install_fake(tmp_path, monkeypatch, f"shutil.copy({str(tmp_path / 'canned.mid')!r}, sys.argv[2])")
    ours = compose(0, "pop", seconds=20)
    song = compose_with_mma(0, "pop", seconds=20)
    tunes = [part for part in ours.parts if part.name in ("lead", "vocals")]
    assert tunes
    assert list(song.parts[-len(tunes) :]) == tunes
    assert [part.program for part in song.parts[: -len(tunes)]] == [part.program for part in band.parts]
    assert song.tempos == ours.tempos


def test_a_refusal_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    install_fake(tmp_path, monkeypatch, "print('Warning: x'); print('Error: no such groove'); sys.exit(1)")
    with pytest.raises(SoliError, match="mma refused the chart of seed 0: Error: no such groove"):
        compose_with_mma(0, seconds=20)


@pytest.mark.skipif(shutil.which("mma") is None, reason="mma is not installed")
def test_the_real_program_plays_every_style_to_its_end():
    for style in STYLES:
        song = compose_with_mma(0, style, seconds=20)
        assert len(song.parts) >= 3
        assert any(part.is_drum for part in song.parts)
        assert max(note.end_beats for part in song.parts for note in part.notes) > song.end_beats - 4
