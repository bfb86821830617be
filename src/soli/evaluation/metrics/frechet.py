"""Fréchet distance between two sets of embeddings, each taken for a Gaussian (Heusel et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from soli.errors import SoliError


def frechet_distance(references: Tensor, estimates: Tensor) -> Tensor:
    """Squared distance of the means, plus that of the covariances.

        |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2))

    Few samples make it larger than it is: compare sets of one size, beside a set that is as good as the references.

    Args:
        references: `[M D]`.
        estimates: `[M' D]`.

    Returns:
        Scalar, double precision.

    Raises:
        SoliError: for sets of fewer than two, or of different D.
    """
    if references.ndim != 2 or references.shape[1:] != estimates.shape[1:] or min(len(references), len(estimates)) < 2:
        raise SoliError(f"embeddings {list(references.shape)} and {list(estimates.shape)}; allowed: [M D], M above 1")
    first, second = references.double(), estimates.double()
    root, other = _root(_covariance(first)), _covariance(second)
    # the eigenvalues of C C' are those of C^(1/2) C' C^(1/2), which is symmetric
    cross = torch.linalg.eigvalsh(root @ other @ root).clamp(min=0).sqrt().sum()
    means = (first.mean(dim=0) - second.mean(dim=0)).square().sum()
    return means + (root @ root).trace() + other.trace() - 2 * cross


def _covariance(embeddings: Tensor) -> Tensor:
    """`[M D]` -> `[D D]`, of a single dimension too."""
    return torch.atleast_2d(torch.cov(embeddings.T))


def _root(covariance: Tensor) -> Tensor:
    """The symmetric square root of a covariance `[D D]`."""
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
