"""Colours of equal visual weight, made in the Oklab space: its L is perceived lightness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Palette = NDArray[np.uint8]
"""`[levels 4]`: red, green, blue, alpha."""

# Oklab to linear sRGB (Ottosson 2020): cone responses are cubed, then mixed.
_TO_CONES = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_TO_LINEAR = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)
_KNOWN_HUES = {"vocals": 20.0, "drums": 75.0, "bass": 160.0, "other": 255.0, "match": 20.0}
_NEUTRAL = (128, 128, 135)


def oklch_to_rgb(lightness: float, chroma: float, hue: float) -> NDArray[np.float64]:
    """Convert one colour; values outside 0 to 1 are outside the sRGB gamut.

    Args:
        lightness: perceived lightness, 0 (black) to 1 (white).
        chroma: colourfulness; 0 is grey, about 0.15 fits every hue at middle lightness.
        hue: angle in degrees; 30 is red, 110 yellow, 145 green, 260 blue.

    Returns:
        Red, green and blue with the sRGB transfer curve, `[3]`.
    """
    angle = np.deg2rad(hue)
    lab = np.array([lightness, chroma * np.cos(angle), chroma * np.sin(angle)])
    linear = _TO_LINEAR @ (_TO_CONES @ lab) ** 3
    curved = 1.055 * np.abs(linear) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, curved)


def source_colours(names: tuple[str, ...], *, known: bool = True) -> dict[str, tuple[int, int, int]]:
    """Give every source its own hue at one lightness, readable on white and on black.

    Args:
        names: of the sources; the mixture and the residual get a neutral grey.
        known: whether drums, bass, other and vocals have the same hue on every page.

    Returns:
        Name -> red, green, blue, 0 to 255.
    """
    free = iter(np.arange(len(names)) * 137.5 % 360 + 310)
    colours = {}
    for name in names:
        hue = _KNOWN_HUES.get(name) if known else None
        if name in ("mixture", "residual"):
            colours[name] = _NEUTRAL
        else:
            colours[name] = _to_bytes(oklch_to_rgb(0.66, 0.15, next(free) if hue is None else hue))
    return colours


def heat_palette(levels: int = 128) -> Palette:
    """A map from black-violet through rose to pale yellow whose lightness rises in equal steps.

    Args:
        levels: number of colours.

    Returns:
        Opaque colours, `[levels 4]`.
    """
    position = np.linspace(0, 1, levels)
    lightness = 0.16 + 0.80 * position
    chroma = 0.045 + 0.135 * np.sin(np.pi * np.clip(position * 1.08, 0, 1)) ** 0.8
    hue = 285 + 175 * position
    colours = [_to_bytes(oklch_to_rgb(*lch)) for lch in zip(lightness, chroma, hue, strict=True)]
    return np.array([(*colour, 255) for colour in colours], dtype=np.uint8)


def ink_palette(colour: tuple[int, int, int], levels: int = 64) -> Palette:
    """One colour from clear to opaque, so that a strip sits on a light page as well as on a dark one.

    Args:
        colour: red, green, blue, 0 to 255.
        levels: number of steps.

    Returns:
        `[levels 4]`.
    """
    palette = np.empty((levels, 4), dtype=np.uint8)
    palette[:, :3] = colour
    palette[:, 3] = np.round(255 * np.linspace(0, 1, levels) ** 1.4)
    return palette


def _to_bytes(rgb: NDArray[np.float64]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * value) for value in np.clip(rgb, 0, 1))
    return red, green, blue
