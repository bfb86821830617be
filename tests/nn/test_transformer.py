from __future__ import annotations

import pytest
import torch
from torch import Tensor

from soli.nn.attention import SelfAttention
from soli.nn.transformer import CausalAttention, CausalTransformer, _attended


def transformer() -> CausalTransformer:
    torch.manual_seed(0)
    return CausalTransformer(16, n_layers=3, n_heads=2).eval()


def frames(n_frames: int = 12) -> Tensor:
    return torch.randn(2, n_frames, 16, generator=torch.Generator().manual_seed(1))


def test_the_last_frame_hears_what_attention_to_all_frames_gives_it() -> None:
    causal = CausalAttention(16, 2)
    both_ways = SelfAttention(16, 2)
    both_ways.load_state_dict(causal.state_dict())
    x = frames()
    torch.testing.assert_close(causal(x)[:, -1], both_ways(x)[:, -1])
    assert (causal(x)[:, 0] - both_ways(x)[:, 0]).abs().max() > 1e-3


def test_a_frame_hears_itself_and_all_before_it_and_none_after() -> None:
    model, x = transformer(), frames().requires_grad_()
    for frame in range(12):
        (gradient,) = torch.autograd.grad(model(x)[:, frame].square().sum(), x)
        heard = gradient.abs().amax(dim=(0, 2)) > 0
        assert heard.tolist() == [other <= frame for other in range(12)]


def test_away_from_the_cpu_the_callers_precision_stays() -> None:
    model = transformer().to("meta")
    x, past = frames().to("meta"), None
    assert model(x).dtype == torch.float32
    _, past = model.extend(x, past)
    assert {tensor.dtype for layer in past for tensor in layer} == {torch.float32}


def test_on_the_cpu_attention_is_in_float32_under_autocast() -> None:
    query = torch.randn(1, 2, 5, 8, dtype=torch.bfloat16, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        heard = _attended(query, query, query, None)
    exact = query.float()
    exact = torch.nn.functional.scaled_dot_product_attention(exact, exact, exact, is_causal=True)
    assert torch.equal(heard, exact)


@pytest.mark.parametrize("lengths", [[1] * 12, [5, 1, 6], [12], [1, 11]])
def test_frames_added_piece_by_piece_are_those_of_the_whole(lengths: list[int]) -> None:
    model, x, past, pieces = transformer(), frames(), None, []
    for piece in x.split(lengths, dim=1):
        y, past = model.extend(piece, past)
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(x), atol=1e-5, rtol=1e-5)
