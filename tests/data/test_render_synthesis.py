from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from soli.data.compose import INSTRUMENTS, Note, Part
from soli.data.compose.score import Tempo, seconds_at
from soli.data.render.notes import TimedNote, timed
from soli.data.render.sizes import fast_pair
from soli.data.render.soundfonts import DRUM_BANK, SoundFont, embedded, open_soundfont
from soli.data.render.synthesis import synthesise, tail_seconds
from soli.errors import SoliError
from soundfont_maker import EXCLUSIVE, KEYS, PAN, RELEASE, VELOCITIES, Sound, sine, span, timecents, write_soundfont

RATE = 44100


def play(font: SoundFont, notes: list[TimedNote], *, bank: int = 0, program: int = 0, **options: int) -> np.ndarray:
    settings = {"sample_rate": RATE, "n_samples": RATE, **options}
    return synthesise(notes, font, bank=bank, program=program, **settings)


def peak_frequency(audio: np.ndarray, rate: int = RATE) -> float:
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 1 << 19))
    best = int(spectrum.argmax())
    left, middle, right = spectrum[best - 1 : best + 2]
    return (best + 0.5 * (left - right) / (left - 2 * middle + right)) * rate / (1 << 19)


def period_frequency(audio: np.ndarray, low: float, high: float) -> float:
    """The pitch between two frequencies, by autocorrelation."""
    power = np.abs(np.fft.rfft(audio - audio.mean(), 1 << 18)) ** 2
    correlation = np.fft.irfft(power)
    lags = np.arange(round(RATE / high), round(RATE / low))
    best = lags[correlation[lags].argmax()]
    left, middle, right = correlation[best - 1 : best + 2]
    return RATE / (best + 0.5 * (left - right) / (left - 2 * middle + right))


@pytest.fixture
def looped(tmp_path: Path) -> SoundFont:
    """An A at 440 Hz that never ends: 441 samples hold 4.41 periods, so the loop is of 2205, 22 periods."""
    tone = 0.5 * sine(440.0, seconds=0.1)
    generators = [(RELEASE, timecents(0.5))]
    path = write_soundfont(tmp_path / "f.sf2", {(0, 0, "A"): [Sound(tone, loop=(2205, 4410), generators=generators)]})
    return open_soundfont(path)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
@pytest.mark.parametrize("pitch", [45, 60, 69, 70, 81])
def test_a_key_sounds_at_its_frequency(looped: SoundFont, rate: int, pitch: int) -> None:
    audio = play(looped, [TimedNote(0.0, 1.0, pitch, 127)], sample_rate=rate, n_samples=rate)
    expected = 440 * 2 ** ((pitch - 69) / 12)
    assert peak_frequency(audio[0], rate) == pytest.approx(expected, rel=3e-4)  # half a cent


def test_a_looped_tone_is_a_pure_tone_beyond_its_sample(looped: SoundFont) -> None:
    audio = play(looped, [TimedNote(0.0, 1.0, 69, 127)], n_channels=1)[0, 4410:40000]
    clock = np.arange(len(audio)) / RATE
    basis = np.stack([np.sin(2 * np.pi * 440 * clock), np.cos(2 * np.pi * 440 * clock)])
    rest = audio - np.linalg.lstsq(basis.T, audio, rcond=None)[0] @ basis
    assert np.std(rest) < 0.01 * np.std(audio)


def test_what_lies_above_half_the_rate_is_gone_and_does_not_fold_back(tmp_path: Path) -> None:
    tone = 0.5 * sine(9000.0)
    font = open_soundfont(write_soundfont(tmp_path / "f.sf2", {(0, 0, "High"): [Sound(tone)]}))
    notes = [TimedNote(0.0, 0.4, 69, 127)]
    assert np.abs(play(font, notes)[0, 1000:15000]).max() > 0.1
    assert np.abs(play(font, notes, sample_rate=16000, n_samples=16000)[0, 500:6000]).max() < 1e-3


