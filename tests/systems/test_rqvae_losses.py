from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import torch

from soli.dsp.mel import mel_filterbank
from soli.systems.rqvae.losses import MelDistance, magnitude_distance, magnitudes, thresholded_snr

RATE = 22050


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("length", "n_fft"), [(64, 512), (512, 512), (2048, 2048)])
def test_magnitudes_are_scipys(length: int, n_fft: int) -> None:
    signal = noise(6000).double()
    window = scipy.signal.get_window("hann", length)
    window /= np.linalg.norm(window)
    padded = np.pad(signal.numpy(), length // 2)
    starts = range(0, len(padded) - length + 1, length // 4)
    due = np.abs(np.fft.rfft(np.stack([padded[i : i + length] * window for i in starts]), n=n_fft))
    found = magnitudes(signal.float(), length, length // 4, n_fft=n_fft)
    torch.testing.assert_close(found.double(), torch.from_numpy(due), atol=1e-4, rtol=1e-3)


def test_noise_counts_alike_at_every_scale() -> None:
    levels = [float(magnitudes(noise(40000), length, length // 4).square().mean()) for length in (64, 512, 2048)]
    assert levels == pytest.approx([1.0, 1.0, 1.0], rel=0.1)


def test_the_mel_distance_is_the_equation() -> None:
    truth, guess = noise(2, 3, 4000), noise(2, 3, 4000, seed=1)
    due = 0.0
    for length in (64, 1024):
        bank = mel_filterbank(RATE, max(512, length), 64)
        total = 0.0
        for item in range(2):
            for source in range(3):
                s, t = (
                    magnitudes(x[item, source], length, length // 4, n_fft=max(512, length)).double() @ bank.T
                    for x in (truth, guess)
                )
                frames = (s - t).abs().sum(dim=1) + (s.log() - t.log()).square().sum(dim=1).sqrt()
                total += float(frames.mean())
        due += total / 2 / 2  # items, scales
    assert float(MelDistance(RATE, (64, 1024))(truth, guess)) == pytest.approx(due, rel=1e-4)


def test_the_mel_distance_bears_silence() -> None:
    distance = MelDistance(RATE, (64, 512))
    silence, guess = torch.zeros(1, 2, 4000), torch.zeros(1, 2, 4000, requires_grad=True)
    assert float(distance(silence, silence)) == 0
    loss = distance(noise(1, 2, 4000), guess)
    loss.backward()
    assert guess.grad is not None
    assert torch.isfinite(guess.grad).all()
    assert math.isfinite(loss.item())


def test_the_snr_of_an_active_source_is_relative_to_itself() -> None:
    stems = torch.stack((noise(1, 4000)[0], 0.1 * noise(4000, seed=1)))[None]
    error = 0.1 * stems.square().mean(dim=-1, keepdim=True).sqrt() * noise(1, 2, 4000, seed=2)
    loss = float(thresholded_snr(stems, stems + error, floor_db=-80.0, n_samples=4000))
    assert loss == pytest.approx(-20.0, abs=0.3)


def test_a_silent_source_is_measured_against_the_mixture() -> None:
    stems = torch.stack((noise(4000), torch.zeros(4000)))[None]
    leak = torch.stack((torch.zeros(4000), 0.01 * noise(4000, seed=1)))[None]
    exact = float(thresholded_snr(stems, stems, floor_db=-40.0, n_samples=4000))
    leaking = float(thresholded_snr(stems, stems + leak, floor_db=-40.0, n_samples=4000))
    assert exact == pytest.approx(-40.0, abs=1e-3)
    assert leaking == pytest.approx((-40.0 - 10.0) / 2, abs=0.5)  # -40 dB of the mixture, whose thousandth is -30 dB


def test_pieces_count_alike_whatever_their_level() -> None:
    loud, quiet = noise(1, 1, 1000), 0.01 * noise(1, 1, 1000, seed=1)
    stems = torch.cat((loud, quiet), dim=-1)
    estimates = torch.cat((0.9 * loud, 0.5 * quiet), dim=-1)
    found = float(thresholded_snr(stems, estimates, floor_db=-80.0, n_samples=1000))
    assert found == pytest.approx((20 * math.log10(0.1) + 20 * math.log10(0.5)) / 2, abs=0.01)
    whole = float(thresholded_snr(stems, estimates, floor_db=-80.0, n_samples=5000))
    assert whole == pytest.approx(20 * math.log10(0.1), abs=0.05)


def test_the_gradient_fades_below_the_floor() -> None:
    stems = noise(1, 1, 1000)
    slopes = []
    for error in (0.1, 0.001):
        estimates = (stems + error * noise(1, 1, 1000, seed=1)).requires_grad_()
        thresholded_snr(stems, estimates, floor_db=-30.0, n_samples=1000).backward()
        assert estimates.grad is not None
        slopes.append(error * float(estimates.grad.norm()))  # per relative change of the error
    assert slopes[1] < 0.01 * slopes[0]


def test_magnitude_distance_ignores_signs_and_measures_gains() -> None:
    stems = noise(1, 2, 6000)
    assert float(magnitude_distance(stems, -stems, (256, 1024))) == pytest.approx(0.0, abs=1e-6)
    assert float(magnitude_distance(stems, 0.25 * stems, (256, 1024))) == pytest.approx(0.5, rel=0.01)
    assert float(magnitude_distance(stems, 0 * stems, (256, 1024))) == pytest.approx(1.0, rel=0.01)
