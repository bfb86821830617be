import random
from itertools import pairwise

import pytest

from soli.data.compose.bass import bass_line
from soli.data.compose.comping import comp
from soli.data.compose.comping_patterns import ARPEGGIOS, BASS, BLOCKS, POWER, RIFFS, STRUMS
from soli.data.compose.drum_patterns import FILL_TOKENS, FILLS, GROOVES, LIGHT_FILLS, PITCHES, TOMS
from soli.data.compose.drums import drum_pattern
from soli.data.compose.form import ENERGY, draw_form, draw_sections
from soli.data.compose.harmony import Key
from soli.data.compose.melody import Compass, draw_theme, melody
from soli.data.compose.melody_patterns import CADENCES, RHYTHMS
from soli.data.compose.patterns import written_for
from soli.data.compose.score import Metre, Section
from soli.data.compose.styles import STYLES

METRES = {"4/4": Metre(4, 4), "3/4": Metre(3, 4), "6/8": Metre(6, 8)}
TABLES = {"blocks": BLOCKS, "power": POWER, "strums": STRUMS, "arpeggios": ARPEGGIOS, "riffs": RIFFS, "bass": BASS}
TOM_PITCHES = {PITCHES[name] for name in TOMS}


def sections_of(style: str, metre: str = "4/4", seed: int = 3) -> tuple[Section, ...]:
    mode = next(iter(STYLES[style].modes))
    return draw_sections(seed, STYLES[style], key=Key(2, mode), metre=METRES[metre], n_bars=49)


@pytest.mark.parametrize("table", sorted(TABLES))
def test_patterns_are_whole_bars(table: str):
    for name, text in TABLES[table].items():
        bar = 12 if name.endswith(("3/4", "6/8")) else 16
        assert len(text) % bar == 0, name


def test_rhythms_of_tunes_are_one_bar_and_grooves_whole_bars():
    for metre, families in RHYTHMS.items():
        bars = [bar for family in families.values() for bar in family]
        assert {len(bar) for bar in (*bars, *CADENCES[metre])} == {METRES[metre].bar_steps}
    for style in STYLES.values():
        for metre, grooves in style.grooves.items():
            rows = [row for name in grooves for row in GROOVES[name].values()]
            assert all(len(row) % METRES[metre].bar_steps == 0 for row in rows)


@pytest.mark.parametrize("style", sorted(STYLES))
def test_every_name_in_a_style_is_in_a_table(style: str):
    chosen = STYLES[style]
    assert set(chosen.metres) == set(chosen.grooves)
    assert {name for form in chosen.forms for name in form.split()} <= set(ENERGY)
    for metre in (METRES[name] for name in chosen.metres):
        assert all(written_for(BASS, name, metre) for name in chosen.bass)
        for slot in chosen.slots:
            if slot.role in ("lead", "vocals"):
                assert set(slot.patterns) <= set(RHYTHMS["4/4"])
                continue
            for name in slot.patterns:
                tables = [table for table in TABLES.values() if table is not BASS and name in table]
                assert name in ("pad", "guide") or (len(tables) == 1 and written_for(tables[0], name, metre)), name


@pytest.mark.parametrize("n_bars", [4, 8, 13, 24, 48, 60, 200])
@pytest.mark.parametrize("seed", range(4))
def test_a_form_has_the_bars_asked_for_and_keeps_its_chorus(n_bars: int, seed: int):
    for style in STYLES.values():
        form = draw_form(random.Random(seed), style.forms, n_bars, section_bars=style.section_bars)
        assert sum(bars for _, bars in form) == n_bars
        assert min(bars for _, bars in form) > 0
        assert "chorus" in [name for name, _ in form] or "verse" in [name for name, _ in form]


@pytest.mark.parametrize("pattern", sorted(name for name in BASS if " " not in name))
@pytest.mark.parametrize("style", ["pop", "jazz", "metal"])
def test_bass_notes_on_downbeats_and_chord_changes_are_chord_tones(pattern: str, style: str):
    for section in sections_of(style):
        by_start = {note.start_beats: note for note in bass_line(random.Random(0), section, pattern)}
        starts = {section.bar_start(bar) for bar in range(section.n_bars)}
        assert starts <= set(by_start)
        for start in by_start.keys() & {span.start_beats for span in section.chords}:
            assert by_start[start].pitch % 12 in section.span_at(start).chord.pitch_classes


