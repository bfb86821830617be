"""What the slots preset learns from: the evidence lower bound, mixture invariant training, or both."""

from __future__ import annotations

import torch
from torch import Tensor

from soli.dsp.frames import analyse
from soli.losses import Task
from soli.systems.latentcluster.mixit import masked_grams, mixit_loss
from soli.systems.latentcluster.network import roots
from soli.systems.latentcluster.parts import Parts, check_parts, loudest, parts_of, two_groups
from soli.systems.latentcluster.slots import LatentSlots
from soli.systems.latentcluster.variational import free_divergence, warmed
from soli.systems.latentcluster.wiener import cluster_masks, powers

_MOST_PARTS = 5  # each slot goes to one of them: 5^6 ways are tried


class LatentSlotsTask(Task[LatentSlots]):
    """Losses of the slots preset.

    Args:
        separator: to train.
        parts: `songs` adds two mixtures; `stems` shares instruments out at random between two mixtures.
        apart: with `stems`, whether each of the five loudest instruments counts by itself, instead of two mixtures of
            them, which makes it permutation invariant training.
        mixit_weight: of mixture invariant training; 0 leaves the evidence lower bound of Neri et al. alone.
        reconstruction_weight: of the magnitudes of all slots together against the mixture's.
        kl_weight: of the divergence, in the end.
        kl_warmup: steps in which it rises from nothing.
        free_nats: of each latent channel, which cost nothing; of slots that are to be pruned it must be little.
        floor_db: error of a mixture below which nothing more is to gain.
    """

    finds_sources = True

    def __init__(
        self,
        separator: LatentSlots,
        *,
        parts: Parts = "songs",
        apart: bool = False,
        mixit_weight: float = 0.1,
        reconstruction_weight: float = 1.0,
        kl_weight: float = 3e-3,
        kl_warmup: int = 500,
        free_nats: float = 0.01,
        floor_db: float = -30.0,
    ) -> None:
        super().__init__()
        self.separator = separator
        self.kind: Parts = check_parts(parts)
        self.apart = apart
        self.mixit_weight, self.reconstruction_weight = mixit_weight, reconstruction_weight
        self.kl_weight, self.kl_warmup, self.free_nats, self.floor_db = kl_weight, kl_warmup, free_nats, floor_db
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Terms whose sum is minimised.

        Args:
            stems: `[B S C T]`; of any classes, their names do not matter.

        Returns:
            `reconstruction`, `kl`, and `mixit` in units of its weight times dB.
        """
        model, config = self.separator, self.separator.config
        parts = parts_of(stems, self.kind)
        mixtures = loudest(parts, _MOST_PARTS) if self.apart else two_groups(parts)
        view = model.view(mixtures.sum(dim=1))
        found = model.encoder(view.planes)
        latents = found.sample() if self.training else found.mean
        made = model.slots(latents, view.spectrogram.shape[1])
        weight = warmed(self.kl_weight, int(self.step), self.kl_warmup)
        if self.training:
            self.step += 1
        divergence = found.divergence().movedim(1, -2).flatten(0, -3).flatten(1)  # [B*K*M S*L]
        losses = {
            "reconstruction": self.reconstruction_weight * self._reconstruction(made, view.spectrogram),
            "kl": weight * config.n_slots * free_divergence(divergence, self.free_nats),
        }
        if self.mixit_weight:
            masks = cluster_masks(made)
            spectrograms = analyse(mixtures, config.n_fft, config.hop_length)
            grams = masked_grams(masks, view.spectrogram, spectrograms / view.level[..., None, None])
            losses["mixit"] = self.mixit_weight * mixit_loss(grams, floor_db=self.floor_db)[0]
        return losses

    def _reconstruction(self, made: Tensor, spectrogram: Tensor) -> Tensor:
        """Powers of the slots add up; distance of square roots of magnitudes, relative to the mixture's."""
        truth = roots(spectrogram, self.separator.config.n_fft)
        whole = powers(made).sum(dim=1) ** 0.25
        return (whole - truth).abs().mean() / (truth.mean() + 1e-3)
