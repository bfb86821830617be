from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pyloudnorm
import pytest
import torch

from soli.data.augment import channel_matrix, level_gains, one_thread


def stems() -> torch.Tensor:
    """Three stereo stems of 3.2 s: coloured noise that comes and goes, at -50, -30 and -6 dB; and silence."""
    generator = torch.Generator().manual_seed(0)
    envelope = (torch.rand(4, 1, 8, generator=generator) ** 2).repeat_interleave(17640, dim=2)
    slow = torch.randn(4, 2, 141120, generator=generator)
    coloured = slow + 3 * torch.nn.functional.avg_pool1d(slow, 9, stride=1, padding=4)
    return coloured * envelope * torch.tensor([0.003, 0.03, 0.5, 0.0])[:, None, None]


def test_equal_loudness_is_minus_25_lufs_by_another_meter() -> None:
    levelled = stems() * level_gains(stems(), "lufs", 44100)[:, None, None]
    meter = pyloudnorm.Meter(44100, filter_class="DeMan")
    for stem in levelled[:3]:
        assert meter.integrated_loudness(stem.T.double().numpy()) == pytest.approx(-25.0, abs=0.2)
        mono = stem.mean(dim=0, keepdim=True)
        mono = mono * level_gains(mono[None], "lufs", 44100)
        assert meter.integrated_loudness(mono[0].double().numpy()) == pytest.approx(-25.0, abs=0.2)


def test_equal_rms_is_minus_20_dbfs() -> None:
    levelled = stems() * level_gains(stems(), "rms", 44100)[:, None, None]
    for stem in levelled[:3].numpy():
        assert 20 * np.log10(np.sqrt(np.mean(stem**2))) == pytest.approx(-20.0, abs=0.01)


@pytest.mark.parametrize("loudness", ["rms", "lufs"])
def test_silence_stays_silent(loudness: Any) -> None:
    faint = torch.full((1, 2, 44100), 1e-4) * torch.randn(1, 2, 44100).sign()
    assert level_gains(faint, loudness, 44100).item() == 1.0
    assert level_gains(stems(), loudness, 44100)[3] == 1.0


def test_channels_follow_their_formulas() -> None:
    audio = torch.randn(2, 2, 100)
    matrix = channel_matrix(inverted=[True, False], width=[0.5, 1.0], balance_db=[3.0, 0.0])
    changed = matrix @ audio
    middle, side = audio[0].mean(dim=0), 0.5 * (audio[0, 0] - audio[0, 1]) / 2
    share = 10 ** (1.5 / 20)
    torch.testing.assert_close(changed[0], -torch.stack(((middle + side) * share, (middle - side) / share)))
    torch.testing.assert_close(changed[1], audio[1])


def test_swapping_exchanges_and_mono_averages_what_the_listener_gets() -> None:
    audio = torch.randn(1, 2, 100)
    settings: dict[str, Any] = {"inverted": [False], "width": [0.3], "balance_db": [-2.0]}
    plain = channel_matrix(**settings) @ audio
    torch.testing.assert_close(channel_matrix(**settings, swapped=True) @ audio, plain.flip(1))
    mono = channel_matrix(**settings, mono=True) @ audio
    torch.testing.assert_close(mono, plain.mean(dim=1, keepdim=True))


def test_no_width_is_mono() -> None:
    out = channel_matrix(inverted=[False], width=[0.0], balance_db=[0.0]) @ torch.randn(1, 2, 50)
    torch.testing.assert_close(out[0, 0], out[0, 1])


def test_the_callers_threads_come_back_even_after_an_error() -> None:
    before, inside = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        with suppress(ZeroDivisionError), one_thread():
            inside.append(torch.get_num_threads())
            raise ZeroDivisionError
        assert inside == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
