"""Waveforms from magnitudes: Griffin and Lim's projections (1984) with momentum (Perraudin et al. 2013)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from soli.dsp.frames import analyse, synthesise


def griffin_lim(
    magnitude: Tensor, n_fft: int, hop_length: int, n_samples: int, *, n_iterations: int = 32, momentum: float = 0.99
) -> Tensor:
    """Find a waveform whose short-time magnitudes are close to given ones.

    The phases start at random, the same whenever this is called.

    Args:
        magnitude: of frames as `soli.dsp.frames.analyse` makes them, `[... N F]`.
        n_fft: window length in samples.
        hop_length: between frames, in samples.
        n_samples: T, from (N - 2) * hop_length + 1 to (N - 1) * hop_length.
        n_iterations: projections.
        momentum: 0 is the plain algorithm.

    Returns:
        `[... T]`.
    """
    generator = torch.Generator().manual_seed(0)
    turns = torch.rand(magnitude.shape[-2:], generator=generator).to(magnitude)
    phases = torch.polar(torch.ones_like(turns), 2 * math.pi * turns)
    previous = torch.zeros((), dtype=phases.dtype, device=magnitude.device)
    for _ in range(n_iterations):
        consistent = analyse(synthesise(magnitude * phases, n_fft, hop_length, n_samples), n_fft, hop_length)
        ahead = consistent + momentum * (consistent - previous)
        previous = consistent
        phases = torch.polar(torch.ones_like(magnitude), ahead.angle())
    return synthesise(magnitude * phases, n_fft, hop_length, n_samples)
