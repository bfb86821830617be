"""Numbers along the edges of pictures and charts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from soli.report.images import LOWEST_HZ, to_mel
from soli.report.text import MINUS

ALL_HZ = (100, 500, 1000, 2000, 4000, 8000, 16000)
FEW_HZ = (200, 1000, 4000, 8000)
_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)


def frequency_ticks(top: float, wanted: Sequence[int] = ALL_HZ) -> str:
    """Frequencies up the side of a picture on the common mel axis.

    Args:
        top: highest frequency of the picture in Hz.
        wanted: which to name, in Hz.

    Returns:
        HTML for inside a `.plot` or `.hertz`.
    """
    low, high = float(to_mel(LOWEST_HZ)), float(to_mel(top))
    places = [(100 * (float(to_mel(f)) - low) / (high - low), f) for f in wanted]
    return "".join(f'<i class="y" style="bottom: {at:.1f}%">{_short(f)}</i>' for at, f in places if 0 <= at <= 93)


def time_ticks(seconds: float, most: int = 7, edge: float = 2.0) -> str:
    """Seconds along the foot of a picture.

    Args:
        seconds: length of what is shown.
        most: about how many to name.
        edge: share of the length after which none is named.

    Returns:
        HTML for inside a `.plot` or `.ruler`.
    """
    return "".join(
        f'<i class="x" style="left: {100 * at / seconds:.2f}%">{at:g}{" s" if at == 0 else ""}</i>'
        for at in round_seconds(seconds, most)
        if at < edge * seconds
    )


def round_seconds(seconds: float, most: int = 7, least: float = 0.1) -> list[float]:
    """Round times from 0 on.

    Args:
        seconds: up to where.
        most: about how many.
        least: the smallest step between them.

    Returns:
        Multiples of a tenth of a second to an hour.
    """
    step = next((s for s in _SECONDS if s >= least and seconds / s <= most), _SECONDS[-1])
    return [k * step for k in range(int(seconds / step + 1e-9) + 1)]


def round_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between two others.

    Args:
        low: lower end.
        high: upper end, above it.
        most: how many at most.

    Returns:
        Multiples of 1, 2 or 5 times a power of ten.
    """
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def tick(value: float) -> str:
    """A number on an axis, as short as it can be.

    Args:
        value: such as 0.5 or -10.

    Returns:
        Text with a true minus sign.
    """
    return f"{value + 0.0:g}".replace("-", MINUS)


def _short(frequency: int) -> str:
    return str(frequency) if frequency < 1000 else f"{frequency // 1000}k"
