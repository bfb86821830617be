from __future__ import annotations

import random

import numpy as np
import pytest
import scipy.signal

from soli.data.compose import INSTRUMENTS
from soli.data.render import effects
from soli.data.render.chains import apply_chain, draw_chain

RATE = 22050
LINEAR = {
    "shelves": {"low_db": -4.0, "high_db": 5.0},
    "chorus": {"rate_hz": 1.0, "depth_ms": 2.0, "mix": 0.5},
    "echo": {"seconds": 0.2, "feedback": 0.4, "mix": 0.3},
    "reverb": {"rt60": 0.4, "mix": 0.3, "seed": 3},
}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("name", list(LINEAR))
def test_linear_effects_are_linear_and_keep_shape_and_input(name: str) -> None:
    effect = getattr(effects, name)
    first, second = noise(2, RATE), noise(2, RATE, seed=1)
    kept = first.copy()
    mixed = effect(0.5 * first - 2 * second, RATE, **LINEAR[name])
    apart = 0.5 * effect(first, RATE, **LINEAR[name]) - 2 * effect(second, RATE, **LINEAR[name])
    np.testing.assert_allclose(mixed, apart, atol=1e-5)
    assert mixed.dtype == np.float32
    assert np.abs(mixed - (0.5 * first - 2 * second)).max() > 0.01
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("taps", [1, 7, 3000, 50000])
def test_convolution_by_blocks_is_convolution(taps: int) -> None:
    audio, kernel = noise(2, 40000), noise(taps)
    expected = scipy.signal.fftconvolve(audio, kernel[None], axes=1)[:, :40000]
    np.testing.assert_allclose(effects.convolve(audio, kernel), expected, atol=1e-4)
    separate = effects.convolve(audio, noise(2, taps, seed=4))
    np.testing.assert_allclose(separate[1:], effects.convolve(audio[1:], noise(2, taps, seed=4)[1]), atol=1e-5)


def test_shelves_have_the_gains_asked_for_at_both_ends() -> None:
    audio = np.zeros((1, 1 << 15), np.float32)
    audio[0, 0] = 1
    response = np.abs(np.fft.rfft(effects.shelves(audio, 44100, low_db=-6.0, high_db=4.0)[0]))
    decibels = 20 * np.log10(response)
    hertz = np.fft.rfftfreq(1 << 15, 1 / 44100)
    assert decibels[np.abs(hertz - 25).argmin()] == pytest.approx(-6.0, abs=0.3)
    assert decibels[np.abs(hertz - 800).argmin()] == pytest.approx(0.0, abs=0.6)
    assert decibels[np.abs(hertz - 18000).argmin()] == pytest.approx(4.0, abs=0.3)


def test_a_room_decays_by_60_db_in_its_time() -> None:
    rt60 = 0.8
    room = effects.room_response(RATE, rt60=rt60, n_channels=2, seed=5)[:, round(0.008 * RATE) :].astype(np.float64)
    low = scipy.signal.sosfilt(scipy.signal.butter(4, 2000, fs=RATE, output="sos"), room)
    remaining = np.cumsum(np.square(low)[:, ::-1], axis=1)[:, ::-1].sum(axis=0)  # Schroeder's backward integral
    curve = 10 * np.log10(remaining / remaining[0])
    times = np.arange(len(curve)) / RATE
    fit = (curve < -5) & (curve > -35)
    slope = np.polyfit(times[fit], curve[fit], 1)[0]
    assert -60 / slope == pytest.approx(rt60, rel=0.08)


def test_a_room_is_another_one_in_each_channel_and_has_the_energy_asked_for() -> None:
    audio = np.zeros((2, RATE), np.float32)
    audio[:, 0] = 1
    wet = effects.reverb(audio, RATE, rt60=0.5, mix=0.3, seed=1)
    room = wet - audio
    assert np.square(room).sum(axis=1) == pytest.approx(0.09, rel=1e-3)
    assert abs(np.corrcoef(room)[0, 1]) < 0.1
    np.testing.assert_array_equal(wet, effects.reverb(audio, RATE, rt60=0.5, mix=0.3, seed=1))
    assert np.abs(wet - effects.reverb(audio, RATE, rt60=0.5, mix=0.3, seed=2)).max() > 0.01


