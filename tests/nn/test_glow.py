from __future__ import annotations

import math
from typing import Any

import normflows
import pytest
import torch
from torch import Tensor, nn

from soli.errors import SoliError
from soli.nn.glow import (
    ActNorm,
    Coupling,
    Glow,
    GroupedInvertibleConv,
    WaveNet,
    log_likelihood,
    squeeze,
    unsqueeze,
)
from soli.testing import check_flow


def data(n_items: int = 3, n_channels: int = 6, n_frames: int = 8, seed: int = 0) -> Tensor:
    return torch.randn(n_items, n_channels, n_frames, generator=torch.Generator().manual_seed(seed))


def shaken(module: nn.Module, amount: float = 0.1) -> Any:
    """A module whose zero-initialised layers do something too."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += amount * torch.randn(parameter.shape, generator=generator)
    return module.eval()


def wavenet(**settings: Any) -> WaveNet:
    torch.manual_seed(0)
    return WaveNet(3, 6, 8, 2, kernel_size=3, **settings)


def small(**settings: Any) -> Glow:
    torch.manual_seed(0)
    return Glow(6, n_blocks=3, n_hidden=8, n_layers=2, kernel_size=3, group_size=4, **settings)


@pytest.mark.parametrize(
    "flow",
    [
        lambda: ActNorm(6),
        lambda: GroupedInvertibleConv(6, 2),
        lambda: GroupedInvertibleConv(6, 6),
        lambda: Coupling(wavenet()),
        lambda: Coupling(wavenet(), largest_log_scale=0.5),
        small,
        lambda: small(largest_log_scale=2.0),
    ],
)
def test_they_keep_the_contract(flow: Any) -> None:
    check_flow(shaken(flow()), data())


def test_an_inverse_is_exact_through_the_whole_depth() -> None:
    torch.manual_seed(0)
    flow = shaken(Glow(34, n_blocks=12, n_hidden=16), 0.03)
    given = data(n_channels=34, n_frames=40)
    latents, _ = flow(given)
    assert (latents - given).abs().max() > 1
    assert (flow.inverse(latents)[0] - given).abs().max() < 1e-4


def test_the_published_size() -> None:
    flow = Glow(514)
    assert sum(parameter.numel() for parameter in flow.parameters()) == pytest.approx(11.7e6, rel=0.01)


def test_the_norm_is_that_of_normflows() -> None:
    given = data()
    ours = ActNorm(6).train()
    theirs = normflows.flows.ActNorm((6, 1))
    expected, log_det = theirs(given)  # the first batch sets it
    found, ours_log_det = ours(given)
    bias = 24 / 23  # theirs divides the variance of 24 numbers by 23
    torch.testing.assert_close(found, expected * bias**0.5, atol=1e-4, rtol=1e-4)
    due = log_det + 0.5 * math.log(bias) * given[0].numel()
    torch.testing.assert_close(ours_log_det, due.expand(3), atol=1e-3, rtol=1e-4)


def test_the_first_batch_leaves_mean_0_and_variance_1() -> None:
    norm = ActNorm(6).train()
    given = 5 * data(50) + torch.arange(6)[:, None]
    found, _ = norm(given)
    torch.testing.assert_close(found.mean(dim=(0, 2)), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.var(dim=(0, 2), correction=0), torch.ones(6), atol=1e-4, rtol=0)
    before = norm.shift.clone()
    norm(given + 100)
    assert torch.equal(norm.shift, before)


def test_one_group_of_all_channels_is_normflows_invertible_convolution() -> None:
    ours = GroupedInvertibleConv(6, 6)
    theirs = normflows.flows.Invertible1x1Conv(6)
    theirs.W.data.copy_(torch.linalg.inv(ours.weight.data))  # theirs maps with the inverse
    expected, log_det = theirs(data()[..., None])
    found, ours_log_det = ours(data())
    torch.testing.assert_close(found, expected[..., 0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours_log_det, log_det.expand(3), atol=1e-4, rtol=0)


def test_a_group_has_channels_of_both_halves() -> None:
    conv = shaken(GroupedInvertibleConv(8, 4))
    given = torch.zeros(1, 8, 1)
    given[0, 1] = 1.0
    touched = conv(given)[0][0, :, 0].abs() > 1e-6
    assert touched.nonzero()[:, 0].tolist() == [0, 1, 4, 5]


def test_the_coupling_is_that_of_normflows() -> None:
    ours = shaken(Coupling(wavenet()))

    class Interleaved(nn.Module):
        """Theirs takes shift and log-scale from even and odd channels."""

        def forward(self, kept: Tensor) -> Tensor:
            shift, log_scale = ours.network(kept).chunk(2, dim=1)
            return torch.stack((shift, log_scale), dim=2).flatten(1, 2)

    theirs = normflows.flows.AffineCoupling(Interleaved(), scale=True, scale_map="exp")
    kept, changed = data().chunk(2, dim=1)
    (_, expected), log_det = theirs([kept, changed])
    found, ours_log_det = ours(data())
    torch.testing.assert_close(found, torch.cat((kept, expected), dim=1))
    torch.testing.assert_close(ours_log_det, log_det)


def test_a_fresh_coupling_changes_nothing_and_a_bounded_one_not_too_much() -> None:
    torch.testing.assert_close(Coupling(wavenet())(data())[0], data())
    coupling = shaken(Coupling(wavenet(), largest_log_scale=0.5), 30.0)
    kept, _ = data().chunk(2, dim=1)
    _, log_scale = coupling._affine(kept, None)
    assert 0.4 < float(log_scale.detach().abs().max()) <= 0.5


def test_squeezing_puts_neighbouring_frames_side_by_side() -> None:
    given = data(n_frames=6)
    squeezed = squeeze(given, 2)
    torch.testing.assert_close(squeezed[:, :6], given[..., 0::2])
    torch.testing.assert_close(squeezed[:, 6:], given[..., 1::2])
    torch.testing.assert_close(unsqueeze(squeezed, 2), given)


def test_a_condition_changes_what_is_likely() -> None:
    flow = shaken(small(n_condition=3))
    first, second = torch.eye(3)[:1].expand(3, -1), torch.eye(3)[1:2].expand(3, -1)
    assert (flow(data(), first)[0] - flow(data(), second)[0]).abs().max() > 0.1
    torch.testing.assert_close(flow.inverse(flow(data(), first)[0], first)[0], data(), atol=1e-4, rtol=0)
    with pytest.raises(SoliError, match=r"made for a condition; allowed: \[B G\]"):
        flow(data())


def test_dropout_takes_what_is_heard_and_leaves_the_condition() -> None:
    network = shaken(wavenet(dropout=1.0, n_condition=2))
    heard, other = data(n_channels=3), data(n_channels=3, seed=1)
    first, second = torch.eye(2)[:1].expand(3, -1), torch.eye(2)[1:].expand(3, -1)
    assert (network(heard, first) - network(other, first)).abs().max() > 0.01
    network.train()
    torch.testing.assert_close(network(heard, first), network(other, first), atol=0, rtol=0)
    assert (network(heard, first) - network(heard, second)).abs().max() > 0.01


def test_the_likelihood_of_a_linear_flow_is_a_normal_density() -> None:
    norm = ActNorm(6).eval()
    with torch.no_grad():
        norm.log_scale.copy_(torch.linspace(-1, 1, 6)[:, None])
        norm.shift.copy_(torch.linspace(0, 2, 6)[:, None])
    deviation = (-norm.log_scale).exp()
    normal = torch.distributions.Normal(-norm.shift * deviation, deviation)
    due = normal.log_prob(data()).sum(dim=(1, 2))
    torch.testing.assert_close(log_likelihood(*norm(data())), due)


def test_training_raises_the_likelihood_of_what_it_sees_and_not_of_noise() -> None:
    """Correlated channels: a flow must come closer to their entropy than independent normals can."""
    generator = torch.Generator().manual_seed(3)
    mixing = torch.eye(6) + 0.9 * torch.randn(6, 6, generator=generator)
    flow = small(dropout=0.0).train()
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-2)
    for _ in range(80):
        seen = mixing @ torch.randn(64, 6, 8, generator=generator)  # always new: there is nothing to learn by heart
        optimizer.zero_grad()
        loss = -log_likelihood(*flow(seen)).mean() / 48
        loss.backward()
        optimizer.step()
    flow.eval()
    unseen = mixing @ torch.randn(64, 6, 8, generator=generator)
    deviation = seen.std(dim=(0, 2))
    independent = torch.distributions.Normal(0.0, deviation[:, None]).log_prob(unseen).sum(dim=(1, 2)).mean()
    found = log_likelihood(*flow(unseen)).mean().detach()
    truth = -8 * (3 * math.log(2 * math.pi * math.e) + torch.linalg.slogdet(mixing).logabsdet)
    assert float(truth) + 1 > float(found) > float(independent + 0.4 * (truth - independent))
    noise = deviation[:, None] * torch.randn(64, 6, 8, generator=generator)
    assert log_likelihood(*flow(noise)).mean() < found - 5


def test_half_precision_around_it_costs_no_accuracy_of_the_determinant() -> None:
    flow = shaken(small())
    with torch.autocast("cpu", torch.bfloat16):
        latents, log_det = flow(data())
        restored, _ = flow.inverse(latents)
    assert latents.dtype == log_det.dtype == torch.float32
    assert (restored - data()).abs().max() < 0.1
    torch.testing.assert_close(log_det, flow(data())[1], atol=0.3, rtol=0)


def test_wrong_sizes_are_named() -> None:
    with pytest.raises(SoliError, match="7 frames; this flow takes multiples of 2"):
        small()(data(n_frames=7))
    with pytest.raises(SoliError, match="6 channels in groups of 4"):
        GroupedInvertibleConv(6, 4)
