from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from soli.dsp.frames import analyse
from soli.dsp.scale import power
from soli.evaluation.metrics import sdr_global, si_sdr
from soli.systems.vqquery.losses import agreement, contrast, mask_sums, separation_losses


def scene() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Shares of three codes, a mixture and targets: two sound, the third is silent."""
    generator = torch.Generator().manual_seed(0)
    waves = torch.randn(2, 3, 2048, generator=generator) * torch.tensor([0.1, 0.03, 0.0])[:, None]
    targets = analyse(waves, 256, 128)
    shares = torch.rand(2, 3, targets.shape[2], 128, generator=generator).softmax(dim=1)
    return shares, targets.sum(dim=1), targets


def test_sums_are_those_of_the_masked_spectrograms() -> None:
    shares, mixture, targets = scene()
    sums = mask_sums(shares, mixture, targets)
    made = shares * mixture[:, None, :, :-1]
    error = power(made - targets[..., :-1]).sum(dim=(-2, -1))
    torch.testing.assert_close(sums.made - 2 * sums.shared + sums.true, error, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(sums.mixture[:, 0], power(mixture[..., :-1]).sum(dim=(-2, -1)))


def test_the_error_is_half_the_sdr_and_half_the_si_sdr() -> None:
    shares, mixture, targets = scene()
    error, silence = separation_losses(mask_sums(shares, mixture, targets), torch.ones(2, 3, dtype=torch.bool))
    made = torch.view_as_real(shares * mixture[:, None, :, :-1])[:, :2].flatten(2)[:, :, None]
    truth = torch.view_as_real(targets[:, :2, :, :-1].contiguous()).flatten(2)[:, :, None]
    floor = 1e-3
    relative = 10 * torch.log10(10 ** (-sdr_global(truth, made) / 10) + floor)
    ratio = 10 ** (-si_sdr(truth, made) / 10)
    shape = 10 * torch.log10((ratio + floor) / (1 + 0.01 * ratio))
    assert float(error) == pytest.approx(float(0.5 * (relative + shape).mean()), abs=0.02)
    leaked = power(shares[:, 2] * mixture[..., :-1]).sum(dim=(-2, -1)) / power(mixture[..., :-1]).sum(dim=(-2, -1))
    assert float(silence) == pytest.approx(float((10 * torch.log10(1000 * leaked + floor)).mean()), abs=0.02)


def test_perfect_shares_reach_the_floor_and_absent_queries_do_not_count() -> None:
    shares, _, targets = scene()
    alone = targets.clone()
    alone[:, 1:] = 0
    exact = torch.zeros_like(shares)
    exact[:, 0] = 1
    valid = torch.tensor([[True, True, False]] * 2)
    error, silence = separation_losses(mask_sums(exact, alone.sum(dim=1), alone), valid, floor_db=-30.0)
    assert float(error) == pytest.approx(-30.0, abs=0.1)
    assert float(silence) == pytest.approx(-30.0, abs=0.1)


def test_an_estimate_of_next_to_nothing_still_has_a_slope() -> None:
    _, mixture, targets = scene()
    shares = torch.full((2, 3, targets.shape[2], 128), 1e-4, requires_grad=True)
    error, _ = separation_losses(mask_sums(shares, mixture, targets), torch.ones(2, 3, dtype=torch.bool))
    error.backward()
    assert shares.grad is not None
    assert float(shares.grad[:, :2].abs().max()) > 0.1


def test_contrast_is_infonce_within_each_song() -> None:
    torch.manual_seed(0)
    first, second = (F.normalize(torch.randn(5, 4), dim=-1) for _ in range(2))
    songs = torch.tensor([0, 0, 0, 7, 7])
    parts = []
    for rows in (slice(0, 3), slice(3, 5)):
        alike = first[rows] @ second[rows].T / 0.2
        for logits in (alike, alike.T):
            parts.extend((logits.logsumexp(dim=1) - logits.diagonal()).tolist())
    assert float(contrast(first, second, songs, temperature=0.2)) == pytest.approx(sum(parts) / 10, rel=1e-5)


def test_songs_of_one_stem_have_no_contrast() -> None:
    rows = F.normalize(torch.randn(3, 4), dim=-1)
    assert float(contrast(rows, rows.flip(0), torch.arange(3), temperature=0.1)) == 0.0


def test_agreement_is_the_cross_entropy_of_cosines() -> None:
    torch.manual_seed(0)
    rows, vectors, codes = F.normalize(torch.randn(6, 4), dim=-1), 3 * torch.randn(5, 4), torch.randint(5, (6,))
    cosines = F.cosine_similarity(rows[:, None], vectors[None], dim=-1)
    due = -(cosines / 0.1).log_softmax(dim=-1)[torch.arange(6), codes].mean()
    torch.testing.assert_close(agreement(rows, vectors, codes, temperature=0.1), due)
