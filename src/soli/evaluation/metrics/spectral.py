"""Distances between magnitude spectra: blind to phase, so also for systems that invent their own.

A bin counts from `RANGE_DB` below the reference's loudest bin upwards; whatever lies deeper, zeros included, is raised
to that floor in both signals, so that neither silence nor rounding noise turns into an infinite distance. All channels
of a source are taken together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from soli.dsp.stft import stft
from soli.evaluation.metrics.checks import check_same_shape

RANGE_DB = 80.0
RESOLUTIONS = (512, 1024, 2048)


def log_spectral_distance(references: Tensor, estimates: Tensor, *, n_fft: int = 2048, hop_length: int = 512) -> Tensor:
    """Root mean square difference of the log power spectra, mean over frames (Gray and Markel 1976).

    Silence: frames in which the whole reference lies below the floor are left out; what an estimate puts there is for
    `silence_leakage`. A silent estimate is far away, at most `RANGE_DB`, not infinitely far.

    Args:
        references: `[... C T]`.
        estimates: `[... C T]`.
        n_fft: window length in samples.
        hop_length: distance between frames in samples.

    Returns:
        `[...]` in dB, 0 for equal magnitudes; NaN for a silent reference.

    Raises:
        SoliError: the shapes differ, or the window and hop do not fit.
    """
    check_same_shape(references, estimates, "[... C T]")
    true, estimate, floor = _magnitudes(references, estimates, n_fft, hop_length)
    sounding = (true > floor).any(-2).any(-2)  # [... N]
    distances = 20 * (true.clamp(min=floor) / estimate.clamp(min=floor)).log10()
    distances = distances.square().mean((-3, -2)).sqrt()
    return distances.where(sounding, 0.0).sum(-1) / sounding.sum(-1)


def multi_resolution_spectral_distance(
    references: Tensor, estimates: Tensor, *, n_ffts: tuple[int, ...] = RESOLUTIONS
) -> Tensor:
    """Spectral convergence plus log magnitude distance, mean over windows (Yamamoto et al. 2020, eq. 4-6).

    Silence: all frames count; the floor keeps a silent estimate at a finite distance.

    Args:
        references: `[... C T]`.
        estimates: `[... C T]`.
        n_ffts: window lengths in samples; the hop is a quarter of each.

    Returns:
        `[...]` without unit, 0 for equal magnitudes; NaN for a silent reference.

    Raises:
        SoliError: the shapes differ, or a window is odd or shorter than 4.
    """
    check_same_shape(references, estimates, "[... C T]")
    distances = []
    for n_fft in n_ffts:
        true, estimate, floor = _magnitudes(references, estimates, n_fft, n_fft // 4)
        error, level = ((x.square().sum((-3, -2, -1))).sqrt() for x in (true - estimate, true))
        logarithms = (true.clamp(min=floor) / estimate.clamp(min=floor)).log().abs()
        distances.append((error / level + logarithms.mean((-3, -2, -1))).masked_fill(level == 0, float("nan")))
    return torch.stack(distances).mean(0)


def _magnitudes(references: Tensor, estimates: Tensor, n_fft: int, hop_length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Magnitudes `[... C F N]` of both, and the lowest that counts, `[... 1 1 1]`."""
    true, estimate = (stft(x.double(), n_fft, hop_length).abs() for x in (references, estimates))
    return true, estimate, true.amax((-3, -2, -1), keepdim=True) * 10 ** (-RANGE_DB / 20)
