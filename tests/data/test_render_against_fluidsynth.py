"""The synthesiser held against FluidSynth, and FluidSynth in its place, where its library is installed."""

from __future__ import annotations

import numpy as np
import pytest

from soli.data.compose import compose
from soli.data.render.fluid import synthesise_with_fluidsynth
from soli.data.render.notes import TimedNote
from soli.data.render.palette import Palette
from soli.data.render.song import RenderConfig, render_song
from soli.data.render.soundfonts import DRUM_BANK, embedded
from soli.data.render.synthesis import synthesise

RATE, SECONDS = 44100, 3
try:
    import fluidsynth
except ImportError:  # the package, or the library it binds
    fluidsynth = None
pytestmark = pytest.mark.skipif(fluidsynth is None, reason="libfluidsynth is not installed")

TUNE = [TimedNote(0.1 + 0.45 * index, 0.4, 48 + 5 * index, 60 + 10 * index) for index in range(5)]
BEAT = [TimedNote(0.1 + 0.25 * index, 0.1, key, 100) for index, key in enumerate((36, 42, 38, 46, 42, 36, 49, 45, 38))]


def spectrogram(audio: np.ndarray) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(audio, 4096)[::1024]
    return np.abs(np.fft.rfft(frames * np.hanning(4096)))


@pytest.mark.parametrize(
    ("bank", "program"), [(0, 0), (0, 24), (0, 33), (0, 48), (0, 56), (0, 73), (0, 80), (DRUM_BANK, 0)]
)
def test_notes_sound_as_fluidsynth_plays_them(bank: int, program: int) -> None:
    notes = BEAT if bank else TUNE
    settings = {"bank": bank, "program": program, "sample_rate": RATE, "n_samples": SECONDS * RATE, "n_channels": 1}
    ours, theirs = (
        spectrogram(play(notes, embedded(), **settings)[0]) for play in (synthesise, synthesise_with_fluidsynth)
    )
    likeness = (ours * theirs).sum() / np.sqrt((ours**2).sum() * (theirs**2).sum())
    assert likeness > 0.8  # low-frequency oscillators are left out
    levels = [np.log(spectrum.sum(axis=1) + 1e-3 * spectrum.sum(axis=1).max()) for spectrum in (ours, theirs)]
    assert np.corrcoef(*levels)[0, 1] > 0.9


def test_it_can_play_a_song() -> None:
    song = compose(3, "rock", 20.0)
    ours, theirs = (
        render_song(
            song.parts, song.tempos, Palette(), RenderConfig(sample_rate=22050, synthesizer=name), seed=1, seconds=6.0
        )
        for name in ("soli", "fluidsynth")
    )
    assert [stem.recipe["preset"] for stem in ours.stems] == [stem.recipe["preset"] for stem in theirs.stems]
    for one, other in zip(ours.stems, theirs.stems, strict=True):
        assert one.audio.shape == other.audio.shape
        levels = [np.log10(np.square(stem.audio).sum()) for stem in (one, other)]
        assert abs(levels[0] - levels[1]) < 0.4  # both were brought to one loudness
        assert not np.array_equal(one.audio, other.audio)
