"""The modern preset as a separator: by class, and by example."""

from __future__ import annotations

import torch
from torch import Tensor

from soli.dsp.frames import analyse, synthesise
from soli.separator import Separator
from soli.systems.classcond.config import ClassCondConfig
from soli.systems.classcond.network import EmbeddingNetwork


class ClassCond(Separator):
    """Class-conditional Gaussians over a band-split embedding, modern preset.

    Args:
        config: of the network.
    """

    Config = ClassCondConfig
    segment_seconds = 16.0

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
        stereo = mixture.float().expand(-1, 2, -1)
        estimates = self.network(self.transform(stereo)).estimates
        config = self.config
        stems = synthesise(estimates, config.n_fft, config.hop_length, mixture.shape[-1])
        return stems if mixture.shape[1] == 2 else stems.mean(dim=2, keepdim=True)

