from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch

from soli.baselines.hpss import HPSS, HPSSConfig, median_filter
from soli.evaluation.metrics import sdr_global
from soli.testing import check_separator

RATE = 8000
SMALL = {"sample_rate": RATE, "n_fft": 512, "hop_length": 128}


def small() -> HPSS:
    return HPSS(HPSSConfig(**SMALL))  # type: ignore[arg-type]


def test_it_keeps_the_contract() -> None:
    check_separator(small(), longest_seconds=5.0)


@pytest.mark.parametrize(("dim", "size"), [(-1, (1, 1, 1, 7)), (-2, (1, 1, 7, 1))])
def test_the_filter_is_scipys(dim: int, size: tuple[int, ...]) -> None:
    magnitude = torch.rand(1, 2, 33, 40, generator=torch.Generator().manual_seed(0))
    due = scipy.ndimage.median_filter(magnitude.numpy(), size=size, mode="mirror")
    np.testing.assert_allclose(median_filter(magnitude, 7, dim).numpy(), due)


def test_a_tone_lasts_and_a_click_strikes() -> None:
    time = torch.arange(2 * RATE) / RATE
    tone = 0.3 * torch.sin(2 * torch.pi * 700 * time).expand(2, -1)
    clicks = torch.zeros(2, 2 * RATE)
    clicks[:, 1000::4000] = 0.9
    estimates = small().separate(tone + clicks, RATE)
    assert sdr_global(tone, estimates["harmonic"]) > 15
    assert sdr_global(clicks, estimates["percussive"]) > 5  # in the mixture they are at -23 dB
    assert estimates.residual.abs().max() < 1e-5
