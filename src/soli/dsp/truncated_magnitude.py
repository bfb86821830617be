"""L1 between masked and truncated magnitudes, for networks that mask in mel bands.

Seetharaman et al. 2018 (arXiv 1811.03076), eq. 4.

The target of source i is min(|X|, |S_i|): a mask between 0 and 1 cannot reach more. Written
plainly the loss keeps six tensors of the size of all source spectrograms for the backward
pass, and moving them through memory takes longer than the arithmetic. Here the gradient with
respect to the mel masks is made in the forward pass, one example at a time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable


def truncated_magnitude_l1(mel_masks: Tensor, inverse: Tensor, mixture: Tensor, sources: Tensor) -> Tensor:
    """Mean of | clamp(mask) |X| - min(|X|, |S_i|) | over everything.

    Only the masks get a gradient. The matrix products follow autocast, the rest is computed
    in the magnitudes' precision.

    Args:
        mel_masks: `[B S N K]`.
        inverse: from bands to bins, `[F K]`.
        mixture: magnitudes `[B N F]`.
        sources: magnitudes `[B S N F]`.

    Returns:
        Scalar.
    """
    return _TruncatedMagnitudeL1.apply(mel_masks, inverse, mixture, sources)


class _TruncatedMagnitudeL1(torch.autograd.Function):
    """Forward makes the value and its gradient; backward only scales the gradient."""

    @staticmethod
    def forward(ctx: FunctionCtx, mel_masks: Tensor, inverse: Tensor, mixture: Tensor, sources: Tensor) -> Tensor:
        total = mixture.new_zeros(())
        gradients = torch.empty_like(mel_masks, memory_format=torch.contiguous_format)
        for index, (mask, magnitude, source) in enumerate(zip(mel_masks, mixture, sources, strict=True)):
            linear = (mask @ inverse.T).to(magnitude.dtype)  # [S N F]
            error = (linear.clamp(0.0, 1.0) * magnitude).sub_(torch.minimum(magnitude, source))
            total += error.abs().sum()
            slope = error.sign_().mul_(magnitude).mul_(linear.sub_(0.5).abs_() <= 0.5)  # the clamp is flat outside
            gradients[index] = slope @ inverse
        ctx.save_for_backward(gradients.div_(sources.numel()))
        return total / sources.numel()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (gradients,) = ctx.saved_tensors
        return gradients * grad_output, None, None, None
