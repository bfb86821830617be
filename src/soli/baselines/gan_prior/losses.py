"""What the search minimises: four distances of spectra, each a number for every example.

Narayanaswamy et al. 2020 (arXiv 2005.13769), as their published code computes them. "Edges" are differences between
neighbours in a log spectrogram, in time and in frequency; "scales" are the spectrogram and its 2 x 2 means.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.baselines.gan_prior.config import GANPriorConfig

N_SCALES = 3
_SMALLEST_LEVEL = 1e-6
_SMALLEST_SLOPE = 1e-8
_SMALLEST_PRODUCT = 1e-8


def search_loss(mixture: Tensor, made: Tensor, config: GANPriorConfig) -> Tensor:
    """How badly sources and their sum fit a mixture.

    Args:
        mixture: magnitudes `[B F N]`.
        made: magnitudes of the sources and, last, of their sum, `[B S+1 F N]`.
        config: the weights of the four terms.

    Returns:
        `[B]`.
    """
    due, logs = log_spectrum(mixture), log_spectrum(made)
    sources, total = logs[:, :-1], logs[:, -1]
    first, second = torch.triu_indices(sources.shape[1], sources.shape[1], 1, device=made.device)
    return (
        config.spectrum * spectrum_distance(due, total)
        + config.frequency * frequency_ratio(mixture, made[:, -1])
        + config.inclusion * inclusion(due, total)
        + config.exclusion * exclusion(sources[:, first], sources[:, second]).sum(dim=-1)
    )


def log_spectrum(magnitudes: Tensor) -> Tensor:
    """`[...]` -> log(1 + magnitude^2), the same shape."""
    return magnitudes.square().log1p()


def spectrum_distance(mixture: Tensor, total: Tensor) -> Tensor:
    """Distance of log spectra, summed over frequencies, frames and scales ("multiresolution spectral loss").

    Args:
        mixture: log spectrum `[... F N]`.
        total: that of the sum of the sources, the same shape.

    Returns:
        `[...]`.
    """
    pairs = zip(_scales(mixture), _scales(total), strict=True)
    return torch.stack([(one - other).abs().sum(dim=(-2, -1)) for one, other in pairs]).sum(dim=0)


def frequency_ratio(mixture: Tensor, total: Tensor) -> Tensor:
    """How much louder the mixture is than the sum of the sources, summed over frames ("frequency consistency loss").

    The loudness of a frame is the sum of log(1 + magnitude) over frequencies. The ratio has no minimum of its own: it
    keeps the sources from being too quiet, the other terms from being too loud.

    Args:
        mixture: magnitudes `[... F N]`.
        total: those of the sum of the sources, the same shape.

    Returns:
        `[...]`.
    """
    due, made = ((magnitudes.log1p() + _SMALLEST_LEVEL).sum(dim=-2) for magnitudes in (mixture, total))
    return (due / made).sum(dim=-1)


def inclusion(mixture: Tensor, total: Tensor) -> Tensor:
    """Minus the edges that mixture and sum of the sources share ("mixture coherence loss").

    Args:
        mixture: log spectrum `[... F N]`.
        total: that of the sum of the sources, the same shape.

    Returns:
        `[...]`.
    """
    return -exclusion(mixture, total)


def exclusion(first: Tensor, second: Tensor) -> Tensor:
    """The edges that two sources share, from 0 for none to almost 1 ("source dissociation loss").

    From reflection removal in pictures (Zhang et al. 2018, equation 4) by way of Gandelsman et al. 2019. The second
    spectrum's edges are brought to twice the mean size of the first one's, so that the order matters.

    Args:
        first: log spectrum `[... F N]`.
        second: another one, the same shape.

    Returns:
        `[...]`.
    """
    terms = [
        _shared(one.diff(dim=axis), other.diff(dim=axis))
        for one, other in zip(_scales(first), _scales(second), strict=True)
        for axis in (-2, -1)
    ]
    return torch.stack(terms).mean(dim=0)


def _shared(first: Tensor, second: Tensor) -> Tensor:
    """Fourth root of the mean product of squared edges that are squeezed to less than 1, `[... F N]` -> `[...]`."""
    size, other = (edges.abs().mean(dim=(-2, -1), keepdim=True) for edges in (first, second))
    scaled = second * (2 * size / (other + _SMALLEST_SLOPE))
    product = ((first / 2).tanh() * (scaled / 2).tanh()).square().mean(dim=(-2, -1))  # tanh(x/2) = 2 sigmoid(x) - 1
    return (product + _SMALLEST_PRODUCT) ** 0.25 - _SMALLEST_PRODUCT**0.25  # 0 at 0, where the root has no slope


def _scales(spectrum: Tensor) -> list[Tensor]:
    """The spectrum and its 2 x 2 means, each half as large as the one before."""
    scales = [spectrum]
    for _ in range(N_SCALES - 1):
        flat = scales[-1].reshape(-1, 1, *scales[-1].shape[-2:])
        halved = F.avg_pool2d(flat, 2, ceil_mode=True)
        scales.append(halved.view(*spectrum.shape[:-2], *halved.shape[-2:]))
    return scales
