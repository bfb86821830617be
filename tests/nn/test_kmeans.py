from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from soli.errors import SoliError
from soli.nn.kmeans import kmeans, nearest


def clouds(n_clouds: int = 6, each: int = 80) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    centres = 4 * torch.randn(n_clouds, 1, 5, generator=generator)
    return (centres + torch.randn(n_clouds, each, 5, generator=generator)).flatten(0, 1)


def test_from_the_same_start_it_ends_where_sklearn_ends() -> None:
    vectors = clouds()
    start = vectors[::80][:6] + 0.1
    reference = KMeans(6, init=start.numpy(), n_init=1, max_iter=100, tol=0).fit(vectors.numpy())
    centres, clusters = kmeans(vectors, 6, n_iterations=100, centres=start)
    np.testing.assert_allclose(centres.numpy(), reference.cluster_centers_, atol=1e-4)
    np.testing.assert_array_equal(clusters.numpy(), reference.labels_)


def test_from_any_start_it_is_nearly_as_good_as_sklearn() -> None:
    vectors = clouds(40, 20)
    centres, clusters = kmeans(vectors, 40, generator=torch.Generator().manual_seed(1))
    inertia = float((vectors - centres[clusters]).square().sum())
    assert inertia < 1.5 * KMeans(40, n_init=1, init="random", random_state=0).fit(vectors.numpy()).inertia_


def test_no_cluster_stays_empty() -> None:
    vectors = clouds()
    far_off = torch.full((6, 5), 1000.0)
    far_off[0] = 0
    _, clusters = kmeans(vectors, 6, centres=far_off)
    assert torch.bincount(clusters, minlength=6).min() > 0


def test_cosine_clusters_directions() -> None:
    vectors = clouds() * torch.logspace(-2, 2, 480)[:, None]
    centres, clusters = kmeans(vectors, 6, cosine=True, generator=torch.Generator().manual_seed(0))
    same, _ = kmeans(10 * vectors, 6, cosine=True, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(centres, same)
    torch.testing.assert_close(centres.norm(dim=-1), torch.ones(6))
    similarity = torch.nn.functional.normalize(vectors, dim=-1) @ centres.T
    torch.testing.assert_close(similarity.argmax(dim=-1), clusters)


def test_nearest_is_the_smallest_distance() -> None:
    vectors, centres = clouds(), clouds(3, 9)
    torch.testing.assert_close(nearest(vectors, centres), torch.cdist(vectors, centres).argmin(dim=-1))


def test_too_few_vectors_are_refused() -> None:
    with pytest.raises(SoliError, match="5 vectors for 6 codes"):
        kmeans(torch.randn(5, 3), 6)


def test_the_best_of_several_starts_is_no_worse_than_any() -> None:
    vectors = clouds(40, 20)

    def inertia(n_starts: int, seed: int) -> float:
        generator = torch.Generator().manual_seed(seed)
        centres, clusters = kmeans(vectors, 40, n_starts=n_starts, generator=generator)
        return float((vectors - centres[clusters]).square().sum())

    assert inertia(8, 0) < inertia(1, 0)
    assert inertia(8, 0) < min(inertia(1, seed) for seed in range(10, 14))
