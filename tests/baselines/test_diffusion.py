from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from soli.baselines.diffusion.config import DiffusionConfig
from soli.baselines.diffusion.karras import draw_sigmas, loss_weight, precondition, scalings, schedule
from soli.baselines.diffusion.separator import Diffusion
from soli.baselines.diffusion.training import DiffusionTask
from soli.errors import SoliError
from soli.evaluation.metrics import sdr_global
from soli.testing import check_separator

RATE = 8000
TINY: dict[str, Any] = {
    "sources": ("low", "high"),
    "sample_rate": RATE,
    "widths": (16, 24, 32),
    "factors": (4, 2),
    "patch": 8,
    "n_heads": 2,
    "n_attention": 1,
    "sigma_data": 0.1,
    "steps": 4,
}


def model(**settings: Any) -> Diffusion:
    torch.manual_seed(0)
    return Diffusion(DiffusionConfig(**{**TINY, **settings})).eval()


def stirred(separator: Diffusion) -> Diffusion:
    """The same with a network that does not answer zero."""
    for name, parameter in separator.named_parameters():
        if name.endswith("last.weight"):
            torch.nn.init.normal_(parameter, std=0.05)
    return separator


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def song(seconds: float = 0.5) -> Tensor:
    """A low chord that comes and goes and a high one, `[S 1 T]`."""
    time = torch.arange(round(seconds * RATE)) / RATE
    low = torch.sin(2 * math.pi * 110 * time) * (1 + torch.sin(2 * math.pi * 3 * time)) / 2
    high = torch.sin(2 * math.pi * 1300 * time) * (time % 0.2 < 0.1)
    return 0.15 * torch.stack((low, high))[:, None]


@pytest.mark.parametrize(("joint", "likelihood"), [(True, "dirac"), (False, "gaussian")])
def test_it_keeps_the_contract(joint: bool, likelihood: str) -> None:
    separator = stirred(model(joint=joint, likelihood=likelihood, steps=2))
    separator.segment_seconds = 2.5
    check_separator(separator, seconds=0.25, longest_seconds=3.0)


def test_the_default_is_small_and_starts_where_the_loss_is_one() -> None:
    task = DiffusionTask(Diffusion(DiffusionConfig(sigma_data=0.1)))
    assert sum(parameter.numel() for parameter in task.parameters()) < 6e6
    torch.manual_seed(0)
    with torch.no_grad():
        total = sum(task(noise(4, 4, 1, 65536)).values())
    assert total == pytest.approx(1, abs=0.01)


def test_a_network_that_answers_zero_leaves_the_input_times_its_skip() -> None:
    x, sigma = noise(3, 2, 64), torch.tensor([0.01, 0.1, 2.0])
    denoised = precondition(lambda x, noise: torch.zeros_like(x), 0.1)(x, sigma)
    due = 0.1**2 / (0.1**2 + sigma.square())
    torch.testing.assert_close(denoised, due[:, None, None] * x)
    torch.testing.assert_close(model().denoise(x, sigma), denoised)  # as it is before training


def test_input_and_target_of_the_network_have_unit_variance() -> None:
    """The requirements from which table 1 of EDM follows."""
    clean, sigma = 0.3 * noise(7, 200000, seed=1).div(0.1), torch.logspace(-4, 1, 7)[:, None]
    noisy = clean + sigma * noise(7, 200000, seed=2).div(0.1)
    by = scalings(sigma, 0.3)
    target = (clean - by.skip * noisy) / by.out
    ones = torch.ones(7)
    torch.testing.assert_close((by.into * noisy).std(dim=1), ones, rtol=0.02, atol=0)
    torch.testing.assert_close(target.std(dim=1), ones, rtol=0.02, atol=0)
    torch.testing.assert_close((loss_weight(sigma, 0.3) * by.out.square())[:, 0], ones)


def test_the_schedule_is_evenly_spaced_in_the_root_of_sigma() -> None:
    sigmas = schedule(150, sigma_min=1e-4, sigma_max=1.0, rho=7.0)
    assert sigmas[0] == pytest.approx(1)
    assert sigmas[-2] == pytest.approx(1e-4)
    assert sigmas[-1] == 0
    assert len(sigmas) == 151
    roots = torch.tensor(sigmas[:-1], dtype=torch.float64) ** (1 / 7)
    torch.testing.assert_close(roots, torch.linspace(1, 1e-4 ** (1 / 7), 150, dtype=torch.float64))
    assert schedule(1, sigma_min=1e-4, sigma_max=0.5, rho=7.0) == pytest.approx([0.5, 0])


