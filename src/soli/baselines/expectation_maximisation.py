"""Multichannel Wiener filter by expectation-maximisation, the post-filter of Open-Unmix.

Each source is a Gaussian with a power in every bin and one spatial covariance per frequency (Duong et al. 2010). The
covariances are those of the last estimates, not the posterior's, as in Nugraha et al. 2016 (section III) and norbert.
"""

from __future__ import annotations

import torch
from torch import Tensor

_NOISE = 1e-10
_LOUDEST = 10.0


def wiener_em(
    magnitudes: Tensor, mixture: Tensor, *, iterations: int = 1, window: int = 300, noise: float = _NOISE
) -> Tensor:
    """Turn magnitudes of sources into complex estimates that nearly sum to the mixture.

    Args:
        magnitudes: first guess, `[S 2 F N]`, of any scale relative to each other.
        mixture: complex `[2 F N]`.
        iterations: 0 gives the magnitudes the phase of the mixture and does nothing else.
        window: frames that share one spatial covariance.
        noise: power of the white noise assumed in the mixture, after the loudest bin was brought to 10 or less.

    Returns:
        Complex `[S 2 F N]`.
    """
    estimates = torch.polar(magnitudes, mixture.angle().expand_as(magnitudes))
    if not iterations:
        return estimates
    starts = range(0, mixture.shape[-1], window)
    filtered = [
        _refine(estimates[..., n : n + window], mixture[..., n : n + window], iterations, noise) for n in starts
    ]
    return torch.cat(filtered, dim=-1)


def _refine(estimates: Tensor, mixture: Tensor, iterations: int, noise: float) -> Tensor:
    """`[S 2 F N]` and `[2 F N]` -> `[S 2 F N]`, in double precision: the covariances are nearly singular."""
    scale = max(1.0, float(mixture.abs().max()) / _LOUDEST)
    heard = mixture.to(torch.complex128) / scale
    guess = estimates.to(torch.complex128) / scale
    for _ in range(iterations):
        power = guess.abs().square().mean(dim=1)  # [S F N]
        spatial = torch.einsum("scfn,sdfn->scdf", guess, guess.conj())
        spatial = spatial / (power.sum(dim=-1)[:, None, None] + noise)  # [S 2 2 F]
        covariance = torch.einsum("sfn,scdf->cdfn", power.to(guess.dtype), spatial)
        whitened = torch.einsum("cdfn,dfn->cfn", _inverse(covariance, noise**0.5), heard)
        guess = power[:, None] * torch.einsum("scdf,dfn->scfn", spatial, whitened)
    return (guess * scale).to(estimates.dtype)


def _inverse(covariance: Tensor, diagonal: float) -> Tensor:
    """Inverse of Hermitian `[2 2 F N]` with something added to the diagonal."""
    left, right = covariance[0, 0] + diagonal, covariance[1, 1] + diagonal
    across, back = covariance[0, 1], covariance[1, 0]
    adjugate = torch.stack((torch.stack((right, -across)), torch.stack((-back, left))))
    return adjugate / (left * right - across * back)
