"""A multichannel Wiener filter after the masks (Duong et al. 2010; Nugraha et al. 2016), of finite reach.

The masks hardly tell left from right, but the estimates say where each source is: it gets a spatial covariance around
every bin, averaged over a few seconds only, so that a file in segments gives what the whole file gives. Sources are
weighted by a power of their estimated magnitude below the Wiener filter's two: the estimates are uncertain, and softer
masks lose less.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_LOADING = 1e-3  # of the diagonal: a mono mixture has covariances of rank one
_TINY = 1e-10
_BLOCK = 128  # bins


class Covariance(NamedTuple):
    """Hermitian 2 x 2 matrices, one for each bin; every field is `[B N F]`.

    Attributes:
        left: variance of the left channel.
        right: of the right channel.
        cross: left times conjugate right, complex.
    """

    left: Tensor
    right: Tensor
    cross: Tensor


def spatial_filter(
    estimates: Tensor, spectrogram: Tensor, *, n_frames: int, n_bins: int = 2, exponent: float = 0.8
) -> Tensor:
    """Filter a stereo mixture by what its estimates say of directions and levels.

    Args:
        estimates: complex `[B S 2 N F]`.
        spectrogram: of the mixture, complex `[B 2 N F]`.
        n_frames: covariances are averaged over as many frames on each side.
        n_bins: and over as many bins on each side.
        exponent: of the estimated magnitudes that weight the sources; 2 is the Wiener filter.

    Returns:
        Complex `[B S 2 N F]`, sums to the spectrogram over S.
    """
    out = torch.empty_like(estimates)
    n_all = spectrogram.shape[-1]
    for start in range(0, n_all, _BLOCK):  # all of a block stays in the cache, which halves the time
        inside = slice(start, min(start + _BLOCK, n_all))
        around = slice(max(start - n_bins, 0), inside.stop + n_bins)
        covariances = [
            _covariance(source, n_frames, n_bins, inside.start - around.start, inside.stop - inside.start)
            for source in estimates[..., around].unbind(dim=1)
        ]
        out[..., inside] = _filter(estimates[..., inside], spectrogram[..., inside], covariances, exponent)
    return out


def _filter(estimates: Tensor, spectrogram: Tensor, covariances: list[Covariance], exponent: float) -> Tensor:
    """The filter with known covariances, on some bins."""
    power = _power(estimates).mean(dim=2) + _TINY
    weights = (power ** (exponent / 2)).unbind(dim=1)
    left, right, cross = (
        torch.stack([weight * plane for weight, plane in zip(weights, planes, strict=True)]).sum(dim=0)
        for planes in zip(*covariances, strict=True)
    )
    loading = _LOADING * (left + right) + _TINY
    left, right = left + loading, right + loading
    scale = 1 / (left * right - _power(cross))
    x, y = spectrogram.unbind(dim=1)
    x, y = (right * x - cross * y) * scale, (left * y - cross.conj() * x) * scale  # whitened
    sides = [
        torch.stack((weight * (c.left * x + c.cross * y), weight * (c.cross.conj() * x + c.right * y)), dim=1)
        for weight, c in zip(weights, covariances, strict=True)
    ]
    out, shares = torch.stack(sides, dim=1), torch.stack(weights, dim=1)
    shares = shares / shares.sum(dim=1, keepdim=True)
    return out + shares[:, :, None] * (spectrogram - out.sum(dim=1))[:, None]  # what the loading took


def _covariance(source: Tensor, n_frames: int, n_bins: int, first: int, length: int) -> Covariance:
    """Mean around each of some bins of `[B 2 N F]`, relative to the power of the source there."""
    x, y = source.unbind(dim=1)
    cross = x * y.conj()
    planes = torch.stack((_power(x), _power(y), cross.real, cross.imag), dim=1)  # [B 4 N F]
    if n_bins:
        planes = F.avg_pool2d(planes, (1, 2 * n_bins + 1), 1, (0, n_bins), count_include_pad=False)
    planes = _moving_sum(planes[..., first : first + length], n_frames)
    left, right, real, imaginary = (planes / ((planes[:, :1] + planes[:, 1:2]) / 2 + _TINY)).unbind(dim=1)
    return Covariance(left, right, torch.complex(real, imaginary))


def _moving_sum(planes: Tensor, n_frames: int) -> Tensor:
    """Sum over a frame and as many on each side, fewer at the ends; double precision, as it is a difference of sums."""
    total = F.pad(planes.double().cumsum(dim=-2), (0, 0, 1, 0))
    centre = torch.arange(planes.shape[-2], device=planes.device)
    last = (centre + n_frames + 1).clamp(max=planes.shape[-2])
    first = (centre - n_frames).clamp(min=0)
    return (total.index_select(-2, last) - total.index_select(-2, first)).to(planes.dtype)


def _power(spectrogram: Tensor) -> Tensor:
    return spectrogram.real.square() + spectrogram.imag.square()
