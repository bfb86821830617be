from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from soli.nn.adversarial import AdaptiveR1, frozen, gradient_penalty, hinge_loss, squared_slopes


class Linear(nn.Module):
    """Scores are w . x."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weights))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def critic() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0))


def test_a_frozen_critic_scores_alike_and_keeps_its_weights_out() -> None:
    network, examples = critic(), noise(4, 3)
    with_weights, without = examples.clone().requires_grad_(), examples.clone().requires_grad_()
    network(with_weights).sum().backward()
    due = with_weights.grad
    network.zero_grad()
    scores = frozen(network)(without)
    scores.sum().backward()
    assert torch.equal(scores, network(examples))
    assert due is not None
    torch.testing.assert_close(without.grad, due)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_two_players_share_a_backward_pass_without_hearing_of_each_other() -> None:
    """The gradients of the sum are those that two passes of their own would give."""
    network, generator, real = critic(), nn.Linear(2, 3), noise(6, 3, seed=3)
    latents = noise(6, 2, seed=4)

    def critic_term() -> Tensor:
        return (network(generator(latents).detach()) - network(real)).mean()

    def generator_term() -> Tensor:
        return -network(generator(latents)).mean()

    due = [
        *torch.autograd.grad(critic_term(), list(network.parameters())),
        *torch.autograd.grad(generator_term(), list(generator.parameters())),
    ]
    (critic_term() - frozen(network)(generator(latents)).mean()).backward()
    got = [parameter.grad for parameter in (*network.parameters(), *generator.parameters())]
    torch.testing.assert_close(got, due)


def test_the_penalty_of_a_linear_critic_is_that_of_its_weights_norm() -> None:
    network = Linear(0.0, 3.0, 4.0)
    penalty = gradient_penalty(network, noise(5, 3), noise(5, 3, seed=1))
    penalty.backward()
    assert penalty.item() == pytest.approx((5 - 1) ** 2)
    torch.testing.assert_close(network.weight.grad, 2 * (5 - 1) * network.weight.detach() / 5)


def test_slopes_of_a_quadratic_critic_are_twice_its_input() -> None:
    scale = torch.tensor(3.0, requires_grad=True)
    examples = noise(4, 2, 3)
    slopes = squared_slopes(lambda x: scale * x.square().sum(dim=(1, 2)), examples)
    torch.testing.assert_close(slopes, 36 * examples.square().sum(dim=(1, 2)))
    (by_scale,) = torch.autograd.grad(slopes.sum(), [scale])
    torch.testing.assert_close(by_scale, 24 * examples.square().sum())
    assert not examples.requires_grad


def test_the_penalty_looks_between_real_and_made_examples() -> None:
    shown: list[Tensor] = []

    def score(x: Tensor) -> Tensor:
        shown.append(x.detach())
        return x.sum(dim=1)

    gradient_penalty(score, torch.full((200, 2), 3.0), torch.full((200, 2), 1.0))
    (points,) = shown
    assert torch.equal(points[:, 0], points[:, 1])  # one share for each example
    assert 1 <= points.min() < 1.2 < 2.8 < points.max() <= 3


def test_a_critic_that_is_flat_gets_finite_gradients() -> None:
    network = Linear(0.0, 0.0)
    penalty = gradient_penalty(network, noise(3, 2), noise(3, 2, seed=1))
    penalty.backward()
    assert penalty.item() == pytest.approx(1, abs=1e-4)
    assert network.weight.grad is not None
    assert torch.isfinite(network.weight.grad).all()


def test_the_hinge_is_zero_beyond_its_margins_and_its_slopes_are_halves() -> None:
    real, fake = torch.tensor([1.5, 0.2]).requires_grad_(), torch.tensor([-2.0, 0.5]).requires_grad_()
    loss = hinge_loss(real, fake)
    assert loss.item() == pytest.approx(0.5 * (0.8 / 2 + 1.5 / 2))
    loss.backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert real.grad.tolist() == [0.0, -0.25]
    assert fake.grad.tolist() == [0.0, 0.25]


def test_the_r1_penalty_of_a_quadratic_critic_is_that_of_calculus() -> None:
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    matrix = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    slopes = squared_slopes(lambda rows: torch.einsum("bi,ij,bj->b", rows, matrix, rows), x)
    torch.testing.assert_close(slopes, (x @ (matrix + matrix.T)).square().sum(dim=1))


def test_the_weight_of_r1_falls_while_the_critic_doubts_and_rises_while_it_is_sure() -> None:
    weight = AdaptiveR1(largest=10.0, step=0.01)
    sure, doubtful = (torch.ones(4), -torch.ones(4)), (torch.zeros(4), torch.zeros(4))
    assert float(weight.observe(*sure)) == 10.0
    fallen = [float(weight.observe(*doubtful)) for _ in range(120)]
    assert fallen[0] == pytest.approx(9.9)
    assert fallen[-1] == 0.0
    assert float(weight.observe(*sure)) == pytest.approx(0.1)
    assert "share" in weight.state_dict()  # a resumed training goes on with it
