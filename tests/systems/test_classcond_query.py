from __future__ import annotations

import math

import pytest
import torch

from soli.dsp.stft import istft, stft
from soli.errors import SoliError
from soli.evaluation.metrics import si_sdr_improvement
from soli.systems.classcond.gaussians import Gaussians
from soli.systems.classcond.query import (
    active_weights,
    competitors,
    contrastive_mask,
    fit_gaussian,
    query_mask,
)

N_FFT, HOP, RATE, N_SAMPLES = 512, 128, 8000, 16000
CENTRES = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
CLASSES = Gaussians(CENTRES, torch.full((1, 1), 0.1), torch.tensor([0.5, 0.5]).log())


def tone(frequency):
    seconds = torch.arange(N_SAMPLES) / RATE
    return 0.3 * sum(torch.sin(2 * math.pi * frequency * h * seconds) / h for h in (1, 2, 3))


def noise(seed):
    return 0.2 * torch.randn(N_SAMPLES, generator=torch.Generator().manual_seed(seed))


def embed(tone_part, noise_part):
    """What a trained network would do: each bin near the centre of the class that dominates it."""
    levels = torch.stack([stft(part, N_FFT, HOP).abs() for part in (tone_part, noise_part)], dim=-1)
    shares = levels.square() / levels.square().sum(dim=-1, keepdim=True).clamp(min=1e-12)
    jitter = 0.1 * torch.randn(*shares.shape[:-1], 4, generator=torch.Generator().manual_seed(7))
    return shares @ CENTRES + jitter


@pytest.mark.parametrize(("mode", "temperature"), [("likelihood", 5.0), ("posterior", 1.0)])
@pytest.mark.parametrize("wanted", [0, 1])
def test_the_source_that_sounds_like_the_example_is_recovered(mode, temperature, wanted):
    sources = torch.stack([tone(440.0), noise(0)])
    mixture = sources.sum(dim=0)
    example = [tone(620.0), torch.zeros(N_SAMPLES)] if wanted == 0 else [torch.zeros(N_SAMPLES), noise(1)]
    weights = active_weights(stft(sum(example), N_FFT, HOP).abs())
    mask = query_mask(embed(*sources), embed(*example), weights, CLASSES, mode, temperature)
    match = istft(mask * stft(mixture, N_FFT, HOP), N_FFT, HOP, N_SAMPLES)
    assert mask.min() >= 0
    assert mask.max() <= 1
    assert si_sdr_improvement(sources[wanted][None], match[None], mixture[None]) > 10


def test_fit_recovers_mean_and_variance():
    generator = torch.Generator().manual_seed(0)
    deviation, mean = torch.tensor([0.5, 1.0, 2.0]), torch.tensor([1.0, -2.0, 3.0])
    samples = torch.randn(100, 200, 3, generator=generator) * deviation + mean
    everything = torch.ones(100, 200, dtype=torch.bool)
    fitted = fit_gaussian(samples, everything)
    torch.testing.assert_close(fitted.means[0], mean, rtol=0, atol=0.05)
    torch.testing.assert_close(fitted.variances[0], deviation.square(), rtol=0.05, atol=0)
    spherical = fit_gaussian(samples, everything, "spherical")
    torch.testing.assert_close(spherical.variances, fitted.variances.mean(dim=1, keepdim=True))


def test_weights_count_like_repeated_bins():
    samples = torch.randn(4, 3)
    repeated = samples.repeat_interleave(torch.tensor([1, 3, 0, 2]), dim=0)
    weighted = fit_gaussian(samples, torch.tensor([1.0, 3.0, 0.0, 2.0]))
    for found, due in zip(weighted, fit_gaussian(repeated, torch.ones(6)), strict=True):
        torch.testing.assert_close(found, due)


def test_variances_have_a_floor():
    samples = torch.randn(500, 3) * torch.tensor([1.0, 1.0, 0.0])
    fitted = fit_gaussian(samples, torch.ones(500))
    torch.testing.assert_close(fitted.variances[0, 2], 1e-3 * fitted.variances[0, :2].sum() / 3, rtol=0.01, atol=0)
    assert fit_gaussian(samples[:1], torch.ones(1)).variances.min() > 0


def test_quiet_bins_of_an_example_do_not_count():
    assert active_weights(torch.tensor([1.0, 0.02, 0.005])).tolist() == pytest.approx([1.0, 0.02, 0.0])


def test_likelihood_is_one_at_its_largest_and_wider_when_hotter():
    embedding = torch.randn(10, 20, 4)
    cold, hot = (query_mask(embedding, embedding, torch.ones(10, 20), CLASSES, "likelihood", t) for t in (1.0, 4.0))
    assert cold.max() == 1
    torch.testing.assert_close(hot, cold**0.25)


def test_contrastive_mask_is_the_posterior_by_bayes_rule():
    embedding = torch.randn(30, 4, dtype=torch.float64)
    query = Gaussians(torch.zeros(1, 4), torch.ones(1, 4), torch.zeros(1))
    others = Gaussians(CENTRES, torch.ones(1, 1), torch.tensor([0.3, 0.2]).log())

    def density(mean):
        return (-0.5 * (embedding - mean).square().sum(dim=-1)).exp()  # the common factor cancels

    q = density(torch.zeros(4))
    expected = q / (q + 0.3 * density(CENTRES[0]) + 0.2 * density(CENTRES[1]))
    torch.testing.assert_close(contrastive_mask(embedding, query, others), expected)


def test_an_example_does_not_compete_with_its_own_class():
    example = CENTRES[0] + 0.01 * torch.randn(50, 4)
    priors = competitors(example, torch.ones(50), CLASSES).log_priors.exp()
    assert priors[0] < 0.05
    torch.testing.assert_close(priors[1], torch.tensor(0.5), rtol=0.05, atol=0)


@pytest.mark.parametrize(
    ("weights", "mode", "temperature", "message"),
    [
        (torch.zeros(5), "likelihood", 1.0, "silent"),
        (torch.ones(5), "nearest", 1.0, "allowed: likelihood, posterior"),
        (torch.ones(5), "likelihood", 0.0, "temperature=0.0"),
        (torch.ones(5), "posterior", float("nan"), "temperature=nan"),
    ],
)
def test_what_cannot_be_queried_is_refused(weights, mode, temperature, message):
    embedding = torch.randn(5, 4)
    with pytest.raises(SoliError, match=message):
        query_mask(embedding, embedding, weights, CLASSES, mode, temperature)
