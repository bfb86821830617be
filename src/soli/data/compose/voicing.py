"""From chords to the notes of a hand: the voicing that moves least from the last one."""

from __future__ import annotations

from itertools import pairwise

from soli.data.compose.harmony import Chord

_FIFTHS = (6, 7, 8)


def lead(chord: Chord, previous: tuple[int, ...] | None, *, low: int, high: int, n_voices: int) -> tuple[int, ...]:
    """Voice a chord near the voicing before it.

    Args:
        chord: what to play.
        previous: the last voicing, or None to start in the middle of the range.
        low: lowest pitch allowed.
        high: highest pitch allowed, at least two octaves above `low`.
        n_voices: most notes wanted; a chord with fewer tones gives them all.

    Returns:
        Pitches from low to high.
    """
    centre = (low + high) / 2
    candidates = _candidates(_chosen_tones(chord, n_voices), low, high)

    def cost(voicing: tuple[int, ...]) -> tuple[float, tuple[int, ...]]:
        drift = abs(sum(voicing) / len(voicing) - centre)
        return (movement(previous, voicing) + 0.4 * drift if previous else drift), voicing

    return min(candidates, key=cost)


def movement(before: tuple[int, ...], after: tuple[int, ...]) -> float:
    """How far a hand moves.

    Args:
        before: pitches from low to high.
        after: the same.

    Returns:
        Semitones in all: each new voice counts its distance to the nearest old one, and the other way round,
        whichever sum is larger.
    """

    def one_way(here: tuple[int, ...], there: tuple[int, ...]) -> int:
        return sum(min(abs(pitch - other) for other in there) for pitch in here)

    return max(one_way(before, after), one_way(after, before))


def power(chord: Chord, *, low: int) -> tuple[int, ...]:
    """Root, fifth and octave from the lowest root at or above `low`; of an inversion only bass note and octave."""
    bottom = low + (chord.bass - low) % 12
    if chord.bass != chord.root:
        return bottom, bottom + 12
    return bottom, bottom + (chord.tone(7, 6) - bottom) % 12, bottom + 12


def strummed(chord: Chord, *, low: int, n_strings: int = 6) -> tuple[int, ...]:
    """A guitar shape: the bass note, then chord tones upward, one per string, none closer than a third."""
    shape = [low + (chord.bass - low) % 12]
    pitch = shape[0] + 4
    while len(shape) < n_strings:
        if pitch % 12 in chord.pitch_classes:
            shape.append(pitch)
            pitch += 2
        pitch += 1
    return tuple(shape)


def _chosen_tones(chord: Chord, n_voices: int) -> tuple[int, ...]:
    """Drop the fifth first, then the root, which the bass has anyway; keep third, seventh and ninth."""
    intervals = list(chord.intervals)
    for expendable in (_FIFTHS, (0,)):
        if len(intervals) > max(n_voices, 2):
            intervals = [interval for interval in intervals if interval not in expendable]
    return tuple((chord.root + interval) % 12 for interval in intervals[:n_voices])


def _candidates(tones: tuple[int, ...], low: int, high: int) -> list[tuple[int, ...]]:
    """Close and open positions of every inversion that fit."""
    ordered = sorted(tones)
    found: list[tuple[int, ...]] = []
    for bottom in range(low, low + 24):
        if bottom % 12 not in ordered:
            continue
        close = sorted(bottom + (tone - bottom) % 12 for tone in ordered)
        opened = sorted([*close[:-2], close[-2] - 12, close[-1]]) if len(close) > 3 else close
        for voicing in (close, opened):
            if voicing[0] >= low and voicing[-1] <= high and all(b - a < 13 for a, b in pairwise(voicing)):
                found.append(tuple(voicing))
    return found
