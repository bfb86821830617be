"""What was played, as Standard MIDI Files: in the beats of the song, and in time with the audio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from soli.data.compose.score import TICKS_PER_BEAT, Tempo
from soli.data.render.notes import DEFAULT_BPM, TimedNote
from soli.errors import SoliError


@dataclass(frozen=True)
class PlayedPart:
    """One stem's name, General MIDI program and notes in seconds from the start of the audio."""

    name: str
    program: int
    is_drum: bool
    notes: Sequence[TimedNote]


def played_midi(parts: Sequence[PlayedPart], tempos: Sequence[Tempo], start_seconds: float = 0.0) -> bytes:
    """Write parts as a file whose beats are those of the song.

    Args:
        parts: a track each.
        tempos: of the song; before its first entry the tempo is 120, as in `timed`.
        start_seconds: where in the song the audio begins; that is where the first beat of the file is.

    Returns:
        The file; equal notes give equal bytes.

    Raises:
        SoliError: when symusic is missing.
    """
    symusic = _import_symusic()
    clock = _Clock(tempos, start_seconds)
    score = symusic.Score(TICKS_PER_BEAT)
    for tempo in clock.tempos:
        score.tempos.append(symusic.Tempo(round(tempo.start_beats * TICKS_PER_BEAT), mspq=round(60e6 / tempo.bpm)))
    for part in parts:
        track = symusic.Track(part.name, part.program, part.is_drum)
        starts = clock.ticks([note.start_seconds for note in part.notes])
        ends = clock.ticks([note.start_seconds + note.length_seconds for note in part.notes])
        for note, start, end in zip(part.notes, starts, ends, strict=True):
            track.notes.append(symusic.Note(start, max(end - start, 1), note.pitch, note.velocity))
        score.tracks.append(track)
    return score.dumps_midi()


class _Clock:
    """Seconds of the audio to ticks of the file."""

    def __init__(self, tempos: Sequence[Tempo], start_seconds: float) -> None:
        if not tempos or tempos[0].start_beats > 0:
            tempos = [Tempo(0.0, DEFAULT_BPM), *tempos]
        beats = np.array([tempo.start_beats for tempo in tempos])
        pace = np.array([60 / tempo.bpm for tempo in tempos])  # seconds per beat
        self._seconds = np.concatenate([[0.0], np.cumsum(np.diff(beats) * pace[:-1])])
        self._beats, self._pace = beats, pace
        self._begin = float(self._at(np.array([start_seconds]))[0])
        self._start_seconds = start_seconds
        later = [tempo for tempo in tempos[1:] if tempo.start_beats > self._begin]
        current = tempos[len(tempos) - 1 - len(later)]
        self.tempos = [
            Tempo(0.0, current.bpm),
            *(Tempo(tempo.start_beats - self._begin, tempo.bpm) for tempo in later),
        ]

    def ticks(self, seconds: Sequence[float]) -> list[int]:
        """From seconds of the audio."""
        beats = self._at(np.asarray(seconds, np.float64) + self._start_seconds) - self._begin
        return np.maximum(np.round(beats * TICKS_PER_BEAT), 0).astype(int).tolist()

    def _at(self, seconds: np.ndarray) -> np.ndarray:
        """Beats of the song; what lies before it, by its first tempo."""
        span = np.maximum(np.searchsorted(self._seconds, seconds, side="right") - 1, 0)
        return self._beats[span] + (seconds - self._seconds[span]) / self._pace[span]


def _import_symusic() -> Any:
    try:
        import symusic
    except ImportError as error:
        raise SoliError("reading and writing MIDI needs symusic: pip install 'soli[render]'") from error
    return symusic
