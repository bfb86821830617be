"""The modern preset: one plug-in prior per instrument, asked or searched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from soli.dsp.frames import analyse, synthesise
from soli.dsp.scale import USUAL_LEVEL, magnitude_planes
from soli.errors import SoliError
from soli.separator import Estimates
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

    def separate(self, mixture: Tensor, sample_rate: int) -> Estimates:
        """As of every separator; `info["deviations"]` flags estimates that are unlike solos of their instrument.

        Args:
            mixture: `[C T]` or `[B C T]`.
            sample_rate: in Hz.

        Returns:
            Estimates; the flag of each, from `deviations`, where its prior knows its solos' usual likelihood.
        """
        estimates = super().separate(mixture, sample_rate)
        found = self.deviations(estimates.stems)
        known = [index for index, prior in enumerate(self.priors) if prior.usual.tolist() != [0.0, 1.0]]
        estimates.info["deviations"] = {self.sources[index]: found.select(-2, index) for index in known}
        return estimates

    @torch.inference_mode()
    def deviations(self, stems: Tensor) -> Tensor:
        """How likely estimates are as solos, in deviations from what solos of their instrument usually are.

        Args:
            stems: `[... S C T]`, in the order of `sources`.

        Returns:
            `[... S W]`, between -20 and 5, for the windows of `presence`; shorter estimates are one window. NaN where
            an estimate is silent.
        """
        mono = stems.float().mean(dim=-2)
        padded = nn.functional.pad(mono, (0, max(0, self.window_samples - mono.shape[-1])))
        windows = padded.unfold(-1, self.window_samples, self.window_samples // 2)  # [... S W n]
        found = []
        for index, prior in enumerate(self.priors):
            own = windows.select(-3, index)
            spectrograms = analyse(own.flatten(0, -2), self.config.n_fft, self.config.hop_length)[:, :-1]
            scores = prior.score(self.bands(spectrograms.abs())).view(own.shape[:-1])
            surprise = prior.features(scores, torch.zeros_like(scores))[..., 1]
            found.append(surprise.where(own.abs().amax(dim=-1) > 0, torch.nan))
        return torch.stack(found, dim=-2)

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
        if self.config.engine != "extract":
            return self.explain(mixture)
        levelled, spectrogram = self._spectra(mixture)
        return self._shared_out(mixture, power_shares(self.masks(levelled, spectrogram)))

    @torch.inference_mode()
    def explain(self, mixture: Tensor, on_step: Callable[[Step], None] | None = None) -> Tensor:
        """Search the sources of mono mixtures, all of them at once: from the extractors, or from the priors' modes.

        Args:
            mixture: `[B T]`.
            on_step: as for `soli.systems.flowprior.search.search`; `heard` makes waveforms of `Step.magnitudes`.

        Returns:
            `[B S T]`.

        Raises:
            SoliError: for a single prior.
        """
        config = self.config
        if len(self.priors) == 1:
            raise SoliError(
                f"a search with the prior of {self.sources[0]!r} alone gives it the whole mixture;"
                " allowed: two priors or more, or one learned with a bank"
            )
        levelled, spectrogram = self._spectra(mixture)
        bands, flows = self._even_bands(spectrogram.abs()), [prior.flow for prior in self.priors]
        if config.engine == "hybrid":
            claimed = power_shares(self.masks(levelled, spectrogram)) * spectrogram.abs()[:, None]
            start = warm_start(self._even_bands(claimed), flows)
        else:
            start = cold_start(bands, len(flows))
        settings = SearchConfig(
            objective="map_z",
            prior_weight=config.prior_weight,
            iterations=config.iterations,
            learning_rate=config.learning_rate,
            tolerance=config.tolerance,
        )
        return self.heard(search_bands(flows, bands, start, settings, on_step), mixture)

    @torch.inference_mode()
    def heard(self, found: Tensor, mixture: Tensor) -> Tensor:
        """What sources with these bands take of a mixture; what none of them explains is nobody's.

        Args:
            found: bands of sources, `[B S K N]`, as in `Step.magnitudes`.
            mixture: `[B T]`.

        Returns:
            `[B S T]`.
        """
        magnitudes = self._spectra(mixture)[1].abs()
        explained = torch.maximum(found.sum(dim=1), self._even_bands(magnitudes)).clamp(min=1e-9)
        shares = self.bands.mask((found / explained[:, None])[..., : magnitudes.shape[1]])
        return self._shared_out(mixture, shares)

    def _spectra(self, mixture: Tensor) -> tuple[Tensor, Tensor]:
        """`[B T]` at the usual level and padded to whole hops, and its spectrogram `[B N F]`."""
        levelled = nn.functional.pad(_levelled(mixture), (0, -mixture.shape[-1] % self.config.hop_length))
        return levelled, analyse(levelled, self.config.n_fft, self.config.hop_length)

    def _even_bands(self, magnitudes: Tensor) -> Tensor:
        """`[... N F]` -> `[... K N']`, N' even."""
        return nn.functional.pad(self.bands(magnitudes), (0, magnitudes.shape[-2] % 2))

    def _shared_out(self, mixture: Tensor, shares: Tensor) -> Tensor:
        """`[B T]` and `[B S N F]` -> `[B S T]`."""
        config = self.config
        spectrogram = analyse(mixture, config.n_fft, config.hop_length)
        return synthesise(shares * spectrogram[:, None], config.n_fft, config.hop_length, mixture.shape[-1])


def _levelled(mixture: Tensor) -> Tensor:
    """`[B T]` at the usual level; silence stays silence."""
    level = mixture.square().mean(dim=-1, keepdim=True).sqrt() / USUAL_LEVEL
    return mixture / torch.where(level > 1e-6, level, 1.0)
