"""The form of a song: which sections, how long, in which key, over which chords."""

from __future__ import annotations

import random

from soli.data.compose.harmony import Key, extend, parse_chord
from soli.data.compose.progressions import draw_progression
from soli.data.compose.score import ChordSpan, Metre, Section, draw, stream
from soli.data.compose.styles import Style

ENERGY = {
    "intro": 0.45,
    "verse": 0.6,
    "prechorus": 0.7,
    "chorus": 0.95,
    "bridge": 0.6,
    "solo": 0.85,
    "outro": 0.65,
    "ending": 0.7,
}
_SHORT = ("intro", "prechorus", "outro")
_DROP_FIRST = ("solo", "bridge", "prechorus", "outro", "intro", "verse", "chorus")
_GROW_BY = ("verse", "chorus", "solo", "chorus", "bridge", "chorus")


def draw_sections(seed: int, style: Style, *, key: Key, metre: Metre, n_bars: int) -> tuple[Section, ...]:
    """Lay out a song.

    Args:
        seed: of the song.
        style: forms, progressions and chances.
        key: of the first section.
        metre: of all of them.
        n_bars: length wanted, in bars.

    Returns:
        Sections that tile the song; the last is one bar of tonic called `"ending"`. Sections of one name share
        their chords, up to a turned-around last bar.
    """
    rng = stream(seed, "form")
    lengths = draw_form(rng, style.forms, n_bars - 1, section_bars=style.section_bars)
    lift = rng.choice((1, 2)) if rng.random() < style.key_lift else 0
    last_chorus = max((index for index, (name, _) in enumerate(lengths) if name == "chorus"), default=0)
    sections: list[Section] = []
    beat = 0.0
    for index, (name, bars) in enumerate([*lengths, ("ending", 1)]):
        lifted = key.transposed(lift) if index >= last_chorus > 0 else key
        occurrence = sum(section.name == name for section in sections)
        chords = _chords(seed, style, name, occurrence, key=lifted, n_bars=bars)
        spans = _spans(chords, lifted, metre, beat)
        energy = min(1.0, ENERGY[name] + 0.05 * occurrence)
        sections.append(Section(name, occurrence, beat, bars, metre, lifted, energy, spans))
        beat = sections[-1].end_beats
    return tuple(sections)


def draw_form(
    rng: random.Random, forms: dict[str, float], n_bars: int, *, section_bars: int = 8
) -> list[tuple[str, int]]:
    """Section names and lengths that add up.

    Args:
        rng: decides.
        forms: section names separated by spaces -> weight.
        n_bars: their sum, at least 3.
        section_bars: usual length of a long section; short ones have 4.

    Returns:
        Names with bars.
    """
    names = draw(rng, forms).split()
    usual = {name: 4 if name in _SHORT else section_bars for name in ENERGY}
    while sum(usual[name] for name in names) > n_bars + 3 and len(names) > 1:
        victim = next(name for name in _DROP_FIRST if name in names and (names.count(name) > 1 or name != "chorus"))
        names.pop(len(names) - 1 - names[::-1].index(victim))
    grown = 0
    while sum(usual[name] for name in names) < n_bars - section_bars // 2:
        names.insert(len(names) - (names[-1] == "outro"), _GROW_BY[grown % len(_GROW_BY)])
        grown += 1
    lengths = [usual[name] for name in names]
    while (missing := n_bars - sum(lengths)) != 0:
        step = min(4 if abs(missing) >= 4 else 2, abs(missing))
        longest = max(range(len(names)), key=lambda index: (lengths[index], index))
        body = [index for index, name in enumerate(names) if name not in _SHORT] or [0]
        shortest = min(body, key=lambda index: (lengths[index], index))
        if missing > 0:
            lengths[shortest] += step
        else:
            lengths[longest] -= step
    return list(zip(names, lengths, strict=True))


def _chords(seed: int, style: Style, name: str, occurrence: int, *, key: Key, n_bars: int) -> list[list[str]]:
    """The bars of one section: its progression, as often as it fits."""
    tonic = "i" if key.mode in ("minor", "dorian") else "I"
    if name == "ending":
        return [[tonic]]
    source = {"intro": "verse", "outro": "chorus", "solo": "verse"}.get(name, name)
    rng = stream(seed, "chords", source)
    slow = rng.random() < style.slow_harmony
    progression = draw_progression(rng, style.progressions, key.mode, grammar=style.grammar)
    progression = [
        [extend(symbol, rng, sevenths=style.sevenths, ninths=style.ninths) for symbol in bar] for bar in progression
    ]
    if slow:
        progression = [bar for bar in progression for _ in range(2)]
    bars = [progression[bar % len(progression)] for bar in range(n_bars)]
    turn = stream(seed, "turn", name, occurrence)
    if name in ("prechorus", "bridge") or turn.random() < style.turnarounds:
        bars[-1] = [turn.choice({"I": ["V", "V7"], "i": ["V7", "bVII"]}[tonic])]
    return bars


def _spans(bars: list[list[str]], key: Key, metre: Metre, start: float) -> tuple[ChordSpan, ...]:
    """Chords that share a bar split it in half, in 3/4 as two beats and one."""
    spans: list[ChordSpan] = []
    for index, symbols in enumerate(bars):
        beat = start + index * metre.bar_beats
        first = 2.0 if metre.name == "3/4" else metre.bar_beats / 2
        lengths = [metre.bar_beats] if len(symbols) == 1 else [first, metre.bar_beats - first]
        for symbol, length in zip(symbols, lengths, strict=True):
            spans.append(ChordSpan(beat, length, parse_chord(symbol, key)))
            beat += length
    return tuple(spans)
