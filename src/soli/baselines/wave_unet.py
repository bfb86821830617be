"""Wave-U-Net (Stoller, Ewert and Dixon 2018): a U-Net of waveforms that is given more than it has to separate.

The stereo multi-instrument model of the paper: valid convolutions with real context around what comes out (M3), stereo
(M4) and the last source as what the others leave (M2). Departure: 44.1 kHz, the rate of the training data, like the
paper's high-rate variant; its multi-instrument model works at 22.05 kHz.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.baselines.stereo import in_pairs
from soli.separator import Separator

CHANNELS = 2


@dataclass(frozen=True, kw_only=True)
class WaveUNetConfig:
    """Sizes of the network; every default is the paper's.

    Attributes:
        sources: names; the last one is the mixture minus the others.
        sample_rate: in Hz.
        n_levels: times the rate is halved.
        n_filters: by which each level is wider than the one above.
        down_kernel: on the way down, odd.
        up_kernel: on the way up, odd.
        upsampling: `linear`, or `learned` weights between neighbours (M5).
    """

    sources: tuple[str, ...] = ("bass", "drums", "other", "vocals")
    sample_rate: int = 44100
    n_levels: int = 12
    n_filters: int = 24
    down_kernel: int = 15
    up_kernel: int = 5
    upsampling: Literal["linear", "learned"] = "linear"


class WaveUNet(Separator):
    """The network; what comes out is shorter than what goes in.

    Args:
        config: sizes.
    """

    Config: ClassVar[type[WaveUNetConfig]] = WaveUNetConfig

    def __init__(self, config: WaveUNetConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate, self.sources = config.sample_rate, config.sources
        widths = [CHANNELS, *(config.n_filters * (level + 1) for level in range(config.n_levels + 1))]
        steps = list(pairwise(widths))
        self.down = nn.ModuleList(nn.Conv1d(above, below, config.down_kernel) for above, below in steps)
        self.up = nn.ModuleList(
            nn.Conv1d(above + below, above, config.up_kernel) for above, below in reversed(steps[1:])
        )
        self.between = nn.ModuleList(Upsample(below, config.upsampling) for _, below in reversed(steps[1:]))
        self.out = nn.Conv1d(widths[1] + CHANNELS, CHANNELS * (len(config.sources) - 1), 1)
        for module in self.modules():
            if isinstance(module, nn.Conv1d) and module.bias is not None:
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        n_in, n_out = next(lengths(config))
        self.context = (n_in - n_out) // 2
        self.context_seconds = (self.context + 2**config.n_levels) / config.sample_rate  # some outputs reach further
        self.segment_seconds = max(10.0, 4 * self.context_seconds)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate the middle of a mixture, as much of it as the convolutions reach.

        Args:
            mixture: `[B 2 T]`, longer than twice `context` samples.

        Returns:
            `[B S 2 T']`, centred, T' <= T - 2 `context`.
        """
        n_in = max(n_in for n_in, _ in _up_to(lengths(self.config), mixture.shape[-1]))
        mixture = _centre(mixture, n_in)
        x, skips = mixture, []
        for conv in self.down[:-1]:
            x = F.leaky_relu(conv(x), 0.2)
            skips.append(x)
            x = x[..., ::2]
        x = F.leaky_relu(self.down[-1](x), 0.2)
        for conv, between, skip in zip(self.up, self.between, reversed(skips), strict=True):
            x = between(x)
            x = F.leaky_relu(conv(torch.cat((_centre(skip, x.shape[-1]), x), dim=1)), 0.2)
        heard = _centre(mixture, x.shape[-1])
        stems = torch.tanh(self.out(torch.cat((heard, x), dim=1))).unflatten(1, (-1, CHANNELS))  # [B S-1 2 T']
        return torch.cat((stems, (heard - stems.sum(dim=1))[:, None]), dim=1)

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        """`[B C T]` -> `[B S C T]`; beyond the ends there is silence."""
        return torch.cat([in_pairs(self._separate_pair, item[None].float()) for item in mixture])

    def _separate_pair(self, mixture: Tensor) -> Tensor:
        """`[1 2 T]` -> `[1 S 2 T]`."""
        n_samples = mixture.shape[-1]
        n_in = next(n_in for n_in, n_out in lengths(self.config) if n_out >= n_samples)
        return self(F.pad(mixture, (self.context, n_in - n_samples - self.context)))[..., :n_samples]


class Upsample(nn.Module):
    """Twice the rate: what was there, and between each two neighbours a mean of them.

    Args:
        n_features: D.
        kind: `linear` takes the mean, `learned` weights it for each feature.
    """

    def __init__(self, n_features: int, kind: Literal["linear", "learned"]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_features)) if kind == "learned" else None

    def forward(self, x: Tensor) -> Tensor:
        """`[B D T]` -> `[B D 2T-1]`."""
        share = 0.5 if self.weight is None else self.weight.sigmoid()[:, None]
        between = share * x[..., :-1] + (1 - share) * x[..., 1:]
        pairs = torch.stack((x[..., :-1], between), dim=-1).flatten(-2)
        return torch.cat((pairs, x[..., -1:]), dim=-1)


def lengths(config: WaveUNetConfig) -> Iterator[tuple[int, int]]:
    """The lengths that valid convolutions and halving by 2 fit into exactly.

    Args:
        config: sizes.

    Yields:
        Samples in, samples out; ever longer.
    """
    middle = 1
    while True:
        n_in, n_out = middle + config.down_kernel - 1, middle
        for _ in range(config.n_levels):
            n_in = 2 * n_in - 1 + config.down_kernel - 1
            n_out = 2 * n_out - 1 - (config.up_kernel - 1)
        if n_out > 0:
            yield n_in, n_out
        middle += 1


def _up_to(pairs: Iterator[tuple[int, int]], longest: int) -> list[tuple[int, int]]:
    fitting = []
    for pair in pairs:
        if pair[0] > longest:
            break
        fitting.append(pair)
    return fitting


def _centre(x: Tensor, length: int) -> Tensor:
    start = (x.shape[-1] - length) // 2
    return x[..., start : start + length]
