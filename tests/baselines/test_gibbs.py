from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from rqvae_models import RATE, modern, noise, paper, song
from soli.baselines.gibbs import ANNEALED, Gibbs, draw_subsets, probability
from soli.errors import SoliError
from soli.separator import Separator
from soli.streaming import stream
from soli.testing import check_separator
from tiny import Plain, TinyConfig

NAMES = ("bass", "drums", "guitar", "piano")
Function = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class ToyConfig:
    partial_stems: bool = True


class Toy(Separator):
    """Any function of mixture and known stems as a separator; keeps what it was told."""

    segment_seconds, context_seconds = 1.0, 0.1

    def __init__(self, function: Function, config: ToyConfig = ToyConfig()) -> None:
        super().__init__()
        self.function, self.config, self.sources, self.sample_rate = function, config, NAMES, RATE
        self.told: list[Tensor | None] = []

    def estimate(self, mixture: Tensor, known: Tensor | None = None) -> Tensor:
        self.told.append(known)
        nothing = mixture.new_zeros(len(mixture), len(NAMES), mixture.shape[-1])
        return self.function(mixture, nothing if known is None else known)

    def _separate(self, mixture: Tensor) -> Tensor:
        return self.estimate(mixture[:, 0])[:, :, None]


SHARES = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
WEIGHTS = torch.tensor(
    [[0, 0.3, -0.2, 0.1], [0.2, 0, 0.3, -0.1], [-0.3, 0.1, 0, 0.2], [0.1, 0.2, -0.3, 0]], dtype=torch.float64
)


def linear(mixture: Tensor, known: Tensor) -> Tensor:
    """Each stem is a share of the mixture and of the known stems, a y + W x."""
    weights, shares = WEIGHTS.to(mixture.dtype), SHARES.to(mixture.dtype)
    return shares[:, None] * mixture[:, None] + torch.einsum("ij,bjt->bit", weights, known)


def consistent(mixture: Tensor, known: Tensor) -> Tensor:
    """The same, where stems that are unknown count as what they will be: x_M solves x_M = a_M y + W_M x.

    Told nothing it knows nothing, and shares the mixture out evenly.
    """
    is_known = known.abs().sum(dim=(0, 2)) > 0
    if not is_known.any():
        return (mixture / 4)[:, None].expand(-1, 4, -1)
    unknown = ~is_known
    matrix = torch.eye(int(unknown.sum()), dtype=torch.float64) - WEIGHTS[unknown][:, unknown]
    stems = known.double()
    stems[:, unknown] = torch.linalg.solve(matrix, linear(mixture.double(), stems)[:, unknown])
    return stems.to(mixture.dtype)


def test_no_step_is_one_pass() -> None:
    for separator in (modern(partial_stems=True), paper(partial_stems=True)):
        mixture = song().sum(dim=0).repeat(2, 1)
        assert torch.equal(Gibbs(separator, 0).separate(mixture, RATE).stems, separator.separate(mixture, RATE).stems)


def test_one_sweep_of_a_network_that_knows_the_truth_gives_the_truth() -> None:
    truth = song()[:, 0]
    wrong = noise(*truth.shape, seed=7)
    # knows every stem as soon as it is told another that is true, and otherwise only the first
    whole = truth.square().sum(dim=-1)

    def oracle(mixture: Tensor, known: Tensor) -> Tensor:
        told = ((known[0] - truth).square().sum(dim=-1) < 1e-6 * whole).any()
        return (truth if told else torch.cat((truth[:1], wrong[1:])))[None].expand(len(mixture), -1, -1)

    toy = Toy(oracle)
    assert not torch.equal(Gibbs(toy, 0).separate(truth.sum(dim=0)[None], RATE).stems[:, 0], truth)
    found = Gibbs(toy, 32).separate(truth.sum(dim=0)[None], RATE)
    assert torch.equal(found.stems[:, 0], truth)
    always = Toy(lambda mixture, known: truth[None].expand(len(mixture), -1, -1))
    for n_steps in (0, 1, 5):
        assert torch.equal(Gibbs(always, n_steps).separate(truth.sum(dim=0)[None], RATE).stems[:, 0], truth)


