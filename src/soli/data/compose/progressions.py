"""Chord progressions: a stock of common ones, and a small grammar that makes more.

A progression is bars separated by spaces; `ii_V` are two chords that share a bar.
"""

from __future__ import annotations

import random
from itertools import pairwise

from soli.data.compose.score import draw

STOCK: dict[str, dict[str, tuple[str, ...]]] = {
    "pop": {
        "major": ("I V vi IV", "vi IV I V", "I vi IV V", "I IV vi V", "IV V iii vi", "I V/3 vi IV", "I iii IV iv"),
        "minor": ("i bVI bIII bVII", "i iv bVI bVII", "bVI bVII i i", "i bVII bVI bVII", "i bIII bVII iv"),
    },
    "rock": {
        "major": ("I IV I V", "I bVII IV I", "vi IV I V", "I V IV IV", "I I IV V"),
        "minor": ("i bVI bVII i", "i bVII bVI bVII", "i bIII bVII IV", "i i bVI_bVII i", "i iv i bVII"),
        "mixolydian": ("I bVII IV I", "I I bVII IV", "I IV bVII I", "I bVII I IV"),
    },
    "metal": {
        "minor": ("i i bVI bVII", "i bII i bVII", "i bVI iv V", "i i i bVI_bVII", "i bIII bVI V"),
        "dorian": ("i i IV bVII", "i bVII IV i"),
    },
    "jazz": {
        "major": (
            "ii V I vi",
            "I_vi ii_V iii_VI7 ii_V",
            "I V7/ii ii V",
            "IV iv iii_V7/ii ii_V",
            "ii bII7 I I",
            "I IV iii V7/ii ii V I V7",
        ),
        "minor": ("iih7 V7 i i", "i iv iih7 V7", "iv bVII7 bIIImaj7 bVImaj7 iih7 V7 i i", "i bVImaj7 iih7 V7"),
        "dorian": ("i7 IV7 i7 IV7", "i7 i7 bVII i7", "i7 ii7 i7 IV7"),
    },
    "funk": {
        "dorian": ("i7 IV7 i7 IV7", "i7 i7 i7 IV9", "i7_bVII i7_IV7 i7_bVII i7_IV7"),
        "mixolydian": ("I7 I7 IV7 I7", "I9 bVII I9 IV9", "I7 I7 I7 bVII_IV"),
        "minor": ("i7 iv7 i7 bVII", "i7 i7 bVImaj7 V7"),
    },
    "blues": {
        "major": ("I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7", "I7 IV7 I7 I7 IV7 IV7 I7 V7/ii ii7 V7 I7_V7/ii ii7_V7"),
        "mixolydian": ("I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 I7",),
        "minor": ("i7 i7 i7 i7 iv7 iv7 i7 i7 bVI7 V7 i7 V7",),
    },
    "modal": {
        "major": ("I IV I IV", "I ii IV I", "I V IV V"),
        "minor": ("i bVII i bVII", "i bVI i bVI", "i i bVI bVII", "i v bVI iv"),
        "dorian": ("i IV i IV", "i bVII IV i", "i i ii IV"),
        "mixolydian": ("I bVII I bVII", "I v bVII IV"),
    },
}

_FUNCTIONS: dict[str, dict[str, dict[str, float]]] = {
    "major": {
        "T": {"I": 5, "vi": 3, "I/3": 1, "iii": 1},
        "S": {"IV": 4, "ii": 3, "vi": 1, "iv": 0.5},
        "D": {"V": 5, "V7": 2, "V7sus4": 1, "ii_V": 1, "viih7": 0.4},
    },
    "minor": {
        "T": {"i": 5, "bIII": 2, "bVI": 1.5},
        "S": {"iv": 4, "bVI": 3, "iih7": 1},
        "D": {"V7": 3, "bVII": 3, "v": 1, "iv_V7": 1},
    },
    "dorian": {
        "T": {"i": 5, "bIII": 1.5, "i7": 1},
        "S": {"IV": 5, "ii": 2},
        "D": {"bVII": 4, "v": 2},
    },
    "mixolydian": {
        "T": {"I": 5, "vi": 1},
        "S": {"IV": 4, "ii": 1.5},
        "D": {"bVII": 4, "v": 1.5},
    },
}
_OPEN_PHRASES = {"TTSD": 3.0, "TSTD": 2.0, "TSDD": 1.0, "TDTS": 1.0, "STSD": 1.0}
_CLOSED_PHRASES = {"TSDT": 4.0, "SDTT": 2.0, "TTDT": 1.0}


def draw_progression(rng: random.Random, family: str, mode: str, *, grammar: float) -> list[list[str]]:
    """A progression for one kind of section.

    Args:
        rng: decides.
        family: a key of `STOCK`; a mode it does not have falls back on `"modal"`.
        mode: one of `harmony.MODES`.
        grammar: chance that the progression is made by the grammar and not taken from the stock.

    Returns:
        One list of chord symbols per bar.
    """
    if rng.random() < grammar:
        return _phrase(rng, _OPEN_PHRASES, mode) + _phrase(rng, _CLOSED_PHRASES, mode)
    stock = STOCK[family].get(mode, STOCK["modal"][mode])
    return [bar.split("_") for bar in rng.choice(stock).split()]


def _phrase(rng: random.Random, forms: dict[str, float], mode: str) -> list[list[str]]:
    """Four bars: a row of functions, each rewritten as a chord, now and then led into by its own dominant."""
    bars = [draw(rng, _FUNCTIONS[mode][function]).split("_") for function in draw(rng, forms)]
    for here, there in pairwise(bars):
        if len(here) == 1 and there[0] in ("ii", "vi", "iii", "V", "iv") and rng.random() < 0.12:
            here.append(f"V7/{there[0]}")
    return bars
