"""Latents that fall into sources: what makes clusters of a mixture's points its parts, or parts of its parts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.nn.kmeans import kmeans, nearest
from soli.systems.latentcluster.mixit import Grams, mixit_loss
from soli.systems.latentcluster.soft import clusters_of

_LEAST = 1e-3  # of a mixture's points: a part with fewer is not there
_STARTED, _UPDATES = 512, 3  # points of k-means, and steps of expectation and maximisation with a gradient


def centred(vectors: Tensor, weights: Tensor) -> Tensor:
    """Directions from the middle of a mixture's points: what all of them share tells nothing apart.

    Args:
        vectors: `[... Q E]`.
        weights: of the points in the mean, `[... Q]`.

    Returns:
        `[... Q E]`, of length one.
    """
    total = weights.sum(dim=-1)[..., None, None] + 1e-9
    return F.normalize(vectors - (weights[..., None] * vectors).sum(dim=-2, keepdim=True) / total, dim=-1)


def ownership(directions: Tensor, shares: Tensor, weights: Tensor) -> Tensor:
    """How badly points are told apart by the Gaussians that their true owners make of them.

    Every part gets a centre, all one variance, as in `soft.SoftClusters`, whose responsibilities are then compared with
    the true shares by cross-entropy. The clusters that are found later are those that were learned.

    Args:
        directions: `[B Q E]`.
        shares: of each part in the energy of each point, `[B P Q]`; sum to one over P.
        weights: of the points, `[B Q]`.

    Returns:
        Scalar in nats.
    """
    mass = shares * weights[:, None]
    logits = _log_joint(directions, mass)
    there = mass.sum(dim=-1, keepdim=True) > _LEAST * mass.sum(dim=(1, 2), keepdim=True)  # [B P 1]
    guessed = logits.masked_fill(~there, -torch.inf).log_softmax(dim=1).masked_fill(~there, 0.0)
    return -(mass * guessed).sum() / (mass.sum() + 1e-9)


def invariance(
    directions: Tensor, mixture: Tensor, toward: Tensor, energies: Tensor, n_clusters: int, *, floor_db: float = -20.0
) -> Tensor:
    """Mixture invariant training of soft clusters: each may go to one of two mixtures, but not to both.

    Responsibilities of clusters, found as they are at use, are masks over bands and steps.

    Args:
        directions: `[B Q E]`.
        mixture: energy of each point, `[B Q]`.
        toward: inner product there of the whole with each of the two mixtures, `[B 2 Q]`.
        energies: of the two there, `[B 2 Q]`.
        n_clusters: S.
        floor_db: error below which nothing more is to gain.

    Returns:
        Scalar in dB.
    """
    masks = soft_groups(directions, mixture.sqrt(), n_clusters)
    grams = Grams((masks * mixture[:, None]) @ masks.mT, toward @ masks.mT, energies.sum(dim=-1))
    return mixit_loss(grams, floor_db=floor_db)[0]


def soft_groups(directions: Tensor, weights: Tensor, n_clusters: int) -> Tensor:
    """Responsibilities that have a gradient, of clusters that begin with k-means on some points, loud ones more often.

    Args:
        directions: `[B Q E]`.
        weights: `[B Q]`.
        n_clusters: S.

    Returns:
        `[B S Q]`, sum to one over S.
    """
    with torch.no_grad():
        chosen = torch.multinomial(weights + 1e-9, min(_STARTED, weights.shape[1]))
        some = directions.gather(1, chosen[..., None].expand(-1, -1, directions.shape[-1]))
        starts = [kmeans(points, n_clusters, n_iterations=10)[0] for points in some]
        members = torch.stack([nearest(points, start) for points, start in zip(directions, starts, strict=True)])
        found = F.one_hot(members, n_clusters).mT.to(directions.dtype)
    for _ in range(_UPDATES):
        found = _log_joint(directions, found * weights[:, None]).softmax(dim=1)
    return found


def _log_joint(directions: Tensor, mass: Tensor) -> Tensor:
    """Log density of points `[B Q E]` with the clusters that their mass `[B S Q]` makes, `[B S Q]`."""
    pairs = zip(directions, mass.mT, strict=True)
    return torch.stack([clusters_of(points, own).log_joint(points).T for points, own in pairs])
