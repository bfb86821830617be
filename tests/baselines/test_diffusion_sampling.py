"""Priors whose best denoiser is known stand in for a network; what comes out is known too."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from soli.baselines.diffusion.karras import sample, schedule, unconditional
from soli.baselines.diffusion.posterior import constrained, dirac, gaussian

torch_double = torch.float64
COVARIANCES = torch.tensor(
    [
        [[0.9, 0.5, 0.2], [0.5, 0.7, 0.3], [0.2, 0.3, 0.4]],
        [[0.3, -0.1, 0.0], [-0.1, 0.5, -0.2], [0.0, -0.2, 1.1]],
    ],
    dtype=torch_double,
)
"""Of three samples of two independent sources, `[S T T]`."""


def drawer(*shape: int, seed: int = 0) -> Callable[[], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(*shape, generator=generator, dtype=torch_double)


def levels(steps: int, highest: float = 20.0) -> list[float]:
    return schedule(steps, sigma_min=1e-3, sigma_max=highest, rho=7.0)


def denoise_waveforms(x: Tensor, sigma: Tensor) -> Tensor:
    """Wiener filter of each source's own noise."""
    filters = COVARIANCES @ torch.linalg.inv(COVARIANCES + sigma[0] ** 2 * torch.eye(3, dtype=torch_double))
    return (filters @ x.permute(1, 2, 0)).permute(2, 0, 1)


def log_density(x: Tensor, sigma: float) -> Tensor:
    """Of both noisy sources `[B 2 3]`, summed over everything."""
    noisy = COVARIANCES + sigma**2 * torch.eye(3, dtype=torch_double)
    normal = torch.distributions.MultivariateNormal(torch.zeros(2, 3, dtype=torch_double), noisy)
    return normal.log_prob(x).sum()


def gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(function(x), x)
    return slope


def test_the_derivative_is_minus_sigma_times_the_score_of_a_mixture_of_gaussians() -> None:
    """A prior of two bumps, at -1 and 2 with variances 0.1 and 0.5."""
    places, variances = torch.tensor([-1.0, 2.0]).double(), torch.tensor([0.1, 0.5]).double()
    shares = torch.tensor([0.3, 0.7]).double()

    def log_joint(x: Tensor, sigma: float) -> Tensor:
        return shares.log() + torch.distributions.Normal(places, (variances + sigma**2).sqrt()).log_prob(x[..., None])

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        level = float(sigma[0])
        each = places + variances / (variances + level**2) * (x[..., None] - places)
        return (log_joint(x, level).softmax(dim=-1) * each).sum(dim=-1)

    x = 2 * drawer(50, 1, 4)()
    for sigma in (0.05, 0.6, 3.0):
        score = gradient(lambda x, sigma=sigma: log_joint(x, sigma).logsumexp(dim=-1).sum(), x)
        torch.testing.assert_close(unconditional(denoise)(x, sigma), -sigma * score)


def test_the_dirac_derivative_is_the_score_of_what_the_other_sources_leave_free() -> None:
    x, mixture = drawer(5, 2, 3)(), drawer(5, 3, seed=1)()

    def log_free(second: Tensor) -> Tensor:
        return log_density(torch.stack((mixture - second, second), dim=1), 0.3)

    change = dirac(denoise_waveforms, mixture, 0)(x, 0.3)
    torch.testing.assert_close(change[:, 1], -0.3 * gradient(log_free, x[:, 1]))
    assert not change[:, 0].any()


def test_the_gaussian_derivative_is_the_score_of_prior_times_likelihood() -> None:
    x, mixture, sigma, gamma = drawer(5, 2, 3)(), drawer(5, 3, seed=1)(), 0.3, 0.75

    def log_posterior(x: Tensor) -> Tensor:
        likelihood = torch.distributions.Normal(x.sum(dim=1), math.sqrt(2) * gamma * sigma)
        return log_density(x, sigma) + likelihood.log_prob(mixture).sum()

    change = gaussian(denoise_waveforms, mixture, gamma)(x, sigma)
    torch.testing.assert_close(change, -sigma * gradient(log_posterior, x))


@pytest.mark.parametrize(("churn", "correction"), [(0.0, 1), (20.0, 1), (0.0, 3), (1e9, 2)])
def test_noise_put_in_and_taken_out_balances(churn: float, correction: int) -> None:
    """When all that is clean is silence, x has exactly the noise level of every step."""
    x = sample(
        unconditional(lambda x, sigma: 0 * x),
        drawer(50000, 2, 2),
        [3.0, 1.0, 0.7, 0.2],
        churn=churn,
        correction=correction,
    )
    assert float(x.std()) == pytest.approx(0.2, rel=0.01)


