"""What a song is: typed values, times in beats (quarter notes) from the start."""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass

from soli.data.compose.harmony import Chord, Key

TICKS_PER_BEAT = 480
STEP = 0.25
"""Patterns are written in sixteenths: this many beats."""


@dataclass(frozen=True, slots=True)
class Note:
    """One note: start and length in beats, MIDI pitch, velocity 1 to 127."""

    start_beats: float
    length_beats: float
    pitch: int
    velocity: int

    @property
    def end_beats(self) -> float:
        """Where it is released."""
        return self.start_beats + self.length_beats


@dataclass(frozen=True)
class Part:
    """What one player plays: a name, a class of `instruments.INSTRUMENTS`, its General MIDI program, the notes."""

    name: str
    instrument: str
    program: int
    is_drum: bool
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Tempo:
    """Beats per minute from this beat on."""

    start_beats: float
    bpm: float


@dataclass(frozen=True)
class Metre:
    """A time signature."""

    numerator: int
    denominator: int

    @property
    def name(self) -> str:
        """As in `"6/8"`."""
        return f"{self.numerator}/{self.denominator}"

    @property
    def bar_beats(self) -> float:
        """Length of a bar in beats."""
        return self.numerator * 4 / self.denominator

    @property
    def bar_steps(self) -> int:
        """Length of a bar in sixteenths."""
        return round(self.bar_beats / STEP)


@dataclass(frozen=True)
class ChordSpan:
    """A chord and how long it holds."""

    start_beats: float
    length_beats: float
    chord: Chord

    @property
    def end_beats(self) -> float:
        """Where the next one begins."""
        return self.start_beats + self.length_beats


@dataclass(frozen=True)
class Section:
    """A stretch of the form: which of its name it is (from 0), its bars, key, energy (0 to 1) and chords."""

    name: str
    occurrence: int
    start_beats: float
    n_bars: int
    metre: Metre
    key: Key
    energy: float
    chords: tuple[ChordSpan, ...]

    @property
    def end_beats(self) -> float:
        """Where the next one begins."""
        return self.start_beats + self.n_bars * self.metre.bar_beats

    @property
    def is_ending(self) -> bool:
        """Whether this is the last bar, where everyone holds the tonic."""
        return self.name == "ending"

    def bar_start(self, bar: int) -> float:
        """The first beat of a bar counted from 0 within the section."""
        return self.start_beats + bar * self.metre.bar_beats

    def span_at(self, beat: float) -> ChordSpan:
        """The chord that sounds at a beat within the section."""
        index = bisect_right(self.chords, beat, key=lambda span: span.start_beats)
        return self.chords[max(index - 1, 0)]


@dataclass(frozen=True)
class Song:
    """Parts, tempo map and form, with what they were drawn from."""

    seed: int
    style: str
    key: Key
    metre: Metre
    swing: float
    tempos: tuple[Tempo, ...]
    sections: tuple[Section, ...]
    parts: tuple[Part, ...]

    @property
    def end_beats(self) -> float:
        """Length in beats."""
        return self.sections[-1].end_beats

    @property
    def chords(self) -> tuple[ChordSpan, ...]:
        """The chords of all sections in order."""
        return tuple(span for section in self.sections for span in section.chords)

    @property
    def seconds(self) -> float:
        """Length in seconds by the tempo map."""
        return seconds_at(self.end_beats, self.tempos)


def seconds_at(beat: float, tempos: tuple[Tempo, ...]) -> float:
    """The time of a beat.

    Args:
        beat: from the start, in beats.
        tempos: the tempo map; the first starts at beat 0.

    Returns:
        Seconds from the start.
    """
    ends = [tempo.start_beats for tempo in tempos[1:]] + [float("inf")]
    return sum(
        max(min(beat, end) - tempo.start_beats, 0.0) * 60 / tempo.bpm for tempo, end in zip(tempos, ends, strict=True)
    )


def stream(seed: int, *names: object) -> random.Random:
    """A random stream of its own for each purpose, so that a change in one part leaves the others as they are.

    Args:
        seed: of the song.
        *names: what it is for.

    Returns:
        The same stream in every process.
    """
    return random.Random("/".join(map(str, (seed, *names))))


def draw(rng: random.Random, weights: dict[str, float]) -> str:
    """One name, by weight.

    Args:
        rng: decides.
        weights: name -> weight.

    Returns:
        The name.
    """
    return rng.choices(list(weights), list(weights.values()))[0]
