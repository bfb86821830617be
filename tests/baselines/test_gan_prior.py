from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from soli import zoo
from soli.baselines.gan_prior.config import GANPriorConfig
from soli.baselines.gan_prior.discriminator import Critic, phase_shuffle
from soli.baselines.gan_prior.losses import (
    exclusion,
    frequency_ratio,
    inclusion,
    log_spectrum,
    search_loss,
    spectrum_distance,
)
from soli.baselines.gan_prior.search import search
from soli.baselines.gan_prior.separator import GANPrior
from soli.baselines.gan_prior.spectrum import Spectrum
from soli.baselines.gan_prior.training import GANPriorTask, cut
from soli.errors import SoliError
from soli.evaluation.metrics import sdr_global
from soli.testing import check_separator
from soli.training.fit import FitConfig, fit

RATE = 8000
TINY: dict[str, Any] = {
    "sources": ("low", "high"),
    "sample_rate": RATE,
    "segment": 1024,
    "n_fft": 64,
    "hop_length": 32,
    "floor": 1e-3,
    "n_latent": 6,
    "width": 4,
    "n_levels": 3,
    "iterations": 2,
}


def model(**settings: Any) -> GANPrior:
    torch.manual_seed(0)
    return GANPrior(GANPriorConfig(**{**TINY, **settings})).eval()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tones(variant: int, length: int = 1024) -> Tensor:
    """A low tone and a high one, `[S T]`; variants differ in pitch, and in when they sound."""
    time = torch.arange(length) / RATE
    fade = torch.sin(math.pi * torch.arange(length) / length).square()
    envelopes = (fade, fade.roll(length // 4) * fade)
    low = torch.sin(2 * math.pi * (375, 625)[variant] * time)
    high = torch.sin(2 * math.pi * (2250, 2875)[variant] * time)
    return 0.3 * torch.stack((low * envelopes[variant], high * envelopes[1 - variant]))


def latents_of(variant: int, config: GANPriorConfig) -> Tensor:
    """What the variants stand for, `[1 S D]`."""
    return torch.full((1, len(config.sources), config.n_latent), (-0.5, 0.5)[variant])


def taught(**settings: Any) -> GANPrior:
    """A model whose generators know the two variants of their tone, shown to them one by one."""
    separator = model(width=8, **settings)
    waveforms = torch.stack([tones(variant) for variant in (0, 1)])
    separator.domain.learn(waveforms, 1.0)
    due = separator.domain.encode(waveforms)
    latents = torch.cat([latents_of(variant, separator.config) for variant in (0, 1)])
    optimizer = torch.optim.Adam(separator.generators.parameters(), lr=5e-3)
    for _ in range(150):
        loss = (separator.generate(latents) - due).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return separator


def scales(spectrum: np.ndarray) -> list[np.ndarray]:
    """The spectrum and its 2 x 2 means, written out."""
    found = [spectrum]
    for _ in range(2):
        last = found[-1]
        rows, columns = (-(-size // 2) for size in last.shape)
        found.append(
            np.array(
                [
                    [last[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean() for column in range(columns)]
                    for row in range(rows)
                ]
            )
        )
    return found


def shared(first: np.ndarray, second: np.ndarray) -> float:
    """Equation of the exclusion loss for one direction at one scale."""
    second = second * 2 * np.abs(first).mean() / np.abs(second).mean()
    squeezed = [(2 / (1 + np.exp(-edges)) - 1) ** 2 for edges in (first, second)]
    return float((squeezed[0] * squeezed[1]).mean() ** 0.25)


def test_the_spectral_losses_are_those_of_the_equations() -> None:
    one, other = noise(3, 9, 13).abs() * 10, noise(3, 9, 13, seed=1).abs() * 10
    for index in range(3):
        x, y = (magnitudes[index].double().numpy() for magnitudes in (one, other))
        a, b = np.log(1 + x**2), np.log(1 + y**2)
        distance = sum(np.abs(p - q).sum() for p, q in zip(scales(a), scales(b), strict=True))
        ratio = sum(np.log(1 + x[:, n]).sum() / np.log(1 + y[:, n]).sum() for n in range(13))
        both = [
            [shared(np.diff(p, axis=axis), np.diff(q, axis=axis)) for p, q in zip(scales(a), scales(b), strict=True)]
            for axis in (0, 1)
        ]
        excluded = (sum(both[0]) / 3 + sum(both[1]) / 3) / 2
        logs = log_spectrum(one), log_spectrum(other)
        assert spectrum_distance(*logs)[index].item() == pytest.approx(distance, rel=1e-5)
        assert frequency_ratio(one, other)[index].item() == pytest.approx(ratio, rel=1e-4)
        assert exclusion(*logs)[index].item() == pytest.approx(excluded, abs=0.011)  # the root starts at its slope
        assert inclusion(*logs)[index] == -exclusion(*logs)[index]


def test_edges_that_never_meet_exclude_nothing_and_the_same_edges_most() -> None:
    silence = torch.zeros(16, 16)
    left, right = silence.clone(), silence.clone()
    left[:, :4], right[:, 12:] = 2.0, 2.0  # edges in time only, eight frames apart
    assert exclusion(left, right) == pytest.approx(0, abs=1e-6)
    assert exclusion(left, silence) == pytest.approx(0, abs=1e-6)
    assert exclusion(left, left) > 0.15
    spectrum = noise(24, 24).abs() * 20
    same = exclusion(spectrum, spectrum)
    assert all(exclusion(spectrum, spectrum.roll((row, 5), (0, 1))) < same for row in range(0, 20, 4))
    assert exclusion(spectrum * 50, spectrum * 50) < 1


def test_losses_have_finite_slopes_where_something_is_silent() -> None:
    config = GANPriorConfig(**TINY)
    for due in (torch.zeros(1, 32, 32), noise(1, 32, 32).abs()):
        made = torch.zeros(1, 3, 32, 32, requires_grad=True)
        loss = search_loss(due, made, config)
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert made.grad is not None
        assert torch.isfinite(made.grad).all()


def test_the_search_is_projected_after_every_step() -> None:
    seen: list[float] = []

    def objective(latents: Tensor) -> Tensor:
        seen.append(float(latents.detach().abs().max()))
        return (latents - torch.tensor([5.0, -5.0, 0.3])).square().sum(dim=-1)

    start = torch.zeros(2, 3)
    found = search(objective, start, iterations=300, learning_rate=0.05, bound=0.9)
    torch.testing.assert_close(found, torch.tensor([[0.9, -0.9, 0.3]] * 2), atol=1e-3, rtol=0)
    assert max(seen) <= 0.9 + 1e-6
    assert seen[17] < 0.89 < seen[20]  # Adam's first steps are 0.05 each
    assert not start.any()


def test_examples_are_searched_for_alone() -> None:
    targets = noise(3, 4) * torch.tensor([[0.01], [1.0], [100.0]])

    def found(rows: slice) -> Tensor:
        start = torch.zeros(len(targets[rows]), 4)
        return search(
            lambda z: (z.sin() - targets[rows]).abs().sum(dim=-1), start, iterations=40, learning_rate=0.05, bound=0.9
        )

    together = found(slice(None))
    for index in range(3):
        assert torch.equal(found(slice(index, index + 1))[0], together[index])


@pytest.mark.parametrize("kind", ["spec", "wave"])
def test_each_players_term_reaches_its_own_weights_alone(kind: str) -> None:
    separator = model(kind=kind).train()
    task = GANPriorTask(separator, n_critic=2)
    assert set(task(tones(0)[None, :, None])) == {"critic", "penalty"}
    terms = task(tones(1)[None, :, None])
    weights = {"generator": list(separator.generators.parameters()), "critic": list(task.critics.parameters())}
    for name, other in (("generator", "critic"), ("critic", "generator"), ("penalty", "generator")):
        task.zero_grad()
        terms[name].backward(retain_graph=True)
        assert all(parameter.grad is None for parameter in weights[other])
        own = weights["generator" if name == "generator" else "critic"]
        matrices = [parameter.grad for parameter in own if parameter.ndim > 1]  # not every term hears of every bias
        assert all(gradient is not None and gradient.any() for gradient in matrices)


def test_generators_take_part_in_every_fifth_step() -> None:
    task = GANPriorTask(model().train())
    steps = ["generator" in task(tones(0)[None, :, None]) for _ in range(11)]
    assert [index for index, taken in enumerate(steps) if taken] == [4, 9]


@pytest.mark.parametrize("kind", ["spec", "wave"])
def test_a_critic_learns_to_tell_recordings_from_what_is_made(kind: str) -> None:
    separator = model(kind=kind).train()
    task = GANPriorTask(separator, n_critic=10**6)
    optimizer = torch.optim.Adam(task.critics.parameters(), lr=3e-3)
    for step in range(40):
        stems = torch.stack([tones(variant).roll(37 * step, -1) for variant in (0, 1)])
        optimizer.zero_grad()
        torch.stack(list(task(stems[:, :, None]).values())).sum().backward()
        optimizer.step()
    unheard = separator.domain.encode(torch.stack([tones(variant).roll(500, -1) for variant in (0, 1)]))
    made = separator.generate(2 * torch.rand(2, 2, 6) - 1)
    for source, critic in enumerate(task.critics):
        assert critic(unheard[:, source]).min() > critic(made[:, source]).max()


def test_a_generator_comes_to_make_the_one_sound_there_is() -> None:
    """By the game of the two players alone."""
    separator = model(sources=("low",), n_latent=2, width=8).train()
    task = GANPriorTask(separator, n_critic=2)
    stems = tones(0)[None, :1, None].expand(2, -1, -1, -1)

    def distance() -> Tensor:
        with torch.no_grad():
            made = separator.domain.magnitudes(separator.generate(torch.zeros(1, 1, 2)))[0, :1]
            return spectrum_distance(log_spectrum(made), log_spectrum(separator.domain.observe(tones(0)[:1])))

    task(stems)  # brings the moments
    before = distance()
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-3, betas=(0.5, 0.9))
    for _ in range(600):
        optimizer.zero_grad()
        torch.stack(list(task(stems).values())).sum().backward()
        optimizer.step()
    assert distance() < 0.6 * before, (before, distance())


@pytest.mark.parametrize("kind", ["spec", "wave"])
def test_a_mixture_of_sounds_that_generators_know_is_separated(kind: str) -> None:
    separator = taught(kind=kind, iterations=200)
    stems = torch.stack((tones(1)[0], tones(0)[1]))[:, None]  # never seen together
    mixture = stems.sum(dim=0)
    estimates = separator.separate(mixture, RATE).stems
    gain = sdr_global(stems, estimates) - sdr_global(stems, mixture.expand_as(stems))
    assert gain.min() > 10, gain


def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    """Though some weights have no gradient, and no moments in the optimiser, before their turn comes."""
    settings: dict[str, Any] = {"batch_size": 1, "warmup": 1, "weight_decay": 0.0, "precision": "no", "ema": 0.5}

    def batches(first: int) -> Iterator[Tensor]:
        return (0.3 * noise(1, 2, 1, 1024, seed=index) for index in count(first))

    def trained(folder: Path, *, steps: int, resume: bool = False) -> dict[str, Tensor]:
        config = FitConfig(steps=steps, cooldown=0.0, checkpoint_every=2, validate_every=0, **settings)
        task = GANPriorTask(model(width=2).train(), n_critic=4)
        torch.manual_seed(0)
        return fit(task, batches, config, folder, resume=resume).state_dict()

    trained(tmp_path / "stopped", steps=2)
    resumed, whole = trained(tmp_path / "stopped", steps=6, resume=True), trained(tmp_path / "whole", steps=6)
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())
    fresh = model(width=2).state_dict()
    moved = {name for name, value in whole.items() if name.startswith("separator.generators") and value.ndim > 1}
    assert all(not torch.equal(whole[name], fresh[name.removeprefix("separator.")]) for name in moved)


def test_a_longer_mixture_is_separated_segment_by_segment() -> None:
    separator = model(iterations=3)
    mixture = noise(1, 2500)
    whole = separator.separate(mixture, RATE).stems
    padded = torch.nn.functional.pad(mixture, (0, 3 * 1024 - 2500))
    parts = [separator.separate(part, RATE).stems for part in padded.split(1024, dim=-1)]
    torch.testing.assert_close(whole, torch.cat(parts, dim=-1)[..., :2500], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["spec", "wave"])
def test_it_keeps_the_contract(kind: str) -> None:
    separator = model(kind=kind)
    separator.domain.learn(noise(3, 2, 1024), 1.0)
    check_separator(separator, seconds=0.15, longest_seconds=2.5)


def test_it_searches_whatever_mode_the_caller_is_in() -> None:
    separator, mixture = model(), noise(1, 1500)
    due = separator.separate(mixture, RATE).stems
    state = torch.get_rng_state()
    for mode in (torch.inference_mode, torch.no_grad):
        with mode():
            assert torch.equal(separator.separate(mixture.clone(), RATE).stems, due)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(separator.separate(mixture, RATE).stems, due)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in separator.parameters())
    with torch.inference_mode():
        made_there = model()
        assert torch.equal(made_there.separate(mixture, RATE).stems, due)


def test_a_model_comes_back_from_disk_with_its_moments(tmp_path: Path) -> None:
    separator = model()
    separator.domain.learn(noise(3, 2, 1024), 1.0)
    zoo.save(separator, tmp_path / "model", "---\nlicence: none\nsummary: of a test\n---\n")
    loaded = zoo.load(tmp_path / "model")
    assert isinstance(loaded, GANPrior)
    assert loaded.config == separator.config
    mixture = noise(1, 1200)
    assert torch.equal(loaded.separate(mixture, RATE).stems, separator.separate(mixture, RATE).stems)


def test_moments_are_those_of_all_that_was_heard() -> None:
    spectrum = Spectrum(GANPriorConfig(**TINY))
    heard = noise(6, 2, 1024) * torch.linspace(0.1, 3, 6)[:, None, None]
    for step, part in enumerate(heard.split(2)):
        spectrum.learn(part, 1 / (step + 1))
    logs = np.log(spectrum.observe(heard).double().numpy() + 1e-3)
    np.testing.assert_allclose(spectrum.mean[..., 0], logs.mean(axis=(0, 3)), atol=1e-4)
    np.testing.assert_allclose(spectrum.deviation[..., 0], logs.std(axis=(0, 3)), atol=1e-4)


def test_spectrograms_come_back_and_so_does_a_source_that_is_alone() -> None:
    config = GANPriorConfig(**TINY)
    spectrum = Spectrum(config)
    stems = tones(0)[None]
    spectrum.learn(stems, 1.0)
    made = spectrum.encode(stems)
    assert made.abs().max() <= 1
    heard = spectrum.observe(stems)
    inside = made.abs() < 1
    magnitudes = spectrum.magnitudes(made)
    torch.testing.assert_close(magnitudes[:, :2][inside], heard[inside], atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(magnitudes[:, 2], magnitudes[:, :2].sum(dim=1))
    alone = spectrum.decode(made, stems[:, 0])[:, :1]
    assert sdr_global(stems[:, :1], alone).min() > 20


def test_a_shuffled_phase_is_a_shift_mirrored_at_the_end() -> None:
    x = noise(60, 3, 10)
    torch.manual_seed(0)
    shuffled = phase_shuffle(x, 2).numpy()
    shifts = []
    for before, after in zip(x.numpy(), shuffled, strict=True):
        padded = np.pad(before, ((0, 0), (2, 2)), mode="reflect")
        (shift,) = [shift for shift in range(5) if np.array_equal(padded[:, shift : shift + 10], after)]
        shifts.append(shift)
    assert set(shifts) == set(range(5))
    assert torch.equal(phase_shuffle(x, 0), x)


def test_only_critics_of_waveforms_shuffle() -> None:
    for kind, shape in (("spec", (32, 32)), ("wave", (1024,))):
        critic, x = Critic(GANPriorConfig(**{**TINY, "kind": kind}), 2), noise(3, *shape)
        assert torch.equal(critic(x), critic(x)) is (kind == "spec")


def test_mixtures_are_cut_into_whole_segments() -> None:
    waveforms = torch.arange(2 * 3 * 10).view(2, 3, 10).float()
    pieces = cut(waveforms, 4)
    assert pieces.shape == (4, 3, 4)
    assert torch.equal(pieces[1], waveforms[0, :, 4:8])
    assert torch.equal(pieces[2], waveforms[1, :, :4])
    with pytest.raises(SoliError, match="mixtures of 10 samples; allowed: at least 11"):
        cut(waveforms, 11)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width = 0; allowed: at least 1"),
        ({"bound": 0.0}, r"bound = 0\.0; allowed: more than 0"),
        ({"exclusion": -0.1}, r"exclusion = -0\.1; allowed: at least 0"),
        ({"sources": ()}, "sources is empty"),
        ({"n_fft": 65}, "n_fft = 65; allowed: even"),
        ({"hop_length": 33}, "hop_length = 33; allowed: 1 to n_fft / 2 = 32"),
        ({"segment": 1000}, "segment = 1000; allowed: multiples of hop_length from 256"),
        ({"n_levels": 6}, r"32 x 32 values .*multiples of 2\^6"),
        ({"kind": "wave", "n_levels": 6}, r"1024 values .*multiples of 4\^6"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SoliError, match=message):
        GANPriorConfig(**{**TINY, **settings})


@pytest.mark.parametrize("settings", [{"n_critic": 0}, {"penalty": -1.0}, {"shuffle": -1}, {"shuffle": 64}])
def test_tasks_that_make_no_sense_are_named(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(SoliError, match=rf"task\.{name} = {settings[name]}; allowed: "):
        GANPriorTask(model(kind="wave"), **settings)
