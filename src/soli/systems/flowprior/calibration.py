"""How likely solos of each instrument usually are, and how much evidence makes a presence, from held-out stems."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from soli.dsp.frames import analyse
from soli.dsp.scale import USUAL_LEVEL
from soli.errors import SoliError
from soli.systems.flowprior.config import FlowPriorConfig
from soli.systems.flowprior.presence import (
    ABSENT_DB,
    PRESENT_DB,
    evidence,
    fit_logistic,
    usual_likelihood,
    window_energies,
    window_frames,
)
from soli.systems.flowprior.prior import Prior
from soli.systems.flowprior.separator import FlowPrior

_SILENT = 1e-6  # energy of a window relative to the loudest one of its mixture


def check_length(config: FlowPriorConfig, seconds: float) -> None:
    """Refuse mixtures in which no window finds room, before anything is learned from them.

    Args:
        config: of the separator.
        seconds: length of the mixtures.

    Raises:
        SoliError: for mixtures that are too short.
    """
    needed = window_frames(config.sample_rate, config.hop_length) * config.hop_length
    if round(seconds * config.sample_rate) < needed:
        shortest = needed / config.sample_rate
        raise SoliError(f"mixing.segment_seconds = {seconds:g}; allowed: at least {shortest:.3f}, a window of presence")


@torch.no_grad()
def calibrate(separator: FlowPrior, batches: Iterable[Tensor]) -> None:
    """Set `usual` and `calibration` of every prior; one whose stems say too little keeps what it has.

    Args:
        separator: in evaluation mode; its weights stay, the buffers of each prior change.
        batches: of stems `[B S C T]`, of its sources and then of whatever else sounds, at least a window long; none of
            it heard in training.
    """
    device = separator.priors[0].usual.device
    seen: list[list[Tensor]] = [[] for _ in separator.sources]
    for stems in batches:
        for rows, row in zip(seen, _rows(separator, stems.to(device)), strict=True):
            rows.append(row)
    for prior, rows in zip(separator.priors, seen, strict=True):
        if rows:
            _fit(prior, *torch.cat(rows).T)


def _rows(separator: FlowPrior, stems: Tensor) -> list[Tensor]:
    """For each source what is known of every window in which anything sounds, `[W 4]`.

    That is the likelihood of the true stem, its share of the window in dB, and the evidence in the extractor's guess.
    """
    config = separator.config
    frames = window_frames(config.sample_rate, config.hop_length)
    mono = stems.mean(dim=2).float()
    mono = mono[..., : mono.shape[-1] // config.hop_length * config.hop_length]
    level = mono.sum(dim=1).square().mean(dim=-1).sqrt().clamp(min=1e-6) / USUAL_LEVEL
    mono = mono / level[:, None, None]
    mixture = analyse(mono.sum(dim=1), config.n_fft, config.hop_length)
    masks, magnitudes = separator.masks(mono.sum(dim=1), mixture), mixture.abs()
    energy = window_energies(magnitudes, frames)
    heard = energy > _SILENT * energy.amax(dim=1, keepdim=True)
    rows = []
    for index, prior in enumerate(separator.priors):
        true = analyse(mono[:, index], config.n_fft, config.hop_length).abs()
        likelihood = evidence(prior, true, magnitudes, separator.bands, frames).log_likelihood
        share_db = 10 * torch.log10(window_energies(true, frames) / energy.clamp(min=1e-9) + 1e-9)
        guess = evidence(prior, masks[:, index] * magnitudes, magnitudes, separator.bands, frames)
        rows.append(torch.stack((likelihood, share_db, *guess), dim=-1)[heard])
    return rows


def _fit(prior: Prior, likelihood: Tensor, share_db: Tensor, guessed: Tensor, guessed_db: Tensor) -> None:
    """Set the buffers of one prior from its windows, each argument `[W]`."""
    present, absent = share_db > PRESENT_DB, share_db < ABSENT_DB
    if present.sum() < 2:
        return
    prior.usual.copy_(usual_likelihood(likelihood[present]))
    if absent.any():
        sure = present | absent
        features = prior.features(guessed[sure], guessed_db[sure])
        prior.calibration.copy_(fit_logistic(features, present[sure]))
        prior.calibrated.fill_(True)
