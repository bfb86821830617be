"""The modern preset as a separator: by class, and by example."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

import torch
from torch import Tensor

from soli.dsp.frames import analyse, synthesise
from soli.separator import Estimates, Separator, check_waveform
from soli.systems.classcond.config import ClassCondConfig
from soli.systems.classcond.network import EmbeddingNetwork
from soli.systems.classcond.query import QueryMode, active_weights, mask_function
from soli.systems.classcond.spatial import spatial_filter


class ClassCond(Separator):
    """Class-conditional Gaussians over a band-split embedding, modern preset.

    Args:
        config: of the network.
    """

    Config: ClassVar[type[ClassCondConfig]] = ClassCondConfig
    segment_seconds = 48.0

    def __init__(self, config: ClassCondConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = config.sample_rate
        self.sources = config.sources
        self.context_seconds = config.context_seconds
        self.network = EmbeddingNetwork(config)

    def transform(self, waveform: Tensor) -> Tensor:
        """Spectrogram in the layout the network works on.

        Args:
            waveform: `[... T]`.

        Returns:
            Complex `[... N F]`.
        """
        return analyse(waveform, self.config.n_fft, self.config.hop_length)

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        """`[B C T]` -> `[B S C T]`; channels are taken in stereo pairs, a single one as both sides."""
        pairs = mixture.split(2, dim=1)
        return torch.cat([self._separate_pair(pair) for pair in pairs], dim=2)

    def _separate_pair(self, mixture: Tensor) -> Tensor:
        config, spectrogram = self.config, self._stereo(mixture.float())
        estimates = self.network(spectrogram).estimates
        if config.spatial_frames:
            estimates = spatial_filter(estimates, spectrogram, n_frames=config.spatial_frames)
        stems = synthesise(estimates, config.n_fft, config.hop_length, mixture.shape[-1])
        return stems if mixture.shape[1] == 2 else stems.mean(dim=2, keepdim=True)

    @torch.inference_mode()
    def query(
        self,
        mixture: Tensor,
        example: Tensor,
        sample_rate: int,
        mode: QueryMode = "posterior",
        temperature: float | None = None,
    ) -> Estimates:
        """Extract what sounds like an isolated example (section 4.3).

        Args:
            mixture: `[C T]`, or `[B C T]` for a batch.
            example: `[C T]`, any number of channels and samples.
            sample_rate: of both, in Hz.
            mode: `posterior` lets the example compete with the classes; `likelihood` is the paper's.
            temperature: above one widens the mask; by default 4 for `posterior` and D / 2 for `likelihood`, where a
                typical bin of the right source lies that many nats below the peak.

        Returns:
            Estimates with one source, `match`.

        Raises:
            SoliError: for wrong input, an unknown mode or a silent example.
        """
        check_waveform(mixture, sample_rate, self.sample_rate)
        check_waveform(example, sample_rate, self.sample_rate)
        heard = self._stereo(example.reshape(1, -1, example.shape[-1])[:, :2].float())
        weights = active_weights(_magnitude(heard))
        embedded = torch.cat(list(self._embeddings(heard)), dim=1)
        if temperature is None:
            temperature = 4.0 if mode == "posterior" else self.config.embedding_size / 2
        mask = mask_function(embedded, weights, self.network.auxiliary(), mode, temperature)
        batch = mixture if mixture.ndim == 3 else mixture[None]
        matches = [self._match(pair, mask) for item in batch for pair in item[None].split(2, dim=1)]
        n_pairs = -(-batch.shape[1] // 2)
        rows = [torch.cat(matches[i : i + n_pairs], dim=1) for i in range(0, len(matches), n_pairs)]
        stems = torch.cat(rows)[:, None]  # [B 1 C T]
        stems = stems if mixture.ndim == 3 else stems[0]
        return Estimates(
            stems.to(mixture.dtype), sources=("match",), sample_rate=sample_rate, mixture=mixture, info={"mode": mode}
        )

    def _match(self, pair: Tensor, mask: Callable[[Iterable[Tensor]], list[Tensor]]) -> Tensor:
        """`[1 c T]` -> `[1 c T]`."""
        spectrogram = self._stereo(pair.float())
        plane = torch.cat(mask(self._embeddings(spectrogram)), dim=1)  # [1 N F-1]
        plane = torch.cat((plane, plane[..., -1:]), dim=-1)[:, None]
        config = self.config
        match = synthesise(plane * spectrogram, config.n_fft, config.hop_length, pair.shape[-1])
        return match if pair.shape[1] == 2 else match.mean(dim=1, keepdim=True)

    def _stereo(self, waveform: Tensor) -> Tensor:
        """Spectrogram of a pair of channels, or of one channel as both sides."""
        return self.transform(waveform.expand(-1, 2, -1))

    def _embeddings(self, spectrogram: Tensor) -> Iterator[Tensor]:
        """`[1 2 N F]` -> pieces `[1 n F-1 D]`, each computed with its context, so that long songs fit in memory."""
        rate = self.config.sample_rate / self.config.hop_length
        context = -(-round(self.context_seconds * rate) // self.config.frame_multiple) * self.config.frame_multiple
        step = round(self.segment_seconds * rate) // self.config.frame_multiple * self.config.frame_multiple
        for start in range(0, spectrogram.shape[2], step):
            first = max(start - context, 0)
            piece = spectrogram[:, :, first : start + step + context]
            embedding, _ = self.network.embedding(piece)
            yield embedding[:, :, start - first : start - first + step].movedim(1, -1)


def _magnitude(spectrogram: Tensor) -> Tensor:
    """`[1 2 N F]` -> `[1 N F-1]`: both channels together, without the Nyquist bin."""
    return spectrogram[..., :-1].abs().mean(dim=1)
