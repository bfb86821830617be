"""The modern preset: one plug-in prior per instrument, asked or searched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from soli.dsp.frames import analyse, synthesise
from soli.dsp.scale import USUAL_LEVEL, magnitude_planes
from soli.errors import SoliError
from soli.streaming import MonoSeparator
from soli.systems.flowprior.band_search import cold_start, search_bands, warm_start
from soli.systems.flowprior.bands import Bands
from soli.systems.flowprior.config import FlowPriorConfig
from soli.systems.flowprior.extractor import power_shares
from soli.systems.flowprior.presence import evidence, probability, window_frames
from soli.systems.flowprior.prior import Prior
from soli.systems.flowprior.search import SearchConfig, Step


class FlowPrior(MonoSeparator):
    """Instruments learned from solos alone, in any combination.

    Args:
        config: the instruments, and the size of each one's prior.
    """

    Config: ClassVar[type[FlowPriorConfig]] = FlowPriorConfig
    segment_seconds = 12.0
    context_seconds = 1.5

    def __init__(self, config: FlowPriorConfig) -> None:
        super().__init__()
        self.config, self.sources, self.sample_rate = config, config.sources, config.sample_rate
        self.priors: Sequence[Prior] = nn.ModuleList(Prior(config) for _ in config.sources)  # type: ignore[assignment]
        self.bands = Bands(config.sample_rate, config.n_fft, config.n_mels)

    def masks(self, mixture: Tensor, spectrogram: Tensor) -> Tensor:
        """What each extractor by itself claims.

        Args:
            mixture: `[B T]`, of usual level, T a multiple of the hop.
            spectrogram: of it, complex `[B N F]`.

        Returns:
            Between 0 and 1, `[B S N F]`.
        """
        planes = magnitude_planes(mixture, spectrogram, self.config.n_fft, self.config.hop_length)
        return torch.stack([prior.extractor(planes) for prior in self.priors], dim=1)

    @property
    def window_samples(self) -> int:
        """Samples of the windows that `presence` judges; they overlap by half."""
        return window_frames(self.sample_rate, self.config.hop_length) * self.config.hop_length

    @torch.inference_mode()
    def presence(self, mixture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Does each instrument sound in a window, and how likely is what its extractor makes of it?

        Args:
            mixture: mono, `[B T]`, at least a window; of what is left over at the end nothing is said.

        Returns:
            Probability, log-likelihood (nats for each band and frame) and share of the energy (dB), each `[B S W]`.

        Raises:
            SoliError: for a prior that was never calibrated.
        """
        config = self.config
        for name, prior in zip(self.sources, self.priors, strict=True):
            if not prior.calibrated:
                raise SoliError(f"the prior of {name!r} was never calibrated; allowed: priors learned with a bank")
        frames = window_frames(config.sample_rate, config.hop_length)
        n_samples = mixture.shape[-1] // config.hop_length * config.hop_length
        levelled = _levelled(mixture[..., :n_samples].float())
        spectrogram = analyse(levelled, config.n_fft, config.hop_length)
        magnitudes, masks = spectrogram.abs()[:, :-1], self.masks(levelled, spectrogram)[:, :, :-1]
        found = [
            evidence(prior, masks[:, index] * magnitudes, magnitudes, self.bands, frames)
            for index, prior in enumerate(self.priors)
        ]
        likely = [probability(prior, what) for prior, what in zip(self.priors, found, strict=True)]
        return (
            torch.stack(likely, dim=1),
            torch.stack([what.log_likelihood for what in found], dim=1),
            torch.stack([what.share_db for what in found], dim=1),
        )

    def _separate_mono(self, mixture: Tensor) -> Tensor:
        config, n_samples = self.config, mixture.shape[-1]
        levelled = nn.functional.pad(_levelled(mixture), (0, -n_samples % config.hop_length))
        spectrogram = analyse(levelled, config.n_fft, config.hop_length)
        if config.engine == "extract":
            shares = power_shares(self.masks(levelled, spectrogram))
        else:
            masks = self.masks(levelled, spectrogram) if config.engine == "hybrid" else None
            shares = self.searched(spectrogram.abs(), masks)
        spectrogram = analyse(mixture, config.n_fft, config.hop_length)
        return synthesise(shares * spectrogram[:, None], config.n_fft, config.hop_length, n_samples)

    def searched(
        self, magnitudes: Tensor, masks: Tensor | None = None, on_step: Callable[[Step], None] | None = None
    ) -> Tensor:
        """How the sources that a search finds share every bin.

        Args:
            magnitudes: of the mixture, `[B N F]`.
            masks: what the extractors claim, `[B S N F]`, to start from; None starts from the mode of every prior.
            on_step: as for `soli.systems.flowprior.search.search`.

        Returns:
            `[B S N F]`, with a sum over S of at most one: what no source explains is nobody's.

        Raises:
            SoliError: for a single prior.
        """
        config, n_frames = self.config, magnitudes.shape[1]
        if len(self.priors) == 1:
            raise SoliError(
                f"a search with the prior of {self.sources[0]!r} alone gives it the whole mixture;"
                " allowed: two priors or more, or one learned with a bank"
            )
        mixture = nn.functional.pad(self.bands(magnitudes), (0, n_frames % 2))
        flows = [prior.flow for prior in self.priors]
        if masks is None:
            start = cold_start(mixture, len(flows))
        else:
            claimed = power_shares(masks) * magnitudes[:, None]
            start = warm_start(nn.functional.pad(self.bands(claimed), (0, n_frames % 2)), flows)
        settings = SearchConfig(
            objective="map_z",
            prior_weight=config.prior_weight,
            iterations=config.iterations,
            learning_rate=config.learning_rate,
            tolerance=config.tolerance,
        )
        found = search_bands(flows, mixture, start, settings, on_step)
        explained = torch.maximum(found.sum(dim=1), mixture).clamp(min=1e-9)
        return self.bands.mask((found / explained[:, None])[..., :n_frames])


def _levelled(mixture: Tensor) -> Tensor:
    """`[B T]` at the usual level; silence stays silence."""
    level = mixture.square().mean(dim=-1, keepdim=True).sqrt() / USUAL_LEVEL
    return mixture / torch.where(level > 1e-6, level, 1.0)
