"""SEANet encoder and decoder with the defaults of EnCodec (Défossez et al. 2022, section 3.1).

Module names are those of the published code, so that its weights load: `model.0.conv.conv.weight_g` and so on; torch
renames the two parts of a normalised weight by itself. Without a quantiser, both together have 14.85 million
parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from soli.errors import SoliError


@dataclass(frozen=True, kw_only=True)
class SEANetConfig:
    """Sizes of the encoder and of the decoder that mirrors it.

    Attributes:
        channels: of the waveform.
        dimension: D, of the latents.
        n_filters: after the first convolution; they double with every stride.
        n_residual_layers: blocks before each stride, with dilations 1, 2, 4, …
        ratios: strides of the decoder, in its order; the encoder has them backwards.
        kernel_size: of the first convolution.
        last_kernel_size: of the last one.
        residual_kernel_size: of the blocks.
        compress: how much narrower a block is inside.
        n_lstm: layers of the LSTM next to the latents; 0 for none.
        causal: no output depends on later input; padding is then all on the left.
    """

    channels: int = 1
    dimension: int = 128
    n_filters: int = 32
    n_residual_layers: int = 1
    ratios: tuple[int, ...] = (8, 5, 4, 2)
    kernel_size: int = 7
    last_kernel_size: int = 7
    residual_kernel_size: int = 3
    compress: int = 2
    n_lstm: int = 2
    causal: bool = False

    def __post_init__(self) -> None:
        if not self.ratios or min(self.ratios) < 1:
            raise SoliError(f"ratios = {list(self.ratios)}; allowed: at least one stride, each 1 or more")

    @property
    def hop_length(self) -> int:
        """Samples for each latent."""
        return math.prod(self.ratios)


class NormConv1d(nn.Module):
    """A convolution whose weight is a length and a direction; holds it under the published name."""

    def __init__(self, n_in: int, n_out: int, kernel_size: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv = weight_norm(nn.Conv1d(n_in, n_out, kernel_size, stride, dilation=dilation))


class NormConvTranspose1d(nn.Module):
    """The same of a transposed convolution."""

    def __init__(self, n_in: int, n_out: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.convtr = weight_norm(nn.ConvTranspose1d(n_in, n_out, kernel_size, stride))


class SConv1d(nn.Module):
    """A convolution whose output has ceil(T / stride) frames, the ends reflected.

    Args:
        n_in: channels that come in.
        n_out: channels that go out.
        kernel_size: taps.
        stride: between frames.
        dilation: between taps.
        causal: pad on the left alone.
    """

    def __init__(
        self, n_in: int, n_out: int, kernel_size: int, *, stride: int = 1, dilation: int = 1, causal: bool = False
    ) -> None:
        super().__init__()
        self.conv = NormConv1d(n_in, n_out, kernel_size, stride, dilation)
        self.stride, self.causal = stride, causal
        self.padding = (kernel_size - 1) * dilation + 1 - stride

    def forward(self, x: Tensor) -> Tensor:
        """`[B C T]` -> `[B C' N]`."""
        extra = -x.shape[-1] % self.stride
        right = 0 if self.causal else self.padding // 2
        return self.conv.conv(pad_reflecting(x, self.padding - right, right + extra))


class SConvTranspose1d(nn.Module):
    """A transposed convolution whose output is `stride` times as long.

    Args:
        n_in: channels that come in.
        n_out: channels that go out.
        kernel_size: taps.
        stride: between frames.
        causal: cut on the right alone.
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: int, *, stride: int, causal: bool = False) -> None:
        super().__init__()
        self.convtr = NormConvTranspose1d(n_in, n_out, kernel_size, stride)
        surplus = kernel_size - stride
        self.right = surplus if causal else surplus // 2
        self.left = surplus - self.right

    def forward(self, x: Tensor) -> Tensor:
        """`[B C N]` -> `[B C' N * stride]`."""
        y = self.convtr.convtr(x)
        return y[..., self.left : y.shape[-1] - self.right]


