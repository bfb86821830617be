from __future__ import annotations

import math

import torch
from torch import Tensor

from soli.dsp.frames import analyse
from soli.systems.classcond.config import ClassCondConfig
from soli.systems.classcond.inputs import (
    N_MAGNITUDES,
    complex_planes,
    local_level,
    magnitude_planes,
    short_window_power,
)

CONFIG = ClassCondConfig(sample_rate=8000, n_fft=512, hop_length=256, level_seconds=0.5)


def spectrogram(waveform: Tensor) -> Tensor:
    return analyse(waveform, CONFIG.n_fft, CONFIG.hop_length)


def noise(seconds: float = 4.0) -> Tensor:
    return 0.1 * torch.randn(1, 2, round(seconds * 8000), generator=torch.Generator().manual_seed(0))


def test_magnitudes_do_not_hear_phases() -> None:
    spec = spectrogram(noise())
    turned = spec * torch.polar(torch.ones(spec.shape[-2:]), 3 * torch.randn(spec.shape[-2:]))
    planes, other = magnitude_planes(spec, CONFIG), magnitude_planes(turned, CONFIG)
    assert planes.shape == (1, N_MAGNITUDES, spec.shape[2], spec.shape[3] - 1)
    torch.testing.assert_close(planes[:, :4], other[:, :4], atol=1e-4, rtol=0)


def test_magnitudes_do_not_hear_loudness() -> None:
    spec = spectrogram(noise())
    torch.testing.assert_close(magnitude_planes(spec, CONFIG), magnitude_planes(100 * spec, CONFIG), atol=1e-4, rtol=0)


def test_a_decade_of_power_is_a_quarter_of_its_logarithm() -> None:
    left = noise()[:, 0]
    planes = magnitude_planes(spectrogram(torch.stack((left, 10 * left), dim=1)), CONFIG)
    step = planes[:, 1] - planes[:, 0]
    torch.testing.assert_close(step.median(), torch.tensor(0.25 * math.log(100)), atol=1e-3, rtol=0)


def test_what_both_sides_share_is_not_in_the_side() -> None:
    mono = noise()[:, :1].expand(-1, 2, -1)
    middle, side = magnitude_planes(spectrogram(mono), CONFIG)[0, 2:4]
    left = magnitude_planes(spectrogram(mono), CONFIG)[0, 0]
    torch.testing.assert_close(middle - left, torch.full_like(left, 0.25 * math.log(2)), atol=0.02, rtol=0)
    torch.testing.assert_close(side, torch.full_like(side, 0.25 * math.log(1e-7) + 2))


def test_long_and_short_windows_measure_one_power() -> None:
    spec = spectrogram(noise())
    short = short_window_power(spec, CONFIG.n_fft)[..., 4:-4]
    left, right = spec.unbind(dim=1)
    long = torch.stack((left + right, left - right), dim=1).abs().square()[..., 4:-5]
    taper, short_taper = torch.hann_window(512), torch.hann_window(128)
    heard = [(2 * short_taper * taper[start : start + 128]).square().sum() for start in range(96, 352, 64)]
    due = torch.stack(heard).mean() / taper.square().sum()
    inside = slice(1, -2)
    ratio = short[:, :, inside].mean() / long[:, :, inside].mean()
    torch.testing.assert_close(ratio, due, rtol=0.05, atol=0)


def test_a_click_is_in_the_quarter_of_the_frame_where_it_sounds() -> None:
    for quarter in range(4):
        clicks = torch.zeros(1, 2, 4096)
        centre = 8 * CONFIG.hop_length  # of frame 8
        clicks[..., centre - CONFIG.hop_length // 2 + (2 * quarter + 1) * CONFIG.hop_length // 8] = 1.0
        middle = short_window_power(spectrogram(clicks), CONFIG.n_fft)[0, 0]
        heard = middle.unflatten(-1, (-1, 4)).mean(dim=1)  # [N 4]
        assert heard.flatten().argmax() == 8 * 4 + quarter


def test_a_tone_has_its_place_along_frequency_in_every_plane() -> None:
    tone = torch.sin(2 * math.pi * 1000 / 8000 * torch.arange(8000.0)).expand(1, 2, -1)
    planes = magnitude_planes(spectrogram(tone), CONFIG)[0, :, 10]  # [V F]
    for plane in planes[[0, 1, 2, 4]]:
        assert abs(int(plane.argmax()) - 1000 / 8000 * 512) <= 4


def test_complex_planes_keep_phases_and_compress_magnitudes() -> None:
    spec = spectrogram(noise())
    planes = complex_planes(spec, CONFIG, 40).unflatten(1, (2, 2))
    found, due = torch.complex(planes[:, :, 0], planes[:, :, 1]), spec[..., :40]
    relative = due.abs() / local_level(spec, CONFIG).sqrt()
    audible = relative > 0.1
    torch.testing.assert_close(
        (found * due.conj()).angle()[audible], torch.zeros(int(audible.sum())), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(found.abs()[audible], relative[audible] ** CONFIG.compression, rtol=2e-3, atol=0)


def test_the_level_follows_the_neighbourhood_only() -> None:
    quiet_then_loud = torch.cat((0.01 * noise(), noise()), dim=-1)
    levels = local_level(spectrogram(quiet_then_loud), CONFIG)[0, 0, :, 0]
    reach = round(CONFIG.level_seconds * 8000 / CONFIG.hop_length / 2) + 1
    change = 4 * 8000 // CONFIG.hop_length
    assert levels[: change - reach].max() < 2e-4 * levels[change + reach :].min() * 1.5