def test_the_network_is_told_exactly_what_is_not_estimated_anew() -> None:
    toy = Toy(lambda mixture, known: noise(len(mixture), 4, mixture.shape[-1], seed=len(toy.told)) + 1.0)
    states = list(Gibbs(toy, 20, seed=5).chain(noise(3, 50)))
    subsets = draw_subsets(4, 20, seed=5)
    assert len(states) == len(toy.told) == 21
    assert toy.told[0] is None
    for subset, known, before, after in zip(subsets, toy.told[1:], states, states[1:], strict=False):
        assert known is not None
        assert not known[:, subset].any()
        assert torch.equal(known[:, ~subset], before[:, ~subset])
        assert torch.equal(after[:, ~subset], before[:, ~subset])
        assert (after[:, subset] != before[:, subset]).all()


@pytest.mark.parametrize("n_steps", [0, 1, 4, 16, 64])
def test_the_end_of_the_chain_is_found_without_the_steps_that_it_forgets(n_steps: int) -> None:
    toy, mixture = Toy(linear), noise(2, 50)
    for seed in range(20):
        gibbs = Gibbs(toy, n_steps, seed)
        *_, due = gibbs.chain(mixture)
        toy.told.clear()
        assert torch.equal(gibbs.end(mixture), due)
        last = 0
        for step, subset in enumerate(draw_subsets(4, n_steps, seed), start=1):
            last = step if subset.all() else last
        assert len(toy.told) == 1 + n_steps - last


@pytest.mark.parametrize("make", [modern, paper])
def test_a_network_that_is_told_only_zeros_is_told_nothing(make: Callable[..., Separator]) -> None:
    gibbs, mixture = Gibbs(make(partial_stems=True), 8), song().sum(dim=0)
    assert draw_subsets(4, 8)[:4].all(dim=1).any()  # some of it is forgotten
    *_, due = gibbs.chain(mixture)
    assert torch.equal(gibbs.separate(mixture, RATE).stems[:, 0], due[0])


@pytest.mark.parametrize("seed", range(4))
def test_a_contraction_converges_to_its_fixed_point(seed: int) -> None:
    """Row sums of |W| are 0.6: once every stem has been estimated anew, all errors are 0.6 of what they were."""
    n_steps, mixture = 100, noise(1, 200)
    due = np.linalg.solve(np.eye(4) - WEIGHTS.numpy(), np.outer(SHARES.numpy(), mixture[0].numpy()))  # x = a y + W x
    chain = Gibbs(Toy(consistent), n_steps, seed).chain(mixture)
    start = np.abs(next(chain)[0].numpy() - due).max()
    bound, renewed, errors = start, np.zeros(4, bool), []
    for subset, stems in zip(draw_subsets(4, n_steps, seed).numpy(), chain, strict=True):
        renewed |= subset
        if subset.all():  # everything is forgotten
            bound, renewed = start, np.zeros(4, bool)
        elif renewed.all():
            bound, renewed = 0.6 * bound, np.zeros(4, bool)
        errors.append(np.abs(stems[0].numpy() - due).max())
        assert errors[-1] <= bound + 1e-6
    assert min(errors) < 1e-5 < 1e-2 < start


def test_each_step_is_the_linear_algebra_of_its_subset() -> None:
    mixture = noise(1, 30)
    weights, alone = WEIGHTS.numpy(), np.outer(SHARES.numpy(), mixture[0].double().numpy())
    x = alone.copy()
    for subset, found in zip(draw_subsets(4, 10), list(Gibbs(Toy(linear), 10).chain(mixture))[1:], strict=True):
        anew = subset.numpy()
        x[anew] = alone[anew] + weights[np.ix_(anew, ~anew)] @ x[~anew]
        np.testing.assert_allclose(found[0].double().numpy(), x, atol=1e-6)