def sampled_variance(prior: Tensor, sigmas: list[float], churn: float, correction: int) -> Tensor:
    """Of Gaussian samples, along directions of the given prior variance: every step is linear."""
    variance = sigmas[0] ** 2 * torch.ones_like(prior)
    rise = 1 + min(churn / (len(sigmas) - 1), 2**0.5 - 1)
    for sigma, lower in pairwise(sigmas):
        for index in range(correction):
            high = rise * sigma
            variance = variance + high**2 - sigma**2
            variance = variance * ((prior + lower * high) / (prior + high**2)).square()
            variance = variance + (sigma**2 - lower**2 if index + 1 < correction else 0)
    return variance


@pytest.mark.parametrize(("churn", "correction"), [(0.0, 1), (40.0, 1), (20.0, 2)])
def test_samples_have_the_covariance_of_their_prior(churn: float, correction: int) -> None:
    """Of four sources that depend on each other; what Euler's steps take away is known, and vanishes with them."""
    factor = torch.randn(4, 4, generator=torch.Generator().manual_seed(3)).double()
    covariance, eye = factor @ factor.T / 4, torch.eye(4, dtype=torch_double)
    variances, directions = torch.linalg.eigh(covariance)

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        return covariance @ torch.linalg.inv(covariance + sigma[0] ** 2 * eye) @ x

    x = sample(unconditional(denoise), drawer(1, 4, 20000), levels(60), churn=churn, correction=correction)
    found = directions.T @ torch.cov(x[0]) @ directions
    due = sampled_variance(variances, levels(60), churn, correction)
    torch.testing.assert_close(found / due.sqrt() / due.sqrt()[:, None], eye, rtol=0, atol=0.03)
    fine = sampled_variance(variances, levels(5000), churn, correction)
    torch.testing.assert_close(fine, variances, rtol=0.03, atol=0)


MIXTURE = torch.tensor([1.0, -2.0, 1.5], dtype=torch_double)
WIENER = COVARIANCES @ torch.linalg.inv(COVARIANCES.sum(dim=0)) @ MIXTURE


def separated(noise: Callable[[], Tensor], *, steps: int, correction: int) -> Tensor:
    """Dirac samples of `MIXTURE` from many noises, `[B S T]`."""
    n_items = len(noise())
    x = sample(dirac(denoise_waveforms, MIXTURE, 0), noise, levels(steps), churn=20.0, correction=correction)
    return constrained(x, MIXTURE.expand(n_items, -1), 0)


def test_corrected_dirac_samples_scatter_around_the_wiener_estimate() -> None:
    """Every step is linear: without any noise comes out the mean over all noises."""
    missed = []
    for correction in (1, 10, 100):
        mean = separated(lambda: torch.zeros(1, 2, 3, dtype=torch_double), steps=40, correction=correction)[0]
        missed.append(float((mean - WIENER).abs().max()))
    assert missed[0] > 2 * missed[1] > 4 * missed[2]
    assert missed[2] < 0.02


def test_dirac_samples_sum_to_the_mixture_and_their_mean_is_what_no_noise_gives() -> None:
    stems = separated(drawer(1000, 2, 3), steps=30, correction=3)
    mean = separated(lambda: torch.zeros(1, 2, 3, dtype=torch_double), steps=30, correction=3)[0]
    torch.testing.assert_close(stems.sum(dim=1), MIXTURE.expand(1000, -1))
    deviation = stems.std(dim=0)
    assert deviation.min() > 0.1
    assert ((stems.mean(dim=0) - mean).abs() < 4 * deviation / 1000**0.5).all()


def test_without_corrections_and_churn_dirac_samples_take_shares_by_amplitude_not_power() -> None:
    """White sources of variance a and b: the solution is sqrt(a) / (sqrt(a) + sqrt(b)) of the mixture."""
    variances = torch.tensor([0.09, 0.81], dtype=torch_double)[:, None]

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        return variances / (variances + sigma[0] ** 2) * x

    x = sample(dirac(denoise, MIXTURE, 0), drawer(500, 2, 3), levels(1000), churn=0.0, correction=1)
    stems = constrained(x, MIXTURE.expand(500, -1), 0)
    torch.testing.assert_close(stems[:, 0].mean(dim=0), 0.25 * MIXTURE, rtol=0, atol=0.02)


def test_the_source_that_is_constrained_is_what_the_others_leave() -> None:
    x, mixture = drawer(2, 3, 5)(), drawer(2, 5, seed=1)()
    before = x.clone()
    made = constrained(x, mixture, 1)
    torch.testing.assert_close(made[:, 1], mixture - x[:, 0] - x[:, 2])
    assert torch.equal(made[:, [0, 2]], x[:, [0, 2]])
    assert torch.equal(x, before)


def test_gaussian_samples_sum_to_the_mixture_almost() -> None:
    derivative = gaussian(denoise_waveforms, MIXTURE[None], 0.75)
    stems = sample(derivative, drawer(500, 2, 3), levels(150), churn=40.0, correction=2)
    torch.testing.assert_close(stems.sum(dim=1), MIXTURE.expand(500, -1), rtol=0, atol=0.05)
