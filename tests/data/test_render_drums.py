"""Drum parts split into pieces: what sums to what, and what overheads hear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audio_fakes import noise, save
from soli.data.compose import compose
from soli.data.render.drums import DrumPreset, render_drums
from soli.data.render.hydrogen import read_kit
from soli.data.render.kits import Kit
from soli.data.render.notes import TimedNote, timed
from soli.data.render.pieces import KEYS, PERCUSSION, PIECES, overheads, piece_of, stand_in
from soli.data.render.soundfonts import embedded
from soli.data.render.synthesis import synthesise
from soli.errors import SoliError

RATE = 22050
LENGTH = 30 * RATE


@pytest.fixture(scope="module")
def preset() -> DrumPreset:
    return DrumPreset(embedded(), 0)


@pytest.fixture(scope="module")
def notes() -> tuple[TimedNote, ...]:
    """A composed part, and hits on pieces that it may not have."""
    song = compose(0, seconds=30.0)
    drums = next(part for part in song.parts if part.is_drum)
    more = [TimedNote(3 + 0.5 * n, 0.1, key, 90) for n, key in enumerate((51, 57, 54, 43, 55, 52, 81, 30))]
    return (*timed(drums, song.tempos), *more)


def together(notes: tuple[TimedNote, ...] | list[TimedNote], preset: DrumPreset) -> np.ndarray:
    options = {"bank": 128, "program": preset.program, "sample_rate": RATE, "n_samples": LENGTH}
    return synthesise(notes, preset.font, **options)


def write_kit(folder: Path) -> Kit:
    names = ("Kick", "Snare", "Tom Low", "Closed HH", "Open HH", "Ride", "Crash", "Cowbell")
    lines = []
    for index, name in enumerate(names):
        decay = torch.exp(-torch.arange(RATE) / (RATE / 5))
        save(folder / f"{index}.wav", noise(2, RATE, index) * decay, RATE, "FLOAT")
        lines.append(f"<instrument><name>{name}</name><filename>{index}.wav</filename></instrument>")
    body = f"<name>Noise</name><instrumentList>{''.join(lines)}</instrumentList>"
    (folder / "drumkit.xml").write_text(f"<drumkit_info>{body}</drumkit_info>")
    return read_kit(folder)


def test_every_key_belongs_to_one_piece() -> None:
    keys = [key for keys in KEYS.values() for key in keys]
    assert len(keys) == len(set(keys))
    assert {piece_of(key) for key in range(128)} == set(PIECES)
    named = {35: "kick", 40: "snare", 50: "toms", 46: "hi_hat", 53: "ride", 49: "crash_1", 57: "crash_2"}
    assert {key: piece_of(key) for key in named} == named
    assert {piece_of(key) for key in (27, 39, 54, 56, *range(60, 82), 87)} == {PERCUSSION}
    for key in (-1, 128):
        with pytest.raises(SoliError, match=f"percussion key {key}; allowed: 0 to 127"):
            piece_of(key)


def test_only_keys_of_the_same_piece_stand_in_and_only_where_needed() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        available = set(rng.choice(np.arange(35, 82), rng.integers(0, 12), replace=False).tolist())
        for key in range(128):
            found = stand_in(key, available)
            if key in available:
                assert found == key
            elif found is not None:
                assert found in available
                assert piece_of(found).partition("_")[0] == piece_of(key).partition("_")[0] != PERCUSSION
            else:
                assert available.isdisjoint(KEYS.get(piece_of(key), ()))
    assert stand_in(43, {41, 47, 50}) == 41
    assert stand_in(48, {41, 47, 50}) == 47
    assert stand_in(46, {42, 44}) == 42


def test_pieces_of_a_soundfont_sum_to_the_kit(notes: tuple[TimedNote, ...], preset: DrumPreset) -> None:
    pieces = render_drums(notes, preset, sample_rate=RATE, n_samples=LENGTH)
    assert tuple(pieces) == tuple(piece for piece in PIECES if piece in {piece_of(note.pitch) for note in notes})
    whole = together(notes, preset)
    residual = np.square(whole - sum(pieces.values()), dtype=np.float64).sum()
    assert residual < 1e-12 * np.square(whole, dtype=np.float64).sum()
    for piece, audio in pieces.items():
        assert audio.shape == (2, LENGTH)
        alone = together([note for note in notes if piece_of(note.pitch) == piece], preset)
        np.testing.assert_array_equal(audio, alone)


@pytest.mark.parametrize("length", [0.1, 2.0])  # seconds: the key is up before, or still down
def test_a_closed_hat_chokes_an_open_one_within_its_piece(preset: DrumPreset, length: float) -> None:
    opened, closed = TimedNote(0.0, length, 46, 110), TimedNote(0.25, 0.1, 42, 60)
    start = round((closed.start_seconds + 0.05) * RATE)

    def after(*notes: TimedNote) -> np.ndarray:
        return render_drums(notes, preset, sample_rate=RATE, n_samples=RATE)["hi_hat"][:, start:]

    choked = after(opened, closed) - after(closed)
    assert np.square(choked).sum() < 1e-4 * np.square(after(opened)).sum()


def test_pieces_of_a_sampled_kit_sum_to_its_hits(tmp_path: Path, notes: tuple[TimedNote, ...]) -> None:
    kit = write_kit(tmp_path)
    pieces = render_drums(notes, kit, sample_rate=RATE, n_samples=LENGTH)
    assert set(pieces) <= set(kit.pieces)
    assert "crash_2" not in pieces
    rest = [note for note in notes if piece_of(note.pitch) != "hi_hat"]
    heard = sum(audio for piece, audio in pieces.items() if piece != "hi_hat")
    expected = np.zeros((2, LENGTH))
    for note in rest:
        key = stand_in(note.pitch, kit.instruments)
        if key is not None:
            sample = noise(2, RATE, (36, 38, 45, 42, 46, 51, 49, 56).index(key)).numpy()
            start = round(note.start_seconds * RATE)
            sample = sample * np.exp(-np.arange(RATE) / (RATE / 5))
            expected[:, start : start + RATE] += note.velocity / 127 * sample[:, : LENGTH - start]
    np.testing.assert_allclose(heard, expected, atol=1e-5)


def test_no_notes_are_no_pieces(tmp_path: Path, preset: DrumPreset) -> None:
    assert render_drums([], preset, sample_rate=RATE, n_samples=100) == {}
    assert render_drums([], write_kit(tmp_path), sample_rate=RATE, n_samples=100) == {}
    with pytest.raises(SoliError, match="no preset in bank 128 for program 99"):
        render_drums([TimedNote(0, 1, 36, 90)], DrumPreset(embedded(), 99), sample_rate=RATE, n_samples=100)


@pytest.mark.parametrize("rate", [22050, 44100])
def test_overheads_hear_cymbals_in_full_with_a_high_shelf(rate: int) -> None:
    click = np.zeros((2, rate), np.float32)
    click[:, 1000] = [1.0, 0.5]
    heard = overheads({"ride": click}, rate)
    delay = round(rate / 343)  # one metre
    frequencies = np.fft.rfftfreq(rate, 1 / rate)
    response = np.fft.rfft(heard[0]) * np.exp(2j * np.pi * frequencies * (1000 + delay) / rate)
    shelf = 1 + (10 ** (3 / 20) - 1) * frequencies**2 / (frequencies**2 + 6000**2)
    np.testing.assert_allclose(response, shelf, atol=1e-4)
    np.testing.assert_allclose(heard[1], 0.5 * heard[0], atol=1e-7)


def test_overheads_hear_drums_later_and_quieter() -> None:
    swell = (np.hanning(4000) * np.ones((2, 1))).astype(np.float32)  # far below the shelf
    audio = np.pad(swell, ((0, 0), (1000, 3000)))
    peaks = {piece: overheads({piece: audio}, 44100)[0] for piece in PIECES}
    levels = {piece: float(heard.max()) for piece, heard in peaks.items()}
    delays = {piece: int(heard.argmax()) for piece, heard in peaks.items()}
    for cymbal in ("hi_hat", "ride", "crash_1", "crash_2"):
        assert levels[cymbal] == pytest.approx(1, abs=1e-3)
    assert levels["kick"] < levels["snare"] < 1
    assert levels["toms"] == pytest.approx(0.5, abs=1e-3)
    assert delays["ride"] < delays["toms"] < delays["snare"] < delays["kick"]
    assert (delays["kick"] - audio[0].argmax()) / 44.1 < 10  # milliseconds


def test_overheads_are_linear_and_always_the_same() -> None:
    pieces = {piece: noise(2, 5000, seed).numpy() for seed, piece in enumerate(PIECES)}
    whole = overheads(pieces, RATE)
    assert whole.shape == (2, 5000)
    assert whole.dtype == np.float32
    apart = sum(overheads({piece: audio}, RATE) for piece, audio in pieces.items())
    np.testing.assert_allclose(whole, apart, atol=1e-6)
    np.testing.assert_array_equal(whole, overheads(pieces, RATE))
    assert not overheads({"kick": np.ones((2, 20), np.float32)}, RATE).any()  # over before the sound is there


@pytest.mark.parametrize("names", [[], ["drums"], ["kick", "gong"]])
def test_overheads_of_something_else_are_refused(names: list[str]) -> None:
    with pytest.raises(SoliError, match=r"overheads of .*; allowed: one or more of kick, snare"):
        overheads({name: np.zeros((2, 10), np.float32) for name in names}, RATE)
