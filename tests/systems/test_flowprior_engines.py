"""The engines of the modern preset that search: where they start, what they claim, when they stop."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from flowprior_bands import TINY, tiny, tones
from soli.dsp.frames import analyse
from soli.errors import SoliError
from soli.systems.flowprior.band_search import cold_start, search_bands, warm_start
from soli.systems.flowprior.bands import expand, level
from soli.systems.flowprior.presence import usual_likelihood, window_frames
from soli.systems.flowprior.search import SearchConfig, Step, search
from soli.systems.flowprior.separator import FlowPrior
from soli.systems.flowprior.training import FlowPriorTask
from soli.testing import check_separator
from soli.zoo import reconfigured


def trained() -> FlowPrior:
    """Two flows that have heard their instruments; the extractors have not."""
    separator = tiny(engine="search", iterations=40, learning_rate=0.05)
    task = FlowPriorTask(separator, extractor_weight=0.0).train()
    optimizer = torch.optim.Adam(task.parameters(), lr=5e-3)
    torch.manual_seed(0)
    for step in range(80):
        loss = task.losses(torch.stack([tones(seed=2 * step), tones(seed=2 * step + 1)]))["nll"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(task.parameters(), 5.0)
        optimizer.step()
    return separator.eval()


@pytest.mark.parametrize("engine", ["search", "hybrid"])
def test_the_contract_holds_for_engines_that_search(engine: str) -> None:
    check_separator(tiny(engine=engine, iterations=3), longest_seconds=3.0)


def test_flows_that_never_heard_a_mixture_separate_one() -> None:
    separator, stems = trained(), tones(seed=999)
    estimates = separator.separate(stems.sum(dim=0), TINY.sample_rate).stems
    error = (estimates - stems).square().sum(dim=(1, 2))
    as_mixture = (stems.sum(dim=0) - stems).square().sum(dim=(1, 2))
    assert (10 * torch.log10(as_mixture / error)).mean() > 3
    found: list[Step] = []
    explained = separator.explain(stems.sum(dim=0), found.append)
    assert found[-1].divergence < 0.5 * found[0].divergence
    torch.testing.assert_close(explained[0], estimates[:, 0])
    torch.testing.assert_close(separator.heard(found[-1].magnitudes, stems.sum(dim=0)), explained)


def test_a_cold_start_is_the_mode_of_every_prior_at_an_equal_level() -> None:
    separator, bands = trained(), torch.rand(2, TINY.n_mels, 12)
    start = cold_start(bands, 2)
    assert not start.latents.any()
    assert start.latents.shape == (2, 2, TINY.n_mels + 1, 12)
    flows = [prior.flow for prior in separator.priors]
    found = search_bands(flows, bands, start, SearchConfig(iterations=0))
    with torch.no_grad():
        mode = flows[1].inverse(torch.zeros_like(bands))[0]
    torch.testing.assert_close(found[:, 1], expand(mode, level(bands / 2).level), rtol=1e-3, atol=1e-5)


def test_a_warm_start_is_what_was_found_where_that_is_likely() -> None:
    separator = trained()
    magnitudes = analyse(tones(seed=4)[:, 0], TINY.n_fft, TINY.hop_length).abs()[:, :120]
    estimates = separator.bands(magnitudes)[None]
    flows = [prior.flow for prior in separator.priors]
    with torch.no_grad():
        start = warm_start(estimates, flows)
        assert start.latents.abs().max() <= 3
        found = search_bands(flows, estimates.sum(dim=1), start, SearchConfig(iterations=0))
    worst = (found - estimates).abs().mean(dim=(2, 3)) / estimates.mean(dim=(2, 3))
    assert worst.max() < 0.5  # but for the latents that were cut off
    mixed = warm_start(estimates.sum(dim=1, keepdim=True).expand(-1, 2, -1, -1), flows)
    with torch.no_grad():
        wrong = flows[0](level(estimates[:, 1]).bands)[0].abs().max()
    assert wrong > 3
    assert mixed.latents.abs().max() <= 3


def test_a_source_that_was_not_found_starts_in_silence() -> None:
    separator = trained()
    estimates = torch.rand(1, 2, TINY.n_mels, 12)
    estimates[:, 1] = 0
    flows = [prior.flow for prior in separator.priors]
    with torch.no_grad():
        start = warm_start(estimates, flows)
        found = search_bands(flows, estimates[:, 0], start, SearchConfig(iterations=0))
    assert found[:, 1].max() < 1e-5 * found[:, 0].max()


def test_what_nobody_explains_is_nobodys() -> None:
    """Without updates a search explains what it starts with, and claims no more of the mixture than that."""
    mixture = tones(seed=3).sum(dim=0)
    quiet = reconfigured(trained(), {"iterations": 0})
    assert isinstance(quiet, FlowPrior)
    residual = mixture - quiet.explain(mixture).sum(dim=1)
    assert 0.01 < residual.square().sum() / mixture.square().sum() < 1


def test_estimates_that_are_unlike_their_instrument_are_flagged() -> None:
    separator, stems = trained(), tones(seed=11, seconds=4.0)
    assert separator.separate(stems.sum(dim=0), TINY.sample_rate).info["deviations"] == {}  # nothing usual is known
    frames = window_frames(TINY.sample_rate, TINY.hop_length)
    for index, prior in enumerate(separator.priors):
        heard = [analyse(tones(seed=seed)[index], TINY.n_fft, TINY.hop_length).abs() for seed in range(20)]
        with torch.no_grad():
            prior.usual.copy_(usual_likelihood(prior.score(separator.bands(torch.cat(heard)[:, :frames]))))
    right, wrong = separator.deviations(stems), separator.deviations(stems.flip(0))
    assert right.shape == (2, (stems.shape[-1] - separator.window_samples) // (separator.window_samples // 2) + 1)
    assert right.mean() > -3
    assert wrong.mean() < right.mean() - 3
    estimates = separator.separate(stems.sum(dim=0), TINY.sample_rate)
    for index, name in enumerate(TINY.sources):
        torch.testing.assert_close(estimates.info["deviations"][name], separator.deviations(estimates.stems)[index])
    assert separator.deviations(0 * stems).isnan().all()
    assert separator.deviations(stems[..., :500]).shape == (2, 1)


def test_another_config_changes_what_is_done_and_no_weight() -> None:
    separator = trained()
    other = reconfigured(separator, {"iterations": 3})
    assert (separator.config.iterations, other.config.iterations) == (40, 3)  # type: ignore[attr-defined]
    for name, value in separator.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    with pytest.raises(SoliError, match="unknown key 'iteration'"):
        reconfigured(separator, {"iteration": 3})
    with pytest.raises(SoliError, match=r"n_mels = 64.*shape"):
        reconfigured(separator, {"n_mels": 64})


def test_one_prior_alone_is_not_searched() -> None:
    with pytest.raises(SoliError, match="prior of 'low' alone gives it the whole mixture"):
        tiny(sources=("low",), engine="hybrid").separate(tones().sum(dim=0), TINY.sample_rate)


def test_an_item_stops_when_nothing_is_gained_and_the_others_go_on() -> None:
    def decode(latents: Tensor) -> tuple[Tensor, Tensor]:
        return latents.square() + 1, latents.new_zeros(latents.shape[:2])

    mixture = torch.stack((torch.full((3, 2), 1.0), torch.full((3, 2), 9.0)))  # the first is explained by zeros
    start = torch.full((2, 1, 3, 2), 0.01)
    counted: list[int] = []
    config = SearchConfig(iterations=200, learning_rate=0.05, tolerance=0.01)
    both = search(decode, mixture, start, config, lambda step: counted.append(step.iteration))
    assert 20 < counted[-1] < 200
    alone = torch.cat([search(decode, mixture[i : i + 1], start[i : i + 1], config) for i in range(2)])
    torch.testing.assert_close(both, alone)
    whole = search(decode, mixture, start, SearchConfig(iterations=200, learning_rate=0.05))
    torch.testing.assert_close(both[1], whole[1], rtol=0.05, atol=0.05)
