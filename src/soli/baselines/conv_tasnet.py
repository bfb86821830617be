"""Conv-TasNet (Luo and Mesgarani 2019) for music: masks on a learned transform of the waveform.

Sizes are those of Défossez et al. 2019 (arXiv 1911.13254) for stereo at 44.1 kHz: ten dilations in a repeat, masks by
ReLU, no skip connections beside the residual ones. Departure: the last partial frame is filled up with zeros and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.baselines.stereo import in_pairs
from soli.separator import Separator

CHANNELS = 2


@dataclass(frozen=True, kw_only=True)
class ConvTasNetConfig:
    """Sizes of the network; letters are the paper's (table I).

    Attributes:
        sources: names.
        sample_rate: in Hz.
        n_filters: of the transform, N.
        filter_length: in samples, even; frames are half of it apart, L.
        bottleneck: features between the blocks, B.
        hidden: features within a block, H.
        kernel: of the depthwise convolutions, odd, P.
        n_dilations: blocks in a repeat, each reaching twice as far as the one before, X.
        n_repeats: R.
    """

    sources: tuple[str, ...] = ("drums", "bass", "other", "vocals")
    sample_rate: int = 44100
    n_filters: int = 256
    filter_length: int = 20
    bottleneck: int = 256
    hidden: int = 512
    kernel: int = 3
    n_dilations: int = 10
    n_repeats: int = 4


class ConvTasNet(Separator):
    """Encoder, masks by dilated convolutions, decoder.

    Args:
        config: sizes.
    """

    Config: ClassVar[type[ConvTasNetConfig]] = ConvTasNetConfig
    segment_seconds = 8.0  # its norms look at all they are given; longer segments are unlike those it was trained on

    def __init__(self, config: ConvTasNetConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate, self.sources = config.sample_rate, config.sources
        length, n_filters, width = config.filter_length, config.n_filters, config.bottleneck
        self.hop = length // 2
        self.encoder = nn.Conv1d(CHANNELS, n_filters, length, self.hop, bias=False)
        self.norm = nn.LayerNorm(n_filters, eps=1e-8)
        self.narrow = nn.Conv1d(n_filters, width, 1, bias=False)
        dilations = [2**power for power in range(config.n_dilations)] * config.n_repeats
        self.blocks = nn.Sequential(*(Block(width, config.hidden, config.kernel, step) for step in dilations))
        self.masks = nn.Conv1d(width, len(config.sources) * n_filters, 1, bias=False)
        self.decoder = nn.ConvTranspose1d(n_filters, CHANNELS, length, self.hop, bias=False)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_normal_(parameter)
        nn.init.xavier_normal_(self.decoder.weight.view(n_filters, -1))  # a dense layer for each frame
        reach = sum(dilations) * (config.kernel // 2) + 2
        self.context_seconds = reach * self.hop / config.sample_rate

    def forward(self, mixture: Tensor) -> Tensor:
        """`[B 2 T]` -> `[B S 2 T]`."""
        batch, _, n_samples = mixture.shape
        length = self.config.filter_length
        missing = length - n_samples if n_samples < length else -(n_samples - length) % self.hop
        encoded = self.encoder(F.pad(mixture, (0, missing))).relu()  # [B N K]
        x = self.norm(encoded.transpose(1, 2)).transpose(1, 2)
        masks = self.masks(self.blocks(self.narrow(x))).relu().view(batch, len(self.sources), *encoded.shape[1:])
        decoded = self.decoder((masks * encoded[:, None]).flatten(0, 1))  # [BS 2 T]
        return decoded.unflatten(0, (batch, -1))[..., :n_samples]

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        """`[B C T]` -> `[B S C T]`."""
        return in_pairs(self, mixture.float())


class Block(nn.Module):
    """Widen, look around, narrow, and add to what came in (figure 1C).

    Args:
        width: features in and out.
        hidden: features within.
        kernel: of the depthwise convolution.
        dilation: of the same.
    """

    def __init__(self, width: int, hidden: int, kernel: int, dilation: int) -> None:
        super().__init__()
        around = dilation * (kernel // 2)
        self.layers = nn.Sequential(
            nn.Conv1d(width, hidden, 1, bias=False),
            nn.PReLU(),
            nn.GroupNorm(1, hidden, eps=1e-8),  # the paper's global layer norm
            nn.Conv1d(hidden, hidden, kernel, padding=around, dilation=dilation, groups=hidden, bias=False),
            nn.PReLU(),
            nn.GroupNorm(1, hidden, eps=1e-8),
            nn.Conv1d(hidden, width, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[B D K]` -> `[B D K]`."""
        return x + self.layers(x)