@pytest.mark.parametrize("n_sources", [2, 4, 7])
def test_the_schedule_falls_from_all_stems_to_one(n_sources: int) -> None:
    n_steps = 1000
    values = [probability(step, n_steps, n_sources) for step in range(1, n_steps + 1)]
    assert values[0] == pytest.approx(1, abs=2 / n_steps)
    assert values == sorted(values, reverse=True)
    assert probability(1, 1, n_sources) == 1 / n_sources
    end = round(ANNEALED * n_steps)
    assert values[end - 1 :] == pytest.approx([1 / n_sources] * (n_steps - end + 1))
    assert values[end // 2 - 1] == pytest.approx((1 + 1 / n_sources) / 2)


def test_stems_are_drawn_with_the_stated_probabilities() -> None:
    n_sources, n_steps, n_chains = 4, 10, 3000
    drawn = torch.stack([draw_subsets(n_sources, n_steps, seed) for seed in range(n_chains)])  # [chains N S]
    assert drawn.any(dim=-1).all()
    for step in range(1, n_steps + 1):
        alpha = probability(step, n_steps, n_sources)
        chance = alpha + (1 - alpha) ** n_sources / n_sources  # drawn, or the one of an empty subset
        low, high = scipy.stats.binom.interval(1 - 1e-6, n_chains, chance)
        counts = drawn[:, step - 1].sum(dim=0)
        assert ((counts >= low) & (counts <= high)).all(), (step, counts, low, high)
    late = drawn[:, -1].long()
    alone = (late.sum(dim=-1) == 1).sum()  # how many are drawn together follows too
    p_one = 4 * 0.25 * 0.75**3 + 0.75**4
    low, high = scipy.stats.binom.interval(1 - 1e-6, n_chains, p_one)
    assert low <= alone <= high


def test_every_stem_is_estimated_anew_sooner_or_later() -> None:
    assert all(draw_subsets(4, 32, seed)[16:].any(dim=0).all() for seed in range(20))


def test_the_seed_decides_and_nothing_else_does() -> None:
    mixture = noise(1, 400)
    first = Gibbs(Toy(linear), 3, seed=1).separate(mixture, RATE).stems
    torch.manual_seed(123)
    before = torch.get_rng_state()
    assert torch.equal(Gibbs(Toy(linear), 3, seed=1).separate(mixture, RATE).stems, first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(Gibbs(Toy(linear), 3, seed=2).separate(mixture, RATE).stems, first)


def test_segments_and_batches_give_the_same() -> None:
    """The toy looks at one sample at a time, so that any difference would be one of the subsets."""
    gibbs, mixture = Gibbs(Toy(linear), 6), noise(2, 2 * RATE)
    whole = gibbs.separate(mixture, RATE).stems
    parts = [gibbs.separate(part, RATE).stems for part in mixture.split(5000, dim=-1)]
    torch.testing.assert_close(torch.cat(parts, dim=-1), whole)
    for batch_size in (1, 3):
        pieces = stream(gibbs, mixture.split(777, dim=-1), RATE, batch_size=batch_size)
        torch.testing.assert_close(torch.cat([piece.stems for piece in pieces], dim=-1), whole)


@pytest.mark.parametrize("n_steps", [0, 3])
def test_it_keeps_the_contract(n_steps: int) -> None:
    check_separator(Gibbs(modern(partial_stems=True), n_steps), seconds=0.25, longest_seconds=1.0)
    check_separator(Gibbs(Toy(linear), n_steps), seconds=0.25, longest_seconds=2.5)


def test_stems_are_told_at_the_loudness_of_the_mixture() -> None:
    gibbs, mixture = Gibbs(modern(partial_stems=True), 4), song().sum(dim=0)
    quiet = gibbs.separate(mixture / 16, RATE).stems
    torch.testing.assert_close(16 * quiet, gibbs.separate(mixture, RATE).stems, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "separator", [modern(), paper(), Toy(linear, ToyConfig(partial_stems=False)), Plain(TinyConfig())]
)
def test_a_model_that_cannot_be_told_stems_is_refused(separator: Separator) -> None:
    with pytest.raises(SoliError, match="need a model with partial_stems = true"):
        Gibbs(separator, 4)


def test_fewer_than_no_steps_are_refused() -> None:
    with pytest.raises(SoliError, match="-1 Gibbs steps; allowed: 0 or more"):
        Gibbs(modern(partial_stems=True), -1)
