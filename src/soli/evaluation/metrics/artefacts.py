"""What a ratio over a whole song hides: sound where there should be none, stems that do not add up, seams."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from soli.errors import SoliError
from soli.evaluation.metrics.checks import check_same_shape, decibels


def silence_leakage(references: Tensor, estimates: Tensor, *, window: int, threshold_dbfs: float = -90.0) -> Tensor:
    """Level of the estimate in the windows in which the reference is silent.

    Args:
        references: `[... C T]`.
        estimates: `[... C T]`.
        window: length of the windows in samples, without overlap; a last, shorter piece is left out.
        threshold_dbfs: a window is silent where no sample of the reference is above this.

    Returns:
        `[...]`, mean power of all channels in dB re full scale; minus infinity where the estimate is silent too, NaN
        where the reference has no silent window.

    Raises:
        SoliError: the shapes differ, or the window is empty.
    """
    check_same_shape(references, estimates, "[... C T]")
    if window < 1:
        raise SoliError(f"window={window}; at least 1 sample is needed")
    if window > references.shape[-1]:
        return torch.full(references.shape[:-2], float("nan"), dtype=torch.float64, device=references.device)
    peak = references.abs().amax(-2).unfold(-1, window, window).amax(-1)
    silent = peak <= 10 ** (threshold_dbfs / 20)
    power = estimates.double().square().mean(-2).unfold(-1, window, window).mean(-1)
    return decibels(power.where(silent, 0.0).sum(-1), silent.sum(-1))


def null_residual(mixtures: Tensor, estimates: Tensor) -> Tensor:
    """Peak of what is left when all estimates are subtracted from the mixture.

    Args:
        mixtures: `[... C T]`.
        estimates: every stem of it, `[... S C T]`.

    Returns:
        `[...]` in dB re full scale; minus infinity when nothing is left, for a silent mixture as for any other.

    Raises:
        SoliError: the shapes do not fit each other.
    """
    fits = estimates.ndim >= 3 and estimates.shape[:-3] + estimates.shape[-2:] == mixtures.shape
    if not fits or 0 in estimates.shape:
        shapes = f"mixtures {list(mixtures.shape)}, estimates {list(estimates.shape)}"
        raise SoliError(f"{shapes}; a null test needs [... C T] and [... S C T], no axis empty")
    return 20 * (mixtures.double() - estimates.double().sum(-3)).abs().amax((-2, -1)).log10()


def seam_energy(references: Tensor, estimates: Tensor, *, borders: Sequence[int], radius: int) -> Tensor:
    """Error power near the borders of chunks, relative to the reference's power there.

    To see the seams alone, take as reference what the same model returns for the whole piece at once.

    Args:
        references: `[... C T]`.
        estimates: the same, separated in chunks and joined, `[... C T]`.
        borders: first samples of the chunks after the first, 0 < border < T.
        radius: samples on each side of a border that belong to it.

    Returns:
        `[...]` in dB, minus infinity without any error; NaN where the reference is silent near all borders, or there
        is no border.

    Raises:
        SoliError: the shapes differ, a border lies outside the signal, or the radius is not positive.
    """
    check_same_shape(references, estimates, "[... C T]")
    n_samples = references.shape[-1]
    outside = [border for border in borders if not 0 < border < n_samples]
    if outside or radius < 1:
        wrong = f"borders {outside}" if outside else f"radius={radius}"
        raise SoliError(f"{wrong}; allowed: borders from 1 to {n_samples - 1}, a radius of at least 1")
    near = torch.zeros(n_samples, dtype=torch.bool, device=references.device)
    for border in borders:
        near[max(border - radius, 0) : border + radius] = True
    true = references[..., near].double()
    error, power = (x.square().sum((-2, -1)) for x in (estimates[..., near].double() - true, true))
    return decibels(error, power).masked_fill(power == 0, float("nan"))
