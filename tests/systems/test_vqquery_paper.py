from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from audio_fakes import noise
from soli.errors import SoliError
from soli.nn.adversarial import hinge_loss
from soli.systems.vqquery.adversaries import MelCritic, MelGenerator, beside
from soli.systems.vqquery.mel_levels import MelLevels
from soli.systems.vqquery.paper import VQQueryPaper
from soli.systems.vqquery.paper_config import VQQueryPaperConfig
from soli.systems.vqquery.paper_training import VQQueryPaperTask
from soli.testing import check_quantizer, check_separator
from vqquery_models import RATE, SMALL_PAPER, small_paper


def pairs(n_items: int = 4) -> torch.Tensor:
    stems = noise(n_items * 4, SMALL_PAPER.n_samples).view(n_items, 2, 2, 1, -1).clone()
    stems[0, :, 1] = 0  # one place of the first mixture is empty
    return stems


def task(**settings: float) -> VQQueryPaperTask:
    return VQQueryPaperTask(small_paper().train(), **settings)  # type: ignore[arg-type]


def test_the_contract_is_kept() -> None:
    assert check_separator(small_paper())


def test_the_defaults_are_what_the_page_of_the_paper_shows() -> None:
    config = VQQueryPaperConfig()
    assert (config.codebook_size, config.sample_rate, config.n_frames, config.n_mels) == (16, 44100, 1024, 256)
    assert (config.n_fft, config.hop_length, config.n_samples) == (1024, 256, 1023 * 256)
    levels = MelLevels(config)(torch.zeros(1, config.n_samples))
    assert levels.shape == (1, 1024, 256)
    torch.testing.assert_close(levels, torch.full_like(levels, -1.0), atol=1e-4, rtol=0)


def test_levels_of_white_noise_are_even_over_bands() -> None:
    levels = MelLevels(SMALL_PAPER)(noise(1, 20 * RATE))
    mean = levels.mean(dim=(0, 1))
    assert float(mean[2:-2].std()) < 0.02


def test_a_tone_comes_back_at_its_pitch_and_noise_at_its_level() -> None:
    levels = MelLevels(replace(SMALL_PAPER, griffin_lim=32, n_mels=64))
    tone = 0.2 * torch.sin(2 * torch.pi * 1000 * torch.arange(31 * 128) / RATE)[None]
    back = levels.waveform(levels(tone), tone.shape[-1])
    spectrum = torch.fft.rfft(back * torch.hann_window(back.shape[-1])).abs()[0]
    assert abs(float(spectrum.argmax()) * RATE / tone.shape[-1] - 1000) < 60
    hiss = noise(1, 31 * 128)
    back = levels.waveform(levels(hiss), hiss.shape[-1])
    assert abs(20 * float((back.std() / hiss.std()).log10())) < 5  # means of decibels are below those of powers


def test_one_network_makes_another_source_for_every_code() -> None:
    torch.manual_seed(0)
    generator = MelGenerator(SMALL_PAPER)
    mixture = torch.rand(2, 32, 32)
    one, other = (generator(mixture, code.expand(2, -1)) for code in torch.randn(2, 4))
    assert one.shape == mixture.shape
    assert float(one.detach().abs().max()) <= 1
    assert float((one - other).detach().abs().max()) > 1e-3


def test_codes_start_from_what_was_seen_and_then_quantise() -> None:
    learner = task(memory=8)
    for expected in (False, True):
        names = set(learner(pairs()))
        assert ("commitment" in names) == bool(learner.separator.ready and expected and names & {"commitment"})
    assert bool(learner.separator.ready)
    losses = learner(pairs())
    assert set(losses) == {"generator", "reconstruction", "commitment", "critic", "r1"}
    latents = learner.separator.eval().encoder(torch.randn(6, 32, 32))[..., None].detach()
    learner.separator.quantizer.initialise(latents)
    assert check_quantizer(learner.separator.quantizer, latents)


def test_each_player_gets_the_gradient_of_its_own_terms_alone() -> None:
    learner = task()
    losses = learner(pairs())
    learner.zero_grad()
    (losses["generator"] + losses["reconstruction"]).backward(retain_graph=True)
    assert all(parameter.grad is None for parameter in learner.critic.parameters())
    assert learner.separator.encoder.out.weight.grad is not None
    learner.zero_grad()
    (losses["critic"] + losses["r1"]).backward()
    assert all(parameter.grad is None for parameter in learner.separator.parameters())
    assert all(parameter.grad is not None for parameter in learner.critic.parameters())


def test_the_critics_terms_are_hinge_and_r1_by_autograd() -> None:
    learner = task(largest_r1=3.0).eval()
    torch.manual_seed(1)
    target, made, mixture = torch.rand(3, 2, 32, 32).unbind(0)
    terms = learner._critic_terms(target, made, mixture)
    critic: MelCritic = learner.critic
    due = hinge_loss(critic(beside(target, mixture)), critic(beside(made, mixture)))
    torch.testing.assert_close(terms["critic"], due)
    slopes = []
    for source, mix in zip(target, mixture, strict=True):
        gradient = torch.autograd.functional.jacobian(lambda x, mix=mix: critic(beside(x[None], mix[None])), source)
        slopes.append(gradient.square().sum())
    torch.testing.assert_close(terms["r1"], 3.0 * torch.stack(slopes).mean(), rtol=1e-4, atol=1e-8)


def test_a_generator_learns_to_give_a_code_its_source() -> None:
    """Low or high noise in a mixture of both, as the example is: the reconstruction falls below that of the mixture."""
    torch.manual_seed(0)
    learner = VQQueryPaperTask(VQQueryPaper(SMALL_PAPER).train(), memory=16)
    optimizer = torch.optim.Adam(learner.parameters(), lr=3e-3, betas=(0.5, 0.9))
    generator = torch.Generator().manual_seed(0)
    history = []
    for _ in range(60):
        spectrum = torch.fft.rfft(0.3 * torch.randn(8, 2, 2, 1, SMALL_PAPER.n_samples, generator=generator))
        half = spectrum.shape[-1] // 2
        low = torch.rand(8, generator=generator) < 0.5
        spectrum[low, :, 0, :, half:] = spectrum[~low, :, 0, :, :half] = 0
        spectrum[low, :, 1, :, :half] = spectrum[~low, :, 1, :, half:] = 0
        losses = learner(torch.fft.irfft(spectrum, n=SMALL_PAPER.n_samples))
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        history.append(float(losses["reconstruction"].detach()))
    assert sum(history[-5:]) < 0.6 * sum(history[:5])


def test_sizes_that_cannot_be_halved_are_one_clear_line() -> None:
    with pytest.raises(SoliError, match="n_frames = 30; allowed: multiples of 4, 2 for each level"):
        replace(SMALL_PAPER, n_frames=30)
    with pytest.raises(SoliError, match="codebook_size = 1; allowed: at least 2"):
        replace(SMALL_PAPER, codebook_size=1)
