"""Pictures of sound: waveform outlines and spectrograms on a musical frequency axis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from soli.report.colour import Palette
from soli.report.data import Array, Panel
from soli.report.png import png_uri

LOWEST_HZ, HIGHEST_HZ = 30.0, 16000.0
_FRAME = 2048
_LOOKS_PER_COLUMN = 3


def to_mel(frequency: Array | float) -> NDArray[np.float64]:
    """Hz to mel, the scale on which equal steps sound equally large (O'Shaughnessy 1987)."""
    return 2595 * np.log10(1 + np.asarray(frequency, dtype=np.float64) / 700)


def to_hz(mel: Array | float) -> NDArray[np.float64]:
    """Mel to Hz."""
    return 700 * (10 ** (np.asarray(mel, dtype=np.float64) / 2595) - 1)


def axis_edges(rows: int, highest: float) -> NDArray[np.float64]:
    """Borders of the rows of every picture here, evenly spaced in mel.

    Args:
        rows: number of rows.
        highest: the top border in Hz.

    Returns:
        `[rows + 1]` in Hz, rising.
    """
    return to_hz(np.linspace(to_mel(LOWEST_HZ), to_mel(highest), rows + 1))


def power_columns(signal: Array, columns: int) -> NDArray[np.float64]:
    """Short-time power spectrum with a fixed number of columns, however long the signal.

    A column averages a few frames spread over its share of the signal, channels summed.

    Args:
        signal: `[C T]`.
        columns: number of columns.

    Returns:
        `[F columns]` with F = 1025 evenly spaced bins from 0 to half the sample rate.
    """
    padded = np.pad(signal, ((0, 0), (_FRAME // 2, _FRAME)))
    starts = np.linspace(0, signal.shape[-1], columns * _LOOKS_PER_COLUMN, endpoint=False).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME, axis=-1)
    window = np.hanning(_FRAME)
    power = np.zeros((columns, _FRAME // 2 + 1))
    for look in range(_LOOKS_PER_COLUMN):  # look by look: the frames of a whole song at once would be large
        for channel in frames:
            power += np.abs(np.fft.rfft(channel[starts[look::_LOOKS_PER_COLUMN]] * window, axis=-1)) ** 2
    return power.T / _LOOKS_PER_COLUMN


def regrid(values: Array, frequencies: Array, edges: Array) -> NDArray[np.float64]:
    """Average rows at given frequencies into the rows of a picture.

    Args:
        values: `[F N]`.
        frequencies: centre of each row in Hz, rising, `[F]`.
        edges: borders of the new rows in Hz, rising, `[rows + 1]`.

    Returns:
        `[rows N]`; a new row narrower than an old one repeats it.
    """
    middles = (frequencies[1:] + frequencies[:-1]) / 2
    borders = np.concatenate([[2 * frequencies[0] - middles[0]], middles, [2 * frequencies[-1] - middles[-1]]])
    widths = np.diff(borders)[:, None]
    area = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values * widths, axis=0)])
    clipped = np.clip(edges, borders[0], borders[-1])
    at = np.clip(np.searchsorted(borders, clipped, side="right") - 1, 0, len(frequencies) - 1)
    part = ((clipped - borders[at]) / (borders[at + 1] - borders[at]))[:, None]
    total = area[at] + part * (area[at + 1] - area[at])
    spans = np.diff(clipped)[:, None]
    nearest = np.array([int(np.argmin(np.abs(frequencies - f))) for f in (edges[1:] + edges[:-1]) / 2])
    return np.where(spans > 0, np.diff(total, axis=0) / np.where(spans > 0, spans, 1), values[nearest])


def strip_levels(signal: Array, sample_rate: int, *, rows: int = 88, columns: int = 900) -> NDArray[np.float64]:
    """Level of a signal over time and frequency for one lane of the player.

    Rises by 3 dB per octave, as ears and mixing desks expect: pink noise is even, and treble is not lost.

    Args:
        signal: `[C T]`.
        sample_rate: in Hz.
        rows: height of the picture.
        columns: width of the picture.

    Returns:
        `[rows columns]` in dB, lowest frequency first; silence is -200 dB.
    """
    power = power_columns(signal, columns)
    bins = np.linspace(0, sample_rate / 2, power.shape[0])
    edges = axis_edges(rows, min(HIGHEST_HZ, sample_rate / 2))
    pink = regrid(power, bins, edges) * (edges[1:, None] / 1000)
    return 10 * np.log10(np.maximum(pink, 1e-20))


def panel_uri(panel: Panel, palette: Palette, *, rows: int = 200, columns: int = 700) -> str:
    """Draw a panel on the common frequency axis.

    Args:
        panel: what to draw.
        palette: colours for `panel.low` to `panel.high`.
        rows: height of the picture.
        columns: the most columns it may have; more frames are averaged.

    Returns:
        A `data:` address of a PNG.
    """
    values = regrid(panel.values, panel.frequencies, axis_edges(rows, panel_top(panel)))
    n_frames = values.shape[1]
    if n_frames > columns:
        borders = np.linspace(0, n_frames, columns + 1).astype(int)
        values = np.add.reduceat(values, borders[:-1], axis=1) / np.diff(borders)
    return image_uri(values, panel.low, panel.high, palette)


def panel_top(panel: Panel) -> float:
    """The highest frequency a panel's picture shows, in Hz."""
    return float(min(HIGHEST_HZ, panel.frequencies[-1]))


def image_uri(values: Array, low: float, high: float, palette: Palette) -> str:
    """Colour values that run from `low` to `high`, lowest row last.

    Args:
        values: `[rows columns]`, lowest frequency first.
        low: value of the first colour.
        high: value of the last colour.
        palette: `[levels 4]`.

    Returns:
        A `data:` address of a PNG.
    """
    scaled = (values - low) / max(high - low, 1e-12)
    indices = np.round(np.clip(np.nan_to_num(scaled), 0, 1) * (len(palette) - 1)).astype(np.uint8)
    return png_uri(indices[::-1], palette)


def common_peak(signal: Array, *, blocks: int = 700) -> float:
    """An amplitude that nearly all of a signal stays below, so that one click does not flatten the picture.

    Args:
        signal: `[C T]`.
        blocks: how many pieces to look at.

    Returns:
        The 99th percentile of the peaks of the pieces.
    """
    pieces = np.array_split(np.abs(signal).max(axis=0), min(blocks, signal.shape[-1]))
    return float(np.quantile([piece.max() for piece in pieces], 0.99))


def waveform_paths(signal: Array, peak: float, *, columns: int = 700, height: int = 200) -> tuple[str, str]:
    """Outlines of a waveform for an SVG of `columns` by `height` units.

    Args:
        signal: `[C T]`.
        peak: the amplitude that fills the height, common to all lanes.
        columns: width.
        height: height.

    Returns:
        Path data of the extremes and of the root mean square.
    """
    columns = min(columns, signal.shape[-1])
    borders = np.linspace(0, signal.shape[-1], columns + 1).astype(int)[:-1]
    counts = np.diff(np.append(borders, signal.shape[-1]))
    top = np.maximum.reduceat(signal.max(axis=0), borders)
    bottom = np.minimum.reduceat(signal.min(axis=0), borders)
    level = np.sqrt(np.add.reduceat((signal**2).mean(axis=0), borders) / counts)
    scale = height / 2 / max(peak, 1e-9)
    return _outline(top * scale, bottom * scale, height), _outline(level * scale, -level * scale, height)


def _outline(top: Array, bottom: Array, height: int) -> str:
    middle = height / 2
    upper = np.clip(np.round(middle - top), 0, height).astype(int)
    lower = np.clip(np.round(middle - bottom), 0, height).astype(int)
    lower = np.maximum(lower, upper + 1)  # silence still draws a hairline
    forward = " ".join(f"{x},{y}" for x, y in enumerate(upper))
    back = " ".join(f"{x},{y}" for x, y in reversed(list(enumerate(lower))))
    return f"M{forward} {back}z"