class ResnetBlock(nn.Module):
    """Two convolutions, narrow inside, added to a convolution of one tap.

    Args:
        n_channels: width.
        config: kernel, compression and causality.
        dilation: of the first convolution.
    """

    def __init__(self, n_channels: int, config: SEANetConfig, dilation: int) -> None:
        super().__init__()
        hidden = n_channels // config.compress
        self.block = nn.Sequential(
            nn.ELU(),
            SConv1d(n_channels, hidden, config.residual_kernel_size, dilation=dilation, causal=config.causal),
            nn.ELU(),
            SConv1d(hidden, n_channels, 1, causal=config.causal),
        )
        self.shortcut = SConv1d(n_channels, n_channels, 1, causal=config.causal)

    def forward(self, x: Tensor) -> Tensor:
        """`[B D N]` -> `[B D N]`."""
        return self.shortcut(x) + self.block(x)


class SLSTM(nn.Module):
    """An LSTM over frames, added to its input.

    Args:
        n_features: D.
        n_layers: of the LSTM.
    """

    def __init__(self, n_features: int, n_layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(n_features, n_features, n_layers)

    def forward(self, x: Tensor) -> Tensor:
        """`[B D N]` -> `[B D N]`."""
        frames = x.permute(2, 0, 1)
        return (self.lstm(frames)[0] + frames).permute(1, 2, 0)


class SEANetEncoder(nn.Module):
    """Waveform to latents.

    Args:
        config: sizes.
    """

    def __init__(self, config: SEANetConfig) -> None:
        super().__init__()
        width = config.n_filters
        parts: list[nn.Module] = [SConv1d(config.channels, width, config.kernel_size, causal=config.causal)]
        for ratio in reversed(config.ratios):
            parts += _blocks(width, config)
            parts += [nn.ELU(), SConv1d(width, 2 * width, 2 * ratio, stride=ratio, causal=config.causal)]
            width *= 2
        parts += [SLSTM(width, config.n_lstm)] if config.n_lstm else []
        parts += [nn.ELU(), SConv1d(width, config.dimension, config.last_kernel_size, causal=config.causal)]
        self.model = nn.Sequential(*parts)

    def forward(self, waveform: Tensor) -> Tensor:
        """`[B C T]` -> `[B D N]`, N = T divided by each stride in turn and rounded up."""
        return self.model(waveform)


class SEANetDecoder(nn.Module):
    """Latents to waveform.

    Args:
        config: sizes.
    """

    def __init__(self, config: SEANetConfig) -> None:
        super().__init__()
        width = config.n_filters * 2 ** len(config.ratios)
        parts: list[nn.Module] = [SConv1d(config.dimension, width, config.kernel_size, causal=config.causal)]
        parts += [SLSTM(width, config.n_lstm)] if config.n_lstm else []
        for ratio in config.ratios:
            parts += [nn.ELU(), SConvTranspose1d(width, width // 2, 2 * ratio, stride=ratio, causal=config.causal)]
            width //= 2
            parts += _blocks(width, config)
        parts += [nn.ELU(), SConv1d(width, config.channels, config.last_kernel_size, causal=config.causal)]
        self.model = nn.Sequential(*parts)

    def forward(self, latents: Tensor) -> Tensor:
        """`[B D N]` -> `[B C N * hop]`."""
        return self.model(latents)


def pad_reflecting(x: Tensor, left: int, right: int) -> Tensor:
    """Reflect the ends; a signal too short for that gets zeros behind it first, which are cut off again.

    Args:
        x: `[B C T]`.
        left: samples.
        right: samples.

    Returns:
        `[B C left + T + right]`.
    """
    missing = max(left, right) + 1 - x.shape[-1]
    if missing <= 0:
        return F.pad(x, (left, right), mode="reflect")
    padded = F.pad(F.pad(x, (0, missing)), (left, right), mode="reflect")
    return padded[..., : padded.shape[-1] - missing]


def _blocks(width: int, config: SEANetConfig) -> list[nn.Module]:
    """The residual layers of one level."""
    return [ResnetBlock(width, config, 2**layer) for layer in range(config.n_residual_layers)]
