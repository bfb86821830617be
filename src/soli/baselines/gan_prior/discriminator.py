"""The critic of SpecGAN and WaveGAN (Donahue et al. 2019, appendix D) and its phase shuffle."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.baselines.gan_prior.config import GANPriorConfig
from soli.baselines.gan_prior.generator import KERNELS, start_weights


class Critic(nn.Module):
    """Strided convolutions and a dense layer: the generator backwards.

    Args:
        config: sizes.
        shuffle: waveforms: samples by which the phase is shuffled between levels, at most.
    """

    def __init__(self, config: GANPriorConfig, shuffle: int) -> None:
        super().__init__()
        kernel, factor = KERNELS[config.kind], config.factor
        self.shuffle = shuffle if config.kind == "wave" else 0
        convolution = nn.Conv2d if config.kind == "spec" else nn.Conv1d
        self.levels = nn.ModuleList(
            convolution(n_in, n_out, kernel, factor, (kernel - factor + 1) // 2)
            for n_in, n_out in pairwise(reversed(config.widths))
        )
        self.dense = nn.Linear(config.widths[0] * math.prod(config.inmost), 1)
        start_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Score examples: the higher, the more real.

        Args:
            x: `[B F N]` or `[B T]`.

        Returns:
            `[B]`, unbounded.
        """
        x = x[:, None]
        for index, level in enumerate(self.levels):
            x = F.leaky_relu(level(x), 0.2)
            if self.shuffle and index + 1 < len(self.levels):
                x = phase_shuffle(x, self.shuffle)
        return self.dense(x.flatten(1))[:, 0]


def phase_shuffle(x: Tensor, radius: int) -> Tensor:
    """Shift each example by a random number of samples, mirrored at the end (Donahue et al. 2019, section 3.3).

    Args:
        x: `[B D N]`, N more than `radius`.
        radius: the largest shift, in samples.

    Returns:
        `[B D N]`.
    """
    length = x.shape[-1]
    shifts = torch.randint(-radius, radius + 1, (len(x), 1), device=x.device)
    places = torch.arange(length, device=x.device) + shifts  # [B N]
    mirrored = (length - 1 - (length - 1 - places.abs()).abs())[:, None]
    return x.gather(-1, mirrored.expand_as(x))
