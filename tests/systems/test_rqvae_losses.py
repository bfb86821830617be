from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import torch

from soli.dsp.mel import mel_filterbank
from soli.evaluation.metrics import si_sdr
from soli.losses import magnitude_distance, magnitudes
from soli.systems.rqvae.losses import MelDistance, scale_invariant_error, separation_error, thresholded_snr

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
    stems = torch.stack((noise(4000), 0.1 * noise(4000, seed=1)))[None, :, None]
    error = 0.1 * stems.square().mean(dim=-1, keepdim=True).sqrt() * noise(1, 2, 1, 4000, seed=2)
    assert float(thresholded_snr(stems, stems + error, 1e-8)) == pytest.approx(-20.0, abs=0.3)


def test_a_silent_source_is_measured_against_the_mixture() -> None:
    stems = torch.stack((noise(4000), torch.zeros(4000)))[None, :, None]
    leak = torch.stack((torch.zeros(4000), 0.01 * noise(4000, seed=1)))[None, :, None]
    exact = float(thresholded_snr(stems, stems, 1e-4))
    leaking = float(thresholded_snr(stems, stems + leak, 1e-4))
    assert exact == pytest.approx(-40.0, abs=1e-3)
    assert leaking == pytest.approx((-40.0 - 10.0) / 2, abs=0.5)  # -40 dB of the mixture, whose thousandth is -30 dB


def test_the_scale_invariant_error_is_minus_the_si_sdr() -> None:
    stems = torch.stack((noise(4000), 0.1 * noise(4000, seed=1)))[None, :, None]
    estimates = 0.003 * (stems + 0.3 * noise(1, 2, 1, 4000, seed=2) * stems.std(dim=-1, keepdim=True))
    found = float(scale_invariant_error(stems, estimates, 1e-8))
    assert found == pytest.approx(-float(si_sdr(stems[0, :, 0], estimates[0, :, 0]).mean()), abs=0.05)


def test_the_scale_invariant_error_is_bounded_and_leaves_silent_sources_out() -> None:
    stems = torch.stack((noise(4000), torch.zeros(4000)))[None, :, None]
    estimates = torch.stack((noise(4000), noise(4000, seed=1)))[None, :, None]
    assert float(scale_invariant_error(stems, estimates, 1e-3)) == pytest.approx(-30.0, abs=0.01)
    stranger = estimates.flip(1)
    stranger = stranger - stems * (stranger * stems).sum() / stems.square().sum()
    assert float(scale_invariant_error(stems, stranger, 1e-3)) == pytest.approx(20.0, abs=0.01)


def test_a_small_estimate_of_the_wrong_shape_is_no_place_to_rest() -> None:
    """Gains of a mask near zero, as a softmax that has given up on a source: only the shape tells what to do."""
    stems = torch.stack((noise(4000), 0.05 * noise(4000, seed=1)))[None, :, None]
    logit = torch.full((2, 1, 1), -9.0, requires_grad=True)
    slopes = []
    for error in (thresholded_snr, scale_invariant_error):
        estimates = (logit[0].exp() * stems[:, 0] + logit[1].exp() * stems[:, 1])[:, None]  # of the quiet source
        loss = error(stems[:, 1:].expand_as(estimates), estimates, 1e-3)
        (slope,) = torch.autograd.grad(loss, logit)
        slopes.append(float(slope.abs().max()))
    assert slopes[0] < 0.05
    assert slopes[1] > 1.0


def test_an_estimate_of_the_opposite_sign_is_as_bad_as_a_stranger() -> None:
    stems = noise(1, 1, 1, 4000)
    for gain in (-0.01, -1.0):
        assert float(scale_invariant_error(stems, gain * stems, 1e-3)) == pytest.approx(20.0, abs=0.1)


@pytest.mark.parametrize("n_samples", [1000, 1300, 400])
def test_every_sample_is_in_a_piece(n_samples: int) -> None:
    stems = noise(1, 2, n_samples * 5 // 2)
    estimates = (stems + noise(*stems.shape, seed=1)).requires_grad_()
    separation_error(stems, estimates, floor_db=-30.0, n_samples=n_samples).backward()
    assert estimates.grad is not None
    assert int((estimates.grad == 0).all(dim=(0, 1)).sum()) < 5


def test_pieces_count_alike_whatever_their_level() -> None:
    loud, quiet = noise(1, 1, 1000), 0.01 * noise(1, 1, 1000, seed=1)
    stems = torch.cat((loud, quiet), dim=-1)
    estimates = torch.cat((0.9 * loud + 0.1 * noise(1, 1, 1000, seed=2), 0.5 * quiet), dim=-1)
    first, second = (
        separation_error(stems[..., part], estimates[..., part], floor_db=-80.0, n_samples=1000)
        for part in (slice(0, 1000), slice(1000, 2000))
    )
    found = separation_error(stems, estimates, floor_db=-80.0, n_samples=1000)
    assert float(found) == pytest.approx(float(first + second) / 2, abs=1e-3)
    whole = separation_error(stems, estimates, floor_db=-80.0, n_samples=5000)
    assert float(whole) == pytest.approx(float(first), abs=0.05)


def test_the_gradient_fades_below_the_floor() -> None:
    stems = noise(1, 1, 1, 1000)
    for loss in (thresholded_snr, scale_invariant_error):
        slopes = []
        for error in (0.1, 0.001):
            estimates = (stems + error * noise(1, 1, 1, 1000, seed=1)).requires_grad_()
            loss(stems, estimates, 1e-3).backward()
            assert estimates.grad is not None
            slopes.append(error * float(estimates.grad.norm()))  # per relative change of the error
        assert slopes[1] < 0.01 * slopes[0]


def test_magnitude_distance_ignores_signs_and_measures_gains() -> None:
    stems = noise(1, 2, 6000)
    assert float(magnitude_distance(stems, -stems, (256, 1024))) == pytest.approx(0.0, abs=1e-6)
    assert float(magnitude_distance(stems, 0.25 * stems, (256, 1024))) == pytest.approx(0.5, rel=0.01)
    assert float(magnitude_distance(stems, 0 * stems, (256, 1024))) == pytest.approx(1.0, rel=0.01)


def test_magnitudes_of_a_quiet_source_count_as_those_of_a_loud_one() -> None:
    stems = noise(1, 2, 6000) * torch.tensor([1.0, 0.03])[:, None]
    silenced = [float(magnitude_distance(stems, stems * torch.eye(2)[k][:, None], (256,))) for k in range(2)]
    assert silenced == pytest.approx([0.5, 0.5], rel=0.03)
