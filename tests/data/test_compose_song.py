import os
import subprocess
import sys
from functools import lru_cache
from itertools import pairwise

import pytest

from soli.data.compose import INSTRUMENTS, STYLES, Song, compose, to_midi
from soli.data.compose.score import seconds_at
from soli.errors import SoliError

ALL_STYLES = sorted(STYLES)


@lru_cache
def song_of(style: str, seed: int = 0) -> Song:
    return compose(seed, style, seconds=90)


def test_the_same_seed_gives_the_same_bytes_in_another_process_with_another_hash_seed():
    code = (
        "import sys; from soli.data.compose import compose, to_midi;"
        "sys.stdout.buffer.write(to_midi(compose(7, seconds=40)))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, env=os.environ | {"PYTHONHASHSEED": seed}
        )
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout == to_midi(compose(7, seconds=40))


def test_different_seeds_give_different_songs():
    songs = [compose(seed, seconds=20) for seed in range(12)]
    assert len({to_midi(song) for song in songs}) == 12
    assert len({song.style for song in songs}) > 3
    assert len({song.key for song in songs}) > 3


@pytest.mark.parametrize("seconds", [15, 47.5, 180, 600])
@pytest.mark.parametrize("seed", range(3))
def test_the_length_is_the_one_asked_for(seconds: float, seed: int):
    song = compose(seed, seconds=seconds)
    assert song.seconds == pytest.approx(seconds, rel=1e-3)
    last = max(note.end_beats for part in song.parts for note in part.notes)
    assert 0.9 * seconds < seconds_at(last, song.tempos) <= seconds * 1.001


@pytest.mark.parametrize("style", ALL_STYLES)
def test_the_tempo_stays_near_the_range_of_the_style(style: str):
    low, high = STYLES[style].tempo
    assert all(0.88 * low <= compose(seed, style, 180).tempos[0].bpm <= 1.12 * high for seed in range(2))


@pytest.mark.parametrize("style", ALL_STYLES)
def test_a_band_of_four_to_eight_parts_with_own_names(style: str):
    for seed in range(4):
        song = song_of(style, seed)
        assert 4 <= len({part.instrument for part in song.parts}) <= len(song.parts) <= 8
        assert len({part.name for part in song.parts}) == len(song.parts)
        assert [part.instrument for part in song.parts[:2]] == ["drums", "bass"]
        assert all(part.is_drum == (part.instrument == "drums") for part in song.parts)
        assert all(part.program in INSTRUMENTS[part.instrument].programs for part in song.parts)


def test_together_the_styles_seat_more_than_twelve_instrument_classes():
    seated = {name for style in STYLES.values() for slot in style.slots for name in slot.instruments}
    assert len(seated | {"drums", "bass"}) >= 13
    assert seated | {"drums", "bass"} == set(INSTRUMENTS)


def test_no_program_belongs_to_two_classes():
    programs = [p for name, instrument in INSTRUMENTS.items() if name != "drums" for p in instrument.programs]
    assert len(programs) == len(set(programs))


@pytest.mark.parametrize("style", ALL_STYLES)
def test_every_note_is_in_the_range_of_its_instrument_and_within_the_song(style: str):
    song = song_of(style)
    for part in song.parts:
        instrument = INSTRUMENTS[part.instrument]
        assert part.notes
        for note in part.notes:
            assert instrument.low <= note.pitch <= instrument.high, part.name
            assert 1 <= note.velocity <= 127
            assert note.length_beats > 0
            assert 0 <= note.start_beats < note.end_beats <= song.end_beats + 1e-9


@pytest.mark.parametrize("style", ALL_STYLES)
def test_no_pitch_of_a_part_overlaps_itself(style: str):
    for part in song_of(style).parts:
        for pitch in {note.pitch for note in part.notes}:
            line = [note for note in part.notes if note.pitch == pitch]
            assert all(a.end_beats <= b.start_beats + 1e-9 for a, b in pairwise(line)), part.name


@pytest.mark.parametrize("style", ALL_STYLES)
def test_singers_and_soloists_have_one_voice_and_singers_a_singable_range(style: str):
    for seed in range(4):
        for part in song_of(style, seed).parts:
            if part.name in ("vocals", "lead"):
                assert all(a.end_beats <= b.start_beats + 1e-9 for a, b in pairwise(part.notes))
            if part.name == "vocals":
                pitches = [note.pitch for note in part.notes]
                assert max(pitches) - min(pitches) <= 16
                assert all(abs(a - b) <= 7 for a, b in pairwise(pitches)) or _leaps_between_phrases(part.notes)


def _leaps_between_phrases(notes) -> bool:
    """Wider leaps only after a rest of at least half a beat."""
    return all(abs(a.pitch - b.pitch) <= 7 or b.start_beats - a.end_beats > 0.5 for a, b in pairwise(notes))


@pytest.mark.parametrize("style", ALL_STYLES)
def test_sections_tile_the_song_and_chords_tile_the_sections(style: str):
    song = song_of(style)
    assert song.sections[0].start_beats == 0
    assert song.sections[-1].name == "ending"
    assert all(a.end_beats == b.start_beats for a, b in pairwise(song.sections))
    assert all(a.end_beats == b.start_beats for a, b in pairwise(song.chords))
    assert song.chords[-1].end_beats == song.end_beats
    for section in song.sections:
        assert section.chords[0].start_beats == section.start_beats


@pytest.mark.parametrize("style", ALL_STYLES)
def test_in_every_bar_at_least_two_parts_sound(style: str):
    song = song_of(style)
    bar = song.metre.bar_beats
    for index in range(round(song.end_beats / bar)):
        sounding = [
            part.name
            for part in song.parts
            if any(note.start_beats < (index + 1) * bar and note.end_beats > index * bar for note in part.notes)
        ]
        assert len(sounding) >= 2, f"bar {index}: {sounding}"


@pytest.mark.parametrize("style", ALL_STYLES)
def test_sections_of_one_name_share_their_chords_but_for_the_last_bar(style: str):
    song = song_of(style)
    seen: dict[str, list[str]] = {}
    for section in song.sections:
        symbols = [span.chord.symbol for span in section.chords if span.end_beats <= section.bar_start(3)]
        assert seen.setdefault(section.name, symbols) == symbols


def test_wrong_requests_name_what_is_allowed():
    with pytest.raises(SoliError, match=r"style 'polka' is not one of .*pop"):
        compose(0, "polka")
    with pytest.raises(SoliError, match="seconds=1 is not between 15 and 3600"):
        compose(0, seconds=1)
    with pytest.raises(SoliError, match="seconds=nan"):
        compose(0, seconds=float("nan"))
