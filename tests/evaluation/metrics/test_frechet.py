from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from soli.errors import SoliError
from soli.evaluation.metrics.frechet import frechet_distance


def normal(n_samples: int, *, seed: int) -> torch.Tensor:
    return torch.randn(n_samples, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_the_formula_with_the_matrix_square_root_of_scipy() -> None:
    mix = normal(5, seed=9)
    first, second = normal(40, seed=0) @ mix, 0.3 + normal(30, seed=1) * torch.arange(1, 6)
    one, other = np.cov(first.numpy().T), np.cov(second.numpy().T)
    shift = (first.mean(0) - second.mean(0)).square().sum().item()
    expected = shift + np.trace(one + other - 2 * np.real(sqrtm(one @ other)))
    assert frechet_distance(first, second).item() == pytest.approx(expected, rel=1e-8)


def test_a_shift_counts_by_its_square_and_a_stretch_by_the_change_of_deviation() -> None:
    x = normal(100, seed=0)
    assert frechet_distance(x, x).item() == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + 2).item() == pytest.approx(5 * 4)
    deviations = x.var(dim=0).sum().item()
    centred = x - x.mean(dim=0)
    assert frechet_distance(centred, 3 * centred).item() == pytest.approx(4 * deviations)
    assert frechet_distance(centred[:, :1], 3 * centred[:, :1]).item() == pytest.approx(4 * x[:, 0].var().item())


def test_fewer_samples_than_features_are_no_failure() -> None:
    assert frechet_distance(normal(3, seed=0), normal(4, seed=1)) > 0


@pytest.mark.parametrize("shapes", [((1, 5), (9, 5)), ((9, 5), (9, 4)), ((9,), (9, 5))])
def test_sets_that_cannot_be_compared_are_refused(shapes) -> None:
    with pytest.raises(SoliError, match="allowed"):
        frechet_distance(*(torch.zeros(shape) for shape in shapes))
