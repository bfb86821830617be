"""Deep clustering: bins of one source should embed alike, bins of different sources apart (eq. 3).

The loss compares two affinity matrices of size (bins x bins), |V V' - Y Y'|^2 in the
Frobenius norm. Neither is ever made: expanded, it needs only products of size D x D, D x S
and S x S.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from soli.errors import SoliError

Scaling = Literal["item", "batch"]
EPSILON = 1e-7


def deep_clustering_loss(embedding: Tensor, assignments: Tensor, *, scaling: Scaling = "item") -> Tensor:
    """Weighted affinity loss with silence gate and class balancing (eq. 3, section 4.1).

    The gate is the sum of a bin's assignments: bins that belong to nobody count for nothing.
    Classes that own few bins weigh more: w = sum_c Y_c / sqrt(f_c), where f_c is the class's
    share of all assignments in the batch.

    Args:
        embedding: V, `[B ... D]`.
        assignments: Y, `[B ... S]`, between 0 and 1.
        scaling: `item` divides each example's loss by its own squared sum of squared weights
            and averages over the batch; `batch` divides by the square of the whole batch's
            sum, as the released code does, which is B times smaller.

    Returns:
        Scalar, single precision.

    Raises:
        SoliError: for an unknown scaling.
    """
    if scaling not in get_args(Scaling):
        raise SoliError(f"scaling={scaling!r}; allowed: {', '.join(get_args(Scaling))}")
    with torch.autocast(embedding.device.type, enabled=False):
        y = assignments.float().flatten(1, -2)  # [B bins S]
        weights = class_weights(y)[..., None]  # [B bins 1]
        gate = y.sum(dim=-1, keepdim=True)
        norms = weights.square().sum(dim=(1, 2))  # [B]
        if scaling == "item":
            factors = 1 / (len(y) * norms.square().clamp(min=EPSILON))
        else:
            factors = (1 / norms.sum().square().clamp(min=EPSILON)).expand_as(norms)
        return _AffinityDistance.apply(embedding.flatten(1, -2), gate * weights, weights * y, factors)


def class_weights(assignments: Tensor) -> Tensor:
    """Weight of every bin, larger where rare classes are.

    Args:
        assignments: `[B bins S]`.

    Returns:
        `[B bins]`, zero where nobody is.
    """
    totals = assignments.sum(dim=(0, 1))
    shares = totals / totals.sum().clamp(min=EPSILON)
    return assignments @ (1 / (shares.sqrt() + EPSILON))


class _AffinityDistance(torch.autograd.Function):
    """sum_b f_b |V V' - Y Y'|^2 with V = scale * embedding.

    With Z = [V, Y], G = Z' Z and signs s (plus for V, minus for Y) the norm is
    sum_ij s_i s_j G_ij^2 and its gradient 4 Z (s s' * G) restricted to V. Both come from the
    same small G, so the gradient is made in the forward pass, one example at a time.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, embedding: Tensor, scale: Tensor, y: Tensor, factors: Tensor) -> Tensor:
        n_features = embedding.shape[-1]
        signs = torch.ones(n_features + y.shape[-1], device=y.device, dtype=y.dtype)
        signs[n_features:] = -1
        gradients = torch.empty_like(embedding)
        total = y.new_zeros(())
        for index, factor in enumerate(factors):
            v = scale[index] * embedding[index].to(y.dtype)
            z = torch.cat((v, y[index]), dim=-1)  # [bins D+S]
            gram = z.mT @ z
            signed = factor * signs[:, None] * signs * gram
            total += (signed * gram).sum()
            gradients[index] = (z @ (4 * signed[:, :n_features])).mul_(scale[index])
        ctx.save_for_backward(gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (gradients,) = ctx.saved_tensors
        return gradients * grad_output, None, None, None
