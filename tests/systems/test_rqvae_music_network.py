from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from rqvae_music import codec, music
from soli.errors import SoliError
from soli.systems.rqvae.music.codec import quantizer_of
from soli.systems.rqvae.music.network import RQTransformer
from soli.systems.rqvae.music.training import MusicTask

STEMS, LEVELS, SIZE = 4, 3, 32


@pytest.fixture(scope="module")
def network() -> RQTransformer:
    return music().transformer


def codes(n_frames: int = 6, n_items: int = 2, seed: int = 0) -> Tensor:
    dice = torch.Generator().manual_seed(seed)
    return torch.randint(SIZE, (n_items, STEMS, LEVELS, n_frames), generator=dice)


def all_logits(network: RQTransformer, codes: Tensor, order: list[int]) -> Tensor:
    """`[B S K N V]`."""
    n_items, _, _, n_frames = codes.shape
    states = network.states(codes).flatten(0, 1)
    rows = codes.permute(0, 3, 1, 2).flatten(0, 1)
    logits = network.logits(states, rows, torch.tensor(order).expand(len(rows), -1))
    return logits.view(STEMS, LEVELS, n_items, n_frames, -1).permute(2, 0, 1, 3, 4)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1]])
@torch.no_grad()
def test_a_code_changes_what_comes_after_it_and_nothing_before(network: RQTransformer, order: list[int]) -> None:
    given = codes(4, 1)
    before = all_logits(network, given, order)
    rank = {stem: place for place, stem in enumerate(order)}
    for frame in range(4):
        for stem in range(STEMS):
            for level in range(LEVELS):
                changed = given.clone()
                changed[:, stem, level, frame] = (changed[:, stem, level, frame] + 7) % SIZE
                moved = (all_logits(network, changed, order) - before).abs().amax(dim=(0, 4)) > 1e-7
                place = (frame, rank[stem], level)
                for other in range(STEMS):
                    for depth in range(LEVELS):
                        later = torch.tensor([(n, rank[other], depth) > place for n in range(4)])
                        assert torch.equal(moved[other, depth], later), (place, other, depth)


@torch.no_grad()
def test_an_untrained_model_finds_all_codes_alike_likely() -> None:
    fresh = music(random=False).transformer
    orders = torch.tensor([[3, 1, 0, 2], [0, 1, 2, 3]])
    nll = fresh.nll(codes(), orders, torch.arange(6))
    torch.testing.assert_close(nll, torch.full((2, STEMS, LEVELS, 6), math.log(SIZE)))


@torch.no_grad()
def test_a_model_that_has_only_counted_finds_the_cross_entropy_of_the_frequencies() -> None:
    fresh = music(random=False).transformer
    frequencies = torch.rand(STEMS, LEVELS, SIZE, generator=torch.Generator().manual_seed(3)).softmax(dim=-1)
    fresh.expect(frequencies)
    given = codes()
    nll = fresh.nll(given, torch.arange(4).expand(2, -1), torch.arange(6))
    expected = -frequencies.log()[None].expand(2, -1, -1, -1).gather(3, given)
    torch.testing.assert_close(nll, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_nll_is_minus_the_logarithm_of_the_softmax_at_the_code(network: RQTransformer) -> None:
    given, order, frames = codes(), [1, 3, 0, 2], torch.tensor([1, 4])
    nll = network.nll(given, torch.tensor(order).expand(2, -1), frames)
    chances = all_logits(network, given, order).log_softmax(dim=-1)
    expected = -chances.gather(-1, given[..., None])[..., 0][..., frames]
    torch.testing.assert_close(nll, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_frames_are_heard_as_the_latents_the_codec_decodes(network: RQTransformer) -> None:
    given = codes()
    latents = quantizer_of(codec()).decode(given)  # [B S E N]
    expected = network.from_latents(latents.permute(0, 3, 1, 2).flatten(2))
    torch.testing.assert_close(network.embedded(given), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_heads": 5}, "n_heads = 5; 24 features do not divide into heads of even width"),
        ({"depth_heads": 16}, "depth_heads = 16; 16 features do not divide"),
        ({"n_frames": 0}, "n_frames = 0; allowed: at least 1"),
        ({"depth_layers": -1}, "depth_layers = -1; allowed: at least 1"),
    ],
)
def test_sizes_that_make_no_sense_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SoliError, match=message):
        music(**settings)


@pytest.mark.parametrize("every", [0, -2, 1.5, "two"])
def test_a_distance_of_frames_that_is_no_count_is_named(every: Any) -> None:
    with pytest.raises(SoliError, match=r"depth_every = .*; allowed: a whole number, 1 or more"):
        MusicTask(music(), depth_every=every)


def test_it_learns_a_pattern_far_below_the_entropy_of_its_codes() -> None:
    model = music(random=False)
    pattern = codes(4, 1, seed=5)
    pattern = pattern.repeat(1, 1, 1, 4)[..., :16]
    task = MusicTask(model.train(), depth_every=2)
    optimizer = torch.optim.AdamW(task.parameters(), lr=1e-2)
    torch.manual_seed(0)
    for step in range(100):
        loss = task(pattern.roll(step % 4, dims=-1))["nll"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    unigram = math.log(4)  # four codes in turn; only what came before tells which is next
    with torch.no_grad():
        nll = model.eval().transformer.nll(pattern, torch.arange(4)[None], torch.arange(1, 16))
    assert float(nll.mean()) < 0.2 * unigram
