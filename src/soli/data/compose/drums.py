"""Drums: a groove per kind of section, crashes where sections start, fills where they end."""

from __future__ import annotations

import random
from collections.abc import Iterator

from soli.data.compose.drum_patterns import FILL_TOKENS, FILLS, GROOVES, LIGHT_FILLS, PITCHES, Groove
from soli.data.compose.patterns import runs
from soli.data.compose.score import STEP, Note, Section

_VELOCITY = {"X": 108, "x": 88, "g": 40, "o": 92}
_LENGTH = 0.2  # beats; a drum rings on by itself


def drum_pattern(rng: random.Random, section: Section, groove: str, *, ghosts: float, ride: bool) -> list[Note]:
    """The drums of one section.

    Args:
        rng: decides variations and the fill.
        section: metre, bars and energy; its ending bar is one struck chord of drums.
        groove: a name of `GROOVES` in the metre of the section.
        ghosts: chance of a ghost note on a sixteenth that has no other snare.
        ride: whether the hat's part goes to the ride cymbal, the foot keeping the hat.

    Returns:
        Notes with General MIDI percussion keys.
    """
    start = section.start_beats
    if section.is_ending:
        return [_note(start, name, velocity) for name, velocity in (("kick", 104), ("crash", 104), ("snare", 96))]
    rows = _on_the_ride(GROOVES[groove]) if ride else GROOVES[groove]
    fill = _fill(rng, section)
    notes: list[Note] = []
    for bar in range(section.n_bars):
        last = bar == section.n_bars - 1
        n_steps = section.metre.bar_steps - (len(fill) if last else 0)
        for name, step, velocity in _bar(rng, rows, bar, section, ghosts=ghosts):
            if step < n_steps or name in ("kick", "pedal"):
                notes.append(_note(section.bar_start(bar) + step * STEP, name, velocity))
    notes.extend(_fill_notes(fill, section))
    if section.energy >= 0.6:
        notes.append(_note(start, rng.choice(("crash", "crash", "crash2")), round(70 + 40 * section.energy)))
    return _one_each(notes)


def _bar(
    rng: random.Random, rows: Groove, bar: int, section: Section, *, ghosts: float
) -> Iterator[tuple[str, int, int]]:
    """The groove of one bar with what a drummer adds: ghost notes, an open hat, a kick before the next bar."""
    n_steps = section.metre.bar_steps
    for name, text in rows.items():
        offset = bar * n_steps % len(text)
        for step, _, token in runs(text[offset : offset + n_steps]):
            yield ("open" if token == "o" else name), step, _VELOCITY[token] + rng.randint(-3, 3)
    if "snare" in rows:
        for step in range(1, n_steps, 2):
            if rng.random() < ghosts * 0.35:
                yield "snare", step, _VELOCITY["g"]
    if bar % 4 == 3 and "hat" in rows and rng.random() < 0.5:
        yield "open", n_steps - 2, _VELOCITY["o"]
    if bar % 2 == 1 and "kick" in rows and rng.random() < 0.3:
        yield "kick", n_steps - 2, _VELOCITY["x"]


def _fill(rng: random.Random, section: Section) -> str:
    fills = FILLS if section.energy >= 0.6 else LIGHT_FILLS
    return rng.choice([fill for fill in fills if len(fill) <= section.metre.bar_steps])


def _fill_notes(fill: str, section: Section) -> Iterator[Note]:
    """Louder towards the end."""
    start = section.end_beats - len(fill) * STEP
    for step, _, token in runs(fill):
        yield _note(start + step * STEP, FILL_TOKENS[token], round(82 + 26 * step / len(fill)))


def _on_the_ride(rows: Groove) -> Groove:
    if "hat" not in rows or "ride" in rows:
        return rows
    moved = {("ride" if name == "hat" else name): text.replace("o", "x") for name, text in rows.items()}
    foot = "".join("x" if step % 8 == 4 else "." for step in range(len(rows["hat"])))
    return moved if "pedal" in rows else moved | {"pedal": foot}


def _one_each(notes: list[Note]) -> list[Note]:
    """A drum is hit once at a time, the loudest wins; a hat cannot be open and closed."""
    best: dict[tuple[float, int], Note] = {}
    for note in sorted(notes, key=lambda note: note.velocity):
        best[note.start_beats, note.pitch] = note
    opened = {start for start, pitch in best if pitch == PITCHES["open"]}
    kept = [note for (start, pitch), note in best.items() if pitch != PITCHES["hat"] or start not in opened]
    return sorted(kept, key=lambda note: (note.start_beats, note.pitch))


def _note(start: float, name: str, velocity: int) -> Note:
    return Note(start, _LENGTH, PITCHES[name], max(1, min(velocity, 127)))
