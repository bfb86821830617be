from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from soli.evaluation.metrics import si_sdr_improvement
from soli.systems.classcond.paper import ClassCondPaper, ClassCondPaperConfig
from soli.systems.classcond.paper_training import PaperTask
from soli.testing import check_separator

RATE, N_SAMPLES = 8000, 8000
TINY = ClassCondPaperConfig(
    sources=("tone", "hiss"),
    sample_rate=RATE,
    n_fft=512,
    hop_length=128,
    n_mels=40,
    hidden_size=24,
    n_layers=1,
    dropout=0.0,
    embedding_size=5,
)


def stems(seed):
    """A steady tone and high noise that comes and goes, `[S C T]`."""
    generator = torch.Generator().manual_seed(seed)
    frequency, phase = 200 + 400 * torch.rand(2, generator=generator)
    seconds = torch.arange(N_SAMPLES) / RATE
    tone = torch.sin(2 * math.pi * frequency * seconds + phase)
    hiss = torch.randn(N_SAMPLES + 3, generator=generator).diff(n=3) * (1 + torch.sin(2 * math.pi * 3 * seconds))
    both = torch.stack((tone, hiss))[:, None]
    return 0.1 * both / both.square().mean(dim=-1, keepdim=True).sqrt()


@pytest.fixture(scope="module")
def trained():
    """A tiny network fitted to four mixtures."""
    torch.manual_seed(0)
    separator = ClassCondPaper(TINY)
    task = PaperTask(separator)
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-2)
    batch = torch.stack([stems(seed) for seed in range(4)])
    for _ in range(60):
        optimizer.zero_grad()
        torch.stack(list(task.losses(batch).values())).sum().backward()
        optimizer.step()
    return separator.eval()


def test_parameter_counts_are_those_of_the_released_code():
    separator = ClassCondPaper(ClassCondPaperConfig())
    assert sum(parameter.numel() for parameter in separator.trunk.parameters()) == 7_939_200
    assert sum(parameter.numel() for parameter in separator.parameters()) == 10_643_824


@pytest.mark.parametrize("covariance", ["diagonal", "spherical_tied"])
def test_separator_keeps_its_contract(covariance):
    torch.manual_seed(0)
    config = dataclasses.replace(TINY, covariance=covariance, dropout=0.3, n_layers=2)
    check_separator(ClassCondPaper(config).eval(), longest_seconds=3.0)


def test_channels_do_not_hear_each_other(trained):
    mixture = torch.randn(2, 3000)
    changed = torch.stack((mixture[0], torch.randn(3000)))
    first, second = (trained.separate(waveform, RATE).stems[:, 0] for waveform in (mixture, changed))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-6)


def test_posteriors_of_all_classes_sum_to_one(trained):
    masks = trained.mel_masks(torch.randn(2, 7, TINY.n_mels, TINY.embedding_size))
    assert masks.shape == (2, 2, 7, TINY.n_mels)
    torch.testing.assert_close(masks.sum(dim=1), torch.ones(2, 7, TINY.n_mels))


def test_mixtures_it_was_fitted_to_come_apart(trained):
    references = stems(0)
    mixture = references.sum(dim=0)
    estimates = trained.separate(mixture, RATE).stems
    assert (si_sdr_improvement(references, estimates, mixture.expand_as(references)) > 10).all()


@pytest.mark.parametrize("wanted", [0, 1])
def test_query_finds_in_a_new_mixture_what_sounds_like_the_example(trained, wanted):
    references, example = stems(11), stems(12)[wanted]
    mixture = references.sum(dim=0)
    match = trained.query(mixture, example, RATE, mode="posterior")["match"]
    assert si_sdr_improvement(references[wanted], match, mixture) > 6


def test_query_of_a_batch_equals_its_items(trained):
    mixtures, example = torch.randn(2, 2, 3000), stems(0)[1]
    together = trained.query(mixtures, example, RATE)["match"]
    alone = torch.stack([trained.query(mixture, example, RATE)["match"] for mixture in mixtures])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


def test_losses_are_named_weighted_and_scaled():
    separator = ClassCondPaper(TINY)
    batch = torch.stack([stems(seed) for seed in range(2)]).expand(-1, -1, 2, -1)
    plain = PaperTask(separator).losses(batch)
    light = PaperTask(separator, deep_clustering_weight=0.1).losses(batch)
    released = PaperTask(separator, deep_clustering_scaling="batch").losses(batch)
    assert list(plain) == ["magnitude", "deep_clustering"]
    torch.testing.assert_close(light["deep_clustering"], 0.1 * plain["deep_clustering"])
    assert 0.4 < released["deep_clustering"] / plain["deep_clustering"] < 0.6  # half, were the two items alike
    torch.testing.assert_close(PaperTask(separator).losses(batch[:, :, :1])["magnitude"], plain["magnitude"])


@pytest.mark.parametrize("silent", [slice(0, 1), slice(0, 2)])
def test_silent_sources_give_finite_losses_and_gradients(silent):
    task = PaperTask(ClassCondPaper(TINY), per_source_reference=True)
    batch = torch.stack([stems(seed) for seed in range(2)])
    batch[:, silent] = 0
    torch.stack(list(task.losses(batch).values())).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in task.parameters())


def test_bfloat16_training_follows_single_precision():
    torch.manual_seed(0)
    task = PaperTask(ClassCondPaper(TINY))
    batch = torch.stack([stems(seed) for seed in range(2)])
    single = task.losses(batch)
    with torch.autocast("cpu", torch.bfloat16):
        half = task.losses(batch)
    for name, value in single.items():
        torch.testing.assert_close(half[name].float(), value, rtol=0.02, atol=0)