def test_an_echo_comes_where_and_as_loud_as_said() -> None:
    audio = np.zeros((1, RATE), np.float32)
    audio[0, 10] = 1
    out = effects.echo(audio, RATE, seconds=0.1, feedback=0.5, mix=0.4)[0]
    assert out[10] == 1
    np.testing.assert_allclose(out[10 + 2205 * np.arange(1, 5)], 0.4 * 0.5 ** np.arange(4), rtol=1e-6)
    assert np.count_nonzero(out) <= 1 + 9


def test_the_copy_of_a_chorus_is_late_by_10_ms_to_10_ms_and_its_width() -> None:
    audio = np.zeros((1, 4 * RATE), np.float32)
    clicks = np.arange(1, 30) * (4 * RATE // 31)
    audio[0, clicks] = 1
    copy = effects.chorus(audio, RATE, rate_hz=0.7, depth_ms=3.0, mix=1.0)[0] - audio[0]
    delays = []
    for click in clicks:
        window = np.abs(copy[click : click + RATE // 20])
        delays.append(1000 * float((window * np.arange(len(window))).sum() / window.sum()) / RATE)
    assert 9.9 < min(delays) < 10.8
    assert 15.2 < max(delays) < 16.1


def test_drive_keeps_loudness_adds_harmonics_and_does_not_mind_the_level() -> None:
    tone = (0.2 * np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)).astype(np.float32)[None]
    driven = effects.drive(tone, gain_db=20.0)
    spectrum = np.abs(np.fft.rfft(driven[0]))
    assert spectrum[1500] > 0.05 * spectrum[500]
    assert spectrum[1000] < 1e-3 * spectrum[500]  # the curve is odd
    assert np.sqrt(np.mean(np.square(driven))) == pytest.approx(np.sqrt(np.mean(np.square(tone))), rel=0.05)
    np.testing.assert_allclose(effects.drive(7 * tone, gain_db=20.0), 7 * driven, rtol=1e-4, atol=1e-5)
    assert not effects.drive(0 * tone, gain_db=20.0).any()


def test_a_compressor_narrows_the_range_by_its_ratio() -> None:
    clock = np.arange(2 * RATE) / RATE
    tone = np.sin(2 * np.pi * 500 * clock) * np.where(clock < 1, 0.5, 0.05)
    out = effects.compress(tone.astype(np.float32)[None], RATE, threshold_db=-40.0, ratio=4.0)[0]
    loud, soft = (np.std(out[round(at * RATE) : round((at + 0.2) * RATE)]) for at in (0.7, 1.7))
    assert 20 * np.log10(loud / soft) == pytest.approx(20 / 4, abs=0.3)


def test_a_compressor_gives_the_parts_of_its_key_one_gain() -> None:
    parts = noise(3, 2, RATE) * np.linspace(0, 3, RATE, dtype=np.float32)
    whole = parts.sum(axis=0)
    together = effects.compress(whole, RATE, threshold_db=-6.0, ratio=3.0)
    apart = effects.compress(parts, RATE, threshold_db=-6.0, ratio=3.0, key=whole)
    np.testing.assert_allclose(apart.sum(axis=0), together, atol=1e-5)
    assert np.abs(together - whole).max() > 0.05


def test_parts_of_a_drum_kit_sum_to_the_kit_under_any_chain_it_may_get() -> None:
    parts = noise(3, 2, RATE)
    seen = set()
    for seed in range(30):
        chain = draw_chain(random.Random(seed), "drums", 1.0)
        seen |= set(chain)
        together = apply_chain(parts.sum(axis=0), RATE, chain)
        np.testing.assert_allclose(apply_chain(parts, RATE, chain).sum(axis=0), together, atol=2e-5)
    assert seen == {"shelves", "compress", "reverb"}


def test_chains_are_drawn_by_probability_and_can_be_written_down() -> None:
    classes = [*INSTRUMENTS, "other"]
    assert all(draw_chain(random.Random(seed), name, 0.0) == {} for seed in range(20) for name in classes)
    share = np.mean([len(draw_chain(random.Random(seed), "electric_guitar", 1.0)) for seed in range(400)])
    assert share == pytest.approx(0.8 + 0.4 + 0.4 + 0.3 + 0.25 + 0.6, abs=0.25)
    once, again = (draw_chain(random.Random("x"), "voice", 1.0) for _ in range(2))
    assert once == again
