"""A flow over the frames of a spectrogram whose channels are its bins: the Glow-TTS decoder, used alone.

Kingma and Dhariwal 2018 (Glow), Kim et al. 2020 (Glow-TTS), Zhu et al. 2022 (as a prior of one instrument). Every
layer maps `[B C N]` to the same shape and back, and gives the logarithm of the determinant of its Jacobian, `[B]`, in
both directions. Determinants and scales are kept in single precision whatever autocast says.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from soli.errors import SoliError


class Bijection(nn.Module, ABC):
    """One invertible layer.

    `condition` is the embedding of a label, `[B G]` or `[1 G]` for all items, where a layer was made for one.
    """

    @abstractmethod
    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`[B C N]` -> `[B C N]` and the log-determinant `[B]`."""

    @abstractmethod
    def inverse(self, y: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The way back, and the log-determinant of the way back."""


class ActNorm(Bijection):
    """A scale and a shift for each channel; the first batch in training mode leaves it with mean 0 and variance 1.

    Args:
        n_channels: C.
    """

    initialised: Tensor

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(n_channels, 1))
        self.log_scale = nn.Parameter(torch.zeros(n_channels, 1))
        self.register_buffer("initialised", torch.tensor(False))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`y = shift + exp(log_scale) x`."""
        if self.training and not self.initialised:
            self._initialise(x)
        return self.shift + self.log_scale.exp() * x, self._log_det(x)

    def inverse(self, y: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`x = (y - shift) / exp(log_scale)`."""
        return (y - self.shift) * (-self.log_scale).exp(), -self._log_det(y)

    @torch.no_grad()
    def _initialise(self, x: Tensor) -> None:
        variance, mean = torch.var_mean(x.float(), dim=(0, 2), correction=0)
        self.log_scale.copy_(-0.5 * variance.clamp(min=1e-6).log()[:, None])
        self.shift.copy_(-mean[:, None] * self.log_scale.exp())
        self.initialised.fill_(True)

    def _log_det(self, x: Tensor) -> Tensor:
        return (self.log_scale.sum() * x.shape[-1]).expand(len(x))


class GroupedInvertibleConv(Bijection):
    """One small matrix that mixes channels in groups (Kim et al. 2020, section 3.3.1).

    A group takes channels from both halves, so that what the next coupling keeps has met what it changes. With as many
    channels in a group as there are, it is Glow's invertible 1x1 convolution.

    Args:
        n_channels: C, a multiple of `group_size`.
        group_size: rows of the matrix, even.

    Raises:
        SoliError: when the channels do not divide into groups.
    """

    def __init__(self, n_channels: int, group_size: int = 4) -> None:
        super().__init__()
        if group_size % 2 or n_channels % group_size:
            raise SoliError(f"{n_channels} channels in groups of {group_size}; allowed: an even size that divides them")
        self.group_size = group_size
        matrix, _ = torch.linalg.qr(torch.randn(group_size, group_size))
        matrix[:, 0] *= torch.linalg.det(matrix).sign()  # a rotation, no mirror
        self.weight = nn.Parameter(matrix)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mix."""
        return self._mix(x, self.weight), self._log_det(x)

    def inverse(self, y: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mix with the inverse matrix."""
        return self._mix(y, torch.linalg.inv(self.weight)), -self._log_det(y)

    def _mix(self, x: Tensor, matrix: Tensor) -> Tensor:
        batch, n_channels, n_frames = x.shape
        size, n_groups = self.group_size, n_channels // self.group_size
        halves = x.reshape(batch, 2, n_groups, size // 2, n_frames).transpose(2, 3)
        with torch.autocast(x.device.type, enabled=False):
            mixed = matrix @ halves.reshape(batch, size, n_groups * n_frames).float()
        mixed = mixed.view(batch, 2, size // 2, n_groups, n_frames).transpose(2, 3)
        return mixed.reshape(batch, n_channels, n_frames)

    def _log_det(self, x: Tensor) -> Tensor:
        log_det = torch.linalg.slogdet(self.weight.float()).logabsdet
        return (log_det * (x.shape[1] // self.group_size) * x.shape[2]).expand(len(x))


class WaveNet(nn.Module):
    """Gated convolutions with residual and skip connections (van den Oord et al. 2016), not causal.

    Args:
        n_in: channels in.
        n_out: channels out; the last layer starts at zero.
        n_hidden: channels inside.
        n_layers: gated convolutions.
        kernel_size: of each, odd.
        dilation_rate: the dilation of layer i is `dilation_rate ** i`.
        n_condition: G, size of the condition; 0 for none.
        dropout: of what the gated convolutions give, before the condition is added.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        n_hidden: int,
        n_layers: int,
        *,
        kernel_size: int = 5,
        dilation_rate: int = 1,
        n_condition: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.n_hidden, self.dropout = n_hidden, dropout
        self.start = weight_norm(nn.Conv1d(n_in, n_hidden, 1))
        self.gates, self.outputs = nn.ModuleList(), nn.ModuleList()
        for layer in range(n_layers):
            dilation = dilation_rate**layer
            padding = dilation * (kernel_size // 2)
            gate = nn.Conv1d(n_hidden, 2 * n_hidden, kernel_size, dilation=dilation, padding=padding)
            self.gates.append(weight_norm(gate))
            widths = n_hidden if layer == n_layers - 1 else 2 * n_hidden  # the last one has no successor
            self.outputs.append(weight_norm(nn.Conv1d(n_hidden, widths, 1)))
        self.condition = weight_norm(nn.Linear(n_condition, 2 * n_hidden * n_layers)) if n_condition else None
        self.end = nn.Conv1d(n_hidden, n_out, 1)
        nn.init.zeros_(self.end.weight)
        nn.init.zeros_(self.end.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """`[B n_in N]` -> `[B n_out N]`."""
        hidden = self.start(x)
        shifts: Sequence[Tensor | None] = [None] * len(self.gates)
        if self.condition is not None:
            if condition is None:
                raise SoliError("this flow was made for a condition; allowed: [B G], the embedding of a label")
            shifts = self.condition(condition)[..., None].chunk(len(self.gates), dim=1)
        skips = torch.zeros_like(hidden)
        for gate, output, shift in zip(self.gates, self.outputs, shifts, strict=True):
            heard = F.dropout(gate(hidden), self.dropout, self.training)
            filtered, gated = (heard if shift is None else heard + shift).chunk(2, dim=1)
            parts = output(filtered.tanh() * gated.sigmoid()).split(self.n_hidden, dim=1)
            skips = skips + parts[-1]
            if len(parts) == 2:
                hidden = hidden + parts[0]
        return self.end(skips)


class Coupling(Bijection):
    """Affine coupling: the first half of the channels says how the second is scaled and shifted (Dinh et al. 2017).

    Args:
        network: `[B C/2 N]` -> `[B C N]`: shifts, then log-scales.
        largest_log_scale: bound on the log-scales, by a hyperbolic tangent; none by default, as published.
    """

    def __init__(self, network: WaveNet, largest_log_scale: float | None = None) -> None:
        super().__init__()
        self.network, self.largest_log_scale = network, largest_log_scale

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`y = (x0, shift(x0) + exp(log_scale(x0)) x1)`."""
        kept, changed = x.float().chunk(2, dim=1)
        shift, log_scale = self._affine(kept, condition)
        return torch.cat((kept, shift + log_scale.exp() * changed), dim=1), log_scale.sum(dim=(1, 2))

    def inverse(self, y: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`x = (y0, (y1 - shift(y0)) exp(-log_scale(y0)))`."""
        kept, changed = y.float().chunk(2, dim=1)
        shift, log_scale = self._affine(kept, condition)
        return torch.cat((kept, (changed - shift) * (-log_scale).exp()), dim=1), -log_scale.sum(dim=(1, 2))

    def _affine(self, kept: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        shift, log_scale = self.network(kept, condition).float().chunk(2, dim=1)
        if self.largest_log_scale is not None:
            log_scale = self.largest_log_scale * torch.tanh(log_scale / self.largest_log_scale)
        return shift, log_scale


class Glow(Bijection):
    """Squeeze, then blocks of ActNorm, grouped convolution and coupling.

    Args:
        n_channels: C, bins of a frame; with `squeeze` frames together they divide into groups.
        n_blocks: of three layers each.
        n_hidden: of each WaveNet.
        n_layers: of each WaveNet.
        kernel_size: of each WaveNet.
        dilation_rate: of each WaveNet.
        squeeze: neighbouring frames that become one with as many times the channels.
        group_size: channels that a grouped convolution mixes.
        n_condition: G, size of the condition; 0 for none.
        dropout: in the WaveNets.
        largest_log_scale: of the couplings; None leaves it free.
    """

    def __init__(
        self,
        n_channels: int,
        *,
        n_blocks: int = 12,
        n_hidden: int = 128,
        n_layers: int = 4,
        kernel_size: int = 5,
        dilation_rate: int = 1,
        squeeze: int = 2,
        group_size: int = 4,
        n_condition: int = 0,
        dropout: float = 0.05,
        largest_log_scale: float | None = None,
    ) -> None:
        super().__init__()
        self.squeeze = squeeze
        width = n_channels * squeeze
        layers: list[Bijection] = []
        for _ in range(n_blocks):
            network = WaveNet(
                width // 2,
                width,
                n_hidden,
                n_layers,
                kernel_size=kernel_size,
                dilation_rate=dilation_rate,
                n_condition=n_condition,
                dropout=dropout,
            )
            layers += [ActNorm(width), GroupedInvertibleConv(width, group_size), Coupling(network, largest_log_scale)]
        self.layers: Sequence[Bijection] = nn.ModuleList(layers)  # type: ignore[assignment]

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to latents, for the likelihood.

        Args:
            x: `[B C N]`, N a multiple of `squeeze`.
            condition: `[B G]`, if the flow was made for one.

        Returns:
            `[B C N]` and the log-determinant `[B]`.
        """
        y = squeeze(x.float(), self.squeeze)
        log_det = y.new_zeros(len(y))
        for layer in self.layers:
            y, step = layer(y, condition)
            log_det = log_det + step
        return unsqueeze(y, self.squeeze), log_det

    def inverse(self, y: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Latents to data.

        Args:
            y: `[B C N]`, N a multiple of `squeeze`.
            condition: `[B G]`, if the flow was made for one.

        Returns:
            `[B C N]` and the log-determinant of this direction, `[B]`.
        """
        x = squeeze(y.float(), self.squeeze)
        log_det = x.new_zeros(len(x))
        for layer in reversed(self.layers):
            x, step = layer.inverse(x, condition)
            log_det = log_det + step
        return unsqueeze(x, self.squeeze), log_det


def squeeze(x: Tensor, factor: int) -> Tensor:
    """Neighbouring frames become channels: `[B C N]` -> `[B factor*C N/factor]`, the earlier frame's first.

    Args:
        x: `[B C N]`.
        factor: how many frames become one.

    Returns:
        The same numbers in another place.

    Raises:
        SoliError: when the frames do not divide.
    """
    batch, n_channels, n_frames = x.shape
    if n_frames % factor:
        raise SoliError(f"{n_frames} frames; this flow takes multiples of {factor}")
    parts = x.view(batch, n_channels, n_frames // factor, factor).permute(0, 3, 1, 2)
    return parts.reshape(batch, factor * n_channels, n_frames // factor)


def unsqueeze(x: Tensor, factor: int) -> Tensor:
    """The way back from `squeeze`.

    Args:
        x: `[B factor*C N/factor]`.
        factor: as given to `squeeze`.

    Returns:
        `[B C N]`.
    """
    batch, n_channels, n_frames = x.shape
    parts = x.view(batch, factor, n_channels // factor, n_frames).permute(0, 2, 3, 1)
    return parts.reshape(batch, n_channels // factor, n_frames * factor)


def log_likelihood(latents: Tensor, log_det: Tensor) -> Tensor:
    """Log density of the data whose latents these are, under a standard normal prior of the latents.

    Args:
        latents: `[B C N]`, from `Glow.forward`.
        log_det: `[B]`, from the same call.

    Returns:
        `[B]`, in nats; divide by C N to compare pieces of different length.
    """
    constant = 0.5 * math.log(2 * math.pi) * latents[0].numel()
    return log_det - 0.5 * latents.square().sum(dim=(1, 2)) - constant
