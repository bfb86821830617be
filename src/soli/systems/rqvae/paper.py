"""The system as released: a waveform autoencoder with residual codes in its middle and skips around them.

Order of the signal: `StridedEncoder` -> `RecurrentLatents` -> bottleneck -> `RecurrentLatents` -> `StridedDecoder`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.errors import SoliError
from soli.nn.quantize import Learning
from soli.nn.strided import RecurrentLatents, StridedDecoder, StridedEncoder
from soli.systems.rqvae.bottleneck import GaussianBottleneck, StemQuantizer
from soli.systems.rqvae.codec import CodecSeparator


@dataclass(frozen=True, kw_only=True)
class RQVAEPaperConfig:
    """Paper preset; every default is the released code's.

    Attributes:
        sources: in the order of the outputs.
        sample_rate: in Hz.
        n_channels: after the first convolution; every stride doubles it.
        strides: of the encoder; the text's are 5, 5, 5, 3.
        n_layers: LSTM layers, on either side of the bottleneck.
        dropout: after every activation and between LSTM layers.
        bottleneck: `rq`, or `vae` for the ablation with a Gaussian.
        n_codebooks: levels; 1 is the ablation with plain vector quantisation.
        codebook_size: entries of each level.
        learning: how the entries learn; the released code's are moved by the gradient.
        skips: whether the encoder's activations go round the bottleneck.
        partial_stems: whether stems already known are inputs too.
        level: what the waveform is divided by, the standard deviation of a stem.
    """

    sources: tuple[str, ...] = ("bass", "drums", "guitar", "piano")
    sample_rate: int = 22050
    n_channels: int = 16
    strides: tuple[int, ...] = (5, 5, 4, 2)
    n_layers: int = 2
    dropout: float = 0.1
    bottleneck: Literal["rq", "vae"] = "rq"
    n_codebooks: int = 12
    codebook_size: int = 4096
    learning: Learning = "ema"
    skips: bool = True
    partial_stems: bool = False
    level: float = 0.072

    @property
    def hop_length(self) -> int:
        """Samples for each latent."""
        return math.prod(self.strides)

    @property
    def samples_per_latent(self) -> int:
        """The same, by the modern preset's name."""
        return self.hop_length

    @property
    def bits_per_second(self) -> float:
        """Of the codes, which stand for all sources."""
        bits = (self.codebook_size - 1).bit_length()
        return self.sample_rate / self.hop_length * self.n_codebooks * bits

    @property
    def n_features(self) -> int:
        """Width of the latents."""
        return self.n_channels * 2 ** len(self.strides)


class Encoded(NamedTuple):
    """What the encoder makes of a mixture.

    Attributes:
        latents: `[B 1 D N]`.
        skips: what each block gave, from the waveform inwards; None where the model has none.
    """

    latents: Tensor
    skips: list[Tensor] | None


class RQVAEPaper(CodecSeparator):
    """Residual-quantised autoencoder, paper preset.

    Args:
        config: sizes and ablations.
    """

    Config: ClassVar[type[RQVAEPaperConfig]] = RQVAEPaperConfig
    segment_seconds = 12.0
    context_seconds = 1.0

    def __init__(self, config: RQVAEPaperConfig) -> None:
        super().__init__()
        self.config, self.sources, self.sample_rate = config, config.sources, config.sample_rate
        n_stems, width = len(config.sources), config.n_features
        shape = (config.n_channels, config.strides, config.dropout)
        self.encoder = StridedEncoder(1 + n_stems * config.partial_stems, *shape)
        self.before = RecurrentLatents(width, config.n_layers, config.dropout)
        self.bottleneck = _bottleneck(config)
        self.after = RecurrentLatents(width, config.n_layers, config.dropout)
        self.decoder = StridedDecoder(n_stems, *shape)

    @property
    def n_codebooks(self) -> int:
        """K, levels of codes; 0 for the ablation without codes."""
        return 0 if self.config.bottleneck == "vae" else self.config.n_codebooks

    def encode_waveforms(self, mixture: Tensor, known: Tensor | None = None) -> Encoded:
        """Latents and skips, before the bottleneck.

        Args:
            mixture: `[B T]`, T a multiple of `config.hop_length`.
            known: stems `[B S T]` already known and zeros for the others; None if none is.

        Returns:
            See `Encoded`.

        Raises:
            SoliError: for known stems that this model was not built to take.
        """
        inputs = mixture[:, None] / self.config.level
        if self.config.partial_stems:
            stems = mixture.new_zeros(len(mixture), len(self.sources), mixture.shape[-1]) if known is None else known
            inputs = torch.cat((inputs, stems / self.config.level), dim=1)
        elif known is not None:
            raise SoliError("known stems need a model with partial_stems = true")
        skips = self.encoder(inputs)
        return Encoded(self.before(skips[-1])[:, None], skips if self.config.skips else None)

    def decode_latents(self, latents: Tensor, skips: list[Tensor] | None) -> Tensor:
        """Stems from what passed the bottleneck.

        Args:
            latents: `[B 1 D N]`.
            skips: of the same mixture; None decodes the latents alone.

        Returns:
            `[B S T]`.
        """
        return self.decoder(self.after(latents[:, 0]), skips).float() * self.config.level

    def estimate(self, mixture: Tensor, known: Tensor | None = None) -> Tensor:
        """Stems of mono mixtures of any length, given those already known.

        Args:
            mixture: `[B T]`.
            known: `[B S T]`, zeros where unknown; see `encode_waveforms`.

        Returns:
            `[B S T]`.
        """
        n_samples = mixture.shape[-1]
        encoded = self.encode_waveforms(self._pad(mixture), None if known is None else self._pad(known))
        return self.decode_latents(self.bottleneck(encoded.latents).latents, encoded.skips)[..., :n_samples]

    def _separate_mono(self, mixture: Tensor) -> Tensor:
        return self.estimate(mixture)

    def _encode_mono(self, mixture: Tensor) -> Tensor:
        return self.bottleneck.encode(self.encode_waveforms(self._pad(mixture)).latents)

    def _decode_mono(self, codes: Tensor) -> Tensor:
        return self.decode_latents(self.bottleneck.decode(codes), None)

    def _pad(self, waveform: Tensor) -> Tensor:
        return F.pad(waveform, (0, -waveform.shape[-1] % self.config.hop_length))


def _bottleneck(config: RQVAEPaperConfig) -> StemQuantizer | GaussianBottleneck:
    if config.bottleneck == "vae":
        return GaussianBottleneck(config.n_features)
    return StemQuantizer(
        1, config.n_codebooks, config.codebook_size, config.n_features, learning=config.learning, dropout=0.0
    )
