"""What adversarial trainings share: two players in one backward pass, and penalties on a critic's gradient."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

_SMALLEST_NORM = 1e-12


def frozen(critic: nn.Module) -> Callable[[Tensor], Tensor]:
    """A critic whose scores have gradients for what it is shown but not for its weights.

    With it the generator's term and the critic's term may stand in one sum: each reaches only its own player.

    Args:
        critic: left as it is.

    Returns:
        A function that scores as the critic does.
    """
    weights = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    return lambda examples: functional_call(critic, weights, (examples,))


def squared_slopes(critic: Callable[[Tensor], Tensor], examples: Tensor) -> Tensor:
    """Squared norm of the gradient of each example's score, itself differentiable by the critic's weights.

    Args:
        critic: `[B ...]` -> scores, the first axis being B; an example's scores depend on that example alone.
        examples: `[B ...]`; no gradient flows back into them.

    Returns:
        `[B]`.
    """
    with torch.enable_grad():
        examples = examples.detach().requires_grad_()
        (slope,) = torch.autograd.grad(critic(examples).sum(), [examples], create_graph=True)
    return slope.flatten(1).square().sum(dim=1)


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Squared distance of the gradient's norm from 1, at random points between real and made examples.

    Gulrajani et al. 2017 (arXiv 1704.00028), equation 3, without its weight.

    Args:
        critic: `[B ...]` -> `[B]`.
        real: `[B ...]`.
        fake: the same shape.

    Returns:
        Scalar, the mean over examples.
    """
    shares = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    norms = (squared_slopes(critic, torch.lerp(fake, real, shares)) + _SMALLEST_NORM).sqrt()
    return (norms - 1).square().mean()


def hinge_loss(on_real: Tensor, on_fake: Tensor) -> Tensor:
    """What a critic minimises (Lim and Ye 2017): half the sum of both classes' mean hinges.

    Args:
        on_real: scores of real examples, `[...]`.
        on_fake: scores of made ones, `[...]`.

    Returns:
        Scalar, 0 where real scores are above 1 and the others below -1.
    """
    return 0.5 * (F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean())


class AdaptiveR1(nn.Module):
    """A weight for the R1 penalty that rises while the critic is too sure of itself, and falls else.

    The critic's margin is that between its mean scores, cut to 0 and 2 and halved. The weight begins at its largest.

    Args:
        largest: the weight's bound.
        step: by which share of it the weight changes at a time.
        margin: above which the critic is too sure.
    """

    share: Tensor

    def __init__(self, *, largest: float = 10.0, step: float = 1e-4, margin: float = 0.9) -> None:
        super().__init__()
        self.largest, self.step, self.margin = largest, step, margin
        self.register_buffer("share", torch.ones(()))

    @torch.no_grad()
    def observe(self, on_real: Tensor, on_fake: Tensor) -> Tensor:
        """Move the weight once.

        Args:
            on_real: scores of real examples, `[...]`.
            on_fake: scores of made ones, `[...]`.

        Returns:
            The weight, a scalar from 0 to `largest`.
        """
        sure = (on_real.mean() - on_fake.mean()).clamp(0, 2) / 2 > self.margin
        self.share.add_(torch.where(sure, self.step, -self.step)).clamp_(0, 1)
        return self.largest * self.share
