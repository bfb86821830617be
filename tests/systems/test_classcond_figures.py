from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from soli.errors import SoliError
from soli.separator import Separator
from soli.systems.classcond.config import ClassCondConfig
from soli.systems.classcond.figures import (
    View,
    embedding_plane,
    example_mask,
    level,
    look,
    masked_level,
    narrowest_dimension,
)
from soli.systems.classcond.gaussians import Gaussians
from soli.systems.classcond.paper import ClassCondPaper, ClassCondPaperConfig
from soli.systems.classcond.separator import ClassCond

FRAMES, BINS, FEATURES = 40, 50, 5
SOURCES = ("a", "b", "c")


def make_view(variances: torch.Tensor, spread: torch.Tensor | None = None) -> tuple[View, torch.Tensor]:
    """Bins drawn from three Gaussians that lie in the plane of features 1 and 3; and the class of each bin."""
    generator = torch.Generator().manual_seed(0)
    means = torch.zeros(3, FEATURES)
    means[:, 1], means[:, 3] = torch.tensor([9.0, -9.0, 0.0]), torch.tensor([-3.0, -3.0, 6.0])
    classes = torch.randint(3, (FRAMES, BINS), generator=generator)
    noise = torch.randn(FRAMES, BINS, FEATURES, generator=generator)
    embedding = means[classes] + noise * (variances.expand(3, FEATURES) if spread is None else spread)[classes].sqrt()
    view = View(
        embedding=embedding,
        magnitude=torch.rand(FRAMES, BINS, generator=generator) + 0.1,
        frequencies=np.linspace(0, 1000, BINS),
        seconds=2.0,
        gaussians=Gaussians(means, variances, torch.full((3,), 1 / 3).log()),
        sources=SOURCES,
    )
    return view, classes


def test_the_plane_is_the_one_the_classes_lie_in():
    view, _ = make_view(torch.full((1, 1), 0.04))
    plane = embedding_plane(view)
    assert plane.explained.sum() > 0.99
    distances = torch.pdist(view.gaussians.means).numpy()
    np.testing.assert_allclose(torch.pdist(torch.from_numpy(plane.centres)).numpy(), distances, rtol=1e-3)


def test_every_point_carries_the_class_it_was_drawn_from():
    view, classes = make_view(torch.full((1, 1), 0.04))
    plane = embedding_plane(view, most=10**9)
    assert len(plane.points) == FRAMES * BINS
    nearest = ((plane.points[:, None] - plane.centres) ** 2).sum(-1).argmin(-1)
    assert (plane.labels == nearest).all()
    assert np.bincount(plane.labels).tolist() == torch.bincount(classes.flatten()).tolist()


def test_spreads_are_the_covariances_of_the_points():
    variances = torch.tensor([0.3, 0.1, 0.2, 0.6, 0.1]).expand(3, FEATURES)
    view, _ = make_view(variances)
    plane = embedding_plane(view)
    for index in range(3):
        measured = np.cov(plane.points[plane.labels == index].T)
        np.testing.assert_allclose(measured, plane.spreads[index], atol=0.09)


def test_points_are_limited_drawn_by_seed_and_taken_from_loud_bins_only():
    view, _ = make_view(torch.full((1, 1), 0.04))
    assert len(embedding_plane(view, most=100).points) == 100
    once, again, other = (embedding_plane(view, most=100, seed=seed).points for seed in (1, 1, 2))
    assert (once == again).all()
    assert not np.allclose(once, other)
    view.magnitude[:, 7:] = 1e-6
    assert len(embedding_plane(view).points) == FRAMES * 7


def test_the_signs_of_the_axes_do_not_depend_on_chance():
    view, _ = make_view(torch.full((1, 1), 0.04))
    one, two = embedding_plane(view, most=1500, seed=1), embedding_plane(view, most=1500, seed=2)
    np.testing.assert_allclose(one.centres, two.centres, atol=0.5)


