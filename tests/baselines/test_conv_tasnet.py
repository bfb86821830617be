from __future__ import annotations

import pytest
import torch
from torch import nn

from soli.baselines.conv_tasnet import Block, ConvTasNet, ConvTasNetConfig
from soli.baselines.waveform_training import WaveformTask
from soli.evaluation.metrics import sdr_global
from soli.testing import check_separator

RATE = 8000
TINY = ConvTasNetConfig(
    sample_rate=RATE, n_filters=32, filter_length=16, bottleneck=16, hidden=32, n_dilations=3, n_repeats=2
)


def network() -> ConvTasNet:
    torch.manual_seed(0)
    return ConvTasNet(TINY).eval()


def test_it_has_as_many_parameters_as_the_published_one() -> None:
    separator = ConvTasNet(ConvTasNetConfig())
    blocks = 40 * (2 * 256 * 512 + 3 * 512 + 2 * (2 * 512 + 1))  # two 1x1, one depthwise, two norms, two slopes
    outside = 2 * (2 * 20 * 256) + 2 * 256 + 256 * 256 + 4 * 256 * 256  # transforms, norm, bottleneck, masks
    count = sum(parameter.numel() for parameter in separator.parameters())
    assert count == blocks + outside == 10_977_872
    assert round(4 * count / 2**20) == 42  # MB, as its authors give the size of the file


def test_it_keeps_the_contract() -> None:
    check_separator(network(), longest_seconds=3.0)


def test_norms_are_global() -> None:
    """Zero mean and unit variance over features and frames together (eq. 5 and 6 of the paper)."""
    norm = Block(16, 32, 3, 2).layers[2]
    x = 3 + 2 * torch.randn(2, 32, 50, generator=torch.Generator().manual_seed(0))
    due = torch.stack([(item - item.mean()) / (item.var(correction=0) + 1e-8).sqrt() for item in x])
    torch.testing.assert_close(norm(x), due, rtol=0, atol=1e-5)


def test_the_receptive_field_is_what_the_dilations_give() -> None:
    """Without the norms, which look at everything, an output depends on its context and no further."""
    separator = network()
    for block in separator.blocks:
        block.layers[2], block.layers[5] = nn.Identity(), nn.Identity()
    mixture = 0.1 * torch.randn(1, 2, 2001, generator=torch.Generator().manual_seed(0))
    mixture.requires_grad_()
    separator(mixture)[0, 0, 0, 1000].backward()
    assert mixture.grad is not None
    touched = mixture.grad[0].abs().sum(dim=0).nonzero()[:, 0]
    context = round(separator.context_seconds * RATE)
    frames = 2 * (1 + 2 + 4)
    assert 1000 - int(touched.min()) >= frames * 8
    assert 1000 - context <= int(touched.min()) < int(touched.max()) <= 1000 + context


def test_open_masks_give_every_source_the_same() -> None:
    separator = network()
    nn.init.zeros_(separator.masks.weight)
    mixture = 0.1 * torch.randn(2, 500, generator=torch.Generator().manual_seed(0))
    assert not separator.separate(mixture, RATE).stems.any()
    with torch.no_grad():
        separator.masks.weight[: TINY.n_filters] = separator.masks.weight[TINY.n_filters : 2 * TINY.n_filters] = 1.0
    stems = separator.separate(mixture, RATE).stems
    assert torch.equal(stems[0], stems[1])
    assert stems[0].any()


@pytest.mark.parametrize("n_samples", [1, 15, 16, 17, 24, 1000, 1003])
def test_no_sample_is_cut_off(n_samples: int) -> None:
    """The last frame reaches the last sample, which a transform that keeps everything shows."""
    separator = network()
    stems = separator(torch.ones(1, 2, n_samples))
    assert stems.shape == (1, 4, 2, n_samples)
    covered = separator.decoder(separator.encoder(torch.ones(1, 2, max(16, n_samples + -(n_samples - 16) % 8))))
    assert covered.shape[-1] >= n_samples


def test_it_learns_one_mixture_by_heart() -> None:
    task = WaveformTask(network(), loss="l1")
    time = torch.arange(2000) / RATE
    stems = 0.3 * torch.stack([torch.sin(2 * torch.pi * pitch * time) for pitch in (110, 400, 1000, 2500)])
    stems = stems[None, :, None].expand(-1, -1, 2, -1)
    optimizer = torch.optim.Adam(task.parameters(), lr=5e-3)
    history = []
    for _ in range(150):
        (loss,) = task.losses(stems).values()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(float(loss.detach()))
    assert history[-1] < 0.25 * history[0]
    assert sdr_global(stems[0], task.separator.separate(stems[0].sum(dim=0), RATE).stems).min() > 8
