"""The synthesiser held against FluidSynth, where its library is installed."""

from __future__ import annotations

import numpy as np
import pytest

from soli.data.render.notes import TimedNote
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


def by_fluidsynth(notes: list[TimedNote], bank: int, program: int) -> np.ndarray:
    synth = fluidsynth.Synth(gain=0.5, samplerate=float(RATE))
    synth.setting("synth.reverb.active", 0)
    synth.setting("synth.chorus.active", 0)
    synth.program_select(9 if bank else 0, synth.sfload(str(embedded().path)), bank, program)
    events = [(note.start_seconds, 1, note) for note in notes] + [(note.end_seconds, 0, note) for note in notes]
    blocks, position = [], 0
    for time, starts, note in sorted(events, key=lambda event: event[:2]):
        blocks.append(synth.get_samples(round(time * RATE) - position))
        position = round(time * RATE)
        if starts:
            synth.noteon(9 if bank else 0, note.pitch, note.velocity)
        else:
            synth.noteoff(9 if bank else 0, note.pitch)
    blocks.append(synth.get_samples(SECONDS * RATE - position))
    synth.delete()
    return np.concatenate(blocks).reshape(-1, 2).mean(axis=1) / 2**15


def spectrogram(audio: np.ndarray) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(audio, 4096)[::1024]
    return np.abs(np.fft.rfft(frames * np.hanning(4096)))


@pytest.mark.parametrize(
    ("bank", "program"), [(0, 0), (0, 24), (0, 33), (0, 48), (0, 56), (0, 73), (0, 80), (DRUM_BANK, 0)]
)
def test_notes_sound_as_fluidsynth_plays_them(bank: int, program: int) -> None:
    notes = BEAT if bank else TUNE
    theirs = spectrogram(by_fluidsynth(notes, bank, program))
    ours = spectrogram(
        synthesise(
            notes, embedded(), bank=bank, program=program, sample_rate=RATE, n_samples=SECONDS * RATE, n_channels=1
        )[0]
    )
    likeness = (ours * theirs).sum() / np.sqrt((ours**2).sum() * (theirs**2).sum())
    assert likeness > 0.8  # low-frequency oscillators are left out
    levels = [np.log(spectrum.sum(axis=1) + 1e-3 * spectrum.sum(axis=1).max()) for spectrum in (ours, theirs)]
    assert np.corrcoef(*levels)[0, 1] > 0.9
