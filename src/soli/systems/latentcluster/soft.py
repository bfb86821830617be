"""Soft clusters of directions: Gaussians of one spread on the sphere, fitted by expectation and maximisation."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from soli.errors import SoliError
from soli.nn.kmeans import kmeans

_STEPS = 40
_STARTS = 4
_SMALLEST_VARIANCE = 1e-4


class SoftClusters(NamedTuple):
    """A mixture of Gaussians that all have the same spread in every direction.

    Attributes:
        centres: `[S E]`.
        shares: of the points, sum to one, `[S]`.
        variance: in each direction, a scalar.
    """

    centres: Tensor
    shares: Tensor
    variance: Tensor

    def log_joint(self, points: Tensor, temperature: float = 1.0) -> Tensor:
        """Log density of points together with their cluster.

        Args:
            points: `[P E]`.
            temperature: factor of the variance.

        Returns:
            `[P S]`.
        """
        variance = self.variance * temperature
        distances = _distances(points, self.centres)
        scale = 0.5 * points.shape[1] * (2 * math.pi * variance).log()
        return self.shares.log() - 0.5 * distances / variance - scale

    def responsibilities(self, points: Tensor, temperature: float = 1.0) -> Tensor:
        """Probability of each cluster given a point.

        Args:
            points: `[P E]`.
            temperature: above 1 makes them softer.

        Returns:
            `[P S]`, sums to one over S.
        """
        return self.log_joint(points, temperature).softmax(dim=1)

    def log_likelihood(self, points: Tensor) -> Tensor:
        """Mean over points, a scalar.

        Args:
            points: `[P E]`.

        Returns:
            In nats.
        """
        return self.log_joint(points).logsumexp(dim=1).mean()

    @property
    def n_parameters(self) -> int:
        """Free numbers: centres, shares that sum to one, and the variance."""
        return self.centres.numel() + len(self.shares)


def fit_soft(points: Tensor, n_clusters: int, generator: torch.Generator) -> SoftClusters:
    """Fit a mixture: the most likely of several, each begun by k-means.

    Args:
        points: `[P E]`.
        n_clusters: S.
        generator: of the draws, on the CPU.

    Returns:
        The mixture.

    Raises:
        SoliError: for fewer points than clusters.
    """
    if len(points) < n_clusters:
        raise SoliError(f"{len(points)} points for {n_clusters} clusters; needed: one each, at the least")
    fits = [_maximise(points, _start(points, n_clusters, generator)) for _ in range(_STARTS if n_clusters > 1 else 1)]
    return max(fits, key=lambda fit: float(fit.log_likelihood(points)))


def _start(points: Tensor, n_clusters: int, generator: torch.Generator) -> Tensor:
    """Responsibilities of one or none, `[P S]`; the first centres are far from each other, as in k-means++."""
    chosen = [int(torch.randint(len(points), (), generator=generator))]
    nearest = torch.cdist(points, points[chosen]).square()[:, 0]
    for _ in range(n_clusters - 1):
        odds = nearest.cpu().double() + 1e-12
        chosen.append(int(torch.multinomial(odds, 1, generator=generator)))
        nearest = torch.minimum(nearest, torch.cdist(points, points[chosen[-1:]]).square()[:, 0])
    _, members = kmeans(points, n_clusters, centres=points[chosen])
    return torch.nn.functional.one_hot(members, n_clusters).to(points.dtype)


def _maximise(points: Tensor, responsibilities: Tensor) -> SoftClusters:
    """Alternate between the clusters of the points and the points of the clusters."""
    fit = clusters_of(points, responsibilities)
    for _ in range(_STEPS):
        fit = clusters_of(points, fit.responsibilities(points))
    return fit


def clusters_of(points: Tensor, mass: Tensor) -> SoftClusters:
    """The likeliest clusters for points whose owners are known.

    Args:
        points: `[P E]`.
        mass: how much of each point belongs to each cluster, `[P S]`; responsibilities, or those times a weight.

    Returns:
        The clusters.
    """
    counts = mass.sum(dim=0) + 1e-6
    centres = mass.T @ points / counts[:, None]
    distances = _distances(points, centres)
    variance = (mass * distances).sum() / (counts.sum() * points.shape[1])
    return SoftClusters(centres, counts / counts.sum(), variance.clamp(min=_SMALLEST_VARIANCE))


def _distances(points: Tensor, centres: Tensor) -> Tensor:
    """Squares of all distances, `[P S]`."""
    return points.square().sum(dim=1, keepdim=True) - 2 * points @ centres.T + centres.square().sum(dim=1)
