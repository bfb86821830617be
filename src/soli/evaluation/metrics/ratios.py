"""Signal ratios in decibels: references first, estimates second; not a number where the reference is silent.

Everything is computed in double precision, and no mean is removed.
"""

from __future__ import annotations

from torch import Tensor

from soli.evaluation.metrics.checks import check_same_shape, decibels


def snr(references: Tensor, estimates: Tensor) -> Tensor:
    """Signal-to-noise ratio of each channel on its own: 10 log10(|s|^2 / |s - e|^2).

    Args:
        references: `[... T]`.
        estimates: `[... T]`.

    Returns:
        `[...]` in dB; infinite for a perfect estimate, NaN for a silent reference.

    Raises:
        SoliError: the shapes differ.
    """
    check_same_shape(references, estimates, "[... T]")
    return _ratio(references.double(), estimates.double())


def sdr_global(references: Tensor, estimates: Tensor) -> Tensor:
    """Signal-to-distortion ratio over the whole signal, all channels together: 10 log10(|s|^2 / |s - e|^2).

    Args:
        references: `[... C T]`.
        estimates: `[... C T]`.

    Returns:
        `[...]` in dB; infinite for a perfect estimate, NaN for a silent reference.

    Raises:
        SoliError: the shapes differ.
    """
    return _ratio(*_flatten(references, estimates))


def si_sdr(references: Tensor, estimates: Tensor) -> Tensor:
    """Scale-invariant SDR: the reference is first scaled to the estimate (Le Roux et al. 2019, eq. 4-5).

    One factor serves all channels, and no mean is removed.

    Args:
        references: `[... C T]`.
        estimates: `[... C T]`.

    Returns:
        `[...]` in dB; minus infinity for a silent estimate, NaN for a silent reference.

    Raises:
        SoliError: the shapes differ.
    """
    references, estimates = _flatten(references, estimates)
    power = references.square().sum(-1)
    scale = (references * estimates).sum(-1) / power
    target = scale[..., None] * references
    ratio = decibels(target.square().sum(-1), (target - estimates).square().sum(-1))
    return ratio.masked_fill((estimates == 0).all(-1), -float("inf")).masked_fill(power == 0, float("nan"))


def si_sdr_improvement(references: Tensor, estimates: Tensor, mixtures: Tensor) -> Tensor:
    """How much better the estimate is than the mixture it was taken from.

    Args:
        references: `[... C T]`.
        estimates: `[... C T]`.
        mixtures: `[... C T]`.

    Returns:
        `[...]` in dB; NaN for a silent reference.

    Raises:
        SoliError: the shapes differ.
    """
    return si_sdr(references, estimates) - si_sdr(references, mixtures)


def _flatten(references: Tensor, estimates: Tensor) -> tuple[Tensor, Tensor]:
    """Check the shapes, then `[... C T]` -> `[... C*T]` in double precision."""
    check_same_shape(references, estimates, "[... C T]")
    return references.double().flatten(-2), estimates.double().flatten(-2)


def _ratio(references: Tensor, estimates: Tensor) -> Tensor:
    """Power of the references over power of the difference, along the last axis."""
    power = references.square().sum(-1)
    return decibels(power, (references - estimates).square().sum(-1)).masked_fill(power == 0, float("nan"))
