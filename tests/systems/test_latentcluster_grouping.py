"""What makes clusters of points sources: by their true owners, and by mixtures that no cluster may cross."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from soli.systems.latentcluster.grouping import centred, invariance, ownership, soft_groups

N_POINTS = 240


def clouds(n_kinds: int, spread: float, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Directions around `n_kinds` axes `[1 Q E]` and which axis each is of, `[1 Q]`."""
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.arange(N_POINTS) % n_kinds
    points = torch.eye(6)[kinds] + spread * torch.randn(N_POINTS, 6, generator=generator)
    return F.normalize(points, dim=-1)[None], kinds[None]


def one_hot(kinds: Tensor, n_kinds: int) -> Tensor:
    return F.one_hot(kinds, n_kinds).mT.float()


def test_what_all_points_share_is_taken_away() -> None:
    vectors, weights = torch.randn(2, 50, 4), torch.rand(2, 50)
    found = centred(vectors, weights)
    torch.testing.assert_close(
        centred(3 * vectors + torch.tensor([9.0, -4.0, 2.0, 100.0]), weights), found, atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(2, 50))


def test_ownership_is_the_cross_entropy_of_gaussians_with_one_spread() -> None:
    torch.manual_seed(0)
    directions, shares, weights = torch.randn(1, 20, 3), torch.rand(1, 2, 20), torch.rand(1, 20)
    shares = shares / shares.sum(dim=1, keepdim=True)
    mass = (shares * weights[:, None])[0].double()
    points = directions[0].double()
    centres = torch.stack([(m[:, None] * points).sum(dim=0) / m.sum() for m in mass])
    spread = sum((mass[p] * (points - centres[p]).square().sum(dim=1)).sum() for p in range(2)) / (3 * mass.sum())
    normal = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), spread.sqrt())
    joint = torch.stack(
        [(mass[p].sum() / mass.sum()).log() + normal.log_prob(points - centres[p]).sum(dim=1) for p in range(2)]
    )
    expected = -(mass * joint.log_softmax(dim=0)).sum() / mass.sum()
    assert float(ownership(directions, shares, weights)) == pytest.approx(float(expected), rel=1e-4)


def test_ownership_falls_as_parts_move_apart_and_is_their_entropy_where_all_is_alike() -> None:
    weights = torch.ones(1, N_POINTS)
    values = []
    for spread in (0.05, 0.4, 1.5):
        directions, kinds = clouds(3, spread)
        values.append(float(ownership(directions, one_hot(kinds, 3), weights)))
    assert values[0] < 1e-3
    assert values == sorted(values)
    alike = F.normalize(torch.ones(1, N_POINTS, 6), dim=-1)
    assert float(ownership(alike, one_hot(clouds(3, 0.1)[1], 3), weights)) == pytest.approx(math.log(3), abs=1e-3)


def test_a_part_that_is_not_there_changes_nothing() -> None:
    directions, kinds = clouds(2, 0.4)
    shares, weights = one_hot(kinds, 2), torch.ones(1, N_POINTS)
    padded = torch.cat((shares, torch.zeros(1, 2, N_POINTS)), dim=1)
    assert float(ownership(directions, padded, weights)) == pytest.approx(
        float(ownership(directions, shares, weights)), abs=1e-5
    )


def test_groups_are_the_clouds() -> None:
    torch.manual_seed(0)
    directions, kinds = clouds(4, 0.1)
    groups = soft_groups(directions, torch.ones(1, N_POINTS), 4)
    torch.testing.assert_close(groups.sum(dim=1), torch.ones(1, N_POINTS))
    for kind in range(4):
        members = groups[0].argmax(dim=0)[kinds[0] == kind]
        assert len(members.unique()) == 1


@pytest.mark.parametrize("n_clusters", [2, 4])
def test_invariance_minds_clusters_across_mixtures_but_not_within_one(n_clusters: int) -> None:
    """Two mixtures of two kinds each: kinds 0 and 1 are the first; both numbers of clusters are as good."""
    torch.manual_seed(0)
    directions, kinds = clouds(4, 0.05)
    if n_clusters == 2:
        directions = F.normalize(torch.eye(6)[kinds // 2] + 0.05 * torch.randn(1, N_POINTS, 6), dim=-1)
    power = torch.rand(1, N_POINTS) + 0.1
    energies = one_hot(kinds // 2, 2) * power[:, None]
    assert float(invariance(directions, power, energies, energies, n_clusters)) < -18
    across = one_hot(kinds % 2, 2) * power[:, None]  # now a cluster of kinds 0 and 1 has something of both
    if n_clusters == 2:
        assert float(invariance(directions, power, across, across, n_clusters)) > -4


def test_invariance_moves_points_to_their_mixture() -> None:
    torch.manual_seed(0)
    _, kinds = clouds(2, 0.1)
    vectors = torch.nn.Parameter(torch.eye(6)[kinds] + 0.8 * torch.randn(1, N_POINTS, 6))
    weights = torch.ones(1, N_POINTS)
    energies = one_hot(kinds, 2)
    optimizer = torch.optim.Adam([vectors], lr=0.05)
    losses = []
    for _ in range(40):
        loss = invariance(centred(vectors, weights), weights, energies, energies, 2)
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0] - 6
