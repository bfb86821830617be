"""Rhythms of tunes as text, one character per sixteenth (see `patterns`)."""

from __future__ import annotations

RHYTHMS: dict[str, dict[str, tuple[str, ...]]] = {
    "4/4": {
        "song": (
            "x---x---x---x---",
            "x-x-x---x-x-x---",
            "x-----x-x---x---",
            "....x-x-x-x-x---",
            "x---x-x-x---x-x-",
            "..x-x-x-x---x---",
        ),
        "syncopated": (
            "x--x--x-..x-x---",
            "..x-..x-x--x--x-",
            "x-x--x-x--x-x---",
            "x--x--x--x--x-x-",
            "....x-x--x--x-x-",
        ),
        "sparse": ("x-------x-------", "x-----x---------", "....x---x-------", "x-----------x---"),
        "busy": ("x-x-x-x-x-x-x-x-", "xxx-x-x-xxx-x-x-", "x-xxx-xxx-x-x---", "..xxx-xxx-x-x-x-"),
        "bop": ("x-x-x-x-x-x-x---", "..x-x-x-x-x-x-x-", "x---x-x-x-x-..x-", "x-xxx-x-x-x-x-..", "....x-x-x-x-x-x-"),
    },
    "3/4": {
        "song": ("x---x---x---", "x-----x-x---", "x-x-x---x---"),
        "sparse": ("x-----------", "x-------x---"),
        "bop": ("x-x-x-x-x-x-", "..x-x-x-x---", "x---x-x-x-x-"),
    },
    "6/8": {
        "song": ("x---x-x---x-", "x-x-x-x-----", "x-----x-x-x-", "..x-x-x---x-"),
        "sparse": ("x-----x-----", "x---x-------"),
        "busy": ("x-x-x-x-x-x-", "x-xxx-x-x-x-"),
    },
}
"""Metre -> family -> bars. A family missing in a metre falls back on `song`."""

CADENCES: dict[str, tuple[str, ...]] = {
    "4/4": ("x---x-------....", "x-----------....", "x-x-x-------....", "..x-x-------....", "x--x--------...."),
    "3/4": ("x---x-----..", "x---------..", "x-x-x-----.."),
    "6/8": ("x---x-----..", "x---------..", "x-x-x-----.."),
}
"""Bars that end a phrase: a long note, then a breath."""

PHRASE_FORMS = {"AABA": 3.0, "ABAB": 3.0, "ABAC": 2.0, "AAAB": 2.0}
"""Which motif each two-bar phrase takes."""

CONTOURS: dict[str, tuple[float, ...]] = {
    "arch": (0, 2, 4, 3, 1),
    "fall": (4, 3, 2, 1, 0),
    "rise": (0, 1, 2, 3, 4),
    "wave": (0, 3, 1, 4, 2),
    "dip": (3, 1, 0, 1, 3),
    "still": (0, 0, 1, 0, 0),
}
"""Height in steps of the scale at five places of a phrase."""
