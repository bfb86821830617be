from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor

from soli.data.augment import replay, resample, stretch

RATE = 44100


def sine(frequency: float, seconds: float = 3.0) -> Tensor:
    time = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    return (0.3 * torch.sin(2 * math.pi * frequency * time)).float()


def frequency_of(tone: Tensor) -> float:
    """Of the strongest peak, by a parabola through the logarithm of a windowed spectrum."""
    spectrum = torch.fft.rfft(tone * torch.hann_window(len(tone)), n=2**18).abs().log().double()
    k = int(spectrum.argmax())
    a, b, c = spectrum[k - 1 : k + 2].tolist()
    return (k + (a - c) / (2 * (a - 2 * b + c))) * RATE / 2**18


def clicks(places: list[int], n_samples: int) -> Tensor:
    """Decaying bursts of noise of 10 ms, alike in both channels."""
    burst = np.random.default_rng(0).standard_normal(441) * np.exp(-np.arange(441) / 80)
    out = torch.zeros(2, n_samples)
    for place in places:
        out[:, place : place + 441] = torch.from_numpy(burst)
    return out


@pytest.mark.parametrize("semitones", [-3.0, -0.5, 2.0])
@pytest.mark.parametrize("frequency", [110.0, 440.0, 3000.0])
def test_a_change_of_pitch_moves_a_sine_by_its_ratio_and_keeps_length_and_level(
    semitones: float, frequency: float
) -> None:
    ratio, tone = 2 ** (semitones / 12), sine(frequency)
    moved = replay(tone[None], len(tone), ratio, RATE)[0]
    assert moved.shape == tone.shape
    assert frequency_of(moved) == pytest.approx(frequency * ratio, rel=2e-4)
    inside = slice(4096, -4096)
    assert moved[inside].square().mean().sqrt() == pytest.approx(0.3 / math.sqrt(2), rel=0.01)


@pytest.mark.parametrize("factor", [0.8, 1.07, 1.25])
def test_a_change_of_tempo_keeps_the_pitch(factor: float) -> None:
    tone = sine(440.0)
    changed = stretch(tone[None], round(len(tone) / factor), RATE)[0]
    assert len(changed) == round(len(tone) / factor)
    assert frequency_of(changed) == pytest.approx(440.0, rel=1e-4)


@pytest.mark.parametrize("factor", [0.8, 1.07, 1.25])
def test_a_change_of_tempo_moves_onsets_and_leaves_them_sharp(factor: float) -> None:
    places = [11025, 33075, 60000, 90000]
    power = stretch(clicks(places, 110250), round(110250 / factor), RATE)[0].square()
    for place in places:
        due = round(place / factor)
        around = power[due - 4410 : due + 4410]
        tenth = int((around.cumsum(0) < 0.1 * around.sum()).sum()) - 4410
        assert abs(tenth) < 0.004 * RATE
        assert power[due - 200 : due + 641].sum() > 0.96 * around.sum()


@pytest.mark.parametrize("notes", [[220.0, 277.2, 329.6, 440.0], [130.8, 164.8, 196.0]])
@pytest.mark.parametrize("ratio", [0.9, 1.1])
def test_a_chord_stays_a_chord(notes: list[float], ratio: float) -> None:
    chord = torch.stack([sine(note) for note in notes]).sum(dim=0)
    power = (
        torch.fft.rfft(replay(chord[None], len(chord), ratio, RATE)[0] * torch.hann_window(len(chord))).abs().square()
    )
    near = [slice(round(3 * ratio * note) - 4, round(3 * ratio * note) + 5) for note in notes]  # bins of 1/3 Hz
    parts = torch.stack([power[part].sum() for part in near])
    assert 10 * torch.log10(parts.max() / parts.min()) < 1.5
    assert parts.sum() > (1 - 1e-4) * power.sum()


def test_all_channels_turn_alike() -> None:
    music = torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    left, right = stretch(torch.cat((music, -0.5 * music)), 48000, RATE)
    torch.testing.assert_close(right, -0.5 * left, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("rate", [16000, 22050, 48000])
def test_other_rates_give_the_same_frequencies(rate: int) -> None:
    tone = sine(440.0)  # of so many samples per period; at another rate it is another tone
    moved = replay(tone[None], len(tone), 1.1, rate)[0]
    assert frequency_of(moved) == pytest.approx(484.0, rel=2e-4)


def test_what_sounds_in_one_channel_only_is_measured_too() -> None:
    left, right = stretch(torch.stack((sine(440.0), sine(1234.5))), round(3 * RATE / 1.2), RATE)
    for channel, frequency in ((left, 440.0), (right, 1234.5)):
        assert frequency_of(channel) == pytest.approx(frequency, rel=1e-4)
        assert channel[4096:-4096].square().mean().sqrt() == pytest.approx(0.3 / math.sqrt(2), rel=0.01)


def test_nothing_changes_where_nothing_is_asked_for() -> None:
    music = torch.randn(2, 5000)
    assert torch.equal(replay(music, 5000, 1.0, RATE), music)


def test_a_tape_that_runs_faster_is_resampled_only() -> None:
    music = torch.randn(2, 9000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(replay(music, 7500, 1.2, RATE), resample(music, 7500))


def test_resampling_agrees_with_a_fourier_series() -> None:
    rng = np.random.default_rng(0)
    spectrum = np.zeros(5001, np.complex128)
    spectrum[20:1500] = rng.standard_normal(1480) + 1j * rng.standard_normal(1480)
    music = np.fft.irfft(spectrum)[None] * np.hanning(10000)
    due = np.asarray(scipy.signal.resample(music, 8700, axis=1))
    got = resample(torch.from_numpy(music).float(), 8700).numpy()
    assert np.abs(got - due)[:, 500:-500].max() < 2e-4 * np.abs(due).max()
