from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor

from flowprior_models import RATE, small, tones, trained
from soli.errors import SoliError
from soli.evaluation.metrics import sdr_global
from soli.systems.flowprior import paper_training
from soli.systems.flowprior.paper import InstGlow, InstGlowConfig
from soli.systems.flowprior.paper_training import InstGlowTask
from soli.systems.flowprior.search import Step
from soli.systems.flowprior.spectrum import analyse, dequantise, inner_magnitudes, synthesise
from soli.testing import check_separator
from soli.training.fit import FitConfig, fit


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def shaken(separator: InstGlow, amount: float = 0.05) -> InstGlow:
    """As if it had learned something: the couplings are no longer the identity."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in separator.parameters():
            parameter += amount * torch.randn(parameter.shape, generator=generator)
    return separator


def silent_dither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper_training, "dequantise", lambda waveform: waveform)


def counted(separator: InstGlow) -> int:
    return sum(parameter.numel() for parameter in separator.parameters())


def test_the_parameters_are_those_of_the_released_architecture() -> None:
    wide, hidden, condition = 2 * 514, 128, 256
    start = wide // 2 * hidden + 2 * hidden
    gates = 4 * (2 * hidden * hidden * 5 + 2 * 2 * hidden)
    outputs = 3 * (2 * hidden * hidden + 2 * 2 * hidden) + hidden * hidden + 2 * hidden
    end = hidden * wide + wide
    block = 2 * wide + 16 + start + gates + outputs + end
    assert counted(InstGlow(InstGlowConfig(sources=("cello",)))) == 12 * block == 11_695_440
    told = condition * 8 * hidden + 2 * 8 * hidden
    shared = InstGlow(InstGlowConfig(shared=True))
    assert counted(shared) == 12 * (block + told) + 4 * condition == 14_866_768


@pytest.mark.parametrize("n_samples", [1, 31, 32, 33, 4000, 4017])
def test_frames_are_even_and_lead_back_to_the_waveform(n_samples: int) -> None:
    waveform = noise(2, n_samples)
    magnitudes, phases = analyse(waveform, 128, 32, 2)
    assert magnitudes.shape[-1] % 2 == 0
    torch.testing.assert_close(synthesise(magnitudes[:, None], phases, 128, 32, n_samples)[:, 0], waveform)
    silence = analyse(torch.zeros(1, n_samples), 128, 32, 2)
    assert not silence.phases.any()


def test_magnitudes_are_those_of_scipy() -> None:
    waveform = noise(1, 3200)
    window = scipy.signal.get_window("hann", 128)
    due = scipy.signal.stft(waveform[0].numpy(), nperseg=128, noverlap=96, window="hann", padded=False)[2]
    found = analyse(waveform, 128, 32, 2).magnitudes[0, :, : due.shape[1]]
    torch.testing.assert_close(found, torch.from_numpy(np.abs(due) * window.sum()).float(), atol=1e-5, rtol=1e-4)


def test_cutting_an_excerpt_out_leaves_no_trace_in_its_frames() -> None:
    waveform = noise(4000)
    whole = analyse(waveform[None], 128, 32, 2).magnitudes[0]
    excerpt = inner_magnitudes(waveform[320:1950], 128, 32, 2)
    assert excerpt.shape[-1] == 46
    torch.testing.assert_close(excerpt, whole[:, 12 : 12 + 46])


def test_noise_fills_one_step_of_sixteen_bits() -> None:
    found = dequantise(torch.zeros(10000)) * 2**15
    assert 0 <= float(found.min()) < 0.01
    assert 0.99 < float(found.max()) < 1
    assert float(found.mean()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("shared", [False, True])
def test_decoding_undoes_encoding(shared: bool) -> None:
    separator = shaken(small(shared=shared))
    magnitudes = noise(3, 2, 65, 10).abs()
    latents, there = separator.encode(magnitudes)
    restored, back = separator.decode(latents)
    assert latents.shape == (3, 2, 66, 10)
    assert (latents[..., :-1, :] - magnitudes).abs().max() > 0.1
    torch.testing.assert_close(restored, magnitudes, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(there, -back, atol=1e-2, rtol=1e-4)


@pytest.mark.parametrize("shared", [False, True])
def test_every_source_has_its_own_likelihood(shared: bool) -> None:
    separator = shaken(small(shared=shared))
    magnitudes = noise(3, 2, 65, 10).abs()
    latents, log_det = separator.encode(magnitudes)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(latents).sum(dim=(2, 3))
    due = (normal + log_det) / (66 * 10)
    ids = torch.tensor([1, 0, 1])
    found = separator.log_likelihood(magnitudes[torch.arange(3), ids], ids)
    torch.testing.assert_close(found, due[torch.arange(3), ids])
    assert (due[:, 0] - due[:, 1]).abs().min() > 1e-4


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"shared": True},
        {"objective": "map_z", "mask": True, "wiener": True},
        {"objective": "map_x", "prior_weight": 0.001, "start_sigma": 0.1},
    ],
)
def test_it_keeps_the_contract(settings: dict[str, Any]) -> None:
    separator = trained(**{**settings, "iterations": 3})
    separator.segment_seconds, separator.context_seconds = 1.0, 0.1
    check_separator(separator, seconds=0.2, longest_seconds=1.5)


def test_silence_gives_silence() -> None:
    assert not trained().separate(torch.zeros(1, 2000), RATE).stems.any()


def test_a_random_start_is_its_own_and_not_the_callers() -> None:
    separator, mixture = shaken(small(start_sigma=0.5, iterations=1)), noise(1, 1000)
    state = torch.get_rng_state()
    first = separator.separate(mixture, RATE).stems
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(77)
    assert torch.equal(separator.separate(mixture, RATE).stems, first)
    other = shaken(small(start_sigma=0.5, iterations=1, seed=1)).separate(mixture, RATE).stems
    assert (other - first).abs().max() > 1e-3


def test_it_searches_inside_inference_mode() -> None:
    separator, mixture = shaken(small()), noise(1, 1000)
    due = separator.separate(mixture, RATE).stems
    with torch.inference_mode():
        assert torch.equal(separator.separate(noise(1, 1000), RATE).stems, due)


def test_the_loss_is_the_mean_over_what_sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    silent_dither(monkeypatch)
    separator, stems = shaken(small()), tones(0)
    stems[1, 0], stems[2, 0] = 0, stems[2, 0] * 1e-4
    found = InstGlowTask(separator)(stems)
    magnitudes = inner_magnitudes(stems[:, :, 0], 128, 32, 2)
    for index, items in enumerate(([0, 3], [0, 1, 2, 3])):
        ids = torch.full((len(items),), index)
        due = -separator.log_likelihood(magnitudes[items, index], ids).mean()
        torch.testing.assert_close(list(found.values())[index], due)
    assert list(found) == ["low", "high"]


def test_a_batch_without_a_sound_teaches_nothing() -> None:
    task = InstGlowTask(small().train())
    total = torch.stack(list(task(torch.zeros(2, 2, 1, 2000)).values())).sum()
    total.backward()
    assert float(total.detach()) == 0
    assert not any(p.grad.any() for p in task.parameters() if p.grad is not None)
    assert not any(task.separator.state_dict()[name] for name in task.separator.state_dict() if "initialised" in name)


def test_silence_of_one_instrument_touches_no_other() -> None:
    separator, stems = small(), tones(0)
    stems[:, 1] = 0
    with torch.no_grad():
        for parameter in separator.priors[0].parameters():
            parameter.fill_(float("nan"))
    loss = InstGlowTask(separator)(stems)["high"]
    assert float(loss.detach()) == 0
    loss.backward()
    assert all(parameter.grad is None for parameter in separator.priors[0].parameters())
    assert any(parameter.grad is not None for parameter in separator.priors[1].parameters())


def test_the_first_batch_sets_the_norms_by_what_sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    silent_dither(monkeypatch)
    task, stems = InstGlowTask(small(shared=True).train()), tones(0)
    stems[1] = 0
    task(stems)
    heard = inner_magnitudes(stems[[0, 2, 3], :, 0].flatten(0, 1), 128, 32, 2)
    deviation = heard.std(dim=(0, 2), correction=0).clamp(min=1e-3)
    first = task.separator.priors[0].layers[0]
    scale = first.log_scale.detach()[:65, 0].exp()
    torch.testing.assert_close(scale, 1 / deviation, rtol=0.2, atol=0)  # every second frame


def test_a_prior_learns_nothing_of_the_stems_of_others(tmp_path: Path) -> None:
    def learned(second: Tensor, name: str) -> dict[str, Tensor]:
        separator = small(dropout=0.3)
        stems = torch.cat((tones(0)[:, :1], second), dim=1)
        config = FitConfig(steps=3, clip=0.1, precision="no", validate_every=0, ema=0.0)
        fit(InstGlowTask(separator), lambda _: iter([stems] * 3), config, tmp_path / name)
        return separator.state_dict()

    quiet = tones(5)[:, 1:]
    quiet[:3] = 0
    first, other = learned(tones(0)[:, 1:], "first"), learned(quiet, "other")
    own = [name for name in first if name.startswith("priors.0.")]
    assert len(own) > 20
    assert all(torch.equal(first[name], other[name]) for name in own)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def gains(separator: InstGlow) -> Tensor:
    stems = tones(1000)
    mixture = stems.sum(dim=1)
    found = separator.separate(mixture, RATE).stems
    return (sdr_global(stems, found) - sdr_global(stems, mixture[:, None].expand_as(stems))).mean(dim=0)


def test_priors_of_two_instruments_separate_their_mixture() -> None:
    separator = trained(iterations=30)
    assert gains(separator).min() > 4
    steps: list[Step] = []
    separator.explain(tones(1000)[:2].sum(dim=1)[:, 0], steps.append)
    assert len(steps) == 31
    assert (steps[-1].divergence < 0.7 * steps[0].divergence).all()
    assert not steps[0].energy.any()


def test_one_flow_for_all_heeds_the_label() -> None:
    separator = trained(shared=True, iterations=20)
    magnitudes = inner_magnitudes(tones(1000)[:, :, 0].flatten(0, 1), 128, 32, 2)
    ids = torch.tensor([0, 1] * 4)
    with torch.no_grad():
        own, other = separator.log_likelihood(magnitudes, ids), separator.log_likelihood(magnitudes, 1 - ids)
    assert (own > other + 0.1).all()
    assert gains(separator).min() > 2
    mixture = tones(1000)[0].sum(dim=0)
    found = separator.separate(mixture, RATE).stems
    labels = separator.labels
    assert labels is not None
    with torch.no_grad():
        labels.weight.copy_(labels.weight.flip(0))
        swapped = separator.separate(mixture, RATE).stems
        labels.weight.copy_(labels.weight.flip(0))
    torch.testing.assert_close(swapped.flip(0), found, atol=1e-4, rtol=0)
    assert (found[0] - found[1]).abs().max() > 0.01


def test_wrong_settings_are_named() -> None:
    for settings, message in (
        ({"sources": ()}, r"sources = \[\]; allowed: at least one, each once"),
        ({"sources": ("a", "a")}, r"sources = \['a', 'a'\]"),
        ({"kernel_size": 4}, "kernel_size = 4; allowed: odd numbers"),
        ({"n_blocks": 0}, "n_blocks = 0; allowed: at least 1"),
        ({"start_sigma": -1.0}, "start_sigma = -1.0; allowed: at least 0"),
        ({"iterations": -1}, "iterations = -1; allowed: at least 0"),
    ):
        with pytest.raises(SoliError, match=message):
            InstGlowConfig(**settings)
    with pytest.raises(SoliError, match="excerpts of 191 samples; allowed: at least 192"):
        InstGlowTask(small())(torch.zeros(1, 2, 1, 191))
    assert InstGlowTask(small())(noise(1, 2, 1, 192))["low"].isfinite()
