"""The sixteen families of General MIDI, and drums, under the names that Slakh2100 gives them."""

from __future__ import annotations

DRUMS = "Drums"

FAMILIES = (
    "Piano",
    "Chromatic Percussion",
    "Organ",
    "Guitar",
    "Bass",
    "Strings",
    "Strings (continued)",
    "Brass",
    "Reed",
    "Pipe",
    "Synth Lead",
    "Synth Pad",
    "Synth Effects",
    "Ethnic",
    "Percussive",
    "Sound Effects",
)
"""Of eight programs each."""

FOUR = ("bass", "drums", "guitar", "piano")
"""The classes of Slakh's usual sub-mix: families in lower case."""


def family(program: int, *, is_drum: bool) -> str:
    """The family of a part.

    Args:
        program: General MIDI program, 0 to 127.
        is_drum: whether it is on the percussion channel.

    Returns:
        One of `FAMILIES`, or `DRUMS`.
    """
    return DRUMS if is_drum else FAMILIES[program // 8]


def is_full_band(families: set[str]) -> bool:
    """Whether these are bass, drums, and a guitar or a piano, at least."""
    return {"Bass", DRUMS} <= families and not families.isdisjoint({"Guitar", "Piano"})
