import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soli.data.compose.harmony import MODES, Key, extend, parse_chord
from soli.data.compose.humanise import Feel, humanise, swung, tidied
from soli.data.compose.progressions import STOCK, draw_progression
from soli.data.compose.score import Note, Tempo, seconds_at
from soli.data.compose.styles import STYLES
from soli.data.compose.voicing import lead, movement, power, strummed
from soli.errors import SoliError

C_MAJOR = Key(0, "major")


@pytest.mark.parametrize(
    ("symbol", "pitch_classes", "bass"),
    [
        ("I", (0, 4, 7), 0),
        ("ii7", (2, 5, 9, 0), 2),
        ("V7", (7, 11, 2, 5), 7),
        ("bVII", (10, 2, 5), 10),
        ("viih7", (11, 2, 5, 9), 11),
        ("V7/ii", (9, 1, 4, 7), 9),
        ("I/3", (0, 4, 7), 4),
        ("Imaj9/5", (0, 4, 7, 11, 2), 7),
        ("#ivo7", (6, 9, 0, 3), 6),
    ],
)
def test_chord_symbols_spell_the_textbook_chords_in_c(symbol: str, pitch_classes: tuple[int, ...], bass: int):
    chord = parse_chord(symbol, C_MAJOR)
    assert chord.pitch_classes == pitch_classes
    assert chord.bass == bass


@pytest.mark.parametrize("symbol", ["", "H", "I13x", "IIII", "i/7", "vmaj7"])
def test_unreadable_chords_are_named(symbol: str):
    with pytest.raises(SoliError, match="chord"):
        parse_chord(symbol, C_MAJOR)


@given(st.integers(0, 11), st.sampled_from(sorted(MODES)), st.integers(0, 11))
def test_chords_move_with_the_key(tonic: int, mode: str, semitones: int):
    key = Key(tonic, mode)
    here, there = parse_chord("V7/ii", key), parse_chord("V7/ii", key.transposed(semitones))
    assert tuple((pitch + semitones) % 12 for pitch in here.pitch_classes) == there.pitch_classes


def test_extended_triads_of_the_major_scale_stay_on_the_scale():
    for symbol in ("I", "ii", "iii", "IV", "V", "vi"):
        for seed in range(5):
            extended = extend(symbol, random.Random(seed), sevenths=1.0, ninths=0.7)
            chord = parse_chord(extended, C_MAJOR)
            assert len(chord.intervals) > 3
            assert set(chord.pitch_classes) <= set(C_MAJOR.scale), extended


@pytest.mark.parametrize("grammar", [0.0, 1.0])
@pytest.mark.parametrize("style", sorted(STYLES))
def test_every_progression_of_a_style_can_be_played(style: str, grammar: float):
    for mode in STYLES[style].modes:
        for seed in range(20):
            bars = draw_progression(random.Random(seed), STYLES[style].progressions, mode, grammar=grammar)
            assert len(bars) in (4, 5, 6, 8, 12)
            assert all(1 <= len(bar) <= 2 for bar in bars)
            for symbol in (symbol for bar in bars for symbol in bar):
                assert parse_chord(symbol, Key(5, mode)).intervals


def test_stock_progressions_can_all_be_read():
    symbols = [s for modes in STOCK.values() for stock in modes.values() for line in stock for s in line.split()]
    for symbol in (symbol for bar in symbols for symbol in bar.split("_")):
        parse_chord(symbol, C_MAJOR)


@pytest.mark.parametrize(
    "line", ["I V vi IV I V vi IV", "ii7 V7 Imaj7 vi7 ii9 V9 Imaj9 VI7", "i bVI bIII bVII iv V7 i"]
)
def test_voice_leading_moves_little_and_less_than_root_positions(line: str):
    chords = [parse_chord(symbol, C_MAJOR) for symbol in line.split()]
    voicings = [lead(chords[0], None, low=52, high=77, n_voices=4)]
    for chord in chords[1:]:
        voicings.append(lead(chord, voicings[-1], low=52, high=77, n_voices=4))
    moves = [movement(a, b) / len(b) for a, b in pairwise(voicings)]
    roots = [tuple(55 + (c.root - 55) % 12 + i for i in c.intervals[:4]) for c in chords]
    assert max(moves) <= 3.5
    assert sum(moves) < 0.8 * sum(movement(a, b) / len(b) for a, b in pairwise(roots))
    for chord, voicing in zip(chords, voicings, strict=True):
        assert {pitch % 12 for pitch in voicing} <= set(chord.pitch_classes)
        assert chord.tone(3, 4) in {pitch % 12 for pitch in voicing}
        assert voicing == tuple(sorted(set(voicing)))
        assert voicing[0] >= 52
        assert voicing[-1] <= 77


def test_guitar_shapes_climb_string_by_string():
    for symbol in ("I", "ii7", "V9", "IVsus2", "viih7", "I5"):
        chord = parse_chord(symbol, C_MAJOR)
        shape = strummed(chord, low=40)
        assert len(shape) == 6
        assert all(3 <= b - a <= 12 for a, b in pairwise(shape))
        assert {pitch % 12 for pitch in (*shape, *power(chord, low=40))} <= set(chord.pitch_classes)


@given(st.floats(0, 500), st.floats(0.001, 4), st.floats(0.5, 0.75), st.sampled_from([0.25, 0.5]))
def test_swing_keeps_order_and_the_beats(beat: float, gap: float, swing: float, unit: float):
    assert swung(beat, swing, unit) < swung(beat + gap, swing, unit)
    assert swung(round(beat), swing, unit) == round(beat)
    assert swung(beat, 0.5, unit) == pytest.approx(beat)


def test_swing_delays_the_off_beat_to_its_place():
    assert swung(3.5, 2 / 3, 0.5) == pytest.approx(3 + 2 / 3)


NOTES = st.lists(
    st.builds(Note, st.floats(0, 20), st.floats(0.01, 8), st.integers(60, 63), st.integers(1, 127)), max_size=30
)


@given(NOTES, st.booleans())
def test_tidied_notes_do_not_overlap_and_nothing_is_invented(notes: list[Note], monophonic: bool):
    kept = tidied(notes, end_beats=16, monophonic=monophonic)
    for pitch in (None,) if monophonic else range(60, 64):
        line = [note for note in kept if pitch in (None, note.pitch)]
        assert all(a.end_beats <= b.start_beats + 1e-9 for a, b in pairwise(line))
    assert all(note.end_beats <= 16 + 1e-9 for note in kept)
    assert all(note.length_beats > 0 for note in kept)
    assert {note.pitch for note in kept} <= {note.pitch for note in notes}


def test_hands_stay_near_the_grid_and_strike_chords_together():
    grid = [Note(float(beat), 0.9, pitch, 80) for beat in range(1, 60) for pitch in (60, 64, 67)]
    played = humanise(random.Random(0), grid, Feel(spread_beats=0.01, velocity_spread=6), end_beats=64)
    assert len(played) == len(grid)
    for beat in range(1, 60):
        starts = [note.start_beats for note in played if abs(note.start_beats - beat) < 0.1]
        assert len(starts) == 3
        assert max(starts) - min(starts) < 0.013
    assert len({note.velocity for note in played}) > 5


def test_the_time_of_a_beat_follows_the_tempo_map():
    tempos = (Tempo(0.0, 120.0), Tempo(8.0, 60.0))
    assert seconds_at(4.0, tempos) == 2.0
    assert seconds_at(10.0, tempos) == 6.0
