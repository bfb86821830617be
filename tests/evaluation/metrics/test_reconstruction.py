from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import torch

from soli.errors import SoliError
from soli.evaluation.metrics import reconstruction, snr


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    truth = 0.1 * torch.randn(8000, generator=generator)
    return truth, 0.7 * truth + 0.02 * torch.randn(8000, generator=generator)


def test_measures_are_those_of_their_definitions() -> None:
    truth, guess = pair()
    found = reconstruction(truth, guess)
    x, y = truth.double().numpy(), guess.double().numpy()
    assert float(found.mse) == pytest.approx(np.mean((x - y) ** 2))
    assert float(found.snr) == pytest.approx(float(snr(truth, guess)))
    assert float(found.psnr) == pytest.approx(-10 * math.log10(np.mean((x - y) ** 2)))
    assert float(found.cosine) == pytest.approx(x @ y / math.sqrt(x @ x * (y @ y)))


def test_the_spectral_error_is_scipys() -> None:
    truth, guess = pair()
    window = scipy.signal.get_window("hann", 2048)
    sizes = []
    for signal in (truth, guess):
        padded = np.pad(signal.double().numpy(), (1024, 1024 + -8000 % 512))
        frames = np.lib.stride_tricks.sliding_window_view(padded, 2048)[::512]
        sizes.append(np.abs(np.fft.rfft(frames * window)))
    expected = np.mean((sizes[0] - sizes[1]) ** 2)
    assert float(reconstruction(truth, guess).spectral_mse) == pytest.approx(expected, rel=1e-4)


def test_the_seeds_numbers_agree_with_one_another() -> None:
    """There is an estimate with a cosine of .7734 and an SNR of 1.79 dB."""
    cosine, noise = 0.7734, 10 ** (-1.7897 / 10)
    gain = cosine - math.sqrt(cosine**2 - (1 - noise))
    truth = torch.tensor([1.0, 0.0])
    guess = gain * torch.tensor([cosine, math.sqrt(1 - cosine**2)])
    found = reconstruction(truth, guess)
    assert float(found.snr) == pytest.approx(1.7897, abs=1e-3)
    assert float(found.cosine) == pytest.approx(0.7734, abs=1e-4)


def test_perfect_and_silent() -> None:
    truth, _ = pair()
    assert float(reconstruction(truth, truth).snr) == math.inf
    silent = reconstruction(0 * truth, truth)
    assert math.isnan(float(silent.snr))
    assert math.isnan(float(silent.cosine))
    with pytest.raises(SoliError, match="one shape"):
        reconstruction(truth, truth[1:])
