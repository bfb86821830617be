"""Scales, and chords written as scale degrees."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from soli.errors import SoliError

MODES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "minor": (0, 2, 3, 5, 7, 8, 10),
}
PITCH_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

_MAJOR_DEGREES = {"I": 0, "II": 2, "III": 4, "IV": 5, "V": 7, "VI": 9, "VII": 11}
_MAJOR_QUALITIES = {
    "": (0, 4, 7),
    "6": (0, 4, 7, 9),
    "7": (0, 4, 7, 10),
    "9": (0, 4, 7, 10, 14),
    "maj7": (0, 4, 7, 11),
    "maj9": (0, 4, 7, 11, 14),
    "add9": (0, 4, 7, 14),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "7sus4": (0, 5, 7, 10),
    "5": (0, 7),
}
_MINOR_QUALITIES = {
    "": (0, 3, 7),
    "6": (0, 3, 7, 9),
    "7": (0, 3, 7, 10),
    "9": (0, 3, 7, 10, 14),
    "o": (0, 3, 6),
    "o7": (0, 3, 6, 9),
    "h7": (0, 3, 6, 10),
}
_NUMERAL = r"([b#]?)([IV]+|[iv]+)"
_SYMBOL = re.compile(rf"{_NUMERAL}([a-z0-9]*)(?:/(?:{_NUMERAL}|([35])))?")


@dataclass(frozen=True)
class Key:
    """A tonic (pitch class, C = 0) and one of `MODES`."""

    tonic: int
    mode: str

    @property
    def scale(self) -> tuple[int, ...]:
        """The seven pitch classes, from the tonic up."""
        return tuple((self.tonic + step) % 12 for step in MODES[self.mode])

    @property
    def name(self) -> str:
        """As in `"Eb dorian"`."""
        return f"{PITCH_NAMES[self.tonic]} {self.mode}"

    def transposed(self, semitones: int) -> Key:
        """The same mode on another tonic."""
        return Key((self.tonic + semitones) % 12, self.mode)

    def ladder(self, low: int, high: int) -> list[int]:
        """All pitches of the scale from `low` to `high`, both included."""
        return [pitch for pitch in range(low, high + 1) if pitch % 12 in self.scale]


@dataclass(frozen=True)
class Chord:
    """A chord in a key: root (pitch class), intervals above it in semitones, and the pitch class in the bass."""

    symbol: str
    root: int
    intervals: tuple[int, ...]
    bass: int

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Pitch classes from the root up."""
        return tuple((self.root + interval) % 12 for interval in self.intervals)

    def tone(self, *intervals: int) -> int:
        """The pitch class of the first of these intervals that the chord holds, else its root."""
        held = {interval % 12 for interval in self.intervals}
        return next(((self.root + interval) % 12 for interval in intervals if interval in held), self.root)


def parse_chord(symbol: str, key: Key) -> Chord:
    """A chord symbol in a key.

    Degrees are counted from the major scale of the tonic whatever the mode, so the common triads of a
    minor key are `i iv bVI bVII`. `V7/ii` is the dominant of another degree, `I/3` has its third in the bass.

    Args:
        symbol: an upper-case numeral for major, lower-case for minor, then a quality such as `7` or `maj9`.
        key: where the tonic is.

    Returns:
        The chord.

    Raises:
        SoliError: for a symbol that cannot be read.
    """
    match = _SYMBOL.fullmatch(symbol)
    if match is None:
        raise SoliError(f"chord {symbol!r}: not a numeral from I to VII with a quality, such as ii7, bVII or V7/ii")
    accidental, numeral, quality, target_accidental, target, bass_digit = match.groups()
    qualities = _MAJOR_QUALITIES if numeral.isupper() else _MINOR_QUALITIES
    if numeral.upper() not in _MAJOR_DEGREES or quality not in qualities:
        raise SoliError(f"chord {symbol!r}: quality {quality!r} is not one of {', '.join(filter(None, qualities))}")
    origin = key.tonic + (_semitones(target_accidental, target) if target else 0)
    root = (origin + _semitones(accidental, numeral)) % 12
    intervals = qualities[quality]
    bass = root
    if bass_digit:
        wanted = (3, 4) if bass_digit == "3" else (6, 7)
        bass = next(((root + interval) % 12 for interval in intervals if interval in wanted), root)
    return Chord(symbol, root, intervals, bass)


def extend(symbol: str, rng: random.Random, *, sevenths: float, ninths: float) -> str:
    """Give a plain triad the seventh or ninth that its place in the key calls for.

    Args:
        symbol: as `parse_chord` reads it; one that already has a quality stays as it is.
        rng: decides.
        sevenths: chance of at least a seventh.
        ninths: chance that a seventh becomes a ninth where that does not clash with the scale.

    Returns:
        The symbol, extended or not.
    """
    head, slash, tail = symbol.partition("/")
    draw_seventh, draw_ninth = rng.random(), rng.random()
    if re.fullmatch(_NUMERAL, head) is None or draw_seventh >= sevenths:
        return symbol
    dominant = head in ("V", "bVII", "bII") or (slash != "" and tail not in ("3", "5"))
    nine = draw_ninth < ninths and (head in ("I", "IV", "ii", "vi", "i", "iv") or (head == "V" and not slash))
    suffix = "9" if nine else "7"
    return f"{head}{suffix if dominant or head.lstrip('b#').islower() else 'maj' + suffix}{slash}{tail}"


def _semitones(accidental: str, numeral: str) -> int:
    return _MAJOR_DEGREES[numeral.upper()] + {"b": -1, "#": 1, "": 0}[accidental]
