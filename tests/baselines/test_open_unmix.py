from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from soli.baselines.open_unmix import OpenUnmix, OpenUnmixConfig, TargetNetwork
from soli.baselines.open_unmix_training import OpenUnmixTask, set_input_scale
from soli.evaluation.metrics import sdr_global
from soli.testing import check_separator

RATE = 8000
TINY = {"sample_rate": RATE, "n_fft": 256, "hop_length": 64, "bandwidth": 3000.0, "hidden_size": 16}


def tones(n_samples: int = RATE) -> Tensor:
    """Four sources in bands of their own, each coming and going, `[4 2 T]`."""
    time = torch.arange(n_samples) / RATE
    beat = [0.5 + 0.5 * torch.sin(2 * torch.pi * rate * time) for rate in (1.0, 2.0, 3.0, 5.0)]
    signals = [torch.sin(2 * torch.pi * pitch * time) for pitch in (200, 600, 1300, 2600)]
    return 0.2 * torch.stack([a * b for a, b in zip(beat, signals, strict=True)])[:, None].expand(-1, 2, -1)


@pytest.mark.parametrize(("width", "count"), [(512, 8_893_348), (1024, 28_257_188)])
def test_a_network_has_as_many_parameters_as_the_released_one(width: int, count: int) -> None:
    """8.9 million in umx and umxhq, 28.3 million in umxl."""
    network = TargetNetwork(OpenUnmixConfig(hidden_size=width))
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_16_khz_are_1487_bins() -> None:
    config = OpenUnmixConfig()
    frequencies = torch.linspace(0, config.sample_rate / 2, config.n_bins)
    assert config.n_heard == int((frequencies <= 16000).sum()) == 1487


@pytest.mark.parametrize("iterations", [0, 1])
def test_it_keeps_the_contract(iterations: int) -> None:
    torch.manual_seed(0)
    config = OpenUnmixConfig(**TINY, em_iterations=iterations)  # type: ignore[arg-type]
    check_separator(OpenUnmix(config).eval(), longest_seconds=3.0)


def test_an_open_mask_is_the_mixture() -> None:
    """With weights of zero the mask is the output mean, one at first."""
    separator = OpenUnmix(OpenUnmixConfig(**TINY, em_iterations=0)).eval()  # type: ignore[arg-type]
    for module in separator.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.zeros_(module.weight)
    mixture = tones().sum(dim=0)
    for stem in separator.separate(mixture, RATE).values():
        torch.testing.assert_close(stem, mixture, rtol=0, atol=1e-5)


def test_frequencies_beyond_the_bandwidth_are_not_heard_but_masked() -> None:
    torch.manual_seed(0)
    config = OpenUnmixConfig(**TINY)  # type: ignore[arg-type]
    network = TargetNetwork(config).eval()
    low = torch.rand(1, 2, config.n_bins, 9)
    high = low.clone()
    high[:, :, config.n_heard :] *= 3
    first, second = network(low), network(high)
    torch.testing.assert_close(second[:, :, : config.n_heard], first[:, :, : config.n_heard])
    torch.testing.assert_close(second[:, :, config.n_heard :], 3 * first[:, :, config.n_heard :])


def test_the_filter_makes_the_estimates_sum_to_the_mixture() -> None:
    torch.manual_seed(0)
    separator = OpenUnmix(OpenUnmixConfig(**TINY)).eval()  # type: ignore[arg-type]
    mixture = tones().sum(dim=0)
    assert sdr_global(mixture, separator.separate(mixture, RATE).stems.sum(dim=0)) > 30


def test_it_learns_one_mixture_by_heart() -> None:
    torch.manual_seed(0)
    task = OpenUnmixTask(OpenUnmix(OpenUnmixConfig(**TINY, dropout=0.0)))  # type: ignore[arg-type]
    stems = tones()[None]
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-2)
    history = []
    for _ in range(60):
        losses = task.losses(stems)
        total = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        history.append(float(total.detach()))
    assert set(losses) == set(task.separator.sources)
    assert history[-1] < 0.05 * history[0]
    estimates = task.separator.eval().separate(stems[0].sum(dim=0), RATE)
    assert sdr_global(stems[0], estimates.stems).min() > 6


def test_the_first_batch_scales_the_input_and_no_other_does() -> None:
    task = OpenUnmixTask(OpenUnmix(OpenUnmixConfig(**TINY)))  # type: ignore[arg-type]
    networks = list(task.separator.targets.values())
    task.losses(tones()[None])
    first = [network.input_scale.clone() for network in networks]
    task.losses(5 * tones()[None])
    for before, network in zip(first, networks, strict=True):
        assert torch.equal(before, network.input_scale)
        assert not torch.equal(before, torch.ones_like(before))


def test_scaled_inputs_have_no_mean_and_unit_deviation() -> None:
    network = TargetNetwork(OpenUnmixConfig(**TINY))  # type: ignore[arg-type]
    magnitude = 3 + 2 * torch.rand(2, 1, 129, 50, generator=torch.Generator().manual_seed(0)).expand(-1, 2, -1, -1)
    set_input_scale(network, magnitude)
    n_heard = len(network.input_mean)
    scaled = (magnitude[:, :, :n_heard].permute(0, 1, 3, 2) + network.input_mean) * network.input_scale
    rows = scaled[:, 0].flatten(0, 1)
    torch.testing.assert_close(rows.mean(dim=0), torch.zeros(n_heard), rtol=0, atol=1e-5)
    torch.testing.assert_close(rows.std(dim=0), torch.ones(n_heard), rtol=0, atol=1e-3)
