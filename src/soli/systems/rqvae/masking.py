"""Shares and complex corrections applied to a mixture, which they give away without a rest.

With shares p_s (a softmax over the sources), corrections d_s and the mixture X, in every bin:

    m = sum_j p_j d_j          estimate_s = p_s (1 + d_s - m) X

The corrections p_s (d_s - m) X sum to zero, so the estimates sum to the mixture.
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
    shares = logits.float().softmax(dim=1)
    n_refined = refinement.shape[-1]
    real, imaginary = refinement.float().unbind(dim=2)
    low, high = shares[..., :n_refined], torch.cat((shares[..., n_refined:], shares[..., -1:]), dim=-1)
    real = low * (1 + real - (low * real).sum(dim=1, keepdim=True))
    imaginary = low * (imaginary - (low * imaginary).sum(dim=1, keepdim=True))
    mixture = spectrogram[:, None]
    return torch.cat(
        (torch.complex(real, imaginary) * mixture[..., :n_refined], high * mixture[..., n_refined:]), dim=-1
    )
