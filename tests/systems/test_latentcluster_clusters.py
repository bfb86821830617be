"""Equations of `latentcluster` against closed forms, brute force and other implementations."""

from __future__ import annotations

import sys
from itertools import product

import pytest
import torch
from sklearn.cluster import DBSCAN, AgglomerativeClustering
from sklearn.decomposition import non_negative_factorization
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from soli.errors import SoliError
from soli.systems.latentcluster.contrast import Points, contrast, draw_points
from soli.systems.latentcluster.frames import cluster_frames, knee, reduced, whitened
from soli.systems.latentcluster.mixit import masked_grams, mixit_loss
from soli.systems.latentcluster.nonnegative import factorise, part_shares, refine
from soli.systems.latentcluster.parts import loudest, parts_of, two_groups
from soli.systems.latentcluster.selection import alignment, bic, choose, stability
from soli.systems.latentcluster.soft import fit_soft
from soli.systems.latentcluster.variational import Posterior, collapse, free_divergence, posterior, warmed
from soli.systems.latentcluster.wiener import cluster_masks, cluster_wiener


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs(n_clusters: int, n_points: int = 200, spread: float = 0.15, n_features: int = 6) -> tuple[Tensor, Tensor]:
    """Points around corners of a simplex, and their clusters."""
    labels = torch.arange(n_points) % n_clusters
    centres = torch.eye(n_features)[:n_clusters]
    return centres[labels] + spread * torch.randn(n_points, n_features, generator=seeded()), labels


def test_the_divergence_is_that_of_torchs_distributions() -> None:
    mean, log_variance = torch.randn(2, 40, 5, generator=seeded()).double().clamp(-3, 3)
    found = posterior(mean, log_variance)
    standard = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), standard)
    torch.testing.assert_close(found.divergence(), expected)
    assert float(posterior(mean, log_variance + 100).log_variance.max()) == 4


def test_samples_have_the_moments_of_the_posterior() -> None:
    torch.manual_seed(0)
    found = Posterior(torch.full((100_000,), 0.7), torch.full((100_000,), -1.0))
    drawn = found.sample()
    assert float(drawn.mean()) == pytest.approx(0.7, abs=0.01)
    assert float(drawn.var()) == pytest.approx(torch.tensor(-1.0).exp().item(), rel=0.02)


def test_free_nats_cost_nothing_and_have_no_gradient() -> None:
    divergence = torch.tensor([[0.02, 1.0], [0.04, 3.0]], requires_grad=True)
    value = free_divergence(divergence, 0.05)
    assert float(value) == pytest.approx((0.05 + 2.0) / 2)
    value.backward()
    assert torch.equal(divergence.grad, torch.tensor([[0.0, 0.25], [0.0, 0.25]]))


def test_a_weight_rises_linearly() -> None:
    assert [warmed(2.0, step, 4) for step in (0, 1, 4, 9)] == [0.0, 0.5, 2.0, 2.0]
    assert warmed(2.0, 0, 0) == 2.0


def test_a_collapsed_dimension_is_told_from_one_in_use() -> None:
    mean = torch.zeros(500, 3)
    mean[:, 1] = torch.randn(500, generator=seeded())
    log_variance = torch.tensor([0.0, -4.0, -4.0]).expand(500, 3)
    found = collapse(Posterior(mean, log_variance))
    assert found.n_active == 1
    assert float(found.kl[0]) == 0
    assert float(found.kl[2]) > 1  # certain of one value: costs, says nothing


@pytest.mark.parametrize("n_clusters", [1, 2, 4])
def test_soft_clusters_are_as_likely_as_those_of_sklearn(n_clusters: int) -> None:
    points, _ = blobs(n_clusters, spread=0.25)
    ours = fit_soft(points, n_clusters, seeded())
    theirs = GaussianMixture(n_clusters, covariance_type="spherical", n_init=4, random_state=0).fit(points.numpy())
    assert float(ours.log_likelihood(points)) > theirs.score(points.numpy()) - 0.05  # theirs has a spread for each
    torch.testing.assert_close(ours.responsibilities(points).sum(dim=1), torch.ones(len(points)))


def test_a_higher_temperature_is_softer_and_keeps_the_winner() -> None:
    points, labels = blobs(3, spread=0.05)
    fit = fit_soft(points, 3, seeded())
    cold, warm = fit.responsibilities(points), fit.responsibilities(points, 400.0)
    assert float(cold.max(dim=1).values.mean()) > float(warm.max(dim=1).values.mean())
    assert adjusted_rand_score(labels.numpy(), cold.argmax(dim=1).numpy()) == 1
    assert torch.equal(cold.argmax(dim=1), warm.argmax(dim=1))


