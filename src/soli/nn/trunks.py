"""Trunks over band features `[B K N D]`: three designs behind one signature.

All norms act on one band and frame at a time, so that with the convolutional trunks the output
depends on a bounded stretch of input and a file cut into segments gives what the whole file gives.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FeatureNorm(nn.Module):
    """Layer norm over the features of one band and frame, with a learned gain and no bias."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_features))

    def forward(self, x: Tensor) -> Tensor:
        """`[... D]` -> `[... D]`."""
        return F.layer_norm(x, (x.shape[-1],), self.weight.to(x.dtype))


class BandConv(nn.Conv2d):
    """3x3 convolution over (band, frame) on feature maps `[B K N D]`."""

    def __init__(self, n_in: int, n_out: int, *, dilation: int = 1, stride: tuple[int, int] = (1, 1)) -> None:
        super().__init__(n_in, n_out, 3, padding=(1, dilation), dilation=(1, dilation), stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """`[B K N D]` -> `[B K' N' D']`; channels-last memory, so the permutes cost nothing."""
        weight = self.weight.contiguous(memory_format=torch.channels_last)
        out = F.conv2d(x.permute(0, 3, 1, 2), weight, self.bias, self.stride, self.padding, self.dilation)
        return out.permute(0, 2, 3, 1)


class ConvBlock(nn.Module):
    """Residual pair of 3x3 convolutions; the first one is dilated in time."""

    def __init__(self, n_features: int, dilation: int) -> None:
        super().__init__()
        self.norm = FeatureNorm(n_features)
        self.first = BandConv(n_features, n_features, dilation=dilation)
        self.second = BandConv(n_features, n_features)
        self.scale = nn.Parameter(torch.full((n_features,), 0.3))

    def forward(self, x: Tensor) -> Tensor:
        """`[B K N D]` -> `[B K N D]`."""
        return x + self.second(F.gelu(self.first(self.norm(x)))) * self.scale.to(x.dtype)


class BandMixer(nn.Module):
    """Let every band see every other: a bottleneck over the band axis, shared by frames and features."""

    def __init__(self, n_bands: int, n_features: int, n_hidden: int) -> None:
        super().__init__()
        self.norm = FeatureNorm(n_features)
        self.squeeze = nn.Parameter(torch.randn(n_hidden, n_bands) * n_bands**-0.5)
        self.expand = nn.Parameter(torch.randn(n_bands, n_hidden) * n_hidden**-0.5)
        self.scale = nn.Parameter(torch.full((n_features,), 0.3))

    def forward(self, x: Tensor) -> Tensor:
        """`[B K N D]` -> `[B K N D]`."""
        flat = self.norm(x).reshape(x.shape[0], x.shape[1], -1)
        mixed = torch.matmul(self.expand, F.gelu(torch.matmul(self.squeeze, flat)))
        return x + mixed.view(x.shape) * self.scale.to(x.dtype)


class ConvTrunk(nn.Module):
    """Constant resolution: convolutions dilated in time, each followed by a band mixer."""

    def __init__(self, n_bands: int, n_features: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        for dilation in dilations:
            self.blocks.append(ConvBlock(n_features, dilation))
            self.blocks.append(BandMixer(n_bands, n_features, n_bands))
        self.norm = FeatureNorm(n_features)

    def forward(self, x: Tensor) -> Tensor:
        """`[B K N D]` -> `[B K N D]`."""
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class UNetTrunk(nn.Module):
    """U-Net over (band, frame): halve the bands and, below the first level, the frames."""

    def __init__(self, n_bands: int, n_features: int, depths: tuple[int, ...], dilations: tuple[int, ...]) -> None:
        super().__init__()
        widths = [n_features * (2 + level) // 2 for level in range(len(depths) + 1)]
        bands = [n_bands >> level for level in range(len(depths) + 1)]
        self.down, self.up, self.encoders, self.decoders = (nn.ModuleList() for _ in range(4))
        for level, depth in enumerate(depths):
            self.encoders.append(_stage(bands[level], widths[level], depth))
            self.decoders.append(_stage(bands[level], widths[level], depth))
            self.down.append(nn.Linear(4 * widths[level], widths[level + 1]))
            self.up.append(nn.Linear(widths[level + 1], 4 * widths[level]))
        self.middle = nn.Sequential(
            *(
                part
                for dilation in dilations
                for part in (ConvBlock(widths[-1], dilation), BandMixer(bands[-1], widths[-1], bands[-1]))
            )
        )
        self.norm = FeatureNorm(n_features)

    def forward(self, x: Tensor) -> Tensor:
        """`[B K N D]` -> `[B K N D]`."""
        n_frames = x.shape[2]
        multiple = 2 ** len(self.down)
        x = F.pad(x, (0, 0, 0, -n_frames % multiple))
        skips = []
        for encoder, down in zip(self.encoders, self.down, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(_fold(x))
        x = self.middle(x)
        for decoder, up, skip in zip(reversed(self.decoders), reversed(self.up), reversed(skips), strict=True):
            x = decoder(_unfold(up(x)) + skip)
        return self.norm(x[:, :, :n_frames])


class AxialAttention(nn.Module):
    """Self-attention with rotary positions along frames, then along bands, each with a gated MLP."""

    def __init__(self, n_features: int, n_heads: int) -> None:
        super().__init__()
        self.time = _AttentionBlock(n_features, n_heads)
        self.band = _AttentionBlock(n_features, n_heads)

    def forward(self, x: Tensor) -> Tensor:
        """`[B K N D]` -> `[B K N D]`."""
        batch, n_bands, n_frames, width = x.shape
        x = self.time(x.reshape(batch * n_bands, n_frames, width)).view(batch, n_bands, n_frames, width)
        y = self.band(x.transpose(1, 2).reshape(batch * n_frames, n_bands, width))
        return y.view(batch, n_frames, n_bands, width).transpose(1, 2)


class AttentionTrunk(nn.Module):
    """Band-split transformer with rotary positions over frames and bands in turn."""

    def __init__(self, n_features: int, n_layers: int, n_heads: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(AxialAttention(n_features, n_heads) for _ in range(n_layers))
        self.norm = FeatureNorm(n_features)

    def forward(self, x: Tensor) -> Tensor:
        """`[B K N D]` -> `[B K N D]`."""
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class _AttentionBlock(nn.Module):
    def __init__(self, n_features: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm, self.mlp_norm = FeatureNorm(n_features), FeatureNorm(n_features)
        self.qkv = nn.Linear(n_features, 3 * n_features)
        self.out = nn.Linear(n_features, n_features)
        self.up = nn.Linear(n_features, 3 * n_features)
        self.down = nn.Linear(3 * n_features, n_features)

    def forward(self, x: Tensor) -> Tensor:
        """`[M L D]` -> `[M L D]`."""
        rows, length, width = x.shape
        qkv = self.qkv(self.norm(x)).view(rows, length, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = _rotate(qkv[0]), _rotate(qkv[1]), qkv[2]
        attended = F.scaled_dot_product_attention(query, key, value)
        x = x + self.out(attended.transpose(1, 2).reshape(rows, length, width))
        return x + self.down(F.gelu(self.up(self.mlp_norm(x))))


def _rotate(x: Tensor) -> Tensor:
    """Rotary position embedding over axis -2 of `[M H L E]`."""
    length, half = x.shape[-2], x.shape[-1] // 2
    rates = 10000 ** (-torch.arange(half, device=x.device) / half)
    angles = torch.arange(length, device=x.device)[:, None] * rates
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


def _stage(n_bands: int, n_features: int, depth: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for _ in range(depth):
        parts += [ConvBlock(n_features, 1), BandMixer(n_bands, n_features, max(n_bands // 2, 4))]
    return nn.Sequential(*parts)


def _fold(x: Tensor) -> Tensor:
    """`[B K N D]` -> `[B K/2 N/2 4D]`."""
    batch, n_bands, n_frames, width = x.shape
    x = x.reshape(batch, n_bands // 2, 2, n_frames // 2, 2, width)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(batch, n_bands // 2, n_frames // 2, 4 * width)


def _unfold(x: Tensor) -> Tensor:
    """`[B K/2 N/2 4D]` -> `[B K N D]`."""
    batch, n_bands, n_frames, width = x.shape
    x = x.reshape(batch, n_bands, n_frames, 2, 2, width // 4)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(batch, 2 * n_bands, 2 * n_frames, width // 4)
