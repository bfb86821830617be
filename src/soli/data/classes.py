"""Which class a stem file belongs to, and the official MUSDB18 validation songs."""

from __future__ import annotations

CLASSES = ("vocals", "drums", "bass", "other")

MUSDB_STREAMS = ("mixture", "drums", "bass", "other", "vocals")
"""The order of the five audio streams in a MUSDB18 `.stem.mp4`."""

MUSDB_VALIDATION = (
    "Actions - One Minute Smile",
    "Alexander Ross - Goodbye Bolero",
    "ANiMAL - Rockshow",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Fergessen - Nos Palpitants",
    "James May - On The Line",
    "Johnny Lokke - Promises & Lies",
    "Leaf - Summerghost",
    "Meaxic - Take A Step",
    "Patrick Talbot - A Reason To Leave",
    "Skelpolu - Human Mistakes",
    "Traffic Experiment - Sirens",
    "Triviul - Angelsaint",
    "Young Griffo - Pennies",
)

_ALIASES = {
    "vocals": ("vocals", "vocal", "voice", "singing", "lead vocals", "choir"),
    "drums": ("drums", "drum", "percussion", "drumkit"),
    "bass": ("bass", "uprightbass", "bass guitar"),
    "other": ("other", "guitar", "lead", "melody", "piano", "keys", "strings", "synth", "organ", "brass"),
}
_CLASS_OF = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}


def class_of(stem: str) -> str | None:
    """The class of a stem by its file name without suffix, or None when the name is unknown.

    Args:
        stem: for example `"Drum"` or `"lead_vocals"`; case, `_` and `-` do not matter.

    Returns:
        One of `CLASSES`, or None.
    """
    return _CLASS_OF.get(stem.lower().replace("_", " ").replace("-", " ").strip())
