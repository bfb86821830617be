"""A U-Net of waveforms that is told the noise level (Mariani et al. 2023, appendix C), on feature maps `[B D N]`."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.baselines.diffusion.config import DiffusionConfig
from soli.nn.attention import SelfAttention

GROUPS = 8


class UNet(nn.Module):
    """Levels of residual blocks with skips between them, attention at the inmost levels.

    Args:
        n_signals: S, waveforms in and out.
        config: sizes.
    """

    def __init__(self, n_signals: int, config: DiffusionConfig) -> None:
        super().__init__()
        self.patch, self.stride = config.patch, config.stride
        widths, folded, n_levels = config.widths, n_signals * config.patch, len(config.widths)
        n_condition = 2 * widths[0]
        self.noise = NoiseLevel(n_condition)
        self.first = nn.Conv1d(folded, widths[0], 3, padding=1)
        attends = [level >= n_levels - config.n_attention for level in range(n_levels)]
        self.encoder = nn.ModuleList(
            Level(width, width, n_condition, config.n_blocks, config.n_heads if attend else 0)
            for width, attend in zip(widths, attends, strict=True)
        )
        self.decoder = nn.ModuleList(
            Level(2 * width, width, n_condition, config.n_blocks, config.n_heads if attend else 0)
            for width, attend in zip(widths[:-1], attends[:-1], strict=True)
        )
        self.down = nn.ModuleList(
            nn.Conv1d(above, below, 2 * factor + 1, factor, padding=factor)
            for above, below, factor in config.steps_down
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose1d(below, above, 2 * factor, factor, padding=factor // 2)
            for above, below, factor in config.steps_down
        )
        self.norm = nn.GroupNorm(GROUPS, widths[0])
        self.last = nn.Conv1d(widths[0], folded, 3, padding=1)
        for parameter in self.last.parameters():  # it starts as the denoiser that knows levels alone
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """Estimate the signals in noise.

        Args:
            x: `[B S T]`, of unit variance.
            noise: level, `[B]`.

        Returns:
            `[B S T]`.
        """
        n_signals, n_samples = x.shape[1:]
        condition = self.noise(noise)
        x = F.pad(x, (0, -n_samples % self.stride))
        x = self.first(x.unflatten(-1, (-1, self.patch)).transpose(-1, -2).flatten(1, 2))  # [B SP N] -> [B D N]
        skips = []
        for level, down in zip(self.encoder, self.down, strict=False):
            skips.append(level(x, condition))
            x = down(skips[-1])
        x = self.encoder[-1](x, condition)
        for level, up, skip in zip(reversed(self.decoder), reversed(self.up), reversed(skips), strict=True):
            x = level(torch.cat((up(x), skip * 0.5**0.5), dim=1), condition)
        x = self.last(F.silu(self.norm(x)))
        return x.unflatten(1, (n_signals, self.patch)).transpose(-1, -2).flatten(2)[..., :n_samples]


class NoiseLevel(nn.Module):
    """Learned Fourier features of the noise level and two dense layers.

    Args:
        n_features: D.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.randn(n_features // 2))
        self.layers = nn.Sequential(
            nn.Linear(n_features + 1, n_features), nn.SiLU(), nn.Linear(n_features, n_features), nn.SiLU()
        )

    def forward(self, noise: Tensor) -> Tensor:
        """`[B]` -> `[B D]`."""
        angles = 2 * math.pi * noise[:, None] * self.frequencies
        return self.layers(torch.cat((noise[:, None], angles.sin(), angles.cos()), dim=-1))


class Level(nn.Module):
    """Residual blocks and, where there are heads, attention.

    Args:
        n_in: features in.
        n_out: features out.
        n_condition: features of the noise level.
        n_blocks: at least one.
        n_heads: of the attention; 0 for none.
    """

    def __init__(self, n_in: int, n_out: int, n_condition: int, n_blocks: int, n_heads: int) -> None:
        super().__init__()
        widths = [n_in] + [n_out] * (n_blocks - 1)
        self.blocks = nn.ModuleList(Block(width, n_out, n_condition) for width in widths)
        self.attention = SelfAttention(n_out, n_heads) if n_heads else None

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """`[B D N]`, `[B E]` -> `[B D' N]`."""
        for block in self.blocks:
            x = block(x, condition)
        return x if self.attention is None else self.attention(x.mT).mT


class Block(nn.Module):
    """Two convolutions, the noise level scaling and shifting between them, added to what came in.

    Args:
        n_in: features in.
        n_out: features out.
        n_condition: features of the noise level.
    """

    def __init__(self, n_in: int, n_out: int, n_condition: int) -> None:
        super().__init__()
        self.before, self.between = nn.GroupNorm(GROUPS, n_in), nn.GroupNorm(GROUPS, n_out)
        self.first, self.second = nn.Conv1d(n_in, n_out, 3, padding=1), nn.Conv1d(n_out, n_out, 3, padding=1)
        self.modulation = nn.Linear(n_condition, 2 * n_out)
        self.shortcut = nn.Identity() if n_in == n_out else nn.Conv1d(n_in, n_out, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """`[B D N]`, `[B E]` -> `[B D' N]`."""
        scale, shift = self.modulation(condition)[..., None].chunk(2, dim=1)
        inside = self.between(self.first(F.silu(self.before(x))))
        return self.shortcut(x) + self.second(F.silu(inside * (1 + scale) + shift))
