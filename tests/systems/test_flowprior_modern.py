"""The modern preset of flowprior: bands, extractors, priors that do not know each other, training, presence."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from flowprior_bands import TINY, tiny, tones
from soli.dsp.frames import analyse
from soli.dsp.mel import mel_filterbank
from soli.nn.glow import log_likelihood
from soli.systems.flowprior.bands import Bands, expand, level
from soli.systems.flowprior.extractor import power_shares
from soli.systems.flowprior.presence import evidence, fit_logistic, window_frames
from soli.systems.flowprior.separator import FlowPrior
from soli.systems.flowprior.training import FlowPriorTask
from soli.testing import check_separator


def test_bands_are_weighted_means_and_masks_of_equal_shares_are_flat() -> None:
    bands = Bands(TINY.sample_rate, TINY.n_fft, TINY.n_mels)
    magnitudes = torch.rand(2, 7, TINY.n_fft // 2 + 1)
    due = magnitudes.double() @ mel_filterbank(TINY.sample_rate, TINY.n_fft, TINY.n_mels).T
    torch.testing.assert_close(bands(magnitudes), due.mT.float())
    flat = bands.mask(torch.full((2, TINY.n_mels, 7), 0.3))
    torch.testing.assert_close(flat, torch.full_like(magnitudes, 0.3))
    assert not [name for name in bands.state_dict() if "filters" in name]


def test_level_is_taken_away_and_given_back() -> None:
    bands = torch.rand(3, 5, 8)
    bands[2] = 0
    levelled, size = level(bands)
    torch.testing.assert_close(levelled[:2].square().mean(dim=(1, 2)), torch.ones(2))
    torch.testing.assert_close(expand(levelled, size), bands)
    louder = level(100 * bands)
    torch.testing.assert_close(louder.bands, levelled)
    torch.testing.assert_close(louder.level[:2], 10 * size[:2])
    assert not levelled[2].any()


def test_shares_never_exceed_the_mixture_and_follow_the_masks() -> None:
    masks = torch.rand(2, 3, 5, 6)
    shares = power_shares(masks)
    assert shares.sum(dim=1).max() <= 1 + 1e-6
    assert (shares >= 0).all()
    torch.testing.assert_close(power_shares(masks.flip(1)).flip(1), shares)
    certain = torch.zeros(1, 2, 1, 1)
    certain[:, 1] = 1
    torch.testing.assert_close(power_shares(certain), certain)
    assert power_shares(torch.zeros(1, 2, 1, 1)).sum() == 0


def test_the_contract_holds() -> None:
    check_separator(tiny())


def test_estimates_do_not_depend_on_level() -> None:
    separator, mixture = tiny(), tones().sum(dim=0)
    loud = separator.separate(mixture, TINY.sample_rate).stems
    quiet = separator.separate(0.01 * mixture, TINY.sample_rate).stems
    torch.testing.assert_close(100 * quiet, loud, rtol=1e-3, atol=1e-5)


def test_a_likelihood_is_that_of_the_flow_at_any_level() -> None:
    prior, bands = tiny().priors[0], torch.rand(2, TINY.n_mels, 12)
    levelled = bands.sqrt() / bands.mean(dim=(1, 2), keepdim=True).sqrt()
    due = log_likelihood(*prior.flow(levelled)) / levelled[0].numel()
    torch.testing.assert_close(prior.score(bands), due)
    torch.testing.assert_close(prior.score(7 * bands), due, rtol=1e-4, atol=1e-4)


def test_no_prior_learns_from_another() -> None:
    """One step with another initialisation of the second prior, and the first is the same to the last bit."""
    stems, found = tones()[None], []
    for seed in (1, 2):
        separator = tiny()
        torch.manual_seed(seed)
        separator.priors[1] = copy.deepcopy(FlowPrior(TINY).priors[1])  # type: ignore[index]
        task = FlowPriorTask(separator, flow_weight=0.0).train()
        sum(task.losses(stems).values()).backward()  # type: ignore[union-attr]
        found.append([parameter.grad for parameter in separator.priors[0].extractor.parameters()])
        assert any(gradient.abs().sum() > 0 for gradient in found[-1])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_interference_is_heard_and_not_learned() -> None:
    """Stems behind the sources change the mixture, not the targets."""
    separator = tiny(sources=("low",))
    task = FlowPriorTask(separator, flow_weight=0.0)
    with torch.no_grad():
        for parameter in separator.parameters():
            parameter.zero_()  # every mask is one half
    low, high = tones()[:, None]
    silence = torch.zeros_like(low)
    only_bank = task.losses(torch.stack((silence, high), dim=1))["error"]
    torch.testing.assert_close(only_bank, torch.tensor(0.25), rtol=1e-3, atol=1e-3)
    own = task.losses(torch.stack((low, silence), dim=1))["error"]
    torch.testing.assert_close(own, torch.tensor(0.25 / (1 + task.mixture_share)), rtol=1e-3, atol=1e-3)


def test_a_quiet_instrument_counts_nearly_as_much_as_a_loud_one() -> None:
    separator = tiny(sources=("low",))
    separator.masks = lambda mixture, spectrogram: 0 * spectrogram.abs()[:, None]  # type: ignore[method-assign]
    task = FlowPriorTask(separator, flow_weight=0.0, mixture_share=0.01)
    low, high = tones()[:, None]
    missed = [float(task.losses(torch.stack((gain * low, high), dim=1))["error"]) for gain in (1.0, 0.3, 0.001)]
    assert missed[0] == pytest.approx(1, abs=0.03)
    assert missed[1] == pytest.approx(1, abs=0.2)
    assert missed[2] < 1e-3  # it counts as silent, and nothing is what should be heard


def test_silence_is_no_place_to_rest_for_an_instrument_that_is_often_absent() -> None:
    """An extractor that hears no difference does best at the share that its instrument has on average."""
    separator = tiny(sources=("low",))
    task = FlowPriorTask(separator, flow_weight=0.0)
    low, high = tones()[:, None]
    absent, present = torch.stack((0 * low, high), dim=1), torch.stack((low, high), dim=1)
    found = {}
    for mask in (0.02, 0.25):
        separator.masks = lambda mixture, spectrogram, mask=mask: torch.full_like(spectrogram.abs(), mask)[:, None]  # type: ignore[method-assign]
        found[mask] = task.losses(torch.cat((absent, present)))["error"]
    assert found[0.25] < 0.8 * found[0.02]


def test_it_learns_to_separate_and_what_solos_are_like() -> None:
    separator = tiny()
    task = FlowPriorTask(separator).train()
    optimizer = torch.optim.Adam(task.parameters(), lr=5e-3)
    torch.manual_seed(0)
    for step in range(60):
        losses = task.losses(torch.stack([tones(seed=2 * step), tones(seed=2 * step + 1)]))
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(task.parameters(), 5.0)
        optimizer.step()
    separator.eval()
    stems = tones(seed=999)
    estimates = separator.separate(stems.sum(dim=0), TINY.sample_rate).stems
    error = (estimates - stems).square().sum(dim=(1, 2))
    as_mixture = (stems.sum(dim=0) - stems).square().sum(dim=(1, 2))
    assert (10 * torch.log10(as_mixture / error) > 6).all()
    magnitudes = analyse(stems[:, 0], TINY.n_fft, TINY.hop_length).abs()[:, :120]
    with torch.no_grad():
        scores = torch.stack([prior.score(separator.bands(magnitudes)) for prior in separator.priors])
    assert scores[0, 0] > scores[0, 1] + 0.1  # each flow prefers its own instrument
    assert scores[1, 1] > scores[1, 0] + 0.1


def test_a_logistic_fit_is_that_of_sklearn() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(400, 3, generator=generator)
    features[:, 0] = 1
    present = torch.rand(400, generator=generator) < (2 * features[:, 1] - features[:, 2] + 0.5).sigmoid()
    found = fit_logistic(features, present)
    oracle = LogisticRegression(C=1 / (1e-3 * 400), class_weight="balanced", fit_intercept=False, tol=1e-8)
    oracle.fit(features, present)
    np.testing.assert_allclose(found, oracle.coef_[0], atol=0.02)


def test_what_leaks_into_a_quiet_bar_is_weak_evidence() -> None:
    separator = tiny()
    prior, frames = separator.priors[0], window_frames(TINY.sample_rate, TINY.hop_length)
    mixture = torch.rand(1, 4 * frames, TINY.n_fft // 2 + 1)
    mixture[:, : 2 * frames] *= 0.01
    with torch.no_grad():
        share = evidence(prior, mixture, mixture, separator.bands, frames).share_db[0]
    assert share[:3].max() < -35
    assert share[4:].min() > 0


def test_evidence_counts_windows_and_energy() -> None:
    separator = tiny()
    prior, frames = separator.priors[0], window_frames(TINY.sample_rate, TINY.hop_length)
    assert frames == 124
    mixture = torch.rand(1, 3 * frames, TINY.n_fft // 2 + 1)
    with torch.no_grad():
        found = evidence(prior, 0.5 * mixture, mixture, separator.bands, frames)
        nothing = evidence(prior, 0 * mixture, mixture, separator.bands, frames)
    assert found.log_likelihood.shape == found.share_db.shape == (1, 5)
    energies = mixture.unfold(1, frames, frames // 2).square().sum(dim=(2, 3))
    torch.testing.assert_close(
        found.share_db, 10 * torch.log10(0.25 * energies / energies.mean()), rtol=1e-3, atol=1e-3
    )
    torch.testing.assert_close(nothing.share_db, torch.full((1, 5), -60.0), rtol=1e-3, atol=1e-3)
    piece = separator.bands(mixture[:, frames // 2 : frames // 2 + frames])
    with torch.no_grad():
        torch.testing.assert_close(found.log_likelihood[:, 1], prior.score(piece), rtol=1e-3, atol=1e-3)