@pytest.mark.parametrize("how", ["silhouette", "stability", "bic"])
@pytest.mark.parametrize("n_clusters", [2, 4])
def test_every_way_to_count_finds_clusters_that_are_far_apart(how: str, n_clusters: int) -> None:
    points, labels = blobs(n_clusters, n_points=600, spread=0.06)
    choice = choose(points, range(2, 7), how, seeded())
    assert len(choice.clusters.shares) == n_clusters
    assert set(choice.scores) == {2, 3, 4, 5, 6}
    found = choice.clusters.responsibilities(points).argmax(dim=1)
    assert adjusted_rand_score(labels.numpy(), found.numpy()) == 1


def test_bic_sees_that_one_cloud_is_one_cluster() -> None:
    points = 0.3 * torch.randn(800, 4, generator=seeded())
    assert len(choose(points, range(1, 5), "bic", seeded()).clusters.shares) == 1
    one, two = (fit_soft(points, n, seeded()) for n in (1, 2))
    assert bic(one, points, 0.05) < bic(two, points, 0.05)


def test_stability_is_one_for_what_halves_agree_on() -> None:
    points, _ = blobs(3, n_points=300, spread=0.03)
    assert stability(points, 3, seeded()) == pytest.approx(1.0, abs=0.02)


def test_alignment_does_not_mind_the_order_and_is_low_for_chance() -> None:
    labels = torch.randint(0, 3, (400,), generator=seeded())
    first = torch.nn.functional.one_hot(labels, 3).float()
    assert alignment(first, first[:, [2, 0, 1]]) == pytest.approx(1.0)
    other = torch.nn.functional.one_hot(torch.randint(0, 3, (400,), generator=seeded(1)), 3).float()
    assert alignment(first, other) < 0.05


