"""Projected gradient descent in the latents of the generators (Narayanaswamy et al. 2020, section 3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def search(
    objective: Callable[[Tensor], Tensor], start: Tensor, *, iterations: int, learning_rate: float, bound: float
) -> Tensor:
    """Minimise an objective of each example within a box.

    Args:
        objective: latents `[B ...]` -> `[B]`.
        start: latents, left as they are.
        iterations: steps of Adam, whose moments are each number's own: examples do not hear of each other.
        learning_rate: of Adam.
        bound: after each step, what is larger than this is brought back to it.

    Returns:
        The latents after the last step, the shape of `start`.
    """
    latents = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([latents], lr=learning_rate)
    for _ in range(iterations):
        (latents.grad,) = torch.autograd.grad(objective(latents).sum(), [latents])
        optimizer.step()
        with torch.no_grad():
            latents.clamp_(-bound, bound)
    return latents.detach()
