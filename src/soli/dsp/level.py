"""Levels: in decibels, whitened, of windows, and of channels that may cancel."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_AMPLITUDE = 1e-5
WHITENING_EPSILON = 1e-7
_CANCELS = 1e-3  # of the loudest channel's power


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


def mixed_down(channels: Tensor) -> Tensor:
    """One channel that hears what all of them hear.

    Args:
        channels: `[C T]`.

    Returns:
        `[1 T]`: their mean, or the loudest of them where they cancel.
    """
    mean, powers = channels.mean(dim=0, keepdim=True), channels.square().mean(dim=-1)
    loudest = int(powers.argmax())
    return mean if mean.square().mean() > _CANCELS * powers[loudest] else channels[loudest : loudest + 1]


def window_levels(stems: Tensor, mixture: Tensor, window: int) -> Tensor:
    """Levels of windows relative to the loudest window of the mixture.

    Args:
        stems: `[S C T]`.
        mixture: `[C T]`.
        window: in samples; the last one is shorter.

    Returns:
        `[S W]` in dB, at least -120.
    """
    loudest = _windows(mixture, window).amax()
    return relative_energy(_windows(stems, window), loudest)


def _windows(signal: Tensor, window: int) -> Tensor:
    """Mean power of windows, `[... C T]` -> `[... W]`."""
    padded = torch.nn.functional.pad(signal.double(), (0, -signal.shape[-1] % window))
    return padded.unflatten(-1, (-1, window)).square().mean(dim=(-3, -1))


def relative_energy(energy: Tensor, reference: Tensor) -> Tensor:
    """Energy relative to a reference.

    Args:
        energy: not negative, any shape.
        reference: of a shape that goes with it.

    Returns:
        In dB, at least -120.
    """
    return 10 * torch.log10(energy.double() / reference.double().clamp(min=1e-20) + 1e-12)
