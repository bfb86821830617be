"""Clusters of frames, as seed 001 has them: k-means, agglomerative clustering and DBSCAN by scikit-learn.

Nothing is published of their settings. Features are brought to unit variance and reduced to 95 % of it; quiet frames
are left out of the fit and then join the nearest centre; k comes from the silhouette where it is not given.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from soli.dsp.level import whiten
from soli.errors import SoliError
from soli.nn.kmeans import nearest
from soli.nn.silhouette import silhouette

Algorithm = Literal["kmeans", "agglomerative", "dbscan"]
NOISE = -1
_QUIET = 1e-5  # -50 dB of the loudest frame
_KEPT_VARIANCE, _MOST_COMPONENTS = 0.95, 32
_FITTED, _NEIGHBOURS = 2000, 10


def cluster_frames(
    frames: Tensor, energies: Tensor, algorithm: Algorithm, *, n_clusters: int | None, most: int, seed: int = 0
) -> Tensor:
    """Sort every frame into one cluster.

    Args:
        frames: features `[N D]`.
        energies: of the frames, `[N]`.
        algorithm: `kmeans`, `agglomerative` or `dbscan`, which finds its number itself and leaves noise.
        n_clusters: how many, for `dbscan` at most; None for the number from 2 on with the best silhouette.
        most: clusters.
        seed: of the draws.

    Returns:
        Label of each frame from 0, and -1 for noise, `[N]`.

    Raises:
        SoliError: for an unknown algorithm, or without scikit-learn.
    """
    if algorithm not in get_args(Algorithm):
        raise SoliError(f"algorithm = {algorithm!r}; allowed: {', '.join(get_args(Algorithm))}")
    features = reduced(whitened(frames))
    loud = (energies > _QUIET * energies.max()).nonzero()[:, 0]
    order = torch.randperm(len(loud), generator=torch.Generator().manual_seed(seed))[:_FITTED]
    fitted = loud[order.sort().values.to(loud.device)]
    chosen = features[fitted]
    if len(chosen) < 3:
        return torch.zeros(len(frames), dtype=torch.long, device=frames.device)
    if algorithm == "dbscan":
        members, radius = _dbscan(chosen, min(most, n_clusters or most))
        return _spread(features, fitted, members, radius)
    members = _partition(chosen, algorithm, n_clusters, min(most, len(chosen) - 1), seed)
    return _spread(features, fitted, members)


def whitened(frames: Tensor) -> Tensor:
    """Every feature with mean 0 and variance 1 over the frames, `[N D]` -> `[N D]`."""
    return whiten(frames, dims=(0,))


def reduced(features: Tensor) -> Tensor:
    """Principal components that hold 95 % of the variance, at most 32.

    Args:
        features: of mean 0, `[N D]`.

    Returns:
        `[N D']`.
    """
    left, values, _ = torch.linalg.svd(features, full_matrices=False)
    share = values.square().cumsum(dim=0) / values.square().sum().clamp(min=1e-12)
    count = min(int((share < _KEPT_VARIANCE).sum()) + 1, _MOST_COMPONENTS, len(values))
    return left[:, :count] * values[:count]


def knee(distances: Tensor) -> float:
    """Where a rising curve bends most: the point farthest from the line between its ends.

    Args:
        distances: any order, `[N]`.

    Returns:
        One of them.
    """
    curve = distances.sort().values.double()
    line = torch.linspace(float(curve[0]), float(curve[-1]), len(curve), dtype=torch.float64, device=curve.device)
    return float(curve[(line - curve).argmax()])


def _partition(chosen: Tensor, algorithm: str, n_clusters: int | None, most: int, seed: int) -> Tensor:
    """Labels `[P]` with a given number, or that of the best silhouette."""
    numbers = range(2, most + 1) if n_clusters is None else (min(n_clusters, most),)
    found = [torch.as_tensor(_model(algorithm, number, seed).fit_predict(_numpy(chosen))) for number in numbers]
    found = [members.long().to(chosen.device) for members in found]
    return found[0] if len(found) == 1 else max(found, key=lambda members: float(silhouette(chosen, members)))


def _model(algorithm: str, number: int, seed: int) -> Any:
    cluster = _sklearn()
    if algorithm == "kmeans":
        return cluster.KMeans(number, n_init=10, random_state=seed)
    return cluster.AgglomerativeClustering(number, linkage="ward")


def _dbscan(chosen: Tensor, most: int) -> tuple[Tensor, float]:
    """Labels `[P]` of the largest clusters only, and the radius: the knee of the distances to the tenth neighbour."""
    neighbours = min(_NEIGHBOURS, len(chosen) - 1)
    distances = torch.cdist(chosen, chosen).kthvalue(neighbours + 1, dim=1).values
    radius = max(knee(distances), 1e-6)
    model = _sklearn().DBSCAN(eps=radius, min_samples=neighbours)
    members = torch.as_tensor(model.fit_predict(_numpy(chosen))).long().to(chosen.device)
    kept = members[members >= 0].bincount().argsort(descending=True)[:most].tolist()
    labels = torch.full_like(members, NOISE)
    for label, name in enumerate(kept):
        labels[members == name] = label
    return labels, radius


def _spread(features: Tensor, fitted: Tensor, members: Tensor, radius: float | None = None) -> Tensor:
    """Frames beside those of the fit join the nearest centre; with a radius, the nearest frame within it, or none."""
    if not (members >= 0).any():
        return torch.zeros(len(features), dtype=torch.long, device=features.device)
    chosen = features[fitted]
    if radius is not None:
        own, names = chosen[members >= 0], members[members >= 0]
        found = nearest(features, own)
        labels = torch.where((features - own[found]).norm(dim=1) <= radius, names[found], NOISE)
        labels[fitted] = members
        return labels
    centres = torch.stack([chosen[members == name].mean(dim=0) for name in range(int(members.max()) + 1)])
    labels = nearest(features, centres)
    labels[fitted] = members
    return labels


def _numpy(points: Tensor) -> Any:
    return points.double().cpu().numpy()


def _sklearn() -> Any:
    try:
        from sklearn import cluster
    except ImportError as error:
        raise SoliError("clusters of frames need scikit-learn: pip install 'soli[latent]'") from error
    return cluster
