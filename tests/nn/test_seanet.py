from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from soli.errors import SoliError
from soli.nn.seanet import SEANetConfig, SEANetDecoder, SEANetEncoder, pad_reflecting

SMALL = {"n_filters": 4, "dimension": 6, "ratios": (4, 2)}
PARTS = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
# Of the published package (encodec 0.1.1) with the weights of `published`, on the waveform of the test.
LATENTS = {
    False: [-0.03991, -0.08748, -0.5395, -0.74326, 0.06576, -0.44749, -0.70722, -1.16714],
    True: [-0.2244, -0.38676, -0.4515, -1.0099, 0.12974, -0.37858, 0.71131, 0.04166],
}
DECODED = {
    False: [-0.13659, -0.1592, -0.1727, -0.17115, -0.17375, -0.17337, -0.16907, -0.16399],
    True: [-0.24079, -0.17312, -0.1692, -0.17131, -0.17655, -0.17636, -0.16992, -0.16713],
}


def published(module: nn.Module) -> dict[str, Tensor]:
    """Numbers under the names of the published checkpoints."""
    shapes = {}
    for name, value in module.state_dict().items():
        for ours, theirs in PARTS.items():
            name = name.replace(ours, theirs)
        shapes[name] = value.shape
    state = {}
    for index, name in enumerate(sorted(shapes)):
        count = torch.arange(shapes[name].numel(), dtype=torch.float32)
        offset = 0.8 if name.endswith("_g") else 0.0
        state[name] = ((count * 0.7 + index).sin() * 0.5 + offset).view(shapes[name])
    return state


@pytest.mark.parametrize("causal", [False, True])
def test_published_weights_load_under_their_names_and_give_the_published_output(causal: bool) -> None:
    config = SEANetConfig(**SMALL, causal=causal)
    encoder, decoder = SEANetEncoder(config), SEANetDecoder(config)
    names = published(encoder)
    assert {"model.0.conv.conv.weight_g", "model.1.block.1.conv.conv.weight_v", "model.7.lstm.weight_ih_l0"} < {*names}
    assert "model.3.convtr.convtr.weight_v" in published(decoder)
    encoder.load_state_dict(names)
    decoder.load_state_dict(published(decoder))
    latents = encoder((torch.arange(45) * 0.3).sin().view(1, 1, -1))
    torch.testing.assert_close(latents.flatten()[::5], torch.tensor(LATENTS[causal]), atol=2e-5, rtol=1e-4)
    decoded = decoder(latents)
    torch.testing.assert_close(decoded.flatten()[::6], torch.tensor(DECODED[causal]), atol=2e-5, rtol=1e-4)


def test_encoder_and_decoder_have_the_parameters_of_encodec() -> None:
    config = SEANetConfig()
    counts = [sum(p.numel() for p in part.parameters()) for part in (SEANetEncoder(config), SEANetDecoder(config))]
    assert round(sum(counts) / 1e6, 2) == 14.85
    assert config.hop_length == 320


@settings(max_examples=15, deadline=None)
@given(n_samples=st.integers(1, 70), causal=st.booleans(), n_lstm=st.integers(0, 1), layers=st.integers(1, 2))
def test_shapes_come_back_rounded_up_to_the_product_of_the_strides(
    n_samples: int, causal: bool, n_lstm: int, layers: int
) -> None:
    config = SEANetConfig(**SMALL, causal=causal, n_lstm=n_lstm, n_residual_layers=layers)
    latents = SEANetEncoder(config)(torch.randn(2, 1, n_samples))
    assert latents.shape == (2, 6, -(-n_samples // config.hop_length))
    assert SEANetDecoder(config)(latents).shape == (2, 1, latents.shape[-1] * config.hop_length)


@pytest.mark.parametrize("causal", [False, True])
def test_a_causal_network_knows_nothing_of_what_comes_later(causal: bool) -> None:
    config = SEANetConfig(**SMALL, causal=causal)
    torch.manual_seed(0)
    encoder, decoder = SEANetEncoder(config), SEANetDecoder(config)
    before = torch.randn(1, 1, 160)
    after = before.clone()
    after[..., 80:] = torch.randn(1, 1, 80)
    changed = (decoder(encoder(before)) - decoder(encoder(after))).abs()[0, 0]
    assert changed[80:].max() > 0
    assert (changed[:80].max() == 0) == causal


def test_lengths_of_normalised_weights_are_parameters_of_their_own() -> None:
    layer = SEANetEncoder(SEANetConfig(**SMALL)).model[0].conv.conv
    direction = layer.parametrizations.weight.original1.detach()
    norms = layer.weight.detach().flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, layer.parametrizations.weight.original0.detach().flatten().abs())
    torch.testing.assert_close(
        layer.weight.detach() / norms[:, None, None],
        nn.functional.normalize(direction.flatten(1), dim=1).view_as(direction),
    )


@given(length=st.integers(1, 9), left=st.integers(0, 12), right=st.integers(0, 12))
def test_padding_keeps_the_signal_and_reflects_it_where_it_is_long_enough(length: int, left: int, right: int) -> None:
    x = torch.arange(1.0, length + 1).view(1, 1, -1)
    padded = pad_reflecting(x, left, right)
    assert padded.shape[-1] == left + length + right
    assert torch.equal(padded[..., left : left + length], x)
    if left and length > 1:
        assert padded[0, 0, left - 1] == x[0, 0, 1]


def test_strides_of_nothing_are_refused() -> None:
    with pytest.raises(SoliError, match="ratios"):
        SEANetConfig(ratios=())
