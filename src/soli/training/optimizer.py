"""Optimisers by name: AdamW, and Muon for the matrices and kernels with AdamW for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from soli.devices import multiplies_bfloat16

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalised by Newton-Schulz iterations (Jordan et al. 2024); AdamW where that makes no sense.

    Groups with `matrix=True` are orthogonalised: a kernel counts as one matrix `[out, in * taps]`, a stack of
    per-band matrices as many. What has four axes is a kernel; what has three is a stack, unless it is one of
    `kernels`. The step is scaled to the size an AdamW step has (Liu et al. 2025, eq. 4), so that one learning rate
    serves both kinds of group.

    Args:
        groups: parameter groups, each with `matrix` and `weight_decay`.
        lr: learning rate.
        kernels: parameters with three axes that are no stacks.
        momentum: of the matrices.
        betas: of the AdamW groups.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        lr: float,
        *,
        kernels: Iterable[Tensor] = (),
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.98),
    ) -> None:
        super().__init__(groups, {"lr": lr, "momentum": momentum, "betas": betas, "weight_decay": 0.0, "matrix": False})
        self.kernels = {id(kernel) for kernel in kernels}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all parameters that have a gradient."""
        for group in self.param_groups:
            update = self._matrix_update if group["matrix"] else self._adam_update
            for parameter in group["params"]:
                if (gradient := parameter.grad) is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update(parameter, gradient, group), alpha=-group["lr"])

    def _matrix_update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(gradient, 1 - group["momentum"])
        direction = torch.lerp(gradient, state["momentum"], group["momentum"])
        matrices = direction.flatten(1) if parameter.ndim == 4 or id(parameter) in self.kernels else direction
        scale = 0.2 * max(matrices.shape[-2:]) ** 0.5
        return (orthogonalise(matrices) * scale).view_as(parameter)

    def _adam_update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state, (fast, slow) = self.state[parameter], group["betas"]
        if not state:
            state["count"] = torch.zeros(())
            state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["count"] += 1
        state["mean"].lerp_(gradient, 1 - fast)
        state["square"].lerp_(gradient.square(), 1 - slow)
        count = float(state["count"])
        spread = (state["square"] / (1 - slow**count)).sqrt() + 1e-8
        return state["mean"] / (1 - fast**count) / spread


def orthogonalise(matrices: Tensor, n_iterations: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices, roughly: singular values land between 0.7 and 1.2.

    Args:
        matrices: `[... rows columns]`.
        n_iterations: of the quintic Newton-Schulz iteration.

    Returns:
        The same shape.
    """
    a, b, c = _NEWTON_SCHULZ
    x = matrices.bfloat16() if multiplies_bfloat16(matrices.device) else matrices.float()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(n_iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(matrices.dtype)


def make_optimizer(
    task: nn.Module, name: str, *, learning_rate: float, weight_decay: float, betas: tuple[float, float] = (0.9, 0.98)
) -> torch.optim.Optimizer:
    """Weight decay on matrices and kernels, none on biases and gains.

    To Muon the weights of one-dimensional convolutions are kernels, also under a weight norm; those with a single tap
    are left to AdamW and do not decay.

    Args:
        task: its parameters.
        name: `adamw` or `muon`.
        learning_rate: at the start; the loop sets it at every step.
        weight_decay: decoupled.
        betas: of AdamW.

    Returns:
        The optimiser.
    """
    parameters = [parameter for parameter in task.parameters() if parameter.requires_grad]
    matrices = [p for p in parameters if p.ndim > 1 and min(p.shape[-2:] if p.ndim < 4 else p.shape[:2]) > 1]
    chosen = {id(parameter) for parameter in matrices}
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": weight_decay, "matrix": True},
        {"params": [p for p in parameters if id(p) not in chosen], "weight_decay": 0.0, "matrix": False},
    ]
    groups = [group for group in groups if group["params"]]
    if name == "muon":
        convolutions = [module for module in task.modules() if isinstance(module, nn.Conv1d | nn.ConvTranspose1d)]
        kernels = [p for module in convolutions for p in module.parameters() if p.ndim == 3]
        return Muon(groups, learning_rate, kernels=kernels, betas=betas)
    for group in groups:
        del group["matrix"]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, fused=True)
