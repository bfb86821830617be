"""The modern network: one trunk describes every bin of a mixture, and light heads let the codes share it out.

Order of the signal: `magnitude_planes` -> `BandSplit` -> trunk -> `BandMerge` -> heads -> softmax over codes. A head is
a vector made from its code's, so that all codes cost one pass of the trunk, and any vector of that space is a query.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.dsp.frames import analyse
from soli.dsp.scale import N_MAGNITUDES, magnitude_planes
from soli.nn.bandsplit import BandMerge, BandSplit, band_groups
from soli.nn.trunks import UNetTrunk
from soli.systems.vqquery.categories import Categories
from soli.systems.vqquery.config import VQQueryConfig
from soli.systems.vqquery.encoder import QueryEncoder

_HIDDEN = 64


class Described(NamedTuple):
    """A mixture as the heads see it.

    Attributes:
        bins: `[B E N F-1]`, what each bin is like.
        spectrogram: complex `[B N F]`.
    """

    bins: Tensor
    spectrogram: Tensor


class QueryNetwork(nn.Module):
    """Trunk, heads, query encoder and categories.

    Args:
        config: of the modern preset.
    """

    def __init__(self, config: VQQueryConfig) -> None:
        super().__init__()
        self.config = config
        groups = band_groups(config.bands, config.n_fft // 2)
        n_bands = sum(group.n_bands for group in groups)
        self.split = BandSplit(groups, N_MAGNITUDES, config.n_features)
        self.trunk = UNetTrunk(n_bands, config.n_features, config.depths, config.dilations)
        self.merge = BandMerge(groups, config.n_features, config.mask_features)
        self.heads = nn.Sequential(
            nn.Linear(config.code_size, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, config.mask_features + 1)
        )
        self.encoder = QueryEncoder(config)
        self.categories = Categories(config)

    def describe(self, waveform: Tensor) -> Described:
        """Run the trunk once.

        Args:
            waveform: of usual level, `[B T]`.

        Returns:
            What the heads see.
        """
        n_fft, hop_length = self.config.n_fft, self.config.hop_length
        with torch.autocast(waveform.device.type, enabled=False):
            whole = F.pad(waveform.float(), (0, -waveform.shape[-1] % hop_length))
            spectrogram = analyse(whole, n_fft, hop_length)
            planes = magnitude_planes(whole, spectrogram, n_fft, hop_length)
        return Described(self.merge(self.trunk(self.split(planes))), spectrogram)

    def logits(self, bins: Tensor, queries: Tensor) -> Tensor:
        """How strongly each query asks for each bin.

        Args:
            bins: `[B E N F-1]`.
            queries: vectors on the sphere of codes, `[B M D]` or, the same for all items, `[1 M D]`.

        Returns:
            `[B M N F-1]`; their softmax over M are the shares.
        """
        flat = bins.flatten(2)
        heads = self.heads(queries).to(flat.dtype).expand(len(flat), -1, -1)
        found = torch.baddbmm(heads[..., :1], heads[..., 1:], flat)
        return found.float().unflatten(-1, tuple(bins.shape[2:]))
