from __future__ import annotations

import struct
import zlib
from base64 import b64decode

import numpy as np
import pytest

from soli.report.colour import heat_palette, ink_palette, oklch_to_rgb, source_colours
from soli.report.data import Panel
from soli.report.images import (
    axis_edges,
    common_peak,
    image_uri,
    panel_uri,
    power_columns,
    regrid,
    strip_levels,
    to_hz,
    to_mel,
    waveform_paths,
)
from soli.report.png import encode_png

RATE = 16000


def decode_png(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Indices and palette of a palette image, checking every checksum."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, position = {}, 8
    while position < len(data):
        (size,) = struct.unpack(">I", data[position : position + 4])
        kind, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + size]
        (checksum,) = struct.unpack(">I", data[position + 8 + size : position + 12 + size])
        assert checksum == zlib.crc32(kind + body)
        chunks[kind] = body
        position += 12 + size
    assert list(chunks) == [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert rest == [8, 3, 0, 0, 0]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    colours = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)
    return rows[:, 1:], np.column_stack([colours, np.frombuffer(chunks[b"tRNS"], np.uint8)])


def decode_uri(uri: str) -> tuple[np.ndarray, np.ndarray]:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return decode_png(b64decode(body))


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Relative luminance of sRGB bytes (WCAG 2)."""
    value = np.asarray(rgb, dtype=float) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def tone(frequency: float, seconds: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)[None]


def test_a_png_comes_back_as_it_was():
    random = np.random.default_rng(0)
    indices = random.integers(0, 200, (7, 31), dtype=np.uint8)
    palette = random.integers(0, 256, (200, 4), dtype=np.uint8)
    decoded, colours = decode_png(encode_png(indices, palette))
    assert np.array_equal(decoded, indices)
    assert np.array_equal(colours, palette)


def test_the_heat_map_rises_in_lightness_from_almost_black_to_almost_white():
    lightness = np.cbrt(luminance(heat_palette()[:, :3]))  # CIE L* is a cube root of luminance
    steps = np.diff(lightness)
    assert (steps > 0).all()
    assert steps.max() < 3 * steps.mean()
    assert lightness[0] < 0.25
    assert lightness[-1] > 0.9


def test_known_colours_of_oklab():
    np.testing.assert_allclose(oklch_to_rgb(1, 0, 0), [1, 1, 1], atol=1e-3)
    np.testing.assert_allclose(oklch_to_rgb(0, 0, 0), [0, 0, 0], atol=1e-3)
    np.testing.assert_allclose(oklch_to_rgb(0.62796, 0.25768, 29.234), [1, 0, 0], atol=2e-3)
    np.testing.assert_allclose(oklch_to_rgb(0.45201, 0.31321, 264.052), [0, 0, 1], atol=2e-3)


def test_every_source_has_its_own_colour_readable_on_white_and_black():
    names = ("vocals", "drums", "bass", "other", "guitar", "piano", "strings")
    colours = source_colours(names)
    assert len(set(colours.values())) == len(names)
    for value in luminance(np.array(list(colours.values()))):
        assert 1.05 / (value + 0.05) > 2.5
        assert (value + 0.05) / 0.05 > 5


def test_a_source_keeps_its_colour_whatever_stands_beside_it():
    assert source_colours(("drums",))["drums"] == source_colours(("vocals", "piano", "drums"))["drums"]


def test_ink_goes_from_clear_to_opaque():
    palette = ink_palette((1, 2, 3))
    assert (palette[:, :3] == (1, 2, 3)).all()
    assert palette[0, 3] == 0
    assert palette[-1, 3] == 255
    assert (np.diff(palette[:, 3].astype(int)) >= 0).all()


def test_mel_and_back():
    frequencies = np.geomspace(20, 20000, 30)
    np.testing.assert_allclose(to_hz(to_mel(frequencies)), frequencies)


def test_regridding_keeps_a_constant_and_the_area():
    random = np.random.default_rng(1)
    frequencies = np.linspace(0, 8000, 200)
    edges = axis_edges(40, 8000)
    np.testing.assert_allclose(regrid(np.full((200, 3), 2.5), frequencies, edges), 2.5)
    values = random.random((200, 1))
    even = np.linspace(0, 8000, 41)
    even_area = (regrid(values, frequencies, even) * 200).sum()
    assert even_area == pytest.approx(np.trapezoid(values[:, 0], frequencies), rel=0.02)


def test_regridding_to_the_same_rows_changes_nothing():
    values = np.random.default_rng(2).random((50, 4))
    frequencies = np.arange(50) * 100.0
    edges = np.arange(51) * 100.0 - 50
    np.testing.assert_allclose(regrid(values, frequencies, edges), values)


@pytest.mark.parametrize("frequency", [100, 440, 1000, 5000])
def test_a_tone_is_drawn_at_its_frequency(frequency):
    levels = strip_levels(tone(frequency), RATE, rows=60, columns=50)
    assert levels.shape == (60, 50)
    edges = axis_edges(60, RATE / 2)
    row = levels.mean(axis=1).argmax()
    assert edges[row] - 8 <= frequency <= edges[row + 1] + 8


def test_a_picture_has_its_columns_however_long_or_short_the_signal():
    for samples in (1, 100, 5000, 100_000):
        assert power_columns(np.ones((2, samples)), 64).shape == (1025, 64)


def test_columns_follow_time():
    signal = np.concatenate([np.zeros((1, RATE)), tone(1000)], axis=1)
    power = power_columns(signal, 40).sum(axis=0)
    assert power[:18].max() < 1e-12 * power[22:].min()


def test_silence_is_drawn_empty():
    levels = strip_levels(np.zeros((2, 3000)), RATE)
    indices, _ = decode_uri(image_uri(levels, -60, 0, ink_palette((9, 9, 9))))
    assert not indices.any()


def test_low_frequencies_are_at_the_bottom_and_values_are_clipped():
    indices, palette = decode_uri(image_uri(np.array([[-9.0], [0.5], [9.0]]), 0, 1, heat_palette(101)))
    assert indices[:, 0].tolist() == [100, 50, 0]
    assert len(palette) == 101


def test_a_long_panel_is_averaged_into_the_columns_there_are():
    values = np.tile(np.arange(1400) >= 700, (20, 1)).astype(float)
    panel = Panel(values=values, frequencies=np.linspace(0, 8000, 20), seconds=1, low=0, high=1)
    indices, _ = decode_uri(panel_uri(panel, heat_palette(11), columns=100))
    assert indices.shape == (200, 100)
    assert (indices[:, :50] == 0).all()
    assert (indices[:, 50:] == 10).all()


def numbers(path: str) -> np.ndarray:
    assert path[0] == "M"
    assert path[-1] == "z"
    return np.array([pair.split(",") for pair in path[1:-1].split()], dtype=float)


def test_a_waveform_stays_in_its_box_and_shows_its_extremes():
    signal = np.concatenate([0.25 * np.ones((1, 1000)), -np.ones((1, 1000))], axis=1)
    points = numbers(waveform_paths(signal, 1.0, columns=10, height=100)[0])
    assert points[:, 0].min() == 0
    assert points[:, 0].max() == 9
    assert points[0].tolist() == [0, 50 - 12]
    assert points[-11].tolist() == [9, 100]


def test_the_level_lies_inside_the_peaks():
    signal = np.random.default_rng(3).standard_normal((2, 5000))
    peak, level = (numbers(path) for path in waveform_paths(signal, 3.0, columns=50))
    upper, lower = slice(0, 50), slice(50, 100)
    assert (peak[upper, 1] <= level[upper, 1]).all()
    assert (peak[lower, 1] >= level[lower, 1]).all()


def test_one_click_does_not_flatten_the_picture():
    signal = 0.1 * np.ones((1, 100_000))
    signal[0, 500] = 1.0
    assert common_peak(signal) == pytest.approx(0.1)


@pytest.mark.parametrize("samples", [1, 5])
def test_waveforms_of_a_few_samples_can_be_drawn(samples):
    signal = np.ones((2, samples))
    assert len(numbers(waveform_paths(signal, common_peak(signal))[0])) == 2 * samples
