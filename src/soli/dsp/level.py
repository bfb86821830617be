"""Levels in decibels and their whitening."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_AMPLITUDE = 1e-5
WHITENING_EPSILON = 1e-7


def decibels(amplitude: Tensor, reference: Tensor, dynamic_range: float = 80.0) -> Tensor:
    """Convert amplitudes to decibels relative to a reference.

    Args:
        amplitude: `[...]`, non-negative.
        reference: amplitude of 0 dB, broadcast against `amplitude`; usually its maximum.
        dynamic_range: in dB; lower levels are raised to minus this.

    Returns:
        `[...]`; silence relative to silence is 0 dB.
    """
    level = 20.0 * amplitude.clamp(min=SMALLEST_AMPLITUDE).log10()
    level = level - 20.0 * reference.clamp(min=SMALLEST_AMPLITUDE).log10()
    return level.clamp_(min=-dynamic_range)


def whiten(values: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Subtract the mean and divide by the standard deviation.

    Args:
        values: any shape.
        dims: the axes that are one example.

    Returns:
        The same shape; a constant example becomes zeros.
    """
    deviation, mean = torch.std_mean(values, dim=dims, correction=0, keepdim=True)
    return (values - mean) / (deviation + WHITENING_EPSILON)
