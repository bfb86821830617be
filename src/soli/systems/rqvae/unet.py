"""Encoder and decoder of the modern network, on feature maps `[B K N D]`: every level has half the bands."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from soli.errors import SoliError
from soli.nn.trunks import BandMixer, ConvBlock, FeatureNorm
from soli.systems.rqvae.config import RQVAEConfig


class BandEncoder(nn.Module):
    """Blocks of convolutions and band mixers, halving the bands between levels.

    Args:
        n_bands: K at the finest level.
        widths: features of each level.
        depths: blocks of each level.

    Raises:
        SoliError: when the bands cannot be halved so often.
    """

    def __init__(self, n_bands: int, widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
        super().__init__()
        if n_bands % 2 ** (len(widths) - 1) or len(depths) != len(widths):
            raise SoliError(f"{n_bands} bands and {len(depths)} depths; they must fit {len(widths)} levels")
        self.n_bands = n_bands // 2 ** (len(widths) - 1)
        self.levels = nn.ModuleList(
            nn.Sequential(*(_block(n_bands >> level, width) for _ in range(depth)))
            for level, (width, depth) in enumerate(zip(widths, depths, strict=True))
        )
        self.down = nn.ModuleList(nn.Linear(2 * n_in, n_out) for n_in, n_out in pairwise(widths))

    def forward(self, x: Tensor) -> list[Tensor]:
        """`[B K N D]` -> the features of every level."""
        skips = [self.levels[0](x)]
        for down, level in zip(self.down, self.levels[1:], strict=True):
            skips.append(level(down(_folded(skips[-1]))))
        return skips


class StemDecoder(nn.Module):
    """The way back, one pass for each source with shared weights; what differs is the latents and a gain per source.

    Args:
        config: of the modern preset.
        n_bands: of the coarsest level.
    """

    def __init__(self, config: RQVAEConfig, n_bands: int) -> None:
        super().__init__()
        widths, n_stems = config.stem_widths, len(config.sources)
        if len(widths) != len(config.widths):
            raise SoliError(f"{len(widths)} stem_widths for {len(config.widths)} widths; allowed: as many")
        self.n_bands = n_bands
        self.from_latents = nn.Linear(config.latent_size, n_bands * widths[-1])
        self.from_bypass = nn.Linear(config.bypass_size, n_bands * widths[-1], bias=False)
        self.skips = nn.ModuleList(
            Skip(n_stems, n_in, n_out) for n_in, n_out in zip(config.widths, widths, strict=True)
        )
        self.levels = nn.ModuleList(
            nn.Sequential(*(ConvBlock(width, 1) for _ in range(depth)))
            for width, depth in zip(widths, config.depths, strict=True)
        )
        self.up = nn.ModuleList(nn.Linear(n_in, 2 * n_out) for n_out, n_in in pairwise(widths))
        self.norm = FeatureNorm(widths[0])

    def forward(
        self, latents: Tensor, bypass: Tensor | None, skips: list[Tensor] | None, kept: Tensor | None
    ) -> Tensor:
        """Decode.

        Args:
            latents: quantised, `[B S D N]`.
            bypass: not quantised, `[B S N D']`, or None.
            skips: of each level, or None.
            kept: which items may use bypass and skips, `[B]`.

        Returns:
            Normalised features of the finest level, `[B S K N D]`.
        """
        batch, n_stems = latents.shape[:2]
        x = self.from_latents(latents.mT)
        if bypass is not None and kept is not None:
            x = x + self.from_bypass(bypass * kept[:, None, None, None].to(bypass.dtype))
        x = x.unflatten(-1, (self.n_bands, -1)).transpose(2, 3)  # [B S K N D]
        last = len(self.levels) - 1
        for level in range(last, -1, -1):
            if level < last:
                x = _unfolded(self.up[level](x)).unflatten(0, (batch, n_stems))
            x = self.skips[level](x, None if skips is None else skips[level], kept)
            x = self.levels[level](x.flatten(0, 1))
        return self.norm(x).unflatten(0, (batch, n_stems))


class Skip(nn.Module):
    """Adds the encoder's features to those of every source, each with its own gain, and tells the sources apart.

    Args:
        n_stems: S.
        n_in: features of the encoder.
        n_out: features of the decoder.
    """

    def __init__(self, n_stems: int, n_in: int, n_out: int) -> None:
        super().__init__()
        self.project = nn.Linear(n_in, n_out)
        self.gain = nn.Parameter(1 + 0.3 * torch.randn(n_stems, n_out))
        self.shift = nn.Parameter(0.3 * torch.randn(n_stems, n_out))

    def forward(self, x: Tensor, skip: Tensor | None, kept: Tensor | None) -> Tensor:
        """`[B S K N D]` and `[B K N D']` -> `[B S K N D]`; without the skip the sources are only told apart."""
        shift = self.shift[:, None, None].to(x.dtype)
        if skip is None or kept is None:
            return x + shift
        gain = self.gain[:, None, None] * kept[:, None, None, None, None]
        return x + torch.addcmul(shift, self.project(skip)[:, None], gain.to(x.dtype))


def _block(n_bands: int, n_features: int) -> nn.Sequential:
    return nn.Sequential(ConvBlock(n_features, 1), BandMixer(n_bands, n_features, max(n_bands // 2, 4)))


def _folded(x: Tensor) -> Tensor:
    """`[B K N D]` -> `[B K/2 N 2D]`."""
    batch, n_bands, n_frames, width = x.shape
    return x.view(batch, n_bands // 2, 2, n_frames, width).transpose(2, 3).reshape(batch, -1, n_frames, 2 * width)


def _unfolded(x: Tensor) -> Tensor:
    """`[B K N 2D]` -> `[B 2K N D]`."""
    batch, n_bands, n_frames, width = x.shape
    return x.view(batch, n_bands, n_frames, 2, width // 2).transpose(2, 3).reshape(batch, -1, n_frames, width // 2)
