"""How well an autoencoder gives back what went in: the first table of seed 001."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from soli.evaluation.metrics.checks import check_same_shape, decibels
from soli.losses import spectral_mse


class Reconstruction(NamedTuple):
    """Of one recording; scalars, double precision.

    Attributes:
        mse: mean squared error.
        snr: energy over that of the error, in dB; NaN for silence.
        psnr: of full scale, in dB: 10 log10(1 / MSE).
        cosine: of the angle between the two; NaN where one is silent.
        spectral_mse: mean squared difference of magnitudes through an unnormalised Hann window of 2048 samples every
            512; the seed does not state its own.
    """

    mse: Tensor
    snr: Tensor
    psnr: Tensor
    cosine: Tensor
    spectral_mse: Tensor


def reconstruction(reference: Tensor, estimate: Tensor) -> Reconstruction:
    """Measure a reconstruction.

    Args:
        reference: `[... T]`, full scale at 1; everything counts as one recording.
        estimate: the same shape.

    Returns:
        The measures.

    Raises:
        SoliError: the shapes differ.
    """
    check_same_shape(reference, estimate, "[... T]")
    reference, estimate = reference.double(), estimate.double()
    error = (reference - estimate).square()
    energy, own = reference.square().sum(), estimate.square().sum()
    nothing = float("nan")
    return Reconstruction(
        mse=error.mean(),
        snr=decibels(energy, error.sum()).masked_fill(energy == 0, nothing),
        psnr=decibels(energy.new_ones(()), error.mean()),
        cosine=((reference * estimate).sum() / (energy * own).sqrt()).masked_fill(energy * own == 0, nothing),
        spectral_mse=spectral_mse(reference, estimate),
    )
