from __future__ import annotations

import copy
import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor
from vector_quantize_pytorch import ResidualVQ, VectorQuantize

from soli.errors import SoliError
from soli.nn.kmeans import kmeans
from soli.nn.quantize import DROPPED, Distance, Learning, ResidualQuantizer
from soli.testing import check_quantizer

DISTANCES, LEARNINGS = get_args(Distance), get_args(Learning)


def latents(n_items: int = 4, n_frames: int = 100, n_features: int = 6, seed: int = 0) -> Tensor:
    """Vectors on a curve with noise: there is something to quantise."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(n_features, 3, generator=torch.Generator().manual_seed(99))
    return mixing @ torch.randn(n_items, 3, n_frames, generator=generator).tanh() + 0.05 * torch.randn(
        n_items, n_features, n_frames, generator=generator
    )


def quantizer(n_codebooks: int = 3, size: int = 16, **settings: Any) -> ResidualQuantizer:
    torch.manual_seed(0)
    return ResidualQuantizer(n_codebooks, size, 6, **settings)


def initialised(n_codebooks: int = 3, size: int = 16, **settings: Any) -> ResidualQuantizer:
    made = quantizer(n_codebooks, size, **settings).eval()
    made.initialise(latents())
    return made


@pytest.mark.parametrize("learning", LEARNINGS)
def test_it_keeps_the_contract(learning: Learning) -> None:
    check_quantizer(initialised(learning=learning), latents())


@pytest.mark.parametrize("n_codebooks", [1, 4])
def test_codes_are_those_of_vector_quantize_pytorch(n_codebooks: int) -> None:
    ours = initialised(n_codebooks)
    theirs = ResidualVQ(dim=6, num_quantizers=n_codebooks, codebook_size=16, rotation_trick=False).eval()
    for layer, codebook in zip(theirs.layers, ours.codebooks, strict=True):
        layer._codebook.embed.data.copy_(codebook.vectors[None])
    expected, codes, _ = theirs(latents().mT)
    found = ours(latents())
    torch.testing.assert_close(found.codes, codes.movedim(-1, 1))
    torch.testing.assert_close(found.quantized, expected.mT)


def test_the_moving_average_is_that_of_vector_quantize_pytorch() -> None:
    ours = initialised(1, threshold=0.0, decay=0.9).train()
    (codebook,) = ours.codebooks
    codebook.usage.fill_(10.0)  # theirs averages: one hit a batch there is 1 / (1 - decay) of ours
    codebook.sums.copy_(10.0 * codebook.vectors)
    theirs = VectorQuantize(
        dim=6, codebook_size=16, decay=0.9, eps=0.0, threshold_ema_dead_code=0, rotation_trick=False
    ).train()
    theirs._codebook.embed.data.copy_(codebook.vectors[None])
    theirs._codebook.embed_avg.data.copy_(codebook.vectors[None])
    theirs._codebook.cluster_size.data.fill_(1.0)
    for seed in range(5):
        batch = latents(seed=seed)
        ours(batch)
        theirs(batch.mT)
    torch.testing.assert_close(codebook.vectors, theirs._codebook.embed[0], atol=1e-4, rtol=1e-4)


def test_cosine_codes_are_those_of_vector_quantize_pytorch() -> None:
    ours = initialised(1, distance="cosine")
    theirs = VectorQuantize(dim=6, codebook_size=16, use_cosine_sim=True, rotation_trick=False).eval()
    theirs._codebook.embed.data.copy_(ours.codebooks[0].entries()[None])
    expected, codes, _ = theirs(latents().mT)
    found = ours(latents())
    torch.testing.assert_close(found.codes[:, 0], codes)
    torch.testing.assert_close(found.quantized, expected.mT)


def test_k_means_starts_every_level() -> None:
    made = quantizer().eval()
    torch.manual_seed(5)
    made.initialise(latents())
    torch.manual_seed(5)
    residual = latents().mT.flatten(0, 1)
    for codebook in made.codebooks:
        centres, clusters = kmeans(residual, 16)
        torch.testing.assert_close(codebook.vectors, centres)
        residual = residual - centres[clusters]


def test_each_level_lowers_the_error_on_unseen_latents() -> None:
    made, unseen = initialised(), latents(seed=7)
    codes = made.encode(unseen)
    errors = [float((made.decode(codes[:, :k]) - unseen).square().mean()) for k in (1, 2, 3)]
    assert float(unseen.square().mean()) > errors[0] > errors[1] > errors[2]


def test_no_level_leaks_a_gradient_through_residuals() -> None:
    made, given = initialised(learning="gradient"), latents().requires_grad_()
    found = made(given)
    weights = torch.randn_like(given)
    (gradient,) = torch.autograd.grad((found.quantized * weights).sum(), given, retain_graph=True)
    torch.testing.assert_close(gradient, weights)
    (gradient,) = torch.autograd.grad(found.commitment[2], given, retain_graph=True)
    due = 2 * (given - found.quantized).detach() / given.numel()  # of the mean squared error after all levels, alone
    torch.testing.assert_close(gradient, due)
    assert torch.autograd.grad(found.codebook.sum(), given, allow_unused=True) == (None,)


def test_the_gradient_moves_entries_to_what_they_stand_for() -> None:
    made = initialised(1, learning="gradient")
    given = latents()
    optimizer = torch.optim.SGD(made.parameters(), lr=5.0)
    before = float(made(given).codebook[0])
    for _ in range(20):
        optimizer.zero_grad()
        made(given).codebook.sum().backward()
        optimizer.step()
    assert float(made(given).codebook[0]) <= before
    codes = made.encode(given)[:, 0].flatten()
    used = codes.bincount(minlength=16) > 5
    means = torch.stack([given.mT.flatten(0, 1)[codes == code].mean(dim=0) for code in range(16)])
    torch.testing.assert_close(made.codebooks[0].vectors[used], means[used], atol=0.1, rtol=0)


@pytest.mark.parametrize("learning", LEARNINGS)
@pytest.mark.parametrize("distance", DISTANCES)
def test_entries_nobody_uses_restart(learning: Learning, distance: Distance) -> None:
    made = quantizer(1, 32, learning=learning, distance=distance).train()
    with torch.no_grad():
        made.codebooks[0].vectors[8:] = torch.tensor([-50.0, 0, 0, 0, 0, 0]) + 0.01 * torch.randn(24, 6)
    given = latents()
    given[:, 0] = given[:, 0].abs()
    for _ in range(20):
        found = made(given.clone().requires_grad_())
        (found.quantized.sum() + found.commitment.sum() + found.codebook.sum()).backward()
    assert int(made.usage().dead.sum()) <= 2
    assert len(made.encode(given).unique()) >= 28


def test_usage_is_accumulated_so_rare_codes_live() -> None:
    """1.7 hits a batch settle at 57, not at 1.7: an average against a threshold of 2 would kill nearly all."""
    made = quantizer(1, 235, decay=0.97).train()
    made.initialise(latents(n_items=20))
    for seed in range(60):
        made(latents(seed=seed))  # 400 vectors over 235 codes
    usage = made.codebooks[0].usage
    torch.testing.assert_close(usage.sum(), torch.tensor(400 / 0.03), rtol=0.2, atol=0)
    assert int(made.usage().dead) < 12


def test_perplexity_counts_codes_in_use() -> None:
    made = quantizer(2, 16)
    made.codebooks[0].usage.fill_(3.0)
    made.codebooks[1].usage.copy_(torch.tensor([50.0, 50.0] + 14 * [0.0]))
    torch.testing.assert_close(made.usage().perplexity, torch.tensor([16.0, 2.0]))
    assert made.usage().dead.tolist() == [0, 14]


def test_dropout_keeps_first_levels_and_decodes_to_the_same() -> None:
    made = initialised(4, dropout=1.0, threshold=0.0).train()
    frozen = copy.deepcopy(made).eval()
    torch.manual_seed(0)
    given = latents(n_items=400, n_frames=3)
    found = made(given)
    kept = (found.codes != DROPPED).sum(dim=1)
    assert (kept == kept[:, :1]).all()  # by item
    assert torch.bincount(kept[:, 0], minlength=5)[1:].min() > 60
    for item in range(5):
        levels = int(kept[item, 0])
        torch.testing.assert_close(found.codes[item, :levels], frozen.encode(given[item : item + 1])[0, :levels])
    torch.testing.assert_close(found.quantized, frozen.decode(found.codes))
    assert (made.eval()(given).codes != DROPPED).all()


def test_a_quantiser_that_learns_uses_its_codes() -> None:
    made = quantizer(2, 64).train()
    made.initialise(latents(n_items=8))
    for seed in range(100):
        made(latents(seed=seed))
    usage = made.usage()
    assert (usage.dead < 0.2 * 64).all()
    assert (usage.perplexity > 24).all()


def test_half_precision_latents_are_quantised_in_single() -> None:
    made, given = initialised(), latents().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found, codes = made(given), made.encode(given)
    assert found.quantized.dtype == torch.float32
    torch.testing.assert_close(found.codes, made(given.float()).codes)
    torch.testing.assert_close(codes, found.codes)


def test_wrong_input_is_named() -> None:
    made = initialised()
    with pytest.raises(SoliError, match="distance='angle'; allowed: euclidean, cosine"):
        quantizer(distance="angle")
    with pytest.raises(SoliError, match=r"latents \[4, 5, 100\]; allowed: \[B 6 N\]"):
        made(torch.randn(4, 5, 100))
    with pytest.raises(SoliError, match="codes from 0 to 16; allowed: -1 to 15"):
        made.decode(torch.arange(17)[None, None])
    with pytest.raises(SoliError, match="K up to 3"):
        made.decode(torch.zeros(1, 4, 2, dtype=torch.int64))
    assert math.isfinite(float(made(torch.zeros(1, 6, 1)).commitment.sum()))


def test_restarts_from_a_reserve_are_what_no_entry_stands_for_and_live_for_a_while() -> None:
    torch.manual_seed(0)
    codebook = quantizer(1, 8, decay=0.9, threshold=1.0).codebooks[0]
    codebook.vectors[:] = 0.0
    codebook.usage[:] = torch.tensor([50.0] * 7 + [0.5])
    rows, far = torch.zeros(4, codebook.vectors.shape[1]), torch.full((1, codebook.vectors.shape[1]), 9.0)
    reserve = torch.cat((rows, far))
    codebook.learn(rows, torch.zeros(4, dtype=torch.long), reserve)
    torch.testing.assert_close(codebook.entries()[7], far[0])
    for _ in range(3):
        codebook.learn(rows, torch.zeros(4, dtype=torch.long), rows)
    torch.testing.assert_close(codebook.entries()[7], far[0])
