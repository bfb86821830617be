"""How numbers and words are set on the page."""

from __future__ import annotations

import math
from html import escape

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


def label(text: str) -> str:
    """Any outside text, safe inside HTML and inside quoted attributes."""
    return escape(str(text), quote=True)


def number(value: float | None, digits: int = 2) -> str:
    """A number with a true minus sign; a dash when there is none."""
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return (MINUS if value < 0 else "") + "\N{INFINITY}"
    rounded = round(value, digits) + 0.0  # adding zero turns a negative zero positive
    return f"{rounded:.{digits}f}".replace("-", MINUS)


def clock(seconds: float) -> str:
    """Minutes and seconds as the player shows them: `3:07`."""
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def duration(seconds: float) -> str:
    """A length of time as a musician writes it: `6.0 s`, `3:07 min` or `2:05:10 h`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h"