def test_a_walking_bass_moves_by_small_steps_and_reaches_the_next_root_by_a_step():
    for section in sections_of("jazz"):
        line = bass_line(random.Random(1), section, "walking")
        for before, note in pairwise(line):
            if section.span_at(note.start_beats) != section.span_at(before.start_beats):
                assert (note.pitch - before.pitch) % 12 in (1, 2, 10, 11, 0)
            else:
                assert abs(note.pitch - before.pitch) <= 11


@pytest.mark.parametrize("groove", sorted(GROOVES))
@pytest.mark.parametrize("ride", [False, True])
def test_drums_end_sections_with_toms_and_only_there(groove: str, ride: bool):
    metre = next(m for style in STYLES.values() for m, names in style.grooves.items() if groove in names)
    for section in sections_of("ballad", metre):
        notes = drum_pattern(random.Random(2), section, groove, ghosts=0.3, ride=ride)
        assert {note.pitch for note in notes} <= set(range(35, 82))
        toms = [note.start_beats for note in notes if note.pitch in TOM_PITCHES]
        if section.is_ending:
            assert notes
            assert not toms
        else:
            assert toms
            assert min(toms) >= section.bar_start(section.n_bars - 1)
            assert max(toms) < section.end_beats


def test_loud_sections_start_with_a_crash_and_a_hat_is_not_open_and_closed_at_once():
    crashes = {PITCHES["crash"], PITCHES["crash2"]}
    for section in sections_of("rock"):
        notes = drum_pattern(random.Random(5), section, "rock", ghosts=0.5, ride=False)
        assert len({(note.start_beats, note.pitch) for note in notes}) == len(notes)
        first = {note.pitch for note in notes if note.start_beats == section.start_beats}
        assert bool(first & crashes) == (section.energy >= 0.6)
        hats = {pitch: {n.start_beats for n in notes if n.pitch == PITCHES[pitch]} for pitch in ("hat", "open")}
        assert not hats["hat"] & hats["open"]


def test_every_fill_has_a_tom_and_known_drums():
    for fill in (*FILLS, *LIGHT_FILLS):
        assert {FILL_TOKENS[token] for token in fill if token != "."} & set(TOMS)


@pytest.mark.parametrize("pattern", ["quarters", "power_eighths", "pop_strum", "up", "pad", "guide", "riff_rock"])
@pytest.mark.parametrize("instrument", ["piano", "electric_guitar"])
def test_accompaniment_plays_only_tones_of_the_chord_of_the_moment(pattern: str, instrument: str):
    for section in sections_of("funk"):
        notes = comp(random.Random(0), section, instrument, pattern, n_voices=4)
        assert notes
        for note in notes:
            span = section.span_at(note.start_beats)
            assert note.pitch % 12 in span.chord.pitch_classes
            assert note.end_beats <= span.end_beats


@pytest.mark.parametrize("family", sorted(RHYTHMS["4/4"]))
@pytest.mark.parametrize("metre", sorted(METRES))
def test_tunes_stay_in_range_and_rest_on_chord_tones(family: str, metre: str):
    compass = Compass(57, 73, 7)
    strong = in_scale = total = 0
    for section in sections_of("ballad", metre):
        notes = melody(section, draw_theme(random.Random(4), family, section.metre), compass)
        assert notes
        for before, note in pairwise(notes):
            assert before.end_beats <= note.start_beats
            assert abs(before.pitch - note.pitch) <= compass.max_leap
        for note in notes:
            assert compass.low <= note.pitch <= compass.high
            chord = section.span_at(note.start_beats).chord
            if note.start_beats in {span.start_beats for span in section.chords}:
                assert note.pitch % 12 in chord.pitch_classes
                strong += 1
            in_scale += note.pitch % 12 in (*section.key.scale, *chord.pitch_classes)
            total += 1
    assert strong > 10
    assert in_scale == total


def test_a_tune_comes_back_with_its_section_and_answers_leave_the_singer_alone():
    section = next(s for s in sections_of("pop") if s.name == "chorus")
    theme = draw_theme(random.Random(9), "song", section.metre)
    compass = Compass(60, 79, 12)
    whole = melody(section, theme, compass)
    answers = melody(section, theme, compass, answers_only=True)
    assert 0 < len(answers) < len(whole)
    period = 2 * section.metre.bar_beats
    assert min((note.start_beats - section.start_beats) % period for note in answers) >= period / 2
    rhythms = [
        tuple(
            n.start_beats - section.start_beats - i * period
            for n in whole
            if section.bar_start(2 * i) <= n.start_beats < section.bar_start(2 * i + 2)
        )
        for i in range(section.n_bars // 2)
    ]
    assert len(set(rhythms)) < len(rhythms)
