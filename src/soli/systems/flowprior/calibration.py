"""How likely solos of each instrument usually are, and how much evidence makes a presence, from held-out stems."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from soli.dsp.frames import analyse
from soli.dsp.scale import USUAL_LEVEL
from soli.systems.flowprior.presence import evidence, fit_logistic, usual_likelihood, window_frames
from soli.systems.flowprior.separator import FlowPrior

_PRESENT_DB, _ABSENT_DB = -25.0, -50.0  # of the mixture's energy in the same window; nothing is learned in between


@torch.no_grad()
def calibrate(separator: FlowPrior, batches: Iterable[Tensor]) -> None:
    """Set `usual` and `calibration` of every prior.

    Args:
        separator: in evaluation mode; its weights stay, the two buffers of each prior change.
        batches: of stems `[B S C T]`, of its sources and then of whatever else sounds; none of it heard in training.
    """
    config = separator.config
    frames = window_frames(config.sample_rate, config.hop_length)
    solo: list[list[Tensor]] = [[] for _ in config.sources]
    mixed: list[list[tuple[Tensor, Tensor, Tensor]]] = [[] for _ in config.sources]
    for stems in batches:
        mono = stems.mean(dim=2).float()
        mono = mono[..., : mono.shape[-1] // config.hop_length * config.hop_length]
        level = mono.sum(dim=1).square().mean(dim=-1).sqrt().clamp(min=1e-6) / USUAL_LEVEL
        mono = mono / level[:, None, None]
        mixture = analyse(mono.sum(dim=1), config.n_fft, config.hop_length)
        masks = separator.masks(mono.sum(dim=1), mixture)
        for index, prior in enumerate(separator.priors):
            true = analyse(mono[:, index], config.n_fft, config.hop_length).abs()
            alone = evidence(prior, true, mixture.abs(), separator.bands, frames)
            guess = evidence(prior, masks[:, index] * mixture.abs(), mixture.abs(), separator.bands, frames)
            solo[index].append(alone.log_likelihood[alone.share_db > _PRESENT_DB])
            sure = (alone.share_db > _PRESENT_DB) | (alone.share_db < _ABSENT_DB)
            present = alone.share_db > _PRESENT_DB
            mixed[index].append((guess.log_likelihood[sure], guess.share_db[sure], present[sure]))
    for prior, alone, pieces in zip(separator.priors, solo, mixed, strict=True):
        prior.usual.copy_(usual_likelihood(torch.cat(alone)))
        likelihood, share, present = (torch.cat(part) for part in zip(*pieces, strict=True))
        if present.any() and not present.all():
            features = prior.features(likelihood, share)
            prior.calibration.copy_(fit_logistic(features, present))
