from __future__ import annotations

import math
from typing import Any

import pytest
import scipy.optimize
import scipy.special
import torch
from torch import Tensor

from flowprior_models import small
from soli.errors import SoliError
from soli.systems.flowprior.search import (
    SearchConfig,
    Step,
    energy,
    frozen,
    generalised_kl,
    masked,
    search,
    wiener,
)


def positive(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) + 0.1


def exponential(latents: Tensor) -> tuple[Tensor, Tensor]:
    """x = exp(z), whose Jacobian is diagonal."""
    return latents.exp(), latents.sum(dim=(2, 3))


def found_by(mixture: Tensor, n_sources: int, start: Tensor | None = None, **settings: Any) -> Tensor:
    shape = (len(mixture), n_sources, *mixture.shape[1:])
    latents = torch.zeros(shape) if start is None else start
    return search(exponential, mixture, latents, SearchConfig(**settings))


def test_the_divergence_is_that_of_scipy() -> None:
    observed, model = positive(3, 5, 4), positive(3, 5, 4, seed=1)
    due = scipy.special.kl_div(observed.double().numpy(), model.double().numpy()).mean(axis=(1, 2))
    torch.testing.assert_close(generalised_kl(observed, model).double(), torch.from_numpy(due), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(generalised_kl(observed, -model), generalised_kl(observed, model))
    assert float(generalised_kl(observed, observed).abs().max()) < 1e-6
    assert generalised_kl(0 * observed, 0 * observed).tolist() == pytest.approx([0, 0, 0], abs=1e-7)


def test_its_gradient_is_one_minus_the_ratio() -> None:
    observed, model = positive(1, 5, 4), positive(1, 5, 4, seed=1).requires_grad_()
    (gradient,) = torch.autograd.grad(generalised_kl(observed, model).sum(), model)
    torch.testing.assert_close(gradient, (1 - observed / model.detach()) / 20, atol=1e-6, rtol=1e-4)


def test_differences_of_it_are_poisson_log_likelihood_ratios() -> None:
    counts = torch.tensor([[[3.0, 7.0], [1.0, 12.0]]])
    first, second = 5 * positive(1, 2, 2), 9 * positive(1, 2, 2, seed=1)
    ratio = torch.distributions.Poisson(second).log_prob(counts) - torch.distributions.Poisson(first).log_prob(counts)
    found = generalised_kl(counts, first) - generalised_kl(counts, second)
    torch.testing.assert_close(found, ratio.mean(dim=(1, 2)), atol=1e-5, rtol=1e-4)


def test_the_mask_weakens_frames_in_which_a_source_is_weaker_than_the_mixture() -> None:
    magnitudes = torch.tensor([[[[1.0, 4.0], [1.0, 4.0]]]])  # frames of sums 2 and 8
    mixture = torch.tensor([[[5.0, 1.0], [3.0, 1.0]]])  # of sums 8 and 2
    due = torch.tensor([[[[0.25, 4.0], [0.25, 4.0]]]])
    torch.testing.assert_close(masked(magnitudes, mixture), due)


def test_wiener_shares_out_the_mixture() -> None:
    magnitudes = torch.tensor([1.0, 3.0]).view(1, 2, 1, 1)
    mixture = torch.tensor([[[10.0]]])
    torch.testing.assert_close(wiener(magnitudes, mixture).flatten(), torch.tensor([2.5, 7.5]))
    magnitudes, mixture = positive(2, 3, 4, 5), positive(2, 4, 5, seed=1)
    torch.testing.assert_close(wiener(magnitudes, mixture).sum(dim=1), mixture)


def test_sources_that_are_alike_share_the_mixture_equally() -> None:
    mixture = positive(2, 4, 6)
    found = found_by(mixture, 3, iterations=400, learning_rate=0.05)
    torch.testing.assert_close(found, (mixture / 3)[:, None].expand_as(found), atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize(("objective", "pull"), [("map_z", lambda z: z), ("map_x", lambda z: z + 1)])
def test_the_prior_pulls_as_the_equations_say(objective: str, pull: Any) -> None:
    """One number: the derivative of the objective, S - M + w z or S - M + w (z + 1) with S = exp(z), is zero."""
    weight, observed = 0.7, 3.0
    due = scipy.optimize.brentq(lambda z: math.exp(z) - observed + weight * pull(z), -5, 5)
    mixture = torch.full((1, 1, 1), observed)
    settings = {"iterations": 600, "learning_rate": 0.02, "objective": objective, "prior_weight": weight}
    assert float(found_by(mixture, 1, **settings).log()) == pytest.approx(due, abs=1e-3)
    assert due < math.log(observed) - 0.1


def test_it_is_torch_adam_on_all_latents() -> None:
    mixture, start = positive(1, 4, 6), positive(1, 2, 4, 6, seed=1)
    latents = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([latents], lr=0.03)
    for _ in range(5):
        optimizer.zero_grad()
        total = latents.exp().sum(dim=1)
        (mixture * (mixture / total).log() - mixture + total).mean().backward()
        optimizer.step()
    found = found_by(mixture, 2, start=start, iterations=5, learning_rate=0.03)
    torch.testing.assert_close(found, latents.detach().exp(), atol=1e-5, rtol=1e-4)


def test_items_do_not_hear_of_each_other_not_even_of_one_that_explodes() -> None:
    def fragile(latents: Tensor) -> tuple[Tensor, Tensor]:
        magnitudes, log_det = exponential(latents)
        return torch.where(magnitudes > 20, math.inf, magnitudes), log_det

    mixture = positive(3, 4, 6)
    mixture[1] += 1000
    config = SearchConfig(iterations=60, learning_rate=0.1)
    start = torch.zeros(3, 2, 4, 6)
    together = search(fragile, mixture, start, config)
    for item in (0, 2):
        alone = search(fragile, mixture[item : item + 1], start[:1], config)
        torch.testing.assert_close(together[item], alone[0], atol=1e-6, rtol=1e-6)
    assert 10 < float(together[1].max()) <= 20


def test_each_step_is_told() -> None:
    mixture, steps = positive(2, 4, 6), list[Step]()
    start = positive(2, 3, 4, 6, seed=1)
    config = SearchConfig(iterations=40, learning_rate=0.02)
    found = search(exponential, mixture, start, config, steps.append)
    assert [step.iteration for step in steps] == list(range(41))
    divergences = torch.stack([step.divergence for step in steps])
    assert (divergences[1:] < divergences[:-1]).all()
    torch.testing.assert_close(steps[0].magnitudes, start.exp())
    torch.testing.assert_close(steps[0].energy, 0.5 * start.square().mean(dim=(2, 3)))
    torch.testing.assert_close(steps[-1].energy, energy(found.log()), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(steps[-1].divergence, generalised_kl(mixture, found.sum(dim=1)))
    assert torch.equal(steps[-1].magnitudes, found)


def test_an_item_that_has_stopped_stands_still_and_is_said_to() -> None:
    mixture, steps = positive(2, 4, 6), list[Step]()
    mixture[0] = 2.0  # explained from the start: nothing can be gained
    config = SearchConfig(iterations=60, learning_rate=0.02, tolerance=0.001)
    found = search(exponential, mixture, torch.zeros(2, 2, 4, 6), config, steps.append)
    at_ten = steps[10]
    assert torch.equal(found[0], at_ten.magnitudes[0])
    assert steps[-1].divergence[0] == at_ten.divergence[0]
    assert torch.equal(steps[-1].energy[0], at_ten.energy[0])
    assert steps[-1].divergence[1] < at_ten.divergence[1]


def test_an_item_that_explodes_ends_no_search_and_keeps_none_going() -> None:
    def exploding(latents: Tensor) -> tuple[Tensor, Tensor]:
        magnitudes, log_det = exponential(latents)
        return magnitudes * torch.tensor([math.inf, 1.0]).view(2, 1, 1, 1), log_det

    steps = list[Step]()
    config = SearchConfig(objective="map_z", prior_weight=0.1, iterations=1000, learning_rate=0.02, tolerance=0.01)
    search(exploding, positive(2, 4, 6), torch.zeros(2, 2, 4, 6), config, steps.append)
    assert 10 < len(steps) < 1000


def test_the_mask_comes_after_some_iterations() -> None:
    mixture, steps = positive(1, 4, 6), list[Step]()
    config = SearchConfig(iterations=6, learning_rate=1e-6, mask=True)
    search(exponential, mixture, torch.zeros(1, 2, 4, 6) - 2, config, steps.append)
    weakened = [float(step.magnitudes.max()) < 0.9 * math.exp(-2) for step in steps]
    assert weakened == [False] * 4 + [True] * 3


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_differentiates_whatever_the_caller_does(mode: Any) -> None:
    mixture = positive(1, 4, 6)
    due = found_by(mixture, 2, iterations=5)
    with mode():
        mixture = positive(1, 4, 6)
        start = torch.zeros(1, 2, 4, 6)
        found = found_by(mixture, 2, start=start, iterations=5)
        assert not start.any()
        assert torch.equal(mixture, positive(1, 4, 6))
    torch.testing.assert_close(found, due)
    assert not found.requires_grad


def test_a_frozen_copy_decodes_alike_and_leaves_the_original_whole() -> None:
    separator, latents = small(), positive(1, 2, 66, 4)
    with torch.no_grad():
        separator.priors[0].layers[2].network.end.weight += 0.1
    due = separator.decode(latents)
    for _ in range(2):
        copied = frozen(separator)
        torch.testing.assert_close(copied.decode(latents), due, atol=1e-5, rtol=1e-5)
    assert not any(parameter.requires_grad for parameter in copied.parameters())
    assert all(parameter.requires_grad for parameter in separator.parameters())
    assert any("original0" in name for name in separator.state_dict())
    assert not any("original0" in name for name in copied.state_dict())
    with torch.no_grad():
        copied.priors[0].layers[2].network.start.weight.zero_()
    torch.testing.assert_close(separator.decode(latents), due, atol=0, rtol=0)


def test_wrong_settings_are_named() -> None:
    for settings, message in (
        ({"iterations": -1}, "iterations = -1; allowed: at least 0"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0; allowed: more than 0"),
        ({"prior_weight": math.nan}, "prior_weight = nan; allowed: at least 0"),
    ):
        with pytest.raises(SoliError, match=message):
            SearchConfig(**settings)
