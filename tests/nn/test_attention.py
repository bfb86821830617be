from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from soli.nn.attention import SelfAttention, rotate


def block(n_heads: int = 2) -> SelfAttention:
    torch.manual_seed(0)
    return SelfAttention(16, n_heads)


@pytest.mark.parametrize("n_heads", [1, 2, 4])
def test_it_is_softmax_attention_written_out(n_heads: int) -> None:
    layer, x = block(n_heads), torch.randn(3, 10, 16)
    query, key, value = layer.qkv(layer.norm(x)).chunk(3, dim=-1)
    size, out = 16 // n_heads, []
    for head in range(n_heads):
        part = slice(head * size, (head + 1) * size)
        scores = rotate(query[..., part]) @ rotate(key[..., part]).mT / size**0.5
        out.append(scores.softmax(dim=-1) @ value[..., part])
    y = x + layer.out(torch.cat(out, dim=-1))
    gate, linear = layer.up(layer.mlp_norm(y)).chunk(2, dim=-1)
    torch.testing.assert_close(layer(x), y + layer.down(F.silu(gate) * linear))


def test_products_depend_on_the_distance_alone() -> None:
    first, second = torch.randn(8).double(), torch.randn(8).double()
    scores = rotate(first.expand(20, 8)) @ rotate(second.expand(20, 8)).T
    for offset in (-7, 0, 3):
        diagonal = scores.diagonal(offset)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-6, rtol=1e-5)
    assert (scores[0, 0] - scores[0, 5]).abs() > 1e-3
    torch.testing.assert_close(rotate(first.expand(20, 8)).norm(dim=-1), first.norm().expand(20))


def test_every_frame_hears_every_other() -> None:
    layer = block()
    x = torch.randn(1, 12, 16, requires_grad=True)
    for frame in (0, 6, 11):
        (gradient,) = torch.autograd.grad(layer(x)[0, frame].sum(), x)
        assert (gradient[0].abs().amax(dim=1) > 0).all()
