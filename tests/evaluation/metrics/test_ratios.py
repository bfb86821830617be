from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from soli.errors import SoliError
from soli.evaluation.metrics import sdr_global, si_sdr, si_sdr_improvement, snr


@pytest.fixture
def signals() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    references = torch.randn(3, 2, 400)
    return references, 0.7 * references + 0.3 * torch.randn(3, 2, 400)


@pytest.mark.parametrize("decibels", [-20.0, 0.0, 13.0, 60.0])
def test_noise_at_a_known_level_gives_that_ratio(decibels):
    torch.manual_seed(1)
    reference, noise = torch.randn(2, 2, 1000, dtype=torch.float64)
    noise -= (noise * reference).sum() / reference.square().sum() * reference  # orthogonal, as SI-SDR wants it
    noise *= (reference.square().sum() / noise.square().sum() / 10 ** (decibels / 10)).sqrt()
    assert sdr_global(reference, reference + noise).item() == pytest.approx(decibels, abs=1e-9)
    assert si_sdr(reference, reference + noise).item() == pytest.approx(decibels, abs=1e-9)


def test_si_sdr_equals_a_least_squares_projection(signals):
    for reference, estimate, value in zip(*signals, si_sdr(*signals), strict=True):
        column, goal = reference.double().flatten()[:, None].numpy(), estimate.double().flatten().numpy()
        (factor,), (distortion,), *_ = np.linalg.lstsq(column, goal)
        assert value.item() == pytest.approx(10 * math.log10(((factor * column) ** 2).sum() / distortion))


def test_scale_and_sign_of_the_estimate_do_not_matter_to_si_sdr_only(signals):
    references, estimates = signals
    for factor in (-1.0, 0.01, 30.0):
        torch.testing.assert_close(si_sdr(references, factor * estimates), si_sdr(references, estimates))
        assert (sdr_global(references, factor * estimates) < sdr_global(references, estimates)).all()


def test_channels_are_taken_together():
    reference = torch.stack([torch.ones(10), torch.zeros(10)])
    estimate = torch.stack([torch.ones(10), torch.full((10,), 0.1)])
    assert sdr_global(reference, estimate).item() == pytest.approx(20, abs=1e-5)


@pytest.mark.parametrize("metric", [sdr_global, si_sdr])
def test_a_batch_gives_what_its_items_give(metric, signals):
    references, estimates = signals
    one_by_one = torch.stack([metric(r, e) for r, e in zip(references, estimates, strict=True)])
    torch.testing.assert_close(metric(references, estimates), one_by_one)
    assert metric(references[None], estimates[None]).shape == (1, 3)


@pytest.mark.parametrize("metric", [sdr_global, si_sdr])
def test_a_silent_reference_has_no_ratio(metric, signals):
    _, estimates = signals
    silence = torch.zeros_like(estimates)
    assert metric(silence, estimates).isnan().all()
    assert metric(silence, silence).isnan().all()
    assert si_sdr_improvement(silence, estimates, estimates).isnan().all()


def test_a_silent_estimate_is_0_db_and_for_si_sdr_the_worst_there_is(signals):
    references, _ = signals
    silence = torch.zeros_like(references)
    assert (sdr_global(references, silence) == 0).all()
    assert (si_sdr(references, silence) == -math.inf).all()


def test_an_estimate_without_any_of_the_reference_is_the_worst_there_is():
    reference, estimate = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert si_sdr(reference, estimate).item() == -math.inf


def test_a_perfect_estimate_is_infinite(signals):
    references, _ = signals
    assert (sdr_global(references, references) == math.inf).all()


def test_improvement_over_the_mixture_itself_is_zero(signals):
    references, mixtures = signals
    assert (si_sdr_improvement(references, mixtures, mixtures) == 0).all()
    assert (si_sdr_improvement(references, mixtures + references, mixtures) > 0).all()


def test_long_quiet_signals_lose_no_precision():
    reference = np.random.default_rng(0).standard_normal((1, 1_000_000)) * 1e-4
    estimate = reference * (1 + 1e-3)
    assert sdr_global(torch.from_numpy(reference), torch.from_numpy(estimate)).item() == pytest.approx(60, abs=1e-6)


@pytest.mark.parametrize("metric", [sdr_global, si_sdr])
def test_unequal_shapes_are_refused(metric):
    with pytest.raises(SoliError, match=r"\[2, 5\].*\[2, 6\]"):
        metric(torch.ones(2, 5), torch.ones(2, 6))
    with pytest.raises(SoliError, match=r"\[... C T\]"):
        metric(torch.ones(5), torch.ones(5))


def test_snr_takes_each_channel_on_its_own():
    reference = torch.stack([torch.ones(10), torch.ones(10), torch.zeros(10)])
    estimate = torch.stack([torch.full((10,), 1.1), torch.full((10,), 0.99), torch.ones(10)])
    found = snr(reference, estimate)
    assert found[:2].tolist() == pytest.approx([20, 40], abs=1e-4)
    assert found[2].isnan()
    torch.testing.assert_close(
        found[:2], torch.stack([sdr_global(reference[i : i + 1], estimate[i : i + 1]) for i in (0, 1)])
    )
    with pytest.raises(SoliError, match=r"\[... T\]"):
        snr(torch.tensor(1.0), torch.tensor(1.0))
