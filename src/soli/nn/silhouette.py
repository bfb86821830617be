"""How well points sit in their clusters."""

from __future__ import annotations

import torch
from torch import Tensor

from soli.errors import SoliError

_ROWS = 1024  # distances at a time


def silhouette_values(features: Tensor, labels: Tensor) -> Tensor:
    """How much nearer its own cluster is to each point than the next (Rousseeuw 1987), Euclidean distance.

    A point alone in its cluster, and one equally near to both, counts 0. Noise is left out.

    Args:
        features: `[N D]`.
        labels: cluster of each point, integers `[N]`; a negative one is noise.

    Returns:
        Numbers from -1 to 1, double precision, `[N]`; NaN for noise, and everywhere for fewer than two clusters, or
        when every point is alone.

    Raises:
        SoliError: the shapes do not fit, or the labels are not integers.
    """
    check_labels(labels)
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise SoliError(f"features {list(features.shape)}, labels {list(labels.shape)}; [N D] and [N] are needed")
    values = torch.full(labels.shape, float("nan"), dtype=torch.float64, device=features.device)
    kept = labels >= 0
    features, labels = features[kept].double(), labels[kept]
    names, member, sizes = labels.unique(return_inverse=True, return_counts=True)
    if not 2 <= len(names) < len(labels):
        return values
    clusters = torch.nn.functional.one_hot(member).double()
    found = []
    for points, own in zip(features.split(_ROWS), clusters.split(_ROWS), strict=True):
        distances = torch.cdist(points, features, compute_mode="donot_use_mm_for_euclid_dist") @ clusters
        inside = (distances * own).sum(1) / (own @ (sizes - 1).double()).clamp(min=1)
        outside = (distances / sizes).masked_fill(own > 0, float("inf")).amin(1)
        widest = torch.maximum(inside, outside)
        scores = torch.where(widest > 0, (outside - inside) / widest, 0.0)
        found.append(scores.where(own @ sizes.double() > 1, 0.0))
    values[kept] = torch.cat(found)
    return values


def silhouette(features: Tensor, labels: Tensor) -> Tensor:
    """Mean of `silhouette_values` over the points that are not noise.

    Args:
        features: `[N D]`.
        labels: cluster of each point, integers `[N]`; a negative one is noise.

    Returns:
        A number from -1 to 1; NaN for fewer than two clusters, or when every point is alone.

    Raises:
        SoliError: the shapes do not fit, or the labels are not integers.
    """
    return silhouette_values(features, labels)[labels >= 0].mean()


def check_labels(labels: Tensor) -> None:
    """Refuse what cannot be counted.

    Args:
        labels: of points.

    Raises:
        SoliError: they are not integers with at least one axis.
    """
    if labels.is_floating_point() or labels.ndim < 1:
        raise SoliError(f"labels of type {labels.dtype}, shape {list(labels.shape)}; integers [... N] are needed")
