"""Bass lines: patterns of chord tones, with approaches and walking in between."""

from __future__ import annotations

import random

from soli.data.compose.comping_patterns import BASS
from soli.data.compose.harmony import Chord
from soli.data.compose.instruments import INSTRUMENTS
from soli.data.compose.patterns import Hit, hits, written_for
from soli.data.compose.score import Note, Section

_LOW, _HIGH = INSTRUMENTS["bass"].low, INSTRUMENTS["bass"].high - 12  # an octave is left for "8"
_TONES = {"3": (3, 4, 5, 2), "5": (7, 6, 8), "6": (9, 7), "7": (10, 11, 7)}


def bass_line(rng: random.Random, section: Section, pattern: str) -> list[Note]:
    """The bass of one section.

    Args:
        rng: decides between approaches from above and below.
        section: metre, key and chords.
        pattern: a name of `BASS`.

    Returns:
        Notes; those on a downbeat or a change of chord are chord tones.
    """
    text = "R".ljust(section.metre.bar_steps, "-") if section.is_ending else written_for(BASS, pattern, section.metre)
    line = list(hits(text, section))
    notes: list[Note] = []
    root = _near(section.chords[0].chord.bass, 36, _LOW, _HIGH)
    previous = root
    for index, hit in enumerate(line):
        root = _near(hit.span.chord.bass, root, _LOW, _LOW + 19)
        following = line[index + 1] if index + 1 < len(line) else None
        pitch = _pitch(rng, hit, following, root=root, previous=previous, section=section)
        previous = pitch
        notes.append(Note(hit.start_beats, hit.length_beats * 0.95, pitch, 66 if hit.token == "r" else 94))
    return notes


def riff_line(section: Section, text: str, *, low: int) -> list[Note]:
    """A single line of chord tones above `low`, such as a guitar riff.

    Args:
        section: metre, key and chords.
        text: the pattern itself, tokens as in `BASS`, without `a` and `W`.
        low: lowest pitch; the line stays below `low` + 24.

    Returns:
        Notes.
    """
    return [
        Note(
            hit.start_beats,
            hit.length_beats * 0.9,
            _above(hit.span.chord, hit.token, low + (hit.span.chord.root - low) % 12),
            90,
        )
        for hit in hits(text, section)
    ]


def _pitch(rng: random.Random, hit: Hit, following: Hit | None, *, root: int, previous: int, section: Section) -> int:
    """What a token of the pattern means here."""
    chord, token = hit.span.chord, hit.token
    if hit.is_downbeat and token != "T":
        return root
    next_chord = following.span.chord if following else section.chords[0].chord
    if token == "a" or (token == "W" and following and following.span != hit.span):
        target = _near(next_chord.bass, previous, _LOW, _HIGH)
        return _approach(rng, target, section)
    if token == "W":
        return _walk(rng, chord, previous, section)
    if token == "T":
        tonic = section.key.tonic
        return _near(tonic if tonic in chord.pitch_classes else chord.bass, root, _LOW, _HIGH)
    return _above(chord, token, root)


def _approach(rng: random.Random, target: int, section: Section) -> int:
    """A half step below, or the step of the scale above or below."""
    ladder = section.key.ladder(target - 2, target + 2)
    options = [target - 1, *(pitch for pitch in ladder if pitch != target)]
    return min(max(rng.choice(options), _LOW), _HIGH)


def _walk(rng: random.Random, chord: Chord, previous: int, section: Section) -> int:
    """A step or a third away, on the scale or the chord, turning back at the ends of the string."""
    allowed = set(section.key.scale) | set(chord.pitch_classes)
    up, down = range(previous + 1, previous + 5), range(previous - 4, previous)
    nearby = [pitch for pitch in (*down, *up) if pitch % 12 in allowed and _LOW <= pitch <= _HIGH]
    weights = [2.0 if pitch % 12 in chord.pitch_classes else 1.0 for pitch in nearby]
    return rng.choices(nearby, weights)[0]


def _above(chord: Chord, token: str, root: int) -> int:
    """The chord tone a digit names, above the root."""
    if token == "8":
        return root + 12
    return root + (chord.tone(*_TONES[token]) - root) % 12 if token in _TONES else root


def _near(pitch_class: int, previous: int, low: int, high: int) -> int:
    """The pitch of this class nearest to the last one, within the range."""
    options = [pitch for pitch in range(low, high + 1) if pitch % 12 == pitch_class]
    return min(options, key=lambda pitch: (abs(pitch - previous), pitch))
