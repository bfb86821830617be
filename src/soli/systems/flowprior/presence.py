"""Is there a piano, and when? What a flow says of an extracted instrument, window by window.

An extractor gives its best guess even where its instrument is silent; the flow knows how likely that guess is as a
solo of the instrument. Both together, the estimate's energy and its exact likelihood, are the evidence. The energy is
relative to the whole excerpt's: in a quiet bar of a song, what leaks is a large part of next to nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from soli.systems.flowprior.prior import Prior

WINDOW_SECONDS = 2.0
PRESENT_DB, ABSENT_DB = -25.0, -50.0
"""Share of a mixture's energy above which an instrument is there, and below which it is not; in between is neither."""

_SILENT_DB = -60.0
_N_STEPS, _RIDGE = 50, 1e-3


class Evidence(NamedTuple):
    """Of one instrument in windows that overlap by half.

    Attributes:
        log_likelihood: of the estimate, nats for each band and frame, `[B W]`.
        share_db: energy of the estimate relative to that of all windows of the mixture on average, at least -60,
            `[B W]`.
    """

    log_likelihood: Tensor
    share_db: Tensor


def window_frames(sample_rate: int, hop_length: int) -> int:
    """Frames of a window, a multiple of 4: flows take pairs, and windows overlap by half.

    Args:
        sample_rate: in Hz.
        hop_length: of the spectrogram.

    Returns:
        At least 4.
    """
    return max(4, round(WINDOW_SECONDS * sample_rate / hop_length / 4) * 4)


def window_energies(magnitudes: Tensor, frames: int) -> Tensor:
    """Of windows that overlap by half.

    Args:
        magnitudes: `[B N F]`.
        frames: of a window, from `window_frames`.

    Returns:
        `[B W]`.
    """
    return magnitudes.unfold(1, frames, frames // 2).square().sum(dim=(2, 3))


def evidence(prior: Prior, estimate: Tensor, mixture: Tensor, bands: torch.nn.Module, frames: int) -> Evidence:
    """Judge an estimate.

    Args:
        prior: of the instrument.
        estimate: magnitudes `[B N F]`.
        mixture: magnitudes `[B N F]`, N at least `frames`.
        bands: `soli.systems.flowprior.bands.Bands`.
        frames: of a window, from `window_frames`.

    Returns:
        Of W = (N - frames) // (frames / 2) + 1 windows.
    """
    pieces = estimate.unfold(1, frames, frames // 2)  # [B W F n]
    whole = window_energies(mixture, frames).mean(dim=1, keepdim=True)
    share = 10 * torch.log10(window_energies(estimate, frames) / whole.clamp(min=1e-9) + 10 ** (_SILENT_DB / 10))
    batch, n_windows = pieces.shape[:2]
    scores = prior.score(bands(pieces.mT.flatten(0, 1)))
    return Evidence(scores.view(batch, n_windows), share)


def usual_likelihood(scores: Tensor) -> Tensor:
    """Mean and deviation of the likelihood of windows of solos, `[2]`.

    Args:
        scores: `[W]`.

    Returns:
        The deviation is at least 0.01.
    """
    return torch.stack((scores.mean(), scores.std().clamp(min=0.01)))


def fit_logistic(features: Tensor, present: Tensor) -> Tensor:
    """Weights of a logistic regression, both answers counting alike, by Newton's method.

    Args:
        features: `[W 3]`.
        present: `[W]`, boolean.

    Returns:
        `[3]`.
    """
    x, y = features.double(), present.double()
    balance = torch.where(present, 0.5 / y.sum().clamp(min=1), 0.5 / (1 - y).sum().clamp(min=1))
    weights = x.new_zeros(x.shape[1])
    ridge = _RIDGE * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    for _ in range(_N_STEPS):
        p = (x @ weights).sigmoid()
        gradient = x.T @ (balance * (p - y)) + ridge @ weights
        curvature = (x.T * (balance * p * (1 - p))) @ x + ridge
        weights = weights - torch.linalg.solve(curvature, gradient)
    return weights.float()


def probability(prior: Prior, found: Evidence) -> Tensor:
    """How likely the instrument sounds, `[B W]`.

    Args:
        prior: calibrated.
        found: its evidence.

    Returns:
        Between 0 and 1.
    """
    return (prior.features(*found) @ prior.calibration).sigmoid()
