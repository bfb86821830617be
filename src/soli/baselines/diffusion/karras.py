"""Noise levels, preconditioning and the stochastic sampler of Karras et al. 2022 (EDM).

A denoiser D(x, sigma) maps x = clean + sigma * noise to the mean of what is clean. The score of the noisy density is
(D - x) / sigma^2, and samples follow dx / dsigma = -sigma * score = (x - D) / sigma from high sigma to zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""`(x [B S T], sigma [B])` -> what is clean, `[B S T]`."""
Derivative = Callable[[Tensor, float], Tensor]
"""`(x [B S T], sigma)` -> dx / dsigma, `[B S T]`."""


@dataclass(frozen=True, kw_only=True)
class Scalings:
    """Factors that keep what a network sees and gives at unit variance (EDM, table 1), each shaped as sigma.

    Attributes:
        skip: of the input, added to the output.
        out: of the network's output.
        into: of the network's input.
        noise: the noise level as the network is told it.
    """

    skip: Tensor
    out: Tensor
    into: Tensor
    noise: Tensor


def scalings(sigma: Tensor, sigma_data: float) -> Scalings:
    """Preconditioning of a noise level.

    Args:
        sigma: of the noise, any shape.
        sigma_data: deviation of what is clean.

    Returns:
        The four factors.
    """
    total = sigma.square() + sigma_data**2
    return Scalings(
        skip=sigma_data**2 / total,
        out=sigma * sigma_data * total.rsqrt(),
        into=total.rsqrt(),
        noise=sigma.log() / 4,
    )


def loss_weight(sigma: Tensor, sigma_data: float) -> Tensor:
    """Weight of the squared error that makes it one for a network whose output is zero (EDM, section 5).

    Args:
        sigma: of the noise, any shape.
        sigma_data: deviation of what is clean.

    Returns:
        The shape of sigma.
    """
    return (sigma.square() + sigma_data**2) / (sigma * sigma_data).square()


def precondition(network: Denoiser, sigma_data: float) -> Denoiser:
    """The denoiser of a network of unit variance (EDM, equation 7).

    Args:
        network: `(x [B S T], noise [B])` -> `[B S T]`.
        sigma_data: deviation of what is clean.

    Returns:
        The denoiser.
    """

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        by = scalings(sigma[:, None, None], sigma_data)
        return by.skip * x + by.out * network(by.into * x, by.noise[:, 0, 0]).float()

    return denoise


def schedule(steps: int, *, sigma_min: float, sigma_max: float, rho: float) -> list[float]:
    """Falling noise levels (EDM, equation 5).

    Args:
        steps: how many.
        sigma_min: the last one before zero.
        sigma_max: the first.
        rho: how much denser they are at low levels.

    Returns:
        So many levels, and zero.
    """
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(high + index / max(steps - 1, 1) * (low - high)) ** rho for index in range(steps)] + [0.0]


def unconditional(denoise: Denoiser) -> Derivative:
    """What follows the prior alone.

    Args:
        denoise: of the prior.

    Returns:
        dx / dsigma.
    """
    return lambda x, sigma: (x - denoise(x, x.new_full((len(x),), sigma))) / sigma


def sample(
    derivative: Derivative, noise: Callable[[], Tensor], sigmas: list[float], *, churn: float, correction: int
) -> Tensor:
    """Follow a derivative from noise to a sample, adding fresh noise on the way (Mariani et al. 2023, algorithm 1).

    Args:
        derivative: dx / dsigma.
        noise: draws `[B S T]` of unit variance.
        sigmas: falling levels that end with zero.
        churn: S_churn, of EDM's algorithm 2.
        correction: R, times each level is sampled; after all but the last the noise of the level is put back.

    Returns:
        `[B S T]`.
    """
    rise = 1 + min(churn / (len(sigmas) - 1), math.sqrt(2) - 1)
    x = sigmas[0] * noise()
    for sigma, lower in pairwise(sigmas):
        for again in reversed(range(correction)):
            raised = sigma * rise
            if raised > sigma:
                x = x + math.sqrt(raised**2 - sigma**2) * noise()
            x = x + (lower - raised) * derivative(x, raised)
            if again:
                x = x + math.sqrt(sigma**2 - lower**2) * noise()
    return x


def draw_sigmas(n_items: int, *, mean: float, deviation: float, device: torch.device) -> Tensor:
    """Noise levels to train on, log-normal.

    Args:
        n_items: B.
        mean: of the logarithm.
        deviation: of the logarithm.
        device: of the result.

    Returns:
        `[B]`.
    """
    return (mean + deviation * torch.randn(n_items, device=device)).exp()