def test_a_learned_diagonal_variance_decides_the_narrowest_dimension():
    variances = torch.full((3, FEATURES), 0.5)
    variances[1, 4] = 0.01
    view, _ = make_view(variances)
    found = narrowest_dimension(view)
    assert (found.index, found.source) == (4, "b")
    assert found.variance == pytest.approx(0.01)
    assert np.array_equal(found.values, view.embedding[..., 4].T.numpy())


def test_with_a_spherical_covariance_the_narrowest_dimension_is_measured():
    spread = torch.full((3, FEATURES), 0.5)
    spread[2, 0] = 0.001
    view, _ = make_view(torch.full((3, 1), 0.5), spread)
    found = narrowest_dimension(view)
    assert found.source == "c"
    assert found.index == 0
    assert found.variance == pytest.approx(0.001, rel=0.2)


def test_an_example_of_one_class_masks_that_class():
    view, classes = make_view(torch.full((1, 1), 0.04))
    example = replace(
        view, embedding=view.embedding[classes == 1][None], magnitude=torch.ones(1, int((classes == 1).sum()))
    )
    mask = example_mask(view, example)
    assert mask.shape == classes.shape
    assert (mask[classes == 1] > 0.9).float().mean() > 0.9
    assert (mask[classes != 1] < 0.1).all()


def test_silence_has_no_figures():
    view, _ = make_view(torch.full((1, 1), 0.04))
    view.magnitude.zero_()
    for figure in (embedding_plane, narrowest_dimension):
        with pytest.raises(SoliError, match="silent"):
            figure(view)


def test_levels_are_decibels_below_the_loudest_bin_with_frequency_first():
    magnitude = torch.tensor([[1.0, 0.1, 0.0], [0.5, 0.01, 0.001]])
    decibels = level(magnitude)
    assert decibels.shape == (3, 2)
    np.testing.assert_allclose(decibels[:, 0], [0, -20, -200])


def test_a_masked_mixture_stays_on_the_mixtures_scale():
    magnitude = torch.tensor([[1.0, 0.1]])
    np.testing.assert_allclose(masked_level(magnitude, torch.tensor([[0.0, 1.0]]))[:, 0], [-200, -20])


SMALL = {
    ClassCond: ClassCondConfig(
        n_fft=512, hop_length=128, bands=((8, 8), (4, 48)), n_features=8, depths=(1, 1), dilations=(1,),
        embedding_size=4, refinement_features=4, refined_groups=1, sample_rate=8000,
    ),
    ClassCondPaper: ClassCondPaperConfig(
        n_fft=512, hop_length=128, n_mels=20, hidden_size=8, n_layers=1, dropout=0.0, sample_rate=8000,
    ),
}  # fmt: skip


@pytest.mark.parametrize("system", SMALL)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_a_tone_is_seen_at_its_frequency_and_embedded_bin_by_bin(system, channels):
    separator = system(SMALL[system]).eval()
    tone = torch.sin(2 * torch.pi * 1000 / 8000 * torch.arange(8000)).expand(channels, -1)
    view = look(separator, tone)
    assert view is not None
    assert view.frequencies[view.magnitude.mean(dim=0).argmax()] == pytest.approx(1000, rel=0.08)
    assert (np.diff(view.frequencies) > 0).all()
    assert view.embedding.shape == (*view.magnitude.shape, SMALL[system].embedding_size)
    assert view.magnitude.shape[-1] == len(view.frequencies)
    assert view.seconds == 1.0
    assert not any(part.requires_grad for part in (view.embedding, view.magnitude, *view.gaussians))
    assert len(embedding_plane(view).centres) == len(separator.sources)
    assert narrowest_dimension(view).values.shape == view.magnitude.T.shape


def test_other_systems_have_no_embedding():
    class Nothing(Separator):
        sample_rate, sources = 8000, ("all",)

        def _separate(self, mixture: torch.Tensor) -> torch.Tensor:
            return mixture[:, None].clone()

    assert look(Nothing(), torch.ones(1, 8)) is None
