"""Clusters that sum to the mixture: decoded magnitudes as the models of a Wiener filter."""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-3


def cluster_masks(roots: Tensor) -> Tensor:
    """Share of each source's power in every bin.

    Args:
        roots: square roots of the sources' magnitudes, `[... K N F]`.

    Returns:
        `[... K N F]`, with a sum of one over K; where no source claims a bin, all share it alike.
    """
    weights = powers(roots)
    return weights / weights.sum(dim=-3, keepdim=True)


def powers(roots: Tensor) -> Tensor:
    """Fourth powers, never quite zero: `[...]` -> `[...]`."""
    return (roots + _TINY).square().square()


def cluster_wiener(roots: Tensor, mixture: Tensor) -> Tensor:
    """Filter a mixture with its decoded clusters.

    Args:
        roots: square roots of the clusters' magnitudes, the same for all channels, `[K N F]`.
        mixture: complex spectrogram `[C N F]`.

    Returns:
        Complex `[K C N F]`; the last cluster is what the others leave, so that the sum is the mixture.
    """
    masked = cluster_masks(roots)[:-1, None] * mixture
    return torch.cat((masked, (mixture - masked.sum(dim=0))[None]))
