"""Notes in seconds: what a synthesizer plays."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from soli.data.compose.score import Part, Tempo

DEFAULT_BPM = 120.0
"""Of a Standard MIDI File before its first tempo."""

_TIMING_SECONDS, _FINGER_SECONDS, _VELOCITY = 0.008, 0.003, 8.0


@dataclass(frozen=True, slots=True)
class TimedNote:
    """One note: start and length in seconds, MIDI pitch, velocity 1 to 127."""

    start_seconds: float
    length_seconds: float
    pitch: int
    velocity: int

    @property
    def end_seconds(self) -> float:
        """When it is released."""
        return self.start_seconds + self.length_seconds


def timed(part: Part, tempos: tuple[Tempo, ...]) -> tuple[TimedNote, ...]:
    """The notes of a part by the clock.

    Args:
        part: notes in beats.
        tempos: the tempo map in order; before its first entry the tempo is 120.

    Returns:
        The notes in order of time, then pitch; those of velocity 0 are silent and left out.
    """
    notes = sorted((n for n in part.notes if n.velocity > 0), key=lambda n: (n.start_beats, n.pitch, n.length_beats))
    starts = _seconds([note.start_beats for note in notes], tempos)
    ends = _seconds([note.end_beats for note in notes], tempos)
    return tuple(
        TimedNote(start, end - start, note.pitch, note.velocity)
        for note, start, end in zip(notes, starts, ends, strict=True)
    )


def within(notes: tuple[TimedNote, ...], start: float, seconds: float) -> tuple[TimedNote, ...]:
    """The notes that begin inside an excerpt, timed from its start.

    Args:
        notes: of the whole.
        start: of the excerpt, in seconds.
        seconds: its length.

    Returns:
        Some of the notes.
    """
    return tuple(
        TimedNote(note.start_seconds - start, note.length_seconds, note.pitch, note.velocity)
        for note in notes
        if start <= note.start_seconds < start + seconds
    )


def humanised(rng: random.Random, notes: tuple[TimedNote, ...], amount: float) -> tuple[TimedNote, ...]:
    """Move notes in time and force; what begins together mostly stays together.

    Args:
        rng: decides.
        notes: in order of time.
        amount: 0 leaves them, 1 moves them by 8 ms and 8 of 127 in standard deviation.

    Returns:
        The notes in order of time; none begins before 0.
    """
    if amount <= 0:
        return notes
    shared: dict[float, float] = {}
    moved = []
    for note in notes:
        hand = shared.setdefault(note.start_seconds, rng.gauss(0.0, _TIMING_SECONDS))
        start = max(note.start_seconds + amount * (hand + rng.gauss(0.0, _FINGER_SECONDS)), 0.0)
        velocity = min(max(round(note.velocity + amount * rng.gauss(0.0, _VELOCITY)), 1), 127)
        moved.append(TimedNote(start, note.length_seconds, note.pitch, velocity))
    return tuple(sorted(moved, key=lambda note: (note.start_seconds, note.pitch)))


def _seconds(beats: list[float], tempos: tuple[Tempo, ...]) -> list[float]:
    """Beats to seconds, all at once."""
    begins_late = not tempos or tempos[0].start_beats > 0
    known = (Tempo(0.0, DEFAULT_BPM), *tempos) if begins_late else tempos
    starts = np.array([tempo.start_beats for tempo in known])
    pace = np.array([60.0 / tempo.bpm for tempo in known])  # seconds per beat
    at_start = np.concatenate([[0.0], np.cumsum(np.diff(starts) * pace[:-1])])
    positions = np.asarray(beats, np.float64)
    span = np.maximum(np.searchsorted(starts, positions, side="right") - 1, 0)
    return (at_start[span] + (positions - starts[span]) * pace[span]).tolist()
