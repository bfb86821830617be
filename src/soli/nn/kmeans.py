"""Lloyd's k-means on vectors, for the first codebooks of a quantiser."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.errors import SoliError

_BLOCK = 2**24  # distances computed at a time


def kmeans(
    vectors: Tensor,
    n_centres: int,
    *,
    n_iterations: int = 50,
    n_starts: int = 1,
    cosine: bool = False,
    centres: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Cluster vectors; a cluster that loses all its vectors moves to the one worst served.

    Args:
        vectors: `[M D]`.
        n_centres: V, at most M.
        n_iterations: at most; it ends when nothing moves.
        n_starts: how often to begin anew; the clusters with the smallest distances are kept.
        cosine: cluster directions; the centres have length one.
        centres: to start from, `[V D]`; drawn from the vectors by default.
        generator: of the draw.

    Returns:
        Centres `[V D]` and the cluster of each vector, `[M]`.

    Raises:
        SoliError: fewer vectors than centres.
    """
    if len(vectors) < n_centres:
        raise SoliError(f"{len(vectors)} vectors for {n_centres} codes; k-means needs at least one each")
    vectors = F.normalize(vectors, dim=-1) if cosine else vectors
    if centres is not None:
        return _lloyd(vectors, centres, n_iterations, cosine)
    found = []
    for _ in range(n_starts):
        chosen = torch.randperm(len(vectors), generator=generator, device=vectors.device)[:n_centres]
        found.append(_lloyd(vectors, vectors[chosen], n_iterations, cosine))
    return min(found, key=lambda fit: float((vectors - fit[0][fit[1]]).square().sum())) if n_starts > 1 else found[0]


def _lloyd(vectors: Tensor, centres: Tensor, n_iterations: int, cosine: bool) -> tuple[Tensor, Tensor]:
    """From these centres until nothing moves."""
    clusters = nearest(vectors, centres)
    for _ in range(n_iterations):
        centres = _centroids(vectors, clusters, centres)
        centres = F.normalize(centres, dim=-1) if cosine else centres
        previous, clusters = clusters, nearest(vectors, centres)
        if torch.equal(previous, clusters):
            break
    return centres, clusters


def nearest(vectors: Tensor, centres: Tensor) -> Tensor:
    """The centre at the smallest Euclidean distance; among centres of one length, also the one of smallest angle.

    Computed in the vectors' own precision, whatever autocast says.

    Args:
        vectors: `[M D]`.
        centres: `[V D]`.

    Returns:
        `[M]`, 0 to V - 1.
    """
    rows = max(_BLOCK // len(centres), 1)
    with torch.autocast(vectors.device.type, enabled=False):
        half_norms = 0.5 * centres.square().sum(dim=-1)
        return torch.cat([(half_norms - block @ centres.T).argmin(dim=-1) for block in vectors.split(rows)])


def _centroids(vectors: Tensor, clusters: Tensor, centres: Tensor) -> Tensor:
    """Mean of each cluster, `[V D]`."""
    counts = torch.bincount(clusters, minlength=len(centres))
    sums = torch.zeros_like(centres).index_add_(0, clusters, vectors)
    means = sums / counts.clamp(min=1)[:, None]
    empty = (counts == 0).nonzero()[:, 0]
    if len(empty):
        worst = (vectors - centres[clusters]).square().sum(dim=-1).topk(len(empty)).indices
        means[empty] = vectors[worst]
    return means
