"""The three networks of the paper preset, on mel levels `[B N K]`: query encoder, generator, critic."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.systems.vqquery.paper_config import VQQueryPaperConfig

_SLOPE = 0.2
_TINY = 1e-5


class MelEncoder(nn.Module):
    """Query encoder: strided convolutions, then the mean over all places.

    Args:
        config: sizes.
    """

    def __init__(self, config: VQQueryPaperConfig) -> None:
        super().__init__()
        pairs = pairwise((1, *config.query_widths))
        self.levels = nn.ModuleList(nn.Conv2d(n_in, n_out, 4, 2, 1) for n_in, n_out in pairs)
        self.out = nn.Linear(config.query_widths[-1], config.code_size)

    def forward(self, levels: Tensor) -> Tensor:
        """`[B N K]` -> `[B D]`."""
        x = levels[:, None]
        for level in self.levels:
            x = F.leaky_relu(level(x), _SLOPE)
        return self.out(x.mean(dim=(-2, -1)))


class Modulated(nn.Module):
    """A convolution of features that are brought to unit deviation and scaled by the code, added to its input."""

    def __init__(self, n_features: int, code_size: int) -> None:
        super().__init__()
        self.scale = nn.Linear(code_size, n_features)
        self.convolution = nn.Conv2d(n_features, n_features, 3, padding=1)
        nn.init.ones_(self.scale.bias)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """`[B D N K]` and `[B E]` -> `[B D N K]`."""
        deviation = (x.square().mean(dim=1, keepdim=True) + _TINY).sqrt()
        return x + self.convolution(F.silu(x / deviation * self.scale(code)[..., None, None]))


class MelGenerator(nn.Module):
    """A U-Net whose every level is modulated by the code.

    Args:
        config: sizes.
    """

    def __init__(self, config: VQQueryPaperConfig) -> None:
        super().__init__()
        widths = config.widths
        self.down = nn.ModuleList(nn.Conv2d(n_in, n_out, 4, 2, 1) for n_in, n_out in pairwise((1, *widths)))
        self.encode = nn.ModuleList(Modulated(width, config.code_size) for width in widths)
        self.up = nn.ModuleList(nn.ConvTranspose2d(n_out, n_in, 4, 2, 1) for n_in, n_out in pairwise(widths))
        self.decode = nn.ModuleList(Modulated(width, config.code_size) for width in widths[:-1])
        self.out = nn.ConvTranspose2d(widths[0], 1, 4, 2, 1)

    def forward(self, mixture: Tensor, code: Tensor) -> Tensor:
        """Make the source that a code stands for.

        Args:
            mixture: `[B N K]`, both multiples of 2 to the number of levels.
            code: `[B D]`.

        Returns:
            `[B N K]`, from -1 to 1.
        """
        x, skips = mixture[:, None], []
        for down, encode in zip(self.down, self.encode, strict=True):
            x = encode(down(x), code)
            skips.append(x)
        for up, decode, skip in zip(reversed(self.up), reversed(self.decode), reversed(skips[:-1]), strict=True):
            x = decode(up(x) + skip, code)
        return self.out(F.silu(x))[:, 0].tanh()


class MelCritic(nn.Module):
    """Tells true sources from made ones, beside the mixture they are of: residual blocks with a gain of sqrt(1/2).

    Args:
        config: sizes.
    """

    def __init__(self, config: VQQueryPaperConfig) -> None:
        super().__init__()
        widths = config.critic_widths
        self.down = nn.ModuleList(nn.Conv2d(n_in, n_out, 4, 2, 1) for n_in, n_out in pairwise((2, *widths)))
        self.blocks = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for width in widths)
        self.out = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, pairs: Tensor) -> Tensor:
        """`[B 2 N K]`, a source and its mixture -> scores `[B]`, unbounded."""
        x = pairs
        for down, block in zip(self.down, self.blocks, strict=True):
            x = down(x)
            x = (x + block(F.leaky_relu(x, _SLOPE))) * 0.5**0.5
        return self.out(F.leaky_relu(x, _SLOPE)).mean(dim=(-3, -2, -1))


def beside(source: Tensor, mixture: Tensor) -> Tensor:
    """What the critic is shown, `[B N K]` twice -> `[B 2 N K]`."""
    return torch.stack((source, mixture), dim=1)
