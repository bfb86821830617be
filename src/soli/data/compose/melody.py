"""Tunes: motifs with a rhythm and a contour, repeated and answered, their long notes pulled onto the chords."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from soli.data.compose.harmony import Chord
from soli.data.compose.melody_patterns import CADENCES, CONTOURS, PHRASE_FORMS, RHYTHMS
from soli.data.compose.patterns import Hit, hits
from soli.data.compose.score import Metre, Note, Section, draw

_PHRASE_BARS = 2


@dataclass(frozen=True)
class Compass:
    """Lowest and highest pitch of a tune and its widest leap, in semitones."""

    low: int
    high: int
    max_leap: int


@dataclass(frozen=True)
class _Motif:
    rhythm: str  # two bars
    contour: tuple[float, ...]
    wobble: tuple[int, ...]  # scale steps added note by note


@dataclass(frozen=True)
class Theme:
    """The tune of all sections of one name: motifs by letter, their order, and where on the scale it starts."""

    motifs: dict[str, _Motif]
    order: str
    height: float


def draw_theme(rng: random.Random, family: str, metre: Metre) -> Theme:
    """Invent a tune.

    Args:
        rng: decides.
        family: of rhythms, a key of `RHYTHMS`.
        metre: of the song.

    Returns:
        The theme, independent of key and chords.
    """
    bars = RHYTHMS[metre.name].get(family, RHYTHMS[metre.name]["song"])
    motifs = {}
    for letter in "ABC":
        rhythm = rng.choice(bars) + rng.choice(CADENCES[metre.name])
        contour = tuple(rng.uniform(0.8, 1.5) * height for height in rng.choice(list(CONTOURS.values())))
        wobble = tuple(rng.choice((-1, 0, 0, 1)) for _ in range(8))
        motifs[letter] = _Motif(rhythm, contour, wobble)
    return Theme(motifs, draw(rng, PHRASE_FORMS), rng.uniform(0.25, 0.5))


def melody(section: Section, theme: Theme, compass: Compass, *, answers_only: bool = False) -> list[Note]:
    """Play a theme over the chords of a section.

    Args:
        section: metre, key and chords.
        theme: what to play.
        compass: the range.
        answers_only: keep only the last bar of each phrase, where a singer holds a note and breathes.

    Returns:
        One note at a time. Notes on strong beats and at the ends of phrases are chord tones.
    """
    notes: list[Note] = []
    for first_bar in range(0, section.n_bars, _PHRASE_BARS):
        bars = range(first_bar, min(first_bar + _PHRASE_BARS, section.n_bars))
        letter = theme.order[first_bar // _PHRASE_BARS % len(theme.order)]
        previous = notes[-1].pitch if notes else None
        phrase = list(_phrase(section, theme, letter, compass, bars, previous))
        notes.extend(note for note in phrase if not answers_only or note.start_beats >= section.bar_start(bars[-1]))
    return notes


def _phrase(
    section: Section, theme: Theme, letter: str, compass: Compass, bars: range, previous: int | None
) -> Iterator[Note]:
    motif = theme.motifs[letter]
    cadence = motif.rhythm[section.metre.bar_steps :]
    text = (cadence if len(bars) == 1 else motif.rhythm) if not section.is_ending else "x".ljust(len(cadence), "-")
    ladder = section.key.ladder(compass.low, compass.high)
    line = [hit for bar in bars for hit in _shifted_hits(text, section, bar, bars[0])]
    start = theme.height * (len(ladder) - 1)
    for index, hit in enumerate(line):
        last = index == len(line) - 1
        height = start + _height(motif.contour, index / max(len(line) - 1, 1)) + motif.wobble[index % 8]
        pitch = ladder[_reflected(round(height), len(ladder))]
        if last or hit.is_downbeat or _is_strong(hit, section):
            pitch = _chord_tone_near(hit.span.chord, pitch, compass)
        if previous is not None and abs(pitch - previous) > compass.max_leap:
            pitch = _within_leap(hit.span.chord, pitch, previous, compass)
        previous = pitch
        yield Note(hit.start_beats, hit.length_beats * 0.95, pitch, 88 if _is_strong(hit, section) else 80)


def _shifted_hits(text: str, section: Section, bar: int, first_bar: int) -> list[Hit]:
    """The hits of one bar, the text starting at `first_bar` and not at the section."""
    n_steps = section.metre.bar_steps
    offset = (bar - first_bar) * n_steps % len(text)
    return list(hits(text[offset : offset + n_steps], section, range(bar, bar + 1)))


def _is_strong(hit: Hit, section: Section) -> bool:
    """Beats one and three (in 6/8 one and four), and whatever lasts."""
    within = hit.start_beats - section.bar_start(hit.bar)
    return within in (0.0, section.metre.bar_beats / 2) or hit.length_beats >= 1.5


def _height(contour: tuple[float, ...], position: float) -> float:
    """Linear between the points of the contour."""
    place = position * (len(contour) - 1)
    index = min(int(place), len(contour) - 2)
    return contour[index] + (place - index) * (contour[index + 1] - contour[index])


def _reflected(index: int, length: int) -> int:
    """A tune that would leave its range turns back."""
    index = abs(index)
    return index if index < length else max(0, 2 * (length - 1) - index)


def _chord_tone_near(chord: Chord, pitch: int, compass: Compass) -> int:
    tones = [tone for tone in range(compass.low, compass.high + 1) if tone % 12 in chord.pitch_classes]
    return min(tones, key=lambda tone: (abs(tone - pitch), tone))


def _within_leap(chord: Chord, pitch: int, previous: int, compass: Compass) -> int:
    """The chord tone nearest to where the tune wanted to go that it can reach."""
    reach = Compass(
        max(compass.low, previous - compass.max_leap), min(compass.high, previous + compass.max_leap), compass.max_leap
    )
    return _chord_tone_near(chord, pitch, reach)
