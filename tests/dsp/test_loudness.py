from __future__ import annotations

import math

import numpy as np
import pyloudnorm
import pytest
import scipy.signal
import torch
from torch import Tensor

from soli.dsp.loudness import integrated_loudness, k_filters, k_weight


def sine(frequency: float, seconds: float, rate: int = 48000, level: float = 0.0) -> Tensor:
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return 10 ** (level / 20) * torch.sin(2 * math.pi * frequency * time)


def test_the_filters_are_those_printed_in_the_standard() -> None:
    (shelf, shelf_poles), (_, pass_poles) = k_filters(48000)
    np.testing.assert_allclose(shelf, (1.53512485958697, -2.69169618940638, 1.19839281085285), atol=1e-10)
    np.testing.assert_allclose(shelf_poles, (1.0, -1.69065929318241, 0.73248077421585), atol=1e-10)
    np.testing.assert_allclose(pass_poles, (1.0, -1.99004745483398, 0.99007225036621), atol=1e-10)


@pytest.mark.parametrize("rate", [44100, 22050])
def test_weighting_is_the_recursive_filter(rate: int) -> None:
    noise = torch.randn(2, rate, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    due = noise.numpy()
    for numerator, denominator in k_filters(rate):
        due = scipy.signal.lfilter(numerator, denominator, due)
    np.testing.assert_allclose(k_weight(noise, rate).numpy(), due, atol=1e-5)


def test_a_full_scale_sine_of_997_hz_is_the_reference() -> None:
    one = torch.stack((sine(997, 5), torch.zeros(240000, dtype=torch.float64)))
    assert float(integrated_loudness(one, 48000)) == pytest.approx(-3.01, abs=0.01)
    assert float(integrated_loudness(sine(997, 5).expand(2, -1), 48000)) == pytest.approx(0.0, abs=0.01)


def test_the_gates_of_tech_3341() -> None:
    """Case 3: 10 s at -36, 60 s at -23 and 10 s at -36 dBFS in stereo is -23 LUFS; the quiet parts are gated."""
    parts = [sine(1000, seconds, level=level) for seconds, level in ((10, -36), (60, -23), (10, -36))]
    stereo = torch.cat(parts).expand(2, -1)
    assert float(integrated_loudness(stereo, 48000)) == pytest.approx(-23.0, abs=0.1)


@pytest.mark.parametrize("rate", [44100, 16000])
def test_it_agrees_with_pyloudnorm(rate: int) -> None:
    generator = torch.Generator().manual_seed(1)
    envelope = (torch.rand(1, 12, generator=generator) ** 3).repeat_interleave(rate // 2, dim=1)
    music = 0.3 * torch.randn(2, 6 * rate, generator=generator).cumsum(dim=1).diff(prepend=torch.zeros(2, 1)) * envelope
    due = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(music.T.numpy().astype(np.float64))
    assert float(integrated_loudness(music, rate)) == pytest.approx(due, abs=0.1)


def test_louder_is_louder_by_as_much() -> None:
    music = torch.randn(3, 2, 44100, generator=torch.Generator().manual_seed(0)) * 0.1
    difference = integrated_loudness(10 ** (-6 / 20) * music, 44100) - integrated_loudness(music, 44100)
    torch.testing.assert_close(difference, torch.full((3,), -6.0), atol=1e-3, rtol=0)


def test_silence_has_no_loudness_and_a_short_clip_has_one() -> None:
    assert float(integrated_loudness(torch.zeros(2, 44100), 44100)) == -math.inf
    assert math.isfinite(float(integrated_loudness(0.1 * torch.randn(2, 1000), 44100)))