def test_onsets_are_where_the_notes_are(looped: SoundFont) -> None:
    starts = [0.1, 0.35, 0.612]
    audio = play(looped, [TimedNote(start, 0.05, 69, 127) for start in starts])
    for start in starts:
        at = round(start * RATE)
        before, after = np.abs(audio[0, at - 200 : at]).max(), np.abs(audio[0, at : at + 100]).max()
        assert after > 0.3
        assert before < 0.02 * after
    single = play(looped, [TimedNote(0.0, 0.05, 69, 127)])
    np.testing.assert_allclose(audio[:, RATE // 10 : RATE // 10 + 9000], single[:, :9000], atol=1e-6)


def test_notes_add(looped: SoundFont) -> None:
    first, second = TimedNote(0.0, 0.3, 60, 90), TimedNote(0.1, 0.7, 64, 50)
    both = play(looped, [second, first])
    np.testing.assert_allclose(both, play(looped, [first]) + play(looped, [second]), atol=1e-6)


def test_velocity_is_a_gain_by_its_square(looped: SoundFont) -> None:
    loud, soft = (play(looped, [TimedNote(0.0, 0.5, 69, velocity)]) for velocity in (127, 64))
    np.testing.assert_allclose(soft, loud * (64 / 127) ** 2, atol=1e-6)


def test_a_release_falls_evenly_to_minus_100_db_in_its_time(looped: SoundFont) -> None:
    audio = play(looped, [TimedNote(0.0, 0.2, 69, 127)], n_channels=1)[0]
    held, half = (np.std(audio[round(at * RATE) : round(at * RATE) + 1002]) for at in (0.15, 0.2 + 0.2))
    seconds = 0.2 + 0.5 * 1002 / RATE
    assert 20 * np.log10(half / held) == pytest.approx(-100 * seconds / 0.5, abs=1.0)
    assert not audio[round(0.61 * RATE) :].any()
    assert tail_seconds(looped, bank=0, program=0) == pytest.approx(0.4, rel=0.01)  # -80 dB counts as silence


def test_velocity_and_key_choose_the_zone(tmp_path: Path) -> None:
    sounds = [
        Sound(0.5 * sine(300.0), generators=[(VELOCITIES, span(0, 63))]),
        Sound(0.5 * sine(900.0), generators=[(VELOCITIES, span(64, 127)), (KEYS, span(0, 70))]),
    ]
    font = open_soundfont(write_soundfont(tmp_path / "f.sf2", {(0, 0, "Layers"): sounds}))
    for velocity, frequency in ((20, 300.0), (63, 300.0), (64, 900.0), (127, 900.0)):
        audio = play(font, [TimedNote(0.0, 0.4, 69, velocity)], n_samples=RATE // 3)
        assert peak_frequency(audio[0]) == pytest.approx(frequency, rel=1e-3)
    assert not play(font, [TimedNote(0.0, 0.4, 71, 127)]).any()


def test_pan_moves_a_zone_and_keeps_its_power(tmp_path: Path) -> None:
    presets = {
        (0, program, "Pan"): [Sound(0.5 * sine(440.0), generators=[(PAN, pan)])]
        for program, pan in enumerate((0, -500, 500, 250))
    }
    font = open_soundfont(write_soundfont(tmp_path / "f.sf2", presets))
    power = []
    for program in range(4):
        audio = play(font, [TimedNote(0.0, 0.4, 69, 127)], program=program)
        power.append(np.square(audio).sum(axis=1))
        mono = play(font, [TimedNote(0.0, 0.4, 69, 127)], program=program, n_channels=1)
        np.testing.assert_allclose(mono[0], audio.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(np.sum(power, axis=1), np.sum(power[0]), rtol=1e-4)
    assert power[0][0] == pytest.approx(power[0][1])
    assert power[1][1] < 1e-9
    assert power[2][0] < 1e-9
    assert power[3][0] < power[3][1]


def test_a_closed_hi_hat_ends_an_open_one(tmp_path: Path) -> None:
    generators = [(EXCLUSIVE, 1), (RELEASE, timecents(3.0))]
    sounds = [
        Sound(0.5 * sine(500.0, seconds=1.0), root=46, generators=[(KEYS, span(46, 46)), *generators]),
        Sound(0.5 * sine(3000.0, seconds=0.05), root=42, generators=[(KEYS, span(42, 42)), *generators]),
    ]
    font = open_soundfont(write_soundfont(tmp_path / "f.sf2", {(128, 0, "Hats"): sounds}))
    opened, closed = TimedNote(0.0, 0.9, 46, 127), TimedNote(0.3, 0.05, 42, 127)
    alone = play(font, [opened], bank=128)
    both = play(font, [opened, closed], bank=128)
    np.testing.assert_allclose(both[:, : round(0.3 * RATE)], alone[:, : round(0.3 * RATE)], atol=1e-6)
    assert np.abs(alone[:, round(0.4 * RATE) :]).max() > 0.2
    assert np.abs(both[:, round(0.4 * RATE) :]).max() < 1e-3


def test_an_a_of_the_embedded_font_is_440_hz_in_every_class_that_holds_a_pitch() -> None:
    font = embedded()
    for program in (0, 19, 24, 40, 56, 65, 71, 73, 80):
        audio = play(font, [TimedNote(0.0, 1.0, 69, 100)], program=program)[:, 4000:40000].mean(axis=0)
        assert period_frequency(audio, 300.0, 600.0) == pytest.approx(440.0, rel=0.006), program  # 10 cents


def test_every_class_sounds_with_the_embedded_font_and_its_programs_differ() -> None:
    font = embedded()
    for name, instrument in INSTRUMENTS.items():
        bank = DRUM_BANK if name == "drums" else 0
        pitch = 38 if name == "drums" else (instrument.low + instrument.high) // 2
        programs = [program for program in instrument.programs if (bank, program) in font.presets]
        sounds = [
            play(font, [TimedNote(0.0, 0.5, pitch, 100)], bank=bank, program=program, sample_rate=22050, n_channels=1)
            for program in programs
        ]
        assert all(np.sqrt(np.mean(np.square(sound))) > 1e-3 for sound in sounds), name
        alike = sum(np.array_equal(one, other) for i, one in enumerate(sounds) for other in sounds[:i])
        assert len(sounds) > 1, name
        assert alike <= (4 if name == "drums" else 1), name  # fonts share samples between kits


def test_keys_of_a_drum_kit_are_different_drums() -> None:
    font = embedded()
    centroids = []
    for key in (36, 38, 42):
        audio = play(font, [TimedNote(0.0, 0.3, key, 100)], bank=DRUM_BANK, n_channels=1)[0]
        power = np.abs(np.fft.rfft(audio)) ** 2
        centroids.append(float(np.sum(np.fft.rfftfreq(RATE, 1 / RATE) * power) / power.sum()))
    assert centroids[0] < 500 < centroids[1] < centroids[2]


def test_silence_and_what_lies_outside_are_no_trouble(looped: SoundFont) -> None:
    assert not play(looped, []).any()
    assert not play(looped, [TimedNote(5.0, 1.0, 69, 100)]).any()
    assert play(looped, [TimedNote(0.99, 50.0, 69, 100)]).shape == (2, RATE)
    assert play(looped, [TimedNote(0.0, 0.0, 69, 100)]).any()
    with pytest.raises(SoliError, match="n_channels=3; allowed: 1, 2"):
        play(looped, [], n_channels=3)


def test_beats_become_seconds_as_the_tempo_map_says() -> None:
    tempos = (Tempo(0.0, 120.0), Tempo(4.0, 60.0), Tempo(6.5, 90.0))
    notes = tuple(Note(beat, 1.5, 60, 100) for beat in (7.0, 0.0, 3.5, 5.25))
    found = timed(Part("p", "piano", 0, False, notes), tempos)
    for note, beat in zip(found, sorted(note.start_beats for note in notes), strict=True):
        assert note.start_seconds == pytest.approx(seconds_at(beat, tempos))
        assert note.end_seconds == pytest.approx(seconds_at(beat + 1.5, tempos))
    late = timed(Part("p", "piano", 0, False, (Note(4.0, 1.0, 60, 100),)), (Tempo(2.0, 60.0),))
    assert late[0].start_seconds == pytest.approx(2 * 0.5 + 2 * 1.0)  # 120 until the first tempo


def test_quick_pairs_are_quick_large_enough_and_in_ratio() -> None:
    def what_is_left(number: int) -> int:
        for prime in (2, 3, 5, 7, 11):
            while number % prime == 0:
                number //= prime
        return number

    for ratio in (0.25, 1.0, 1.498, 2.0001, 4.7):
        first, second = fast_pair(20000, ratio)
        assert 20000 <= second < 22000
        assert what_is_left(first) == what_is_left(second) == 1
        assert first / second == pytest.approx(ratio, rel=2e-4)
