from __future__ import annotations

import pytest
import torch
from torch import nn

from soli.nn.trunks import AttentionTrunk, ConvTrunk, UNetTrunk

TRUNKS = {
    "conv": lambda: ConvTrunk(8, 12, (1, 2)),
    "unet": lambda: UNetTrunk(8, 12, (1, 1), (1, 2)),
    "attention": lambda: AttentionTrunk(12, 1, 3),
}


@pytest.fixture(params=TRUNKS)
def trunk(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return TRUNKS[request.param]().double()


def test_every_band_reaches_every_other(trunk: nn.Module) -> None:
    x = torch.randn(1, 8, 16, 12, dtype=torch.double, requires_grad=True)
    trunk(x)[0, 7, 8, 0].backward()
    assert (x.grad.abs().sum(dim=(0, 2, 3)) > 0).all()


@pytest.mark.parametrize("n_frames", [1, 2, 7])
def test_any_number_of_frames_comes_back(trunk: nn.Module, n_frames: int) -> None:
    x = torch.randn(2, 8, n_frames, 12, dtype=torch.double)
    assert trunk(x).shape == x.shape


def test_items_of_a_batch_do_not_meet(trunk: nn.Module) -> None:
    x = torch.randn(2, 8, 9, 12, dtype=torch.double)
    torch.testing.assert_close(trunk(x)[1:], trunk(x[1:]))


def test_convolutional_trunks_see_a_bounded_stretch() -> None:
    torch.manual_seed(0)
    trunk = ConvTrunk(8, 12, (1, 2)).double()
    x = torch.randn(1, 8, 40, 12, dtype=torch.double, requires_grad=True)
    trunk(x)[0, :, 20, 0].sum().backward()
    frames = (x.grad.abs().sum(dim=(0, 1, 3)) > 0).nonzero().flatten()
    assert (int(frames.min()), int(frames.max())) == (20 - 5, 20 + 5)  # dilations 1 + 2, and one for each second kernel
