"""The Gaussian bottleneck: its divergence, free bits, and whether it has collapsed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

LOG_VARIANCES = (-10.0, 4.0)
"""Where logarithms of variances are cut."""
ACTIVE_VARIANCE = 0.01
"""A dimension whose mean varies by less says nothing (Burda et al. 2016)."""


class Posterior(NamedTuple):
    """A Gaussian for each latent.

    Attributes:
        mean: any shape.
        log_variance: the same shape.
    """

    mean: Tensor
    log_variance: Tensor

    def sample(self) -> Tensor:
        """Draw once, so that the gradient reaches both (Kingma and Welling 2014)."""
        return self.mean + (0.5 * self.log_variance).exp() * torch.randn_like(self.mean)

    def divergence(self) -> Tensor:
        """From the standard normal distribution, in nats, of each latent."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance)


class Collapse(NamedTuple):
    """How much of a latent space is used.

    Attributes:
        kl: mean divergence of each dimension in nats, `[D]`.
        variance: of the posterior means, over items and frames, `[D]`.
        n_active: how many dimensions have a variance above `ACTIVE_VARIANCE`.
    """

    kl: Tensor
    variance: Tensor
    n_active: int


def posterior(mean: Tensor, log_variance: Tensor) -> Posterior:
    """Cut the logarithm of the variance to `LOG_VARIANCES`.

    Args:
        mean: any shape.
        log_variance: the same shape.

    Returns:
        The posterior.
    """
    return Posterior(mean, log_variance.clamp(*LOG_VARIANCES))


def free_divergence(divergence: Tensor, free_nats: float) -> Tensor:
    """Divergence of each dimension, of which the first nats cost nothing (Kingma et al. 2016).

    Args:
        divergence: `[M D]`, M items and frames.
        free_nats: for each dimension, on the mean over M.

    Returns:
        Mean over dimensions, a scalar.
    """
    return divergence.mean(dim=0).clamp(min=free_nats).mean()


def warmed(weight: float, step: int, n_steps: int) -> float:
    """A weight that rises linearly.

    Args:
        weight: in the end.
        step: from 0.
        n_steps: of the rise; 0 for none.

    Returns:
        From 0 to `weight`.
    """
    return weight * min(1.0, step / n_steps) if n_steps else weight


def collapse(latents: Posterior) -> Collapse:
    """Measure how many dimensions carry anything.

    Args:
        latents: `[M D]`, M items and frames.

    Returns:
        Divergence, variance and number of active dimensions.
    """
    variance = latents.mean.double().var(dim=0, correction=0)
    n_active = int((variance > ACTIVE_VARIANCE).sum())
    return Collapse(latents.divergence().mean(dim=0), variance, n_active)
