"""The system as published: a recurrent embedding network, a Gaussian for each class (sections 3 and 4.1).

Order of the signal: `MelFrontEnd.features` -> trunk -> `embed` -> E step -> `MelFrontEnd.synthesise`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from soli.nn.mel_frontend import MelFrontEnd
from soli.nn.recurrent import RecurrentStack, linear_head
from soli.separator import Estimates, Separator, check_waveform
from soli.systems.classcond.gaussians import AuxiliaryNet, Covariance, posteriors
from soli.systems.classcond.query import QueryMode, active_weights, query_mask


@dataclass(frozen=True, kw_only=True)
class ClassCondPaperConfig:
    """Paper preset; every default is the released code's.

    Attributes:
        sources: class names, in the order of the one-hot input.
        sample_rate: in Hz.
        n_fft: window in samples, 46 ms.
        hop_length: in samples, 12 ms.
        n_mels: bands.
        hidden_size: LSTM units in each direction.
        n_layers: LSTM layers.
        dropout: between LSTM layers.
        embedding_size: D.
        covariance: which variances are shared; tied spherical is the paper's best.
    """

    sources: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    sample_rate: int = 44100
    n_fft: int = 2048
    hop_length: int = 512
    n_mels: int = 300
    hidden_size: int = 300
    n_layers: int = 4
    dropout: float = 0.3
    embedding_size: int = 15
    covariance: Covariance = "spherical_tied"


class ClassCondPaper(Separator):
    """Class-conditional embeddings, each channel on its own.

    The levels are whitened over all that is given, in the paper a whole track. When a long
    file is streamed that is a segment, hence the long one.

    Args:
        config: sizes and covariance.
    """

    Config: ClassVar[type[ClassCondPaperConfig]] = ClassCondPaperConfig
    segment_seconds = 30.0
    context_seconds = 3.0

    def __init__(self, config: ClassCondPaperConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = config.sample_rate
        self.sources = config.sources
        self.front_end = MelFrontEnd(config.sample_rate, config.n_fft, config.hop_length, config.n_mels)
        # The trunk is drawn first: with one seed, every variant and the baseline start from the same one.
        self.trunk = RecurrentStack(config.n_mels, config.hidden_size, config.n_layers, config.dropout)
        self.head = linear_head(self.trunk.output_size, config.n_mels * config.embedding_size)
        self.auxiliary = AuxiliaryNet(len(config.sources), config.embedding_size, config.covariance)

    def embed(self, magnitude: Tensor) -> Tensor:
        """Embed every mel bin of every frame (eq. 1): no activation, no normalisation.

        Args:
            magnitude: linear-frequency magnitudes `[B N F]`, each item whitened on its own.

        Returns:
            `[B N K D]`.
        """
        hidden = self.trunk(self.front_end.features(magnitude))
        return self.head(hidden).unflatten(-1, (self.config.n_mels, self.config.embedding_size))

    def mel_masks(self, embedding: Tensor) -> Tensor:
        """Posteriors of the classes (eq. 5).

        Args:
            embedding: `[B N K D]`.

        Returns:
            `[B S N K]`, sums to one over S.
        """
        return posteriors(embedding, *self.auxiliary()).movedim(-1, 1)

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        """`[B C T]` -> `[B S C T]`; one item at a time keeps the memory of a long track down."""
        return torch.stack([self._separate_channels(item) for item in mixture])

    def _separate_channels(self, channels: Tensor) -> Tensor:
        """`[C T]` -> `[S C T]`; the channels are the batch, so none knows of another."""
        spectrogram = self.front_end.spectrogram(channels.float())
        masks = self.mel_masks(self.embed(spectrogram.abs()))
        return self.front_end.synthesise(masks, spectrogram, channels.shape[-1]).transpose(0, 1)

    @torch.inference_mode()
    def query(
        self,
        mixture: Tensor,
        example: Tensor,
        sample_rate: int,
        mode: QueryMode = "likelihood",
        temperature: float = 1.0,
    ) -> Estimates:
        """Extract what sounds like an isolated example (section 4.3).

        Args:
            mixture: `[C T]`, or `[B C T]` for a batch.
            example: `[C T]`, any number of channels and samples; mixed down to mono.
            sample_rate: of both, in Hz.
            mode: `likelihood` is the paper's; `posterior` lets the example compete with the classes.
            temperature: above one widens the mask.

        Returns:
            Estimates with one source, `match`.

        Raises:
            SoliError: for wrong input, an unknown mode or a silent example.
        """
        check_waveform(mixture, sample_rate, self.sample_rate)
        check_waveform(example, sample_rate, self.sample_rate)
        magnitude = self.front_end.spectrogram(example.float().flatten(0, -2).mean(dim=0, keepdim=True)).abs()
        weights = active_weights(self.front_end.project(magnitude))
        embedded_example, classes = self.embed(magnitude), self.auxiliary()
        matches = []
        for channels in mixture.reshape(-1, *mixture.shape[-2:]):
            spectrogram = self.front_end.spectrogram(channels.float())
            embedding = self.embed(spectrogram.abs())
            mask = query_mask(embedding, embedded_example, weights, classes, mode, temperature)
            matches.append(self.front_end.synthesise(mask[:, None], spectrogram, channels.shape[-1]))  # [C 1 T]
        stems = torch.stack(matches).transpose(1, 2).reshape(*mixture.shape[:-2], 1, *mixture.shape[-2:])
        return Estimates(
            stems.to(mixture.dtype), sources=("match",), sample_rate=sample_rate, mixture=mixture, info={"mode": mode}
        )
