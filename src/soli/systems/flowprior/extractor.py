"""The amortised engine: one small network per instrument says how much of every bin is that instrument's.

It is trained on solos of its instrument under whatever else is at hand, and knows of no other extractor.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soli.dsp.scale import N_MAGNITUDES
from soli.nn.bandsplit import BandMerge, BandSplit, band_groups
from soli.nn.trunks import UNetTrunk
from soli.systems.flowprior.config import FlowPriorConfig


class Extractor(nn.Module):
    """Log magnitudes of a mixture to the mask of one instrument.

    Args:
        config: of the modern preset.
    """

    def __init__(self, config: FlowPriorConfig) -> None:
        super().__init__()
        groups = band_groups(config.bands, config.n_fft // 2)
        self.split = BandSplit(groups, N_MAGNITUDES, config.n_features)
        n_bands = sum(group.n_bands for group in groups)
        self.trunk = UNetTrunk(n_bands, config.n_features, config.depths, config.dilations)
        self.merge = BandMerge(groups, config.n_features, 1)

    def forward(self, planes: Tensor) -> Tensor:
        """Mask a mixture.

        Args:
            planes: `[B 2 N F-1]`, from `soli.dsp.scale.magnitude_planes`.

        Returns:
            Between 0 and 1, `[B N F]`; the Nyquist bin repeats the one below.
        """
        mask = self.merge(self.trunk(self.split(planes)))[:, 0].float().sigmoid()
        return torch.cat((mask, mask[..., -1:]), dim=-1)


def power_shares(masks: Tensor) -> Tensor:
    """Masks of extractors that do not know each other, brought to a sum of at most one.

    What a mask gives is an amplitude; powers share a bin, and what no instrument claims, 1 - sum of the masks, has its
    share too: m_i^2 / (sum_j m_j^2 + r^2) with r the unclaimed part.

    Args:
        masks: `[B S N F]`, between 0 and 1.

    Returns:
        `[B S N F]`, non-negative, with a sum over S of at most one.
    """
    powers = masks.square()
    unclaimed = (1 - masks.sum(dim=1, keepdim=True)).clamp(min=0).square()
    return powers / (powers.sum(dim=1, keepdim=True) + unclaimed)
