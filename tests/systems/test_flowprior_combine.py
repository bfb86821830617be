from __future__ import annotations

from typing import Any

import pytest
import torch

from flowprior_models import RATE, small, tones, trained
from soli.errors import SoliError
from soli.systems.flowprior.combine import combine
from soli.systems.flowprior.paper import InstGlow
from soli.systems.flowprior.split import split


class Another(InstGlow):
    """A class of its own."""


def one(name: str, index: int, **settings: Any) -> InstGlow:
    """A separator of a single instrument, with a prior that was learned."""
    separator = small(sources=(name,), **settings)
    separator.priors[0].load_state_dict(trained(iterations=20).priors[index].state_dict())
    return separator.eval()


def bytes_of(separator: InstGlow) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in separator.state_dict().items()}


def test_it_is_the_separator_whose_priors_were_learned_together() -> None:
    combined = combine([one("low", 0, iterations=20), one("high", 1, iterations=20)])
    assert combined.sources == ("low", "high")
    mixture = tones(1000)[0].sum(dim=0)
    due = trained(iterations=20).separate(mixture, RATE).stems
    assert torch.equal(combined.separate(mixture, RATE).stems, due)


def test_their_order_does_not_matter() -> None:
    low, high = one("low", 0, start_sigma=0.1), one("high", 1, start_sigma=0.1)
    mixture = tones(1000)[0].sum(dim=0)
    found = combine([low, high]).separate(mixture, RATE)
    other = combine([high, low]).separate(mixture, RATE)
    assert list(other) == ["high", "low"]
    for name in ("low", "high"):
        torch.testing.assert_close(other[name], found[name], atol=1e-4, rtol=0)
    assert (found["low"] - found["high"]).abs().max() > 0.01


def test_one_more_changes_no_byte_of_the_others() -> None:
    low, high = one("low", 0), one("high", 1)
    before, state = (bytes_of(low), bytes_of(high)), torch.get_rng_state()
    both = combine([low, high])
    three = combine([both, one("keys", 0)])
    assert torch.equal(torch.get_rng_state(), state)
    three.separate(tones(0)[0].sum(dim=0), RATE)
    assert (bytes_of(low), bytes_of(high)) == before
    assert three.sources == ("low", "high", "keys")
    assert three.priors[0] is both.priors[0] is low.priors[0]
    assert three.priors[1] is high.priors[0]
    assert not three.training
    assert three.config.sources == three.sources


def test_what_does_not_fit_is_named() -> None:
    low, high = small(sources=("low",)), small(sources=("high",))
    slow, coarse = small(sources=("slow",), sample_rate=8000), small(sources=("coarse",), n_fft=64)
    other, shared = Another(small(sources=("other",)).config), small(sources=("a", "b"), shared=True)
    for separators, message in (
        ([], "no priors to combine; allowed: at least one"),
        ([low, high, small(sources=("x", "low"))], "2 priors of 'low'; allowed: one of each instrument"),
        ([low, slow], "the prior of slow has sample_rate = 8000; allowed beside that of low: 4000"),
        ([low, coarse], "the prior of coarse has n_fft = 64; allowed beside that of low: 128"),
        ([low, other], "other is of Another, low of InstGlow; allowed: one class"),
        ([shared], r"the instruments of a, b share weights \(labels.weight\); allowed: one prior for each"),
        ([low, shared], "the prior of a, b has shared = True"),
    ):
        with pytest.raises(SoliError, match=message):
            combine(separators)


def test_priors_that_are_searched_in_other_ways_fit_and_the_first_says_how() -> None:
    both = combine([small(sources=("low",), iterations=7), small(sources=("high",), objective="map_z", seed=3)])
    assert (both.config.iterations, both.config.objective, both.config.seed) == (7, "mle", 0)


def test_what_was_learned_together_comes_apart_and_together_again() -> None:
    whole = trained()
    low, high = split(whole)
    assert (low.sources, high.sources) == (("low",), ("high",))
    again = combine([low, high])
    assert bytes_of(again) == bytes_of(whole)
    with pytest.raises(SoliError, match="share weights"):
        split(small(shared=True))
