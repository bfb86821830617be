"""Songs to Standard MIDI Files, and parts back from them."""

from __future__ import annotations

from typing import Any

from soli.data.compose.harmony import Key
from soli.data.compose.instruments import instrument_of
from soli.data.compose.score import TICKS_PER_BEAT, Note, Part, Song, Tempo
from soli.errors import SoliError

_RELATIVE_MAJOR = {"major": 0, "mixolydian": 5, "dorian": 10, "minor": 3}


def to_midi(song: Song) -> bytes:
    """Write a song as a Standard MIDI File.

    Args:
        song: any song.

    Returns:
        The file; equal songs give equal bytes. Sections are markers, parts are tracks under their names.

    Raises:
        SoliError: when symusic is missing.
    """
    symusic = _import_symusic()
    score = symusic.Score(TICKS_PER_BEAT)
    score.time_signatures.append(symusic.TimeSignature(0, song.metre.numerator, song.metre.denominator))
    score.key_signatures.append(symusic.KeySignature(0, _accidentals(song.key), int(song.key.mode == "minor")))
    for tempo in song.tempos:
        score.tempos.append(symusic.Tempo(_ticks(tempo.start_beats), mspq=round(60e6 / tempo.bpm)))
    for section in song.sections:
        score.markers.append(symusic.TextMeta(_ticks(section.start_beats), section.name))
    for part in song.parts:
        track = symusic.Track(part.name, part.program, part.is_drum)
        for note in part.notes:
            start = _ticks(note.start_beats)
            track.notes.append(symusic.Note(start, _ticks(note.length_beats), note.pitch, note.velocity))
        score.tracks.append(track)
    return score.dumps_midi()


def from_midi(data: bytes) -> tuple[tuple[Part, ...], tuple[Tempo, ...]]:
    """Read the parts and the tempo map of a Standard MIDI File.

    Args:
        data: the file.

    Returns:
        Parts with notes (the instrument is `"other"` for a program of no class) and tempos.

    Raises:
        SoliError: when symusic is missing or the data is not a MIDI file.
    """
    symusic = _import_symusic()
    try:
        score = symusic.Score.from_midi(data)
    except (RuntimeError, ValueError) as error:
        raise SoliError(f"{len(data)} bytes are not a readable MIDI file ({error})") from error
    tpq = score.ticks_per_quarter
    tempos = tuple(Tempo(tempo.time / tpq, 60e6 / tempo.mspq) for tempo in score.tempos)
    parts = tuple(
        Part(
            track.name,
            instrument_of(track.program, is_drum=track.is_drum) or "other",
            track.program,
            track.is_drum,
            tuple(Note(n.time / tpq, n.duration / tpq, n.pitch, n.velocity) for n in track.notes),
        )
        for track in score.tracks
    )
    return parts, tempos or (Tempo(0.0, 120.0),)


def _ticks(beats: float) -> int:
    return round(beats * TICKS_PER_BEAT)


def _accidentals(key: Key) -> int:
    """Sharps (positive) or flats of the key signature, -6 to 5."""
    major = (key.tonic + _RELATIVE_MAJOR[key.mode]) % 12
    return (major * 7 + 6) % 12 - 6


def _import_symusic() -> Any:
    try:
        import symusic
    except ImportError as error:
        raise SoliError("reading and writing MIDI needs symusic: pip install 'soli[render]'") from error
    return symusic
