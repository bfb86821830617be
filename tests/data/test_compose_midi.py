import sys

import pytest
import symusic

from soli.data.compose import compose, from_midi, to_midi
from soli.errors import SoliError


@pytest.mark.parametrize("seed", range(4))
def test_midi_and_back_keeps_notes_programs_and_tempos(seed: int):
    song = compose(seed, seconds=40)
    parts, tempos = from_midi(to_midi(song))
    assert [(p.name, p.instrument, p.program, p.is_drum) for p in parts] == [
        (p.name, p.instrument, p.program, p.is_drum) for p in song.parts
    ]
    for mine, read in zip(song.parts, parts, strict=True):
        assert sorted(mine.notes, key=repr) == sorted(read.notes, key=repr)
    assert [tempo.start_beats for tempo in tempos] == [tempo.start_beats for tempo in song.tempos]
    assert [tempo.bpm for tempo in tempos] == pytest.approx([tempo.bpm for tempo in song.tempos])


def test_another_reader_finds_length_sections_key_and_metre():
    song = compose(1, "jazz", seconds=40)
    score = symusic.Score.from_midi(to_midi(song))
    assert score.to("Second").end() == pytest.approx(song.seconds, rel=0.03)
    assert [marker.text for marker in score.markers] == [section.name for section in song.sections]
    assert (score.time_signatures[0].numerator, score.time_signatures[0].denominator) == (
        song.metre.numerator,
        song.metre.denominator,
    )


def test_the_key_signature_counts_sharps_and_flats():
    found = {}
    for seed in range(12):
        song = compose(seed, "pop", seconds=15)
        signature = symusic.Score.from_midi(to_midi(song)).key_signatures[0]
        found[song.key.name] = (signature.key, signature.tonality)
    known = {"C major": (0, 0), "G major": (1, 0), "A minor": (0, 1), "D minor": (-1, 1), "Eb major": (-3, 0)}
    known |= {"B minor": (2, 1), "E minor": (1, 1), "D major": (2, 0), "F major": (-1, 0), "A major": (3, 0)}
    assert found.keys() & known.keys()
    assert all(found[name] == known[name] for name in found.keys() & known.keys())


def test_bytes_that_are_no_midi_file_are_refused():
    with pytest.raises(SoliError, match="9 bytes are not a readable MIDI file"):
        from_midi(b"not a MID")


def test_without_symusic_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "symusic", None)
    with pytest.raises(SoliError, match=r"soli\[render\]"):
        to_midi(compose(0, seconds=15))
