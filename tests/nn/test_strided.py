from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from soli.nn.strided import PReLU, RecurrentLatents, StridedDecoder, StridedEncoder


def pair(strides: tuple[int, ...], n_outputs: int = 4) -> tuple[StridedEncoder, StridedDecoder]:
    torch.manual_seed(0)
    return StridedEncoder(1, 4, strides, 0.0).eval(), StridedDecoder(n_outputs, 4, strides, 0.0).eval()


@pytest.mark.parametrize(
    ("strides", "n_samples", "lengths"),
    [
        ((5, 5, 4, 2), 88200, [88200, 17640, 3528, 882, 441]),
        ((5, 5, 5, 3), 88500, [88500, 17700, 3540, 708, 236]),
        ((5, 5, 4, 3), 88200, [88200, 17640, 3528, 882, 294]),
    ],
)
def test_lengths_are_the_released_ones_and_come_back(
    strides: tuple[int, ...], n_samples: int, lengths: list[int]
) -> None:
    encoder, decoder = pair(strides)
    with torch.inference_mode():
        skips = encoder(torch.randn(1, 1, n_samples))
        assert [skip.shape[-1] for skip in skips] == lengths
        assert [skip.shape[1] for skip in skips] == [4, 8, 16, 32, 64]
        assert decoder(skips[-1], skips).shape == (1, 4, n_samples)


def reach(outputs: Tensor, inputs: Tensor) -> Tensor:
    """Which inputs an output depends on."""
    (gradient,) = torch.autograd.grad(outputs, inputs)
    return gradient.abs().amax(dim=(0, 1)).nonzero()[:, 0]


def test_a_latent_stands_for_its_own_samples() -> None:
    encoder, _ = pair((5, 2))
    waveform = torch.randn(1, 1, 200, requires_grad=True)
    for frame in (0, 7, 19):
        touched = reach(encoder(waveform)[-1][0, :, frame].sum(), waveform)
        centre = (float(touched.min()) + float(touched.max())) / 2
        if 0 < frame < 19:
            assert abs(centre - (10 * frame + 4.5)) <= 2
        assert touched.min() <= 10 * frame + 5 <= touched.max()


def test_every_skip_counts_and_none_is_needed() -> None:
    encoder, decoder = pair((4, 2))
    skips = encoder(torch.randn(1, 1, 64))
    latents = torch.randn(1, 16, 8)
    whole = decoder(latents, skips)
    for position in range(len(skips)):
        changed = [*skips]
        changed[position] = torch.zeros_like(changed[position])
        assert (decoder(latents, changed) - whole).abs().max() > 1e-4
    without = decoder(latents, [torch.zeros_like(skip) for skip in skips])
    torch.testing.assert_close(decoder(latents, None), without)


def test_recurrent_latents_hear_both_sides() -> None:
    torch.manual_seed(0)
    layer = RecurrentLatents(8, 2, 0.0)
    latents = torch.randn(1, 8, 12, requires_grad=True)
    touched = reach(layer(latents)[0, :, 5].sum(), latents)
    assert (int(touched.min()), int(touched.max())) == (0, 11)


def test_prelu_is_that_of_torch() -> None:
    ours, theirs = PReLU(init=0.1), nn.PReLU(init=0.1)
    found = []
    for module in (ours, theirs):
        x = torch.linspace(-2, 2, 40, requires_grad=True)
        module(x).square().sum().backward()
        found.append((x.grad, module.weight.grad))
    torch.testing.assert_close(found[0], found[1])
