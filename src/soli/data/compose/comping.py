"""Accompaniment: blocks, power chords, strums, arpeggios, pads, guide-tone lines and riffs."""

from __future__ import annotations

import random
from collections.abc import Iterator

from soli.data.compose.bass import riff_line
from soli.data.compose.comping_patterns import ARPEGGIOS, BLOCKS, POWER, RIFFS, STRUMS
from soli.data.compose.harmony import Chord
from soli.data.compose.instruments import INSTRUMENTS
from soli.data.compose.patterns import hits, written_for
from soli.data.compose.score import ChordSpan, Note, Section
from soli.data.compose.voicing import lead, power, strummed

_STRUM_BEATS = 0.02  # between two strings; at 120 beats per minute 10 ms
_VELOCITY = {"X": 92, "x": 76, "g": 36, "D": 90, "d": 72, "U": 80, "u": 64}


def comp(rng: random.Random, section: Section, instrument: str, pattern: str, *, n_voices: int) -> list[Note]:
    """The accompaniment of one section.

    Args:
        rng: decides accents.
        section: metre and chords.
        instrument: a class of `INSTRUMENTS`; its range holds.
        pattern: a name of `comping_patterns`, or `"pad"` or `"guide"`.
        n_voices: notes of a chord, where the pattern does not say.

    Returns:
        Notes.
    """
    if section.is_ending:
        pattern = "power_whole" if pattern in POWER else "pad" if pattern in ("pad", "guide") else "whole"
    low, high = _comping_range(instrument, pattern)
    if pattern in RIFFS:
        return riff_line(section, written_for(RIFFS, pattern, section.metre), low=low)
    if pattern in STRUMS:
        return list(_strums(section, written_for(STRUMS, pattern, section.metre), low))
    if pattern in POWER:
        return list(_power_chords(section, written_for(POWER, pattern, section.metre), low))
    voicings = _voicings(section, low=low, high=high, n_voices=n_voices)
    if pattern == "pad":
        return [note for span, voicing in voicings.items() for note in _held(span, voicing, 62)]
    if pattern == "guide":
        return [note for span, voicing in voicings.items() for note in _held(span, voicing[-1:], 74)]
    if pattern in ARPEGGIOS:
        return list(_arpeggio(rng, section, written_for(ARPEGGIOS, pattern, section.metre), voicings))
    return list(_blocks(rng, section, written_for(BLOCKS, pattern, section.metre), voicings))


def _comping_range(instrument: str, pattern: str) -> tuple[int, int]:
    """Where chords lie: around the middle of the keyboard, tunes above, the bass below."""
    whole = INSTRUMENTS[instrument]
    if pattern in POWER or pattern in STRUMS or pattern in RIFFS:
        return whole.low, whole.high
    low = max(whole.low, 64 if pattern == "guide" else 52)
    return low, min(max(low + 24, 77), whole.high)


def _voicings(section: Section, *, low: int, high: int, n_voices: int) -> dict[ChordSpan, tuple[int, ...]]:
    """One voicing per chord of the section, each led from the one before it."""
    found: dict[ChordSpan, tuple[int, ...]] = {}
    previous: tuple[int, ...] | None = None
    last: Chord | None = None
    for span in section.chords:
        if previous is None or span.chord != last:
            previous = lead(span.chord, previous, low=low, high=high, n_voices=n_voices)
        found[span], last = previous, span.chord
    return found


def _held(span: ChordSpan, voicing: tuple[int, ...], velocity: int) -> Iterator[Note]:
    for pitch in voicing:
        yield Note(span.start_beats, span.length_beats * 0.98, pitch, velocity)


def _blocks(
    rng: random.Random, section: Section, text: str, voicings: dict[ChordSpan, tuple[int, ...]]
) -> Iterator[Note]:
    for hit in hits(text, section):
        velocity = _VELOCITY[hit.token] + rng.randint(-4, 4)
        length = hit.length_beats * (0.5 if hit.token == "g" else 0.92)
        for pitch in voicings[hit.span]:
            yield Note(hit.start_beats, length, pitch, velocity)


def _power_chords(section: Section, text: str, low: int) -> Iterator[Note]:
    for hit in hits(text, section):
        for pitch in power(hit.span.chord, low=low):
            yield Note(hit.start_beats, hit.length_beats * 0.9, pitch, _VELOCITY[hit.token])


def _strums(section: Section, text: str, low: int) -> Iterator[Note]:
    """Upward strokes reach only the four highest strings, the highest first."""
    for hit in hits(text, section):
        shape = strummed(hit.span.chord, low=low)
        strings = shape if hit.token in "Dd" else shape[:-5:-1]
        for index, pitch in enumerate(strings):
            late = index * _STRUM_BEATS
            yield Note(hit.start_beats + late, hit.length_beats * 0.95 - late, pitch, _VELOCITY[hit.token] - 2 * index)


def _arpeggio(
    rng: random.Random, section: Section, text: str, voicings: dict[ChordSpan, tuple[int, ...]]
) -> Iterator[Note]:
    """Voices beyond the highest are the lowest ones an octave up, if that stays in hand."""
    for hit in hits(text, section):
        voicing = voicings[hit.span]
        octave, voice = divmod(int(hit.token), len(voicing))
        pitch = voicing[voice] + (12 * octave if voicing[voice] + 12 * octave <= 84 else 0)
        accent = 10 if hit.start_beats == section.bar_start(hit.bar) else 0
        yield Note(hit.start_beats, hit.length_beats * 0.98, pitch, 68 + accent + rng.randint(-3, 3))
