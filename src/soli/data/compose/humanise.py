"""From the grid to hands: swing, small errors of time and force, and clean note ends."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from soli.data.compose.score import TICKS_PER_BEAT, Note

SHORTEST_BEATS = 1 / 16
"""No note is shorter, unless the song or the next note of its pitch ends it."""


@dataclass(frozen=True)
class Feel:
    """How a player keeps time.

    `swing` is where the off-beat falls in its pair (0.5 is straight), `swing_unit` half the pair in beats;
    `lag_beats` is a steady delay, `spread_beats` the standard deviation of what is played at one time, half of
    it either way for single fingers, and `velocity_spread` the largest change of a velocity.
    """

    swing: float = 0.5
    swing_unit: float = 0.5
    lag_beats: float = 0.0
    spread_beats: float = 0.0
    velocity_spread: float = 0.0


def swung(beat: float, swing: float, unit: float) -> float:
    """Where a beat of the straight grid falls.

    Args:
        beat: on the straight grid.
        swing: share of the pair before its second half, 0.5 to 0.75.
        unit: half the pair, in beats.

    Returns:
        The beat when swung; order is kept.
    """
    pair = 2 * unit
    start = math.floor(beat / pair) * pair
    within = (beat - start) / pair
    bent = within * 2 * swing if within < 0.5 else swing + (within - 0.5) * 2 * (1 - swing)
    return start + bent * pair


def humanise(
    rng: random.Random, notes: Sequence[Note], feel: Feel, *, end_beats: float, monophonic: bool = False
) -> tuple[Note, ...]:
    """Play notes as someone would.

    Args:
        rng: decides.
        notes: on the grid.
        feel: whose time it is.
        end_beats: of the song; nothing sounds after it.
        monophonic: whether a new note ends the one before it, whatever its pitch.

    Returns:
        Notes in order, on the grid of MIDI ticks, no two of one pitch at a time.
    """
    shared: dict[float, float] = {}
    played = []
    for note in sorted(notes, key=_order):
        hand = shared.setdefault(note.start_beats, rng.gauss(feel.lag_beats, feel.spread_beats))
        finger = feel.spread_beats * (rng.random() - 0.5)
        start = max(0.0, swung(note.start_beats, feel.swing, feel.swing_unit) + hand + finger)
        end = swung(note.end_beats, feel.swing, feel.swing_unit) + hand
        velocity = round(note.velocity + feel.velocity_spread * (2 * rng.random() - 1))
        played.append(Note(start, max(end - start, SHORTEST_BEATS), note.pitch, min(max(velocity, 1), 127)))
    return tidied(played, end_beats=end_beats, monophonic=monophonic)


def tidied(notes: Sequence[Note], *, end_beats: float, monophonic: bool = False) -> tuple[Note, ...]:
    """Put notes on ticks and end each before the next of its pitch.

    Args:
        notes: in any order.
        end_beats: nothing sounds after it.
        monophonic: whether any next note counts, not only one of the same pitch.

    Returns:
        Notes in order; of two that begin less than the shortest length apart the second is dropped.
    """
    kept: list[Note] = []
    latest: dict[int, int] = {}  # pitch -> index of its last note
    for note in sorted(notes, key=_order):
        start, end = _ticked(note.start_beats), _ticked(min(note.end_beats, end_beats))
        voice = 0 if monophonic else note.pitch
        if end - start < SHORTEST_BEATS / 2:
            continue
        if voice in latest:
            before = kept[latest[voice]]
            if start - before.start_beats < SHORTEST_BEATS:
                continue
            length = min(before.length_beats, _ticked(start - before.start_beats))
            kept[latest[voice]] = Note(before.start_beats, length, before.pitch, before.velocity)
        latest[voice] = len(kept)
        kept.append(Note(start, _ticked(end - start), note.pitch, note.velocity))
    return tuple(kept)


def _order(note: Note) -> tuple[float, int, float]:
    return note.start_beats, note.pitch, -note.velocity


def _ticked(beat: float) -> float:
    return round(beat * TICKS_PER_BEAT) / TICKS_PER_BEAT
