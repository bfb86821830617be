"""Separation by search: latents whose sources, decoded by their priors, sum to the mixture (Zhu et al. 2022, eq. 2).

Nothing here knows what a prior is: the decoder is a function. Every item of a batch is searched as if it were alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from soli.errors import SoliError
from soli.nn.glow import log_likelihood

Objective = Literal["mle", "map_z", "map_x"]
Decoder = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Latents `[B S C N]` -> magnitudes `[B S F N]` and the log-determinants of that direction, `[B S]`."""

M = TypeVar("M", bound=nn.Module)
_FLOOR = 1e-8
_PATIENCE = 10  # updates
_UNMASKED = 4  # iterations before the mask, in which the sources find their levels


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How to search.

    Attributes:
        objective: `mle` looks at the mixture alone; `map_z` also at how likely the latents are, `map_x` at how likely
            the sources are.
        prior_weight: of that second term.
        iterations: updates of the latents.
        learning_rate: of Adam.
        mask: whether frames in which a source is weaker than the mixture are weakened further.
        tolerance: an item stops when ten updates have made its loss better by no more than this part; 0 for never.
    """

    objective: Objective = "mle"
    prior_weight: float = 1.0
    iterations: int = 150
    learning_rate: float = 0.01
    mask: bool = False
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if self.iterations < 0:
            raise SoliError(f"iterations = {self.iterations}; allowed: at least 0")
        if not self.learning_rate > 0:
            raise SoliError(f"learning_rate = {self.learning_rate}; allowed: more than 0")
        if not self.prior_weight >= 0:
            raise SoliError(f"prior_weight = {self.prior_weight}; allowed: at least 0")


class Step(NamedTuple):
    """Where a search stands.

    Attributes:
        iteration: updates so far, 0 before the first.
        divergence: of the mixture from the sum of the sources, `[B]`; the lower, the more likely is the mixture.
        energy: half the mean square of the latents, `[B S]`; the lower, the more likely are they.
        magnitudes: of the sources, `[B S F N]`.
    """

    iteration: int
    divergence: Tensor
    energy: Tensor
    magnitudes: Tensor


def search(
    decode: Decoder,
    mixture: Tensor,
    start: Tensor,
    config: SearchConfig,
    on_step: Callable[[Step], None] | None = None,
) -> Tensor:
    """Move latents by Adam until their sources explain a mixture.

    The loss of an item is a mean over its bins and frames, and Adam's step depends on one latent's gradients alone:
    items do not hear of each other. One whose loss is no longer finite stays where it last was.

    Args:
        decode: of weights that need no gradient; see `frozen`.
        mixture: magnitudes `[B F N]`.
        start: latents `[B S C N]`.
        config: how to search.
        on_step: called before each update and after the last.

    Returns:
        Magnitudes `[B S F N]` after the last update, negative ones among them.
    """
    with torch.inference_mode(False), torch.enable_grad():
        mixture, latents = mixture.detach().clone(), start.detach().clone().requires_grad_()
        optimizer = torch.optim.Adam([latents], lr=config.learning_rate)
        kept = mixture.new_zeros(len(mixture), start.shape[1], *mixture.shape[1:])
        reached = mixture.new_full((1 + start.shape[1], len(mixture)), torch.nan)
        stopped, before = (
            torch.zeros(len(mixture), dtype=torch.bool, device=mixture.device),
            mixture.new_tensor(torch.inf),
        )
        for iteration in range(config.iterations + 1):
            magnitudes, log_det = decode(latents)
            if config.mask and iteration >= _UNMASKED:
                magnitudes = masked(magnitudes, mixture)
            divergence = generalised_kl(mixture, magnitudes.sum(dim=1))
            loss = divergence + prior_loss(latents, log_det, config)
            stopped = stopped | ~torch.isfinite(loss)
            kept = torch.where(stopped[:, None, None, None], kept, magnitudes.detach())
            reached = torch.where(stopped, reached, torch.stack((divergence, *energy(latents).unbind(1))).detach())
            if on_step is not None:
                on_step(Step(iteration, reached[0], reached[1:].T, kept))
            if config.tolerance and iteration % _PATIENCE == 0:
                stopped, before = stopped | (before - loss <= config.tolerance * loss.abs()), loss.detach()
            if stopped.all():
                break
            if iteration < config.iterations:
                (latents.grad,) = torch.autograd.grad(loss.sum(), latents)
                optimizer.step()
        return kept


def generalised_kl(observed: Tensor, model: Tensor) -> Tensor:
    """Generalised Kullback-Leibler divergence, which is the negative Poisson log-likelihood but for a constant.

    Args:
        observed: magnitudes `[B F N]`.
        model: `[B F N]`; its sign does not count.

    Returns:
        `[B]`, the mean over bins and frames.
    """
    observed, model = observed.abs() + _FLOOR, model.abs() + _FLOOR
    return (observed * (observed / model + _FLOOR).log() - observed + model).mean(dim=(1, 2))


def energy(latents: Tensor) -> Tensor:
    """Half the mean square of latents, their negative log density but for a constant.

    Args:
        latents: `[B S C N]`.

    Returns:
        `[B S]`.
    """
    return 0.5 * latents.square().mean(dim=(2, 3))


def prior_loss(latents: Tensor, log_det: Tensor, config: SearchConfig) -> Tensor:
    """What the priors say to the latents, or to the sources made of them.

    Args:
        latents: `[B S C N]`.
        log_det: of decoding them, `[B S]`.
        config: which objective, and its weight.

    Returns:
        `[B]`, in nats for each dimension of a source, summed over the sources; nothing for `mle`.
    """
    if config.objective == "mle":
        return latents.new_zeros(len(latents))
    if config.objective == "map_z":
        return config.prior_weight * energy(latents).sum(dim=1)
    likelihood = log_likelihood(latents.flatten(0, 1), -log_det.flatten()).view_as(log_det)
    return -config.prior_weight * likelihood.sum(dim=1) / latents[0, 0].numel()


def masked(magnitudes: Tensor, mixture: Tensor) -> Tensor:
    """Weaken the frames in which a source is weaker than the mixture.

    Args:
        magnitudes: `[B S F N]`.
        mixture: `[B F N]`.

    Returns:
        `[B S F N]`: times the frame's sum over the larger of that sum and the mixture's.
    """
    own, whole = magnitudes.sum(dim=2, keepdim=True), mixture.sum(dim=1)[:, None, None]
    return magnitudes * own / (torch.maximum(own, whole) + _FLOOR)


def wiener(magnitudes: Tensor, mixture: Tensor) -> Tensor:
    """Share the mixture out as the sources share their sum.

    Args:
        magnitudes: `[B S F N]`.
        mixture: `[B F N]`.

    Returns:
        `[B S F N]`, whose sum is the mixture wherever the sum of the magnitudes is positive.
    """
    return magnitudes / (magnitudes.sum(dim=1, keepdim=True).abs() + _FLOOR) * mixture[:, None]


def frozen(module: M) -> M:
    """A copy to search with: in evaluation mode, no weight needs a gradient, and weight norms are worked out once.

    Args:
        module: left as it is.

    Returns:
        The copy.
    """
    with torch.inference_mode(False), torch.no_grad():
        copied = copy.deepcopy(module).eval()
        for part in copied.modules():
            if parametrize.is_parametrized(part):
                _give_class_of_its_own(part)
                for name in list(part.parametrizations):  # type: ignore[arg-type]
                    parametrize.remove_parametrizations(part, name)
    return copied.requires_grad_(False)


def _give_class_of_its_own(part: Any) -> None:
    """A parametrised copy shares the class that holds its weight with the original, which is to keep it."""
    shared = type(part)
    part.__class__ = type(shared.__name__, shared.__bases__, dict(shared.__dict__))
