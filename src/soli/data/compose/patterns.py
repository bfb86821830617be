"""Rhythms written as text, one character per sixteenth, laid over the bars and chords of a section.

`.` is silence, `-` holds the note before it, anything else starts a note and says which.
A pattern of several bars repeats; one for another metre is stored as `"name 3/4"`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from soli.data.compose.score import STEP, ChordSpan, Metre, Section


@dataclass(frozen=True)
class Hit:
    """A note of a pattern: the character, when, how long (beats), under which chord, and the bar it is in."""

    token: str
    start_beats: float
    length_beats: float
    span: ChordSpan
    bar: int

    @property
    def is_downbeat(self) -> bool:
        """Whether its chord starts with it."""
        return self.start_beats == self.span.start_beats


def written_for(table: dict[str, str], name: str, metre: Metre) -> str:
    """The pattern of this name in a metre.

    Args:
        table: name -> pattern in 4/4, and `"name 3/4"` or `"default 3/4"` for other metres.
        name: of the pattern.
        metre: of the song.

    Returns:
        The text; its length is a whole number of bars.
    """
    if metre.name == "4/4":
        return table[name]
    return table.get(f"{name} {metre.name}") or table[f"default {metre.name}"]


def hits(pattern: str, section: Section, bars: range | None = None) -> Iterator[Hit]:
    """Lay a pattern over a section.

    Args:
        pattern: text of whole bars.
        section: gives metre and chords.
        bars: which bars, all by default.

    Yields:
        Hits in order of time; a note held over a change of chord is struck again there.
    """
    n_steps = section.metre.bar_steps
    for bar in bars or range(section.n_bars):
        offset = bar * n_steps % len(pattern)
        for step, length, token in runs(pattern[offset : offset + n_steps]):
            start = section.bar_start(bar) + step * STEP
            end = start + length * STEP
            while start < end:
                span = section.span_at(start)
                stop = min(end, span.end_beats)
                yield Hit(token, start, stop - start, span, bar)
                start = stop


def runs(text: str) -> Iterator[tuple[int, int, str]]:
    """The notes in one bar of text.

    Args:
        text: one character per step.

    Yields:
        Step, length in steps, character.
    """
    for step, token in enumerate(text):
        if token not in ".-":
            held = text[step + 1 :]
            yield step, 1 + len(held) - len(held.lstrip("-")), token
