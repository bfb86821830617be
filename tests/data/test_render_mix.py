from __future__ import annotations

import random

import numpy as np
import pyloudnorm
import pytest

from soli.data.compose import INSTRUMENTS
from soli.data.render.mix import (
    MIX_LUFS,
    draw_level,
    draw_pan,
    level_gain,
    loudness,
    master_gain,
    pan_gains,
    summed,
)


def stem(rate: int, n_channels: int = 2, seed: int = 0, seconds: float = 4.3) -> np.ndarray:
    """Noise of changing level with a rest in it."""
    n_samples = round(rate * seconds)
    swell = 0.05 + 0.1 * np.sin(np.linspace(0, 9, n_samples)) ** 2
    swell[n_samples // 3 : n_samples // 2] = 0
    return (swell * np.random.default_rng(seed).standard_normal((n_channels, n_samples))).astype(np.float32)


@pytest.mark.parametrize("rate", [22050, 44100])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_a_stem_gets_the_loudness_asked_for(rate: int, n_channels: int) -> None:
    audio = stem(rate, n_channels)
    levelled = audio * level_gain(audio, rate, -23.0)
    assert pyloudnorm.Meter(rate).integrated_loudness(levelled.T.astype(np.float64)) == pytest.approx(-23.0, abs=0.2)


def test_silence_and_a_single_click_can_be_levelled() -> None:
    assert level_gain(np.zeros((1, 22050), np.float32), 22050, -20.0) == 0.0
    click = np.zeros((1, 22050), np.float32)
    click[0, 100] = 1e-4
    gain = level_gain(click, 22050, -20.0)
    assert np.isfinite(gain)
    assert gain * 1e-4 == pytest.approx(0.1)
    assert master_gain([np.zeros((2, 100), np.float32)], 22050) == 1.0


def test_the_peak_of_a_mixture_is_at_most_one_decibel_below_full_scale() -> None:
    stems = [stem(22050, seed=seed) for seed in range(3)]
    stems[0][0, 5000] = 4.0
    gain = master_gain(stems, 22050)
    peak = np.abs(summed([gain * each for each in stems])).max()
    assert 20 * np.log10(peak) == pytest.approx(-1.0, abs=1e-3)


def test_a_mixture_without_peaks_is_brought_to_its_loudness() -> None:
    clock = np.arange(4 * 22050) / 22050
    tones = [0.01 * np.sin(2 * np.pi * hertz * clock)[None].astype(np.float32) for hertz in (500.0, 700.0)]
    mixture = summed(tones) * master_gain(tones, 22050)
    assert pyloudnorm.Meter(22050).integrated_loudness(mixture.T) == pytest.approx(MIX_LUFS, abs=0.2)
    assert np.abs(mixture).max() < 10 ** (-1 / 20)
    assert loudness(mixture, 22050) == pytest.approx(MIX_LUFS, abs=0.05)


def test_pan_keeps_the_power() -> None:
    for pan in (-1.0, -0.3, 0.0, 0.8, 1.0):
        assert np.square(pan_gains(pan, 2)).sum() == pytest.approx(2.0)
        np.testing.assert_array_equal(pan_gains(pan, 1), 1.0)
    np.testing.assert_allclose(pan_gains(0.0, 2), 1.0, rtol=1e-6)
    assert pan_gains(-1.0, 2)[1, 0] == pytest.approx(0.0, abs=1e-6)
    assert pan_gains(0.5, 2)[1, 0] > pan_gains(0.5, 2)[0, 0]


def test_levels_and_places_lie_around_those_of_the_class() -> None:
    for name in (*INSTRUMENTS, "other"):
        levels = [draw_level(random.Random(seed), name) for seed in range(300)]
        assert np.std(levels) == pytest.approx(2.5, abs=0.5)
        assert np.ptp(levels) <= 12.0
        pans = [draw_pan(random.Random(seed), name) for seed in range(300)]
        assert abs(np.mean(pans)) < 0.06
        assert np.abs(pans).max() <= (0.1 if name in ("drums", "bass", "voice") else 0.5)


def test_adding_stems_changes_none() -> None:
    stems = [stem(8000, seed=seed) for seed in range(4)]
    kept = [each.copy() for each in stems]
    np.testing.assert_allclose(summed(stems), np.sum(np.float64(stems), axis=0), atol=1e-6)
    np.testing.assert_array_equal(stems, kept)
