"""Shares and complex corrections applied to a mixture, which they give away without a rest.

With shares p_s (a softmax over the sources), corrections d_s and the mixture X, in every bin:

    m = sum_j p_j d_j          estimate_s = p_s (1 + d_s - m) X

The corrections p_s (d_s - m) X sum to zero, so the estimates sum to the mixture. `masked_apart` has neither: shares are
sigmoids, and nothing of the corrections is taken off.
"""

from __future__ import annotations

import torch
from torch import Tensor


def shared_out(logits: Tensor, refinement: Tensor, spectrogram: Tensor) -> Tensor:
    """Estimates of all sources.

    Args:
        logits: of the shares, `[B S N F-1]`.
        refinement: d, real and imaginary parts, `[B S 2 N R]` with R < F; bins above R are not corrected.
        spectrogram: X, complex `[B N F]`; its last (Nyquist) bin uses the shares of the bin below.

    Returns:
        Complex `[B S N F]`.
    """
    shares, refinement = logits.float().softmax(dim=1), refinement.float()
    rest = (shares[:, :, None, :, : refinement.shape[-1]] * refinement).sum(dim=1, keepdim=True)
    return _applied(shares, refinement - rest, spectrogram)


def masked_apart(logits: Tensor, refinement: Tensor, spectrogram: Tensor) -> Tensor:
    """Estimates of sources that know nothing of each other: s (1 + d) X with s = sigmoid(logits).

    Args:
        logits: as for `shared_out`.
        refinement: as for `shared_out`.
        spectrogram: as for `shared_out`.

    Returns:
        Complex `[B S N F]`, of any sum.
    """
    return _applied(logits.float().sigmoid(), refinement.float(), spectrogram)


def _applied(shares: Tensor, corrections: Tensor, spectrogram: Tensor) -> Tensor:
    """Shares p and corrections c `[B S 2 N R]` on the mixture X: p (1 + c) X."""
    n_refined = corrections.shape[-1]
    real, imaginary = corrections.unbind(dim=2)
    low, high = shares[..., :n_refined], torch.cat((shares[..., n_refined:], shares[..., -1:]), dim=-1)
    mixture = spectrogram[:, None]
    refined = torch.complex(low * (1 + real), low * imaginary) * mixture[..., :n_refined]
    return torch.cat((refined, high * mixture[..., n_refined:]), dim=-1)
