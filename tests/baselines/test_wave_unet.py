from __future__ import annotations

from itertools import islice

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from soli.baselines.wave_unet import Upsample, WaveUNet, WaveUNetConfig, lengths
from soli.baselines.waveform_training import WaveformTask
from soli.errors import SoliError
from soli.evaluation.metrics import sdr_global
from soli.testing import check_separator

RATE = 8000
TINY = WaveUNetConfig(sample_rate=RATE, n_levels=3, n_filters=8)


def network(config: WaveUNetConfig = TINY) -> WaveUNet:
    torch.manual_seed(0)
    return WaveUNet(config).eval()


@pytest.mark.parametrize(("upsampling", "count"), [("linear", 10_263_498), ("learned", 10_265_658)])
def test_it_has_as_many_parameters_as_the_paper_says(upsampling, count: int) -> None:
    """About 10 million; a learned weight for each feature that is upsampled is all that M5 adds."""
    separator = WaveUNet(WaveUNetConfig(upsampling=upsampling))
    assert sum(parameter.numel() for parameter in separator.parameters()) == count
    assert count == 10_263_498 + (sum(24 * level for level in range(2, 14)) if upsampling == "learned" else 0)


def test_147443_samples_become_16389() -> None:
    assert (147443, 16389) in islice(lengths(WaveUNetConfig()), 10)
    assert WaveUNet(WaveUNetConfig()).context == (147443 - 16389) // 2


@pytest.mark.parametrize("upsampling", ["linear", "learned"])
def test_it_keeps_the_contract(upsampling) -> None:
    check_separator(
        network(WaveUNetConfig(sample_rate=RATE, n_levels=3, n_filters=8, upsampling=upsampling)), longest_seconds=3.0
    )


def test_lengths_are_those_the_layers_give() -> None:
    separator = network()
    for n_in, n_out in islice(lengths(TINY), 3):
        assert separator(torch.zeros(1, 2, n_in)).shape[-1] == n_out
        assert separator(torch.zeros(1, 2, n_in + 3)).shape[-1] == n_out


def test_every_output_depends_on_its_context_and_no_further() -> None:
    separator = network()
    mixture = torch.zeros(1, 2, 1601, requires_grad=True)
    stems = separator(mixture)
    middle = stems.shape[-1] // 2
    stems[0, 0, 0, middle].backward()
    assert mixture.grad is not None
    touched = mixture.grad[0].abs().sum(dim=0).nonzero()[:, 0]
    context, step = separator.context, 2**TINY.n_levels
    assert -step <= 800 - context - int(touched.min()) <= step
    assert -step <= int(touched.max()) - 800 - context <= step
    assert context + step == round(separator.context_seconds * RATE)


def test_a_delayed_mixture_gives_delayed_estimates() -> None:
    separator = network()
    step = 2**TINY.n_levels
    mixture = 0.1 * torch.randn(1, 2, 2001, generator=torch.Generator().manual_seed(0))
    first, second = separator(mixture[..., :-step]), separator(mixture[..., step:])
    torch.testing.assert_close(first[..., step:], second[..., :-step], rtol=0, atol=1e-6)


def test_inside_the_estimates_of_a_stretch_are_those_of_the_whole() -> None:
    separator = network()
    mixture = 0.1 * torch.randn(2, 3000, generator=torch.Generator().manual_seed(0))
    whole = separator.separate(mixture, RATE).stems
    start, context = 20 * 2**TINY.n_levels, separator.context + 2**TINY.n_levels
    part = separator.separate(mixture[:, start : start + 1001], RATE).stems
    inside = slice(start + context, start + 1001 - context)
    torch.testing.assert_close(part[..., context:-context], whole[..., inside], rtol=0, atol=1e-6)
    assert (part[..., 0] - whole[..., start]).abs().max() > 1e-3


def test_the_last_source_is_what_the_others_leave() -> None:
    mixture = 0.1 * torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))
    estimates = network().separate(mixture, RATE)
    assert estimates.residual.abs().max() < 1e-6


def test_upsampling_interpolates_as_torch_does() -> None:
    x = torch.randn(2, 5, 9, generator=torch.Generator().manual_seed(0))
    due = F.interpolate(x, size=17, mode="linear", align_corners=True)
    torch.testing.assert_close(Upsample(5, "linear")(x), due)
    learned = Upsample(5, "learned")
    torch.testing.assert_close(learned(x), due)  # it starts in the middle
    assert learned.weight is not None
    nn.init.constant_(learned.weight, 30.0)
    torch.testing.assert_close(learned(x), x.repeat_interleave(2, dim=-1)[..., :-1])


def test_it_learns_one_mixture_by_heart() -> None:
    torch.manual_seed(0)
    task = WaveformTask(network(), loss="mse")
    time = torch.arange(1201) / RATE
    stems = 0.3 * torch.stack([torch.sin(2 * torch.pi * pitch * time) for pitch in (110, 400, 1000, 2500)])
    stems = stems[None, :, None].expand(-1, -1, 2, -1)
    optimizer = torch.optim.Adam(task.parameters(), lr=3e-3)
    history = []
    for _ in range(250):
        (loss,) = task.losses(stems).values()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(float(loss.detach()))
    assert history[-1] < 0.03 * history[0]
    inside = slice(task.separator.context, -task.separator.context)  # pyright: ignore
    estimates = task.separator.separate(stems[0].sum(dim=0), RATE).stems
    assert sdr_global(stems[0][..., inside], estimates[..., inside]).min() > 6


def test_the_loss_sees_the_middle_only() -> None:
    separator = network()
    stems = 0.1 * torch.randn(1, 4, 2, 1201, generator=torch.Generator().manual_seed(0))
    estimates = separator(stems.sum(dim=1))
    start = (1201 - estimates.shape[-1]) // 2
    due = (estimates - stems[..., start : start + estimates.shape[-1]]).square().mean()
    (loss,) = WaveformTask(separator, loss="mse").losses(stems).values()
    torch.testing.assert_close(loss, due)


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(SoliError, match=r"task\.loss = 'l3'; allowed: l1, mse"):
        WaveformTask(network(), loss="l3")  # type: ignore[arg-type]
