"""Modulators of a SoundFont: what velocity and key do to a zone (SoundFont 2.04, sections 8.2, 8.4 and 9.5).

Those of continuous controllers, pitch wheel and pressure are left out: nobody moves these here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

Modulators = dict[tuple[int, int, int], int]
"""(source, generator it moves, source of its amount) -> amount."""

ATTENUATION = 48
DEFAULTS: Modulators = {(0x0502, ATTENUATION, 0): 960}
"""Velocity to level: gain = (velocity / 127)². That of velocity to the filter is left out, as players do."""

_NONE, _VELOCITY, _KEY = 0, 2, 3
_CONTROLLER, _FALLING, _BIPOLAR = 0x80, 0x100, 0x200
_CONCAVE, _CONVEX, _SWITCH = 1, 2, 3


def moved(modulators: Mapping[tuple[int, int, int], int], key: int, velocity: int) -> dict[int, float]:
    """What the modulators add for a note.

    Args:
        modulators: of a zone.
        key: 0 to 127.
        velocity: 1 to 127.

    Returns:
        Generator -> what is added to its amount.
    """
    added: dict[int, float] = {}
    for (source, target, by), amount in modulators.items():
        if amount and source & 0x7F != _NONE:
            share = 1.0 if by & 0x7F == _NONE else _position(by, key, velocity)
            added[target] = added.get(target, 0.0) + amount * share * _position(source, key, velocity)
    return added


def velocity_shapes_tone(modulators: Mapping[tuple[int, int, int], int]) -> bool:
    """Whether velocity changes more than the level."""
    return any(
        amount and target != ATTENUATION and _VELOCITY in (_controller(source), _controller(by))
        for (source, target, by), amount in modulators.items()
    )


def _controller(source: int) -> int:
    """Number of a controller that is none of MIDI's continuous ones; -1 for those."""
    return -1 if source & _CONTROLLER else source & 0x7F


def _position(source: int, key: int, velocity: int) -> float:
    """Where a source stands: 0 to 1, or -1 to 1 for a bipolar one; 0 for what stays at rest."""
    controller = _controller(source)
    if controller not in (_VELOCITY, _KEY):
        return 0.0
    share = (velocity if controller == _VELOCITY else key) / 127
    if source & _FALLING:
        share = 1 - share
    shape = source >> 10
    if not source & _BIPOLAR:
        return _curve(shape, share)
    if shape == _SWITCH:
        return 1.0 if share >= 0.5 else -1.0
    return math.copysign(_curve(shape, abs(2 * share - 1)), share - 0.5)


def _curve(shape: int, share: float) -> float:
    """0 to 1 by one of the four curves."""
    if shape == _CONCAVE:
        return min(-40 / 96 * math.log10(1 - share), 1.0) if share < 1 else 1.0
    if shape == _CONVEX:
        return max(1 + 40 / 96 * math.log10(share), 0.0) if share > 0 else 0.0
    if shape == _SWITCH:
        return 1.0 if share >= 0.5 else 0.0
    return share
