"""What the modern preset learns from: some items of a batch are separated with skips, the others decoded from codes."""

from __future__ import annotations

import torch
from torch import Tensor

from soli.losses import Task, magnitude_distance
from soli.systems.rqvae import subsets
from soli.systems.rqvae.codebook_start import CodebookStart
from soli.systems.rqvae.losses import relative_error, separation_error
from soli.systems.rqvae.separator import RQVAE


class RQVAETask(Task[RQVAE]):
    """Losses of the modern preset.

    Args:
        separator: to train.
        codec_fraction: of the items of a batch whose skips are dropped; of two items or more, at least one is decoded
            with and one without skips.
        subset_probability: that an item keeps only a random subset of its stems, all of them equally likely.
        decibels: whether the waveform error of separated stems is a logarithm, to which quiet sources and silent ones
            count as loud ones do; else it is an energy relative to the mixture's.
        magnitude_weight: of the magnitudes of separated stems at the codec's resolutions.
        floor_db: error below which a source has nothing more to gain.
        piece_seconds: length of the pieces on which it is measured.
        codec_error_weight: of the waveform error of stems decoded from codes.
        codec_magnitude_weight: of their magnitudes at several resolutions.
        codec_windows: those resolutions, in samples.
        commitment_weight: of the terms that pull the latents.
        codebook_weight: of the term that pulls the entries, where they learn by gradient.
        start_after: steps before the codebooks start by k-means.
        vectors_per_code: latents the k-means sees for each entry.
        kmeans_iterations: at most.
    """

    def __init__(
        self,
        separator: RQVAE,
        *,
        codec_fraction: float = 0.34,
        subset_probability: float = 0.15,
        decibels: bool = True,
        magnitude_weight: float = 0.0,
        floor_db: float = -30.0,
        piece_seconds: float = 4.0,
        codec_error_weight: float = 0.25,
        codec_magnitude_weight: float = 5.0,
        codec_windows: tuple[int, ...] | list[int] = (256, 1024),
        commitment_weight: float = 0.25,
        codebook_weight: float = 1.0,
        start_after: int = 100,
        vectors_per_code: int = 8,
        kmeans_iterations: int = 20,
    ) -> None:
        super().__init__()
        self.separator = separator
        self.codec_fraction, self.subset_probability = codec_fraction, subset_probability
        self.decibels, self.magnitude_weight = decibels, magnitude_weight
        self.error = {"floor_db": floor_db, "n_samples": round(piece_seconds * separator.sample_rate)}
        self.codec_error_weight, self.codec_magnitude_weight = codec_error_weight, codec_magnitude_weight
        self.codec_windows = tuple(codec_windows)
        self.weights = {"commitment": commitment_weight, "codebook": codebook_weight}
        self.start = CodebookStart(
            separator.network.quantizer,
            vectors_per_code=vectors_per_code,
            after=start_after,
            n_iterations=kmeans_iterations,
        )

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Terms whose sum is minimised.

        Args:
            stems: `[B S C T]`, in the order of `separator.sources`; mixed down to mono.

        Returns:
            `error`, and `magnitude` if it has a weight, of the items separated with skips; `codec_error` and
            `codec_magnitude` of those decoded from codes alone; `commitment`, and `codebook` if entries learn by
            gradient.
        """
        network = self.separator.network
        n_items, n_stems = stems.shape[:2]
        mono = stems.mean(dim=2) * subsets.sounding(n_items, n_stems, stems.device, probability=self.subset_probability)
        known = mono * subsets.known(n_items, n_stems, stems.device) if network.config.partial_stems else None
        encoded = network.encode(mono.sum(dim=1), known)
        if self.training:
            self.start.observe(network.quantizer, encoded.latents.detach())
        passed = network.quantizer(encoded.latents)
        n_codec = self._n_codec(len(mono))
        kept = (torch.arange(len(mono), device=stems.device) >= n_codec).float()
        features = network.decode(passed.latents, encoded, kept)
        losses = {name: self.weights[name] * value for name, value in passed.losses.items()}
        if n_codec < len(mono):
            estimates = network.masked(features[n_codec:], encoded.spectrogram[n_codec:], encoded.phases[n_codec:])
            losses |= self._separation(mono[n_codec:], estimates)
        if n_codec:
            losses |= self._codec(mono[:n_codec], network.painted(features[:n_codec]))
        return losses

    def _separation(self, stems: Tensor, estimates: Tensor) -> dict[str, Tensor]:
        """Of stems `[B S T]` and complex estimates `[B S N F]`."""
        with torch.autocast(stems.device.type, enabled=False):
            waveforms = self.separator.waveforms(estimates, stems.shape[-1])
            if self.decibels:
                losses = {"error": separation_error(stems, waveforms, **self.error)}
            else:
                losses = {"error": relative_error(stems, waveforms)}
            if self.magnitude_weight:
                distance = magnitude_distance(stems, waveforms, self.codec_windows)
                losses["magnitude"] = self.magnitude_weight * distance
            return losses

    def _codec(self, stems: Tensor, painted: Tensor) -> dict[str, Tensor]:
        """Of stems `[B S T]` and complex compressed spectrograms `[B S N F]`."""
        network = self.separator.network
        with torch.autocast(stems.device.type, enabled=False):
            waveforms = self.separator.waveforms(network.expand(painted), stems.shape[-1])
            magnitudes = magnitude_distance(stems, waveforms, self.codec_windows)
            return {
                "codec_error": self.codec_error_weight * separation_error(stems, waveforms, **self.error),
                "codec_magnitude": self.codec_magnitude_weight * magnitudes,
            }

    def _n_codec(self, n_items: int) -> int:
        """How many items of a batch are decoded from codes alone."""
        if n_items == 1:
            return int(torch.rand(()) < self.codec_fraction)
        if self.codec_fraction in (0.0, 1.0):
            return round(self.codec_fraction * n_items)
        return min(max(round(self.codec_fraction * n_items), 1), n_items - 1)
