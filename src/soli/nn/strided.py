"""Strided one-dimensional encoder and decoder with skips between them (Berti 2024, section 3.1).

Every kernel is two samples longer than its stride and padded by one, so that a length divides exactly by the product
of the strides and comes back exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from soli.nn.recurrent import RecurrentStack, linear_head


class PReLU(nn.PReLU):
    """The same function as torch's, whose gradient takes nine times as long on a processor."""

    def forward(self, x: Tensor) -> Tensor:
        """`[...]` -> `[...]`."""
        return torch.lerp(x.relu(), x, self.weight.to(x.dtype))


class ResidualBlock(nn.Module):
    """Convolutions of 1, 3 and 1 taps that keep the width, added to their input.

    Args:
        n_channels: width.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for taps in (1, 3, 1):
            parts += [
                nn.Conv1d(n_channels, n_channels, taps, padding=taps // 2, bias=False),
                nn.BatchNorm1d(n_channels),
                PReLU(init=0.1),
            ]
        self.body, self.activation = nn.Sequential(*parts[:-1]), parts[-1]

    def forward(self, x: Tensor) -> Tensor:
        """`[B D N]` -> `[B D N]`."""
        return self.activation(x + self.body(x))


class DownBlock(nn.Sequential):
    """Norm, strided convolution, activation, dropout and a residual block.

    Args:
        n_in: channels that come in.
        n_out: channels that go out.
        stride: how much shorter the signal gets.
        dropout: probability.
    """

    def __init__(self, n_in: int, n_out: int, stride: int, dropout: float) -> None:
        super().__init__(
            nn.BatchNorm1d(n_in),
            nn.Conv1d(n_in, n_out, stride + 2, stride, padding=1, bias=False),
            PReLU(init=0.1),
            nn.Dropout(dropout),
            ResidualBlock(n_out),
        )


class UpBlock(nn.Sequential):
    """Norm, transposed convolution, activation, dropout and a residual block.

    Args:
        n_in: channels that come in.
        n_out: channels that go out.
        stride: how much longer the signal gets.
        dropout: probability.
    """

    def __init__(self, n_in: int, n_out: int, stride: int, dropout: float) -> None:
        super().__init__(
            nn.BatchNorm1d(n_in),
            nn.ConvTranspose1d(n_in, n_out, stride + 2, stride, padding=1, bias=False),
            PReLU(init=0.1),
            nn.Dropout(dropout),
            ResidualBlock(n_out),
        )


class StridedEncoder(nn.Module):
    """A convolution at full rate and one block for each stride; the width doubles with each.

    Args:
        n_inputs: channels of the waveform.
        n_channels: after the first convolution.
        strides: from the waveform inwards.
        dropout: probability after every activation.
    """

    def __init__(self, n_inputs: int, n_channels: int, strides: Sequence[int], dropout: float) -> None:
        super().__init__()
        widths = [n_inputs, *(n_channels * 2**level for level in range(len(strides) + 1))]
        self.blocks = nn.ModuleList(
            DownBlock(n_in, n_out, stride, dropout)
            for n_in, n_out, stride in zip(widths[:-1], widths[1:], (1, *strides), strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """`[B C T]` -> what each block gives, the last one `[B D N]` with D = n_channels * 2^len(strides)."""
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return outputs


class StridedDecoder(nn.Module):
    """The encoder backwards; each block's input gets the encoder's output of that size added, if there are skips.

    Args:
        n_outputs: channels of the waveform.
        n_channels: as given to the encoder.
        strides: as given to the encoder.
        dropout: as given to the encoder.
    """

    def __init__(self, n_outputs: int, n_channels: int, strides: Sequence[int], dropout: float) -> None:
        super().__init__()
        widths = [n_channels * 2**level for level in range(len(strides) + 1)]
        self.blocks = nn.ModuleList(
            UpBlock(n_in, n_out, stride, dropout)
            for n_in, n_out, stride in zip(widths[:0:-1], widths[-2::-1], reversed(strides), strict=True)
        )
        self.norm = nn.BatchNorm1d(n_channels)
        self.out = nn.ConvTranspose1d(n_channels, n_outputs, 3, padding=1, bias=False)

    def forward(self, x: Tensor, skips: Sequence[Tensor] | None) -> Tensor:
        """Decode latents.

        Args:
            x: `[B D N]`.
            skips: the encoder's outputs, or None for what the latents alone say.

        Returns:
            `[B C T]`.
        """
        steps = [*self.blocks, nn.Sequential(self.norm, self.out)]
        levels = list(reversed(skips)) if skips is not None else [None] * len(steps)
        for step, skip in zip(steps, levels, strict=True):
            x = step(x if skip is None else x + skip)
        return x


class RecurrentLatents(nn.Module):
    """A bidirectional LSTM over frames and a dense layer back to the width it came with.

    Args:
        n_features: D.
        n_layers: of the LSTM.
        dropout: between its layers.
    """

    def __init__(self, n_features: int, n_layers: int, dropout: float) -> None:
        super().__init__()
        self.recurrent = RecurrentStack(n_features, n_features, n_layers, dropout)
        self.dense = linear_head(2 * n_features, n_features)

    def forward(self, x: Tensor) -> Tensor:
        """`[B D N]` -> `[B D N]`."""
        with torch.autocast(x.device.type, enabled=False):  # half precision slows an LSTM down on CPUs
            return self.dense(self.recurrent(x.float().mT)).mT
