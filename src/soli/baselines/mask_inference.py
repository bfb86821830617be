"""Mask inference: the recurrent trunk of class-conditional embeddings with sigmoid masks.

The baseline of Seetharaman et al. 2018 (arXiv 1811.03076, section 4.1).

What it lacks against `systems.classcond.paper` is the embedding: no competition between the
classes, no bottleneck that all bands share, no deep clustering.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from soli.nn.mel_frontend import MelFrontEnd
from soli.nn.recurrent import RecurrentStack, linear_head
from soli.separator import Separator


@dataclass(frozen=True, kw_only=True)
class MaskInferenceConfig:
    """Sizes of the baseline; every default is the released code's.

    Attributes:
        sources: class names, one mask for each.
        sample_rate: in Hz.
        n_fft: window in samples, 46 ms.
        hop_length: in samples, 12 ms.
        n_mels: bands.
        hidden_size: LSTM units in each direction.
        n_layers: LSTM layers.
        dropout: between LSTM layers.
    """

    sources: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    sample_rate: int = 44100
    n_fft: int = 2048
    hop_length: int = 512
    n_mels: int = 300
    hidden_size: int = 300
    n_layers: int = 4
    dropout: float = 0.3


class MaskInference(Separator):
    """One sigmoid mask for each class in every mel bin, each channel on its own.

    Args:
        config: sizes.
    """

    Config: ClassVar[type[MaskInferenceConfig]] = MaskInferenceConfig
    segment_seconds = 30.0  # levels are whitened over all that is given, in the paper a whole track
    context_seconds = 3.0

    def __init__(self, config: MaskInferenceConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = config.sample_rate
        self.sources = config.sources
        self.front_end = MelFrontEnd(config.sample_rate, config.n_fft, config.hop_length, config.n_mels)
        # The trunk is drawn first: with one seed it starts like the embedding network's.
        self.trunk = RecurrentStack(config.n_mels, config.hidden_size, config.n_layers, config.dropout)
        self.head = linear_head(self.trunk.output_size, len(config.sources) * config.n_mels)

    def mel_masks(self, magnitude: Tensor) -> Tensor:
        """Masks in mel bands.

        Args:
            magnitude: linear-frequency magnitudes `[B N F]`, each item whitened on its own.

        Returns:
            `[B S N K]`, each between 0 and 1.
        """
        hidden = self.trunk(self.front_end.features(magnitude))
        masks = self.head(hidden).sigmoid()
        return masks.unflatten(-1, (len(self.sources), self.config.n_mels)).transpose(1, 2)

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        """`[B C T]` -> `[B S C T]`; one item at a time keeps the memory of a long track down."""
        return torch.stack([self._separate_channels(item) for item in mixture])

    def _separate_channels(self, channels: Tensor) -> Tensor:
        """`[C T]` -> `[S C T]`; the channels are the batch, so none knows of another."""
        spectrogram = self.front_end.spectrogram(channels.float())
        masks = self.mel_masks(spectrogram.abs())
        return self.front_end.synthesise(masks, spectrogram, channels.shape[-1]).transpose(0, 1)
