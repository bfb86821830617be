"""What calibration makes of held-out stems, and what it leaves alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from flowprior_bands import TINY, tiny, tones
from soli.errors import SoliError
from soli.systems.flowprior.calibration import calibrate, check_length
from soli.systems.flowprior.presence import window_frames
from soli.systems.flowprior.prior import Prior
from soli.systems.flowprior.separator import FlowPrior
from soli.systems.flowprior.split import check_instrument, split

BUFFERS = ("usual", "calibration", "calibrated")


def values(prior: Prior) -> dict[str, Tensor]:
    return {name: getattr(prior, name).clone() for name in BUFFERS}


def calibrated(batches: list[Tensor]) -> FlowPrior:
    separator = tiny()
    calibrate(separator, batches)
    return separator


def without(stems: Tensor, index: int) -> Tensor:
    left = stems.clone()
    left[:, index] = 0
    return left


def test_a_silent_instrument_keeps_its_defaults_and_the_other_is_calibrated() -> None:
    before = values(tiny().priors[0])
    heard = without(tones(4.0)[None], 0)
    third = torch.cat((heard, 0.3 * tones(4.0, seed=1)[None, :1]), dim=1)  # somebody else
    low, high = calibrated([third, without(third, 1)]).priors
    for name, value in values(low).items():
        torch.testing.assert_close(value, before[name])
    assert high.calibrated
    assert torch.isfinite(high.usual).all()
    assert torch.isfinite(high.calibration).all()


def test_one_window_tells_no_deviation() -> None:
    seconds = window_frames(TINY.sample_rate, TINY.hop_length) * TINY.hop_length / TINY.sample_rate
    before = values(tiny().priors[0])
    for name, value in values(calibrated([tones(seconds)[None]]).priors[0]).items():
        torch.testing.assert_close(value, before[name])


def test_silence_is_no_absence() -> None:
    stems = tones(4.0)[None]
    padded = torch.nn.functional.pad(stems, (0, 8 * TINY.sample_rate))
    once, silent = calibrated([stems, without(stems, 0)]), torch.zeros_like(stems)
    again = calibrated([stems, silent, without(stems, 0), silent])
    for one, other in zip(once.priors, again.priors, strict=True):
        for name, value in values(one).items():
            torch.testing.assert_close(getattr(other, name), value)
    alone = calibrated([without(padded, 1), without(padded, 1)]).priors[0]  # the rest of the recording is silent
    assert not alone.calibrated


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_stems_go_where_the_separator_is() -> None:
    batches = [tones(4.0)[None], without(tones(4.0)[None], 0), without(tones(4.0)[None], 1)]
    separator = tiny().cuda()
    calibrate(separator, batches)
    for there, here in zip(separator.priors, calibrated(batches).priors, strict=True):
        torch.testing.assert_close(there.usual.cpu(), here.usual, rtol=0.01, atol=0.01)
        assert there.calibrated


def test_mixtures_hold_a_window() -> None:
    shortest = window_frames(TINY.sample_rate, TINY.hop_length) * TINY.hop_length / TINY.sample_rate
    check_length(TINY, shortest)
    with pytest.raises(SoliError, match=r"mixing.segment_seconds = 1.5; allowed: at least 1.984"):
        check_length(TINY, 1.5)


def test_parts_hold_the_priors_of_the_whole() -> None:
    separator = tiny()
    state = torch.get_rng_state()
    low, high = split(separator)
    assert torch.equal(torch.get_rng_state(), state)
    assert (low.sources, high.sources) == (("low",), ("high",))
    assert low.priors[0] is separator.priors[0]
    assert high.priors[0] is separator.priors[1]
    assert high.config.sources == ("high",)
    assert not high.training


def test_names_of_instruments_are_words() -> None:
    for name in ("808", "bass_2", "Flöte"):
        check_instrument(name)
    for name in ("", "../up", "no good", "a-b", "a.b", "bank"):
        with pytest.raises(SoliError, match="allowed: a word of letters, digits and _"):
            check_instrument(name, taken=("bank",))