def test_updates_of_the_factorisation_are_those_of_sklearn() -> None:
    activations = torch.rand(12, 30, generator=seeded()).double() + 0.1
    templates, levels = torch.rand(12, 3, generator=seeded(1)).double(), torch.rand(3, 30, generator=seeded(2)).double()
    ours = refine(activations.T, levels.T, templates.T, 20)  # sklearn updates what it calls H last
    theirs = non_negative_factorization(
        activations.numpy(),
        W=templates.numpy().copy(),
        H=levels.numpy().copy(),
        n_components=3,
        init="custom",
        solver="mu",
        beta_loss="kullback-leibler",
        max_iter=20,
        tol=0,
    )
    torch.testing.assert_close(ours[1].T, torch.from_numpy(theirs[0]), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(ours[0].T, torch.from_numpy(theirs[1]), rtol=1e-4, atol=1e-6)


def test_parts_share_everything() -> None:
    true = torch.rand(10, 2, generator=seeded()) @ torch.rand(2, 50, generator=seeded(1))
    templates, levels = factorise(true, 2, n_steps=400)
    torch.testing.assert_close(templates @ levels, true, rtol=0.05, atol=0.02)
    torch.testing.assert_close(part_shares(templates, levels).sum(dim=0), torch.ones(10, 50))


def test_masks_sum_to_one_and_filtered_clusters_to_the_mixture() -> None:
    roots = torch.rand(3, 7, 9, generator=seeded())
    mixture = torch.randn(2, 7, 9, dtype=torch.complex64, generator=seeded())
    torch.testing.assert_close(cluster_masks(roots).sum(dim=0), torch.ones(7, 9))
    torch.testing.assert_close(cluster_wiener(roots, mixture).sum(dim=0), mixture, atol=1e-6, rtol=1e-6)
    silence = torch.zeros(3, 7, 9)
    torch.testing.assert_close(cluster_masks(silence), torch.full((3, 7, 9), 1 / 3))


def test_true_magnitudes_give_the_wiener_filter() -> None:
    magnitudes = torch.rand(2, 5, 6, generator=seeded()) + 0.5
    masks = cluster_masks(magnitudes.sqrt())
    torch.testing.assert_close(masks[0], magnitudes[0] ** 2 / (magnitudes**2).sum(dim=0), rtol=0.02, atol=0.01)


def test_mixture_invariant_training_finds_the_best_of_all_assignments() -> None:
    masks = torch.rand(2, 4, 6, 5, generator=seeded())
    mixtures = torch.randn(2, 2, 6, 5, dtype=torch.complex64, generator=seeded())
    whole = mixtures.sum(dim=1)
    loss, given = mixit_loss(masked_grams(masks, whole, mixtures), floor_db=-30)
    expected = []
    for mask, mixture, whole_item in zip(masks, mixtures, whole, strict=True):
        values = {}
        for choice in product((0, 1), repeat=4):
            decibels = []
            for index in (0, 1):
                rows = [mask[slot] for slot in range(4) if choice[slot] == index]
                estimate = sum(rows, torch.zeros(6, 5)) * whole_item
                error = (mixture[index] - estimate).abs().square().sum()
                decibels.append(10 * torch.log10(error / mixture[index].abs().square().sum() + 1e-3))
            values[choice] = float(sum(decibels) / 2)
        expected.append(min(values.items(), key=lambda item: item[1]))
    assert float(loss) == pytest.approx(sum(value for _, value in expected) / 2, abs=1e-3)
    assert [tuple(row) for row in given.tolist()] == [choice for choice, _ in expected]


def test_with_single_sources_as_mixtures_every_estimate_finds_its_own() -> None:
    """Permutation invariant training with estimates to spare; a silent mixture matters little."""
    spectrograms = torch.randn(1, 3, 6, 5, dtype=torch.complex64, generator=seeded())
    spectrograms[:, 2] = 0
    whole = spectrograms.sum(dim=1)
    share = spectrograms[:, :2].abs() / spectrograms[:, :2].abs().sum(dim=1, keepdim=True)
    masks = torch.stack((0.4 * share[:, 1], share[:, 0], 0.6 * share[:, 1], 0 * share[:, 0]), dim=1)
    loss, given = mixit_loss(masked_grams(masks, whole, spectrograms))
    assert given[0, :3].tolist() == [1, 0, 1]
    joined = torch.stack((share[:, 0], share[:, 1]), dim=1)
    alone, _ = mixit_loss(masked_grams(joined, whole, spectrograms[:, :2]))
    assert float(loss) == pytest.approx(float(alone) - 0.1 * 30 / 2, abs=0.01)


def test_the_loudest_parts_stay_apart_and_nothing_is_lost() -> None:
    parts = torch.randn(2, 6, 40, generator=seeded()) * torch.tensor([1.0, 20.0, 0.1, 4.0, 0.2, 9.0])[:, None]
    kept = loudest(parts, 4)
    torch.testing.assert_close(kept.sum(dim=1), parts.sum(dim=1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(kept[:, :3], parts[:, [1, 5, 3]])
    assert loudest(parts, 6) is parts


def test_contrast_is_info_nce_and_small_when_parts_are_apart() -> None:
    directions = torch.nn.functional.normalize(torch.randn(1, 6, 3, generator=seeded()), dim=-1)
    owner, step = torch.tensor([[0, 0, 0, 1, 1, 1]]), torch.tensor([[0, 1, 9, 0, 1, 2]])
    points = Points(directions, owner, step, torch.ones(1, 6))
    likeness = (directions[0] @ directions[0].T / 0.5).exp()
    expected = []
    for i in range(6):
        same = [j for j in range(6) if j != i and owner[0, j] == owner[0, i]]
        near = [j for j in same if abs(step[0, j] - step[0, i]) <= 3]
        other = [j for j in range(6) if owner[0, j] != owner[0, i]]
        if near:
            total = likeness[i, near].sum()
            expected.append(-(total / (total + likeness[i, other].sum())).log())
    assert float(contrast(points, temperature=0.5, reach=3)) == pytest.approx(float(torch.stack(expected).mean()))
    apart = points._replace(directions=torch.eye(3)[owner])
    assert float(contrast(apart, temperature=0.05, reach=9)) < 1e-3
    every = []
    for i in range(6):
        same = [j for j in range(6) if j != i and owner[0, j] == owner[0, i]]
        everyone = likeness[i, [j for j in range(6) if j != i]].sum()
        every.append(-(likeness[i, same] / everyone).log().mean())
    assert float(contrast(points, temperature=0.5)) == pytest.approx(float(torch.stack(every).mean()))
    nothing = points._replace(weight=torch.zeros(1, 6))
    assert float(contrast(nothing)) == 0


def test_points_belong_to_the_part_that_is_loudest_there() -> None:
    torch.manual_seed(0)
    energies = torch.tensor([[[[1.0, 0.0], [0.0, 0.5]], [[0.0, 2.0], [0.0, 0.5]]]])  # [1 2 K=2 M=2]
    directions = torch.arange(8.0).view(1, 2, 2, 2)
    points = draw_points(directions, energies, 3)
    for direction, owner, step, weight in zip(*(field[0] for field in points), strict=True):
        place = int(direction[0]) // 2
        assert int(step) == place % 2
        assert bool(weight) == (place in (0, 1))
        if weight:
            assert int(owner) == place


def test_songs_are_added_whole_and_stems_shared_out_once() -> None:
    torch.manual_seed(0)
    stems = torch.randn(3, 4, 2, 50)
    songs = parts_of(stems, "songs")
    assert songs.shape == (3, 2, 50)
    whole = stems.mean(dim=2).sum(dim=1)
    ratio = songs[0, 0] / whole[0]
    torch.testing.assert_close(ratio, ratio[:1].expand(50))  # nothing but a gain
    single = parts_of(stems, "stems")
    groups = two_groups(single)
    torch.testing.assert_close(groups.sum(dim=1), single.sum(dim=1))
    assert (groups.square().mean(dim=-1) > 0).all()
    torch.testing.assert_close(single.sum(dim=1).square().mean(dim=-1).sqrt(), torch.full((3,), 0.1))
    for wrong, kind in ((stems[:1], "songs"), (stems[:, :1], "stems")):
        with pytest.raises(SoliError, match="allowed"):
            parts_of(wrong, kind)


def two_timbres() -> tuple[Tensor, Tensor]:
    """Frames of two kinds in turn, `[N D]`."""
    labels = (torch.arange(240) // 20) % 2
    centres = torch.randn(2, 8, generator=seeded())
    return centres[labels] + 0.1 * torch.randn(240, 8, generator=seeded(1)), labels


@pytest.mark.parametrize("algorithm", ["kmeans", "agglomerative", "dbscan"])
def test_two_timbres_in_turn_are_two_clusters_for_every_algorithm(algorithm: str) -> None:
    frames, truth = two_timbres()
    labels = cluster_frames(frames, torch.ones(240), algorithm, n_clusters=None, most=6)
    kept = labels >= 0
    assert adjusted_rand_score(truth[kept].numpy(), labels[kept].numpy()) == 1
    assert int(labels.max()) == 1
    assert float(kept.float().mean()) > 0.5


def test_labels_are_sklearns() -> None:
    frames, _ = two_timbres()
    points = reduced(whitened(frames)).double().numpy()
    labels = cluster_frames(frames, torch.ones(240), "agglomerative", n_clusters=3, most=6)
    expected = AgglomerativeClustering(3, linkage="ward").fit_predict(points)
    assert adjusted_rand_score(expected, labels.numpy()) == 1
    distances = torch.cdist(*[reduced(whitened(frames))] * 2).kthvalue(11, dim=1).values
    expected = DBSCAN(eps=knee(distances), min_samples=10).fit_predict(points)
    found = cluster_frames(frames, torch.ones(240), "dbscan", n_clusters=None, most=6)
    assert ((found.numpy() < 0) == (expected < 0)).all()


def test_quiet_frames_join_the_nearest_centre() -> None:
    frames, truth = two_timbres()
    energies = torch.ones(240)
    energies[::7] = 1e-9
    labels = cluster_frames(frames, energies, "kmeans", n_clusters=2, most=6)
    assert adjusted_rand_score(truth.numpy(), labels.numpy()) == 1


def test_the_knee_of_a_bend_is_where_it_bends() -> None:
    curve = torch.cat((torch.linspace(0, 0.1, 80), torch.linspace(0.1, 2, 20)))
    assert knee(curve) == pytest.approx(0.1, abs=0.02)


def test_mistakes_are_named(monkeypatch) -> None:
    frames = torch.randn(50, 4)
    with pytest.raises(SoliError, match="kmeans, agglomerative, dbscan"):
        cluster_frames(frames, torch.ones(50), "spectral", n_clusters=2, most=4)
    with pytest.raises(SoliError, match="3 clusters"):
        fit_soft(frames[:2], 3, seeded())
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(SoliError, match="latent"):
        cluster_frames(frames, torch.ones(50), "kmeans", n_clusters=2, most=4)


def test_frames_far_from_all_others_are_noise_wherever_they_are(monkeypatch) -> None:
    frames, _ = two_timbres()
    frames = torch.cat((frames, 40 * torch.randn(60, frames.shape[1], generator=seeded())))
    monkeypatch.setattr("soli.systems.latentcluster.frames._FITTED", 150)
    labels = cluster_frames(frames, torch.ones(len(frames)), "dbscan", n_clusters=None, most=8)
    assert (labels[-60:] == -1).float().mean() > 0.9
    capped = cluster_frames(frames, torch.ones(len(frames)), "dbscan", n_clusters=1, most=8)
    assert int(capped.max()) == 0
