"""Spectrograms to band features and back: one learned linear map per band, narrow bands below, wide above.

Feature maps are laid out `[B K N D]` (batch, bands, frames, features), so that every linear map,
norm and convolution over them reads contiguous features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from soli.errors import SoliError


@dataclass(frozen=True)
class BandGroup:
    """A run of neighbouring bands of equal width: `n_bands` bands of `width` bins."""

    n_bands: int
    width: int

    @property
    def n_bins(self) -> int:
        """How many frequency bins the group covers."""
        return self.n_bands * self.width


def band_groups(layout: tuple[tuple[int, int], ...], n_bins: int) -> tuple[BandGroup, ...]:
    """Check a layout of `(n_bands, width)` pairs against the number of bins it has to cover.

    Args:
        layout: from the lowest to the highest frequency.
        n_bins: bins to cover exactly.

    Returns:
        The groups.

    Raises:
        SoliError: when the layout does not cover exactly `n_bins`.
    """
    groups = tuple(BandGroup(*pair) for pair in layout)
    covered = sum(group.n_bins for group in groups)
    if covered != n_bins:
        raise SoliError(f"band layout covers {covered} bins; it must cover {n_bins}")
    return groups


class BandSplit(nn.Module):
    """Project the bins of each band to `n_features` with a matrix of its own.

    Args:
        groups: the band layout.
        n_inputs: real values per bin.
        n_features: D.
    """

    def __init__(self, groups: tuple[BandGroup, ...], n_inputs: int, n_features: int) -> None:
        super().__init__()
        self.groups = groups
        self.weights = nn.ParameterList(
            torch.randn(group.n_bands, group.width * n_inputs, n_features) * (group.width * n_inputs) ** -0.5
            for group in groups
        )
        self.bias = nn.Parameter(torch.zeros(sum(group.n_bands for group in groups), 1, n_features))

    def forward(self, bins: Tensor) -> Tensor:
        """`[B V N F]` (V values per bin) -> `[B K N D]`."""
        batch, n_inputs, n_frames, _ = bins.shape
        parts = bins.split([group.n_bins for group in self.groups], dim=-1)
        out = []
        for part, group, weight in zip(parts, self.groups, self.weights, strict=True):
            rows = part.reshape(batch, n_inputs, n_frames, group.n_bands, group.width)
            rows = rows.permute(0, 3, 2, 1, 4).reshape(batch, group.n_bands, n_frames, n_inputs * group.width)
            out.append(rows @ weight)  # [B k N D]
        return torch.cat(out, dim=1) + self.bias


class BandMerge(nn.Module):
    """The way back: each band's features to planes of `n_outputs` real values per bin.

    Args:
        groups: the band layout.
        n_features: D.
        n_outputs: V, values per bin.
        scale: of the initial weights, relative to variance-preserving ones.
    """

    def __init__(self, groups: tuple[BandGroup, ...], n_features: int, n_outputs: int, *, scale: float = 1.0) -> None:
        super().__init__()
        self.groups, self.n_outputs = groups, n_outputs
        self.weights = nn.ParameterList(
            torch.randn(group.n_bands, n_features, n_outputs * group.width) * (scale * n_features**-0.5)
            for group in groups
        )
        self.biases = nn.ParameterList(torch.zeros(group.n_bands, 1, n_outputs * group.width) for group in groups)

    def forward(self, features: Tensor) -> Tensor:
        """`[B K N D]` -> `[B V N F]`."""
        batch, _, n_frames, _ = features.shape
        parts = features.split([group.n_bands for group in self.groups], dim=1)
        out = []
        for part, group, weight, bias in zip(parts, self.groups, self.weights, self.biases, strict=True):
            bins = part @ weight + bias  # [B k N V*width]
            bins = bins.view(batch, group.n_bands, n_frames, self.n_outputs, group.width)
            out.append(bins.permute(0, 3, 2, 1, 4).reshape(batch, self.n_outputs, n_frames, group.n_bins))
        return torch.cat(out, dim=-1)
