from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from soli.errors import SoliError
from soli.evaluation.metrics import log_spectral_distance, multi_resolution_spectral_distance

METRICS = [log_spectral_distance, multi_resolution_spectral_distance]


@pytest.fixture
def noise() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(3, 2, 6000, dtype=torch.float64)


def test_a_gain_is_its_own_distance(noise):
    # what lies within 80 dB of the peak is all of white noise but for a bin in a thousand
    assert log_spectral_distance(noise, 0.5 * noise).numpy() == pytest.approx(20 * math.log10(2), abs=0.02)
    expected = 0.5 + math.log(2)
    assert multi_resolution_spectral_distance(noise, 0.5 * noise).numpy() == pytest.approx(expected, abs=0.01)


def test_log_spectral_distance_equals_numpy_frame_by_frame(noise):
    reference, estimate = noise[0, 0].numpy(), noise[1, 0].numpy()
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    spectra = []
    for signal in (reference, estimate):
        padded = np.pad(signal, (128, 128 + -len(signal) % 64))
        frames = [padded[n : n + 256] * window for n in range(0, len(padded) - 255, 64)]
        spectra.append(np.abs(np.fft.rfft(frames)))
    floor = spectra[0].max() * 1e-4
    logarithms = [20 * np.log10(np.maximum(spectrum, floor)) for spectrum in spectra]
    expected = np.sqrt(((logarithms[0] - logarithms[1]) ** 2).mean(1)).mean()
    found = log_spectral_distance(noise[0, :1], noise[1, :1], n_fft=256, hop_length=64)
    assert found.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_phase_does_not_matter_and_a_batch_gives_what_its_items_give(metric, noise):
    assert (metric(noise, -noise) == 0).all()
    estimates = noise.roll(1, 0)
    one_by_one = torch.stack([metric(r, e) for r, e in zip(noise, estimates, strict=True)])
    torch.testing.assert_close(metric(noise, estimates), one_by_one)
    assert (one_by_one > 0.5).all()


@pytest.mark.parametrize("metric", METRICS)
def test_a_silent_reference_has_no_distance_and_a_silent_estimate_a_finite_one(metric, noise):
    silence = torch.zeros_like(noise)
    assert metric(silence, noise).isnan().all()
    assert metric(silence, silence).isnan().all()
    assert metric(noise, silence).isfinite().all()
    assert (log_spectral_distance(noise, silence) < 80).all()


def test_frames_without_reference_do_not_dilute_the_log_spectral_distance(noise):
    silence = torch.zeros(3, 2, 40 * 512)
    louder = log_spectral_distance(*(torch.cat([x, silence], dim=-1) for x in (noise, 0.25 * noise)))
    assert louder.numpy() == pytest.approx(20 * math.log10(4), abs=0.5)
    leaking = torch.cat([0.25 * noise, torch.randn(silence.shape)], dim=-1)
    again = log_spectral_distance(torch.cat([noise, silence], dim=-1), leaking)
    torch.testing.assert_close(again, louder, rtol=0.2, atol=0.0)  # only the frames that straddle the end see it


@pytest.mark.parametrize("metric", METRICS)
def test_unequal_shapes_are_refused(metric, noise):
    with pytest.raises(SoliError, match=r"\[3, 2, 6000\].*\[3, 2, 5999\]"):
        metric(noise, noise[..., 1:])
