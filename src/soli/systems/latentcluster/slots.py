"""K latents of one mixture and one decoder for all of them (Neri et al. 2021): what they decode to sums to the mixture.

A slot that is not needed costs divergence and says nothing, so the prior prunes it; what remains are the sources.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.dsp.level import mixed_down
from soli.systems.latentcluster.config import LatentSlotsConfig, cluster_names
from soli.systems.latentcluster.discoverer import Found
from soli.systems.latentcluster.network import Decoder, Encoder
from soli.systems.latentcluster.spectral import SpectralDiscoverer, View, encode_in_pieces
from soli.systems.latentcluster.variational import Posterior
from soli.systems.latentcluster.wiener import cluster_masks, powers

_ENVELOPE = 8  # frames
_SHOWN = 2000


class LatentSlots(SpectralDiscoverer[LatentSlotsConfig]):
    """One Gaussian for every slot, band and step, slots preset.

    Args:
        config: of network and slots.
    """

    Config: ClassVar[type[LatentSlotsConfig]] = LatentSlotsConfig

    def __init__(self, config: LatentSlotsConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate, self.sources = config.sample_rate, cluster_names(config.max_sources)
        self.encoder, self.decoder = Encoder(config, config.n_slots), Decoder(config)

    def slots(self, latents: Tensor, n_frames: int) -> Tensor:
        """Decode every slot by itself, all with the same weights.

        Args:
            latents: `[B S K M L]`.
            n_frames: N.

        Returns:
            Square roots of magnitudes, `[B S N F]`.
        """
        return self.decoder(latents.flatten(0, 1), n_frames).unflatten(0, latents.shape[:2])

    def divergences(self, view: View) -> Tensor:
        """Mean divergence of every slot: near zero, it is pruned.

        Args:
            view: of mixtures.

        Returns:
            In nats per latent, `[B S]`.
        """
        return torch.stack(
            [self._posterior(planes[None]).divergence().mean(dim=(2, 3, 4))[0] for planes in view.planes]
        )

    def _posterior(self, planes: Tensor) -> Posterior:
        """Of a long mixture, `[1 S K M L]` twice."""
        both = encode_in_pieces(lambda piece: torch.cat(self.encoder(piece), dim=-1), planes, self.config.patch)
        return Posterior(*both.chunk(2, dim=-1))

    def _discover(self, mixture: Tensor, n_sources: int | None) -> Found:
        view = self.view(mixed_down(mixture))
        found = self._posterior(view.planes)
        n_frames = view.spectrogram.shape[1]
        roots = self.decode(found.mean[0], n_frames)  # [S N F]
        power = view.spectrogram.abs().square()
        shares = (cluster_masks(roots) * power).sum(dim=-1)  # [S N]
        groups = group_slots(shares, self.config, n_sources)
        labels = _labels(groups, len(roots)).repeat_interleave(found.mean.shape[3])
        shown = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[:_SHOWN]
        joined = torch.stack([powers(roots[group]).sum(dim=0) for group in groups]) ** 0.25
        info = {
            "slot_divergence": found.divergence().mean(dim=(0, 2, 3, 4)).cpu(),
            "slots": groups,
            "latents": found.mean[0].mean(dim=(1,)).flatten(0, 1).cpu()[shown],
            "labels": labels[shown],
        }
        return Found(self.filtered(joined, mixture), info)


def group_slots(shares: Tensor, config: LatentSlotsConfig, n_sources: int | None) -> list[list[int]]:
    """Which slots are one source: those that rise and fall together (average linkage).

    Args:
        shares: energy of each slot and frame, `[S N]`.
        config: what is quiet, and what is alike.
        n_sources: how many sources; None joins slots while they are alike, and leaves quiet ones to the source they
            are most alike.

    Returns:
        Slots of each source; every slot is in one.
    """
    kept = F.avg_pool1d(shares[None], _ENVELOPE, ceil_mode=True)[0].sqrt() if shares.shape[1] >= _ENVELOPE else shares
    centred = kept - kept.mean(dim=1, keepdim=True)
    alike = F.normalize(centred, dim=1) @ F.normalize(centred, dim=1).mT
    energies = shares.sum(dim=1)
    loud = energies > energies.max() * 10 ** (config.quiet_db / 10)
    if n_sources and int(loud.sum()) < n_sources:
        loud = energies >= energies.sort(descending=True).values[min(n_sources, len(energies)) - 1]
    groups = [[int(slot)] for slot in loud.nonzero()[:, 0]]
    limit = n_sources or 1
    while len(groups) > limit:
        first, second, value = _closest(groups, alike)
        if n_sources is None and value < config.alike and len(groups) <= config.max_sources:
            break
        groups[first] += groups.pop(second)
    for slot in (~loud).nonzero()[:, 0].tolist():
        max(groups, key=lambda group: float(alike[slot, group].mean())).append(slot)
    return groups


def _closest(groups: list[list[int]], alike: Tensor) -> tuple[int, int, float]:
    """The two groups that are most alike on average, the first before the second."""
    pairs = [(i, j) for i in range(len(groups)) for j in range(i + 1, len(groups))]
    values = [float(alike[groups[i]][:, groups[j]].mean()) for i, j in pairs]
    best = max(range(len(pairs)), key=lambda index: values[index])
    return *pairs[best], values[best]


def _labels(groups: list[list[int]], n_slots: int) -> Tensor:
    """Source of every slot, `[S]`."""
    labels = torch.zeros(n_slots, dtype=torch.long)
    for source, group in enumerate(groups):
        labels[group] = source
    return labels