def test_levels_to_train_on_are_log_normal() -> None:
    torch.manual_seed(0)
    logs = draw_sigmas(100000, mean=-3.0, deviation=1.2, device=torch.device("cpu")).log()
    assert float(logs.mean()) == pytest.approx(-3, abs=0.02)
    assert float(logs.std()) == pytest.approx(1.2, rel=0.02)


@pytest.mark.parametrize("joint", [True, False])
def test_only_a_joint_network_hears_the_other_sources(joint: bool) -> None:
    separator, sigma = stirred(model(joint=joint)), torch.tensor([0.1])
    x = noise(1, 2, 512).requires_grad_()
    separator.denoise(x, sigma)[:, 0].sum().backward()
    assert x.grad is not None
    assert bool(x.grad[:, 1].any()) is joint
    assert x.grad[:, 0].any()


def test_every_weight_learns() -> None:
    for joint in (True, False):
        task = DiffusionTask(stirred(model(joint=joint)))
        sum(task(song()[None]).values()).backward()  # type: ignore[union-attr]
        assert not [name for name, p in task.named_parameters() if p.grad is None or not p.grad.any()]


def test_a_source_trains_its_own_network_alone() -> None:
    task = DiffusionTask(stirred(model(joint=False)))
    task(song()[None])["low"].backward()
    touched = [bool(network.first.weight.grad.any()) for network in task.separator.networks]  # type: ignore[union-attr]
    assert touched == [True, False]


def test_the_same_mixture_and_seed_give_the_same_stems_whatever_the_callers_random_state() -> None:
    mixture = noise(1, 1000)
    first = stirred(model()).separate(mixture, RATE).stems
    torch.manual_seed(99)
    state = torch.get_rng_state()
    separator = stirred(model())
    torch.set_rng_state(state)
    assert torch.equal(separator.separate(mixture, RATE).stems, first)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.allclose(stirred(model(seed=1)).separate(mixture, RATE).stems, first, atol=1e-3)


@pytest.mark.parametrize("source_id", [0, 1])
def test_with_the_dirac_likelihood_stems_sum_to_the_mixture(source_id: int) -> None:
    mixture = noise(2, 1001)
    estimates = stirred(model(source_id=source_id)).separate(mixture, RATE)
    assert estimates.residual.abs().max() < 1e-6


def test_it_learns_a_song_by_heart_and_separates_it() -> None:
    torch.manual_seed(0)
    stems = song(0.25)
    task = DiffusionTask(model(steps=10).train())
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-2)
    history = []
    for _ in range(120):
        loss = torch.stack(list(task(stems[None].expand(4, -1, -1, -1)).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert sum(history[-20:]) / 20 < 0.6 * history[0]  # it began as the denoiser that knows levels alone
    estimates = task.separator.eval().separate(stems.sum(dim=0), RATE).stems
    assert sdr_global(stems, estimates).min() > 8


def test_silence_and_half_precision_give_finite_losses_and_gradients() -> None:
    task = DiffusionTask(stirred(model()))
    with torch.autocast("cpu", torch.bfloat16):
        losses = task(torch.stack((song(), 0 * song(), 1e-4 * song())))
    torch.stack(list(losses.values())).sum().backward()
    assert all(torch.isfinite(value) and value.dtype == torch.float32 for value in losses.values())
    assert all(torch.isfinite(p.grad).all() for p in task.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps = 0; allowed: at least 1"),
        ({"gamma": 0.0}, r"gamma = 0\.0; allowed: more than 0"),
        ({"sigma_min": 2.0}, r"sigma_min = 2\.0; allowed: less than sigma_max"),
        ({"source_id": 2}, "source_id = 2; allowed: 0 to 1"),
        ({"churn": -1.0}, r"churn = -1\.0; allowed: at least 0"),
        ({"factors": (4,)}, "1 factors for 3 widths"),
        ({"factors": (4, 3)}, "even numbers"),
        ({"widths": (16, 20, 32)}, "multiples of 8"),
        ({"n_attention": 4}, "n_attention = 4; allowed: 0 to 3"),
        ({"n_heads": 3}, "32 features do not divide"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SoliError, match=message):
        DiffusionConfig(**{**TINY, **settings})
