from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from soli.baselines.oracles import Oracle, oracle_estimates
from soli.dsp.stft import istft, stft
from soli.errors import SoliError
from soli.evaluation.metrics import sdr_global

KINDS = get_args(Oracle)
SIZES = {"n_fft": 256, "hop_length": 64}


def sources(n_sources: int = 3, n_channels: int = 2, n_samples: int = 8000) -> Tensor:
    """Noises of different colour that come and go, each from its own direction."""
    generator = torch.Generator().manual_seed(0)
    white = torch.randn(n_sources, 1, n_samples, generator=generator)
    spectra = torch.fft.rfft(white)
    bins = torch.arange(spectra.shape[-1]) / spectra.shape[-1]
    for k in range(n_sources):
        spectra[k] *= torch.exp(-(((bins - (k + 0.5) / n_sources) * n_sources) ** 2))
    gate = (torch.rand(n_sources, 1, n_samples // 500, generator=generator) < 0.7).repeat_interleave(500, dim=-1)
    pans = torch.rand(n_sources, n_channels, 1, generator=generator) + 0.2
    return pans * torch.fft.irfft(spectra, n=n_samples) * gate


@pytest.mark.parametrize("kind", KINDS)
def test_sources_in_separate_bands_come_back(kind: Oracle) -> None:
    time = torch.arange(8000) / 8000
    tones = torch.stack([torch.sin(2 * torch.pi * f * time) for f in (500.0, 2000.0)])[:, None].expand(-1, 2, -1)
    estimates = oracle_estimates(tones, kind, **SIZES)
    assert sdr_global(tones, estimates).min() > 30


@pytest.mark.parametrize("kind", ["binary", "ratio", "wiener"])
def test_they_share_the_mixture_out(kind: Oracle) -> None:
    references = sources()
    torch.testing.assert_close(
        oracle_estimates(references, kind, **SIZES).sum(dim=0), references.sum(dim=0), atol=1e-4, rtol=0
    )


def test_more_knowledge_separates_better() -> None:
    references = sources()
    scores = {kind: float(sdr_global(references, oracle_estimates(references, kind, **SIZES)).mean()) for kind in KINDS}
    assert scores["complex"] > scores["phase_sensitive"] > scores["ratio"]
    assert scores["phase_sensitive"] > scores["binary"]


def test_the_wiener_filter_hears_directions_that_single_channels_hide() -> None:
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, 8000, generator=generator)
    references = torch.stack((torch.stack((left, 0 * left)), torch.stack((right, right))))  # same band, same time
    ratio = sdr_global(references, oracle_estimates(references, "ratio", **SIZES))
    wiener = sdr_global(references, oracle_estimates(references, "wiener", **SIZES))
    assert (wiener > ratio + 10).all()


def test_the_wiener_filter_of_one_channel_is_the_power_ratio() -> None:
    references = sources(n_channels=1)
    power = stft(references, 256, 64).abs().square()
    due = istft(power / power.sum(dim=0).clamp(min=1e-12) * stft(references.sum(dim=0), 256, 64), 256, 64, 8000)
    torch.testing.assert_close(oracle_estimates(references, "wiener", **SIZES), due, atol=1e-3, rtol=0)
    squares = oracle_estimates(references, "ratio", exponent=2.0, **SIZES)
    torch.testing.assert_close(squares, due, atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_silence_stays_silent_and_finite(kind: Oracle) -> None:
    references = sources()
    references[1] = 0
    estimates = oracle_estimates(references, kind, **SIZES)
    assert estimates.isfinite().all()
    assert estimates[1].abs().max() < 1e-3
    assert oracle_estimates(0 * references, kind, **SIZES).abs().max() < 1e-6


def test_wrong_input_is_named() -> None:
    with pytest.raises(SoliError, match="oracle 'ibm'; allowed: binary"):
        oracle_estimates(sources(), "ibm")  # type: ignore[arg-type]
    with pytest.raises(SoliError, match=r"\[2, 8000\]; allowed: \[S C T\]"):
        oracle_estimates(sources()[0], "ratio")
