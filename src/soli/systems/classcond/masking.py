"""Posteriors and complex corrections applied to the mixture, exactly mixture-consistent by construction.

With posteriors p_k, corrections d_k and the mixture X, in every bin and channel:

    m = sum_j p_j d_j          M_k = p_k (1 + d_k - m)          estimate_k = M_k X

The masks M_k sum to one, so the estimates sum to the mixture; a class without posterior stays silent.
The gradient is written out because autograd keeps a dozen temporaries of the size of all estimates,
and these, not the network, would then set the pace of training.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def gated_estimates(gate: Tensor, refinement: Tensor, spectrogram: Tensor) -> Tensor:
    """Estimates of all sources.

    Args:
        gate: posteriors p, `[B S N F-1]`, sum to one over S.
        refinement: d, real and imaginary parts of each channel, `[B S 2C N R]` with R < F, any
            float type; the bins above R are not corrected (d = 0).
        spectrogram: X, complex `[B C N F]`; its last (Nyquist) bin uses the posteriors of the bin below.

    Returns:
        Complex `[B S C N F]`, sums to the spectrogram over S.
    """
    return _GatedEstimates.apply(gate, refinement, spectrogram)


class _GatedEstimates(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, refinement: Tensor, spectrogram: Tensor) -> Tensor:
        ctx.save_for_backward(gate, refinement, spectrogram)
        low, high = slice(0, refinement.shape[-1]), slice(refinement.shape[-1], gate.shape[-1])
        out = spectrogram.new_empty(gate.shape[0], gate.shape[1], *spectrogram.shape[1:])
        for item, channel in _planes(spectrogram):
            p, d = gate[item][..., low], _correction(refinement, item, channel)
            mask = (d - (p * d).sum(dim=0)).add_(1).mul_(p)
            plane, estimate = spectrogram[item, channel], out[item, :, channel]
            torch.mul(mask, plane[..., low], out=estimate[..., low])
            torch.mul(gate[item][..., high], plane[..., high], out=estimate[..., high])
            torch.mul(gate[item][..., -1], plane[..., -1], out=estimate[..., -1])
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        gate, refinement, spectrogram = ctx.saved_tensors
        low, high = slice(0, refinement.shape[-1]), slice(refinement.shape[-1], gate.shape[-1])
        to_gate, to_refinement = torch.zeros_like(gate), torch.empty_like(refinement)
        for item, channel in _planes(spectrogram):
            p, d = gate[item][..., low], _correction(refinement, item, channel)
            plane, slope = spectrogram[item, channel], gradient[item, :, channel]
            u = slope[..., low] * plane[..., low].conj()
            weighted = p * u
            total = weighted.sum(dim=0)
            step = weighted - p * total
            to_refinement[item, :, 2 * channel] = step.real
            to_refinement[item, :, 2 * channel + 1] = step.imag
            to_gate[item][..., low] += u.real + _inner(d - (p * d).sum(dim=0), u) - _inner(d, total)
            to_gate[item][..., high] += _inner(plane[..., high], slope[..., high])
            to_gate[item][..., -1] += _inner(plane[..., -1], slope[..., -1])
        return to_gate, to_refinement, None


def _planes(spectrogram: Tensor) -> list[tuple[int, int]]:
    """One item and channel at a time: small enough to stay in the cache."""
    return [(item, channel) for item in range(spectrogram.shape[0]) for channel in range(spectrogram.shape[1])]


def _correction(refinement: Tensor, item: int, channel: int) -> Tensor:
    """Complex d of one item and channel, `[S N R]`."""
    real, imaginary = refinement[item, :, 2 * channel], refinement[item, :, 2 * channel + 1]
    precision = torch.promote_types(refinement.dtype, torch.float32)
    return torch.complex(real.to(precision), imaginary.to(precision))


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """Real part of conj(a) b."""
    return a.real * b.real + a.imag * b.imag
