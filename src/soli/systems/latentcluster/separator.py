"""The modern preset: points of band and step in one latent space, clustered softly, decoded, and filtered."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from soli.dsp.frames import synthesise
from soli.dsp.level import mixed_down
from soli.systems.latentcluster.config import LatentClusterConfig, cluster_names
from soli.systems.latentcluster.discoverer import Found
from soli.systems.latentcluster.grouping import centred
from soli.systems.latentcluster.network import Decoder, Encoder, band_energies, repainted
from soli.systems.latentcluster.nonnegative import factorise, part_shares
from soli.systems.latentcluster.selection import Choice, choose
from soli.systems.latentcluster.spectral import SpectralDiscoverer, encode_in_pieces

_AUDIBLE = 1e-5  # of the loudest point's energy
_SHOWN = 2000


class LatentCluster(SpectralDiscoverer[LatentClusterConfig]):
    """Variational autoencoder over bands and steps whose latents are clustered, modern preset.

    Args:
        config: of network and clustering.
    """

    Config: ClassVar[type[LatentClusterConfig]] = LatentClusterConfig

    def __init__(self, config: LatentClusterConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate, self.sources = config.sample_rate, cluster_names(config.max_sources)
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        hidden = 4 * config.latent_size
        self.projection = nn.Sequential(
            nn.Linear(config.latent_size, hidden), nn.GELU(), nn.Linear(hidden, config.embedding_size, bias=False)
        )

    def embed(self, latents: Tensor, energies: Tensor) -> Tensor:
        """Directions that are clustered, from the middle of all points of a mixture.

        Args:
            latents: `[... K M L]`.
            energies: of the points, `[... K M]`.

        Returns:
            `[... K M E]`, of length one.
        """
        vectors = self.projection(latents).flatten(-3, -2)
        return centred(vectors, energies.flatten(-2).sqrt()).unflatten(-2, energies.shape[-2:])

    def encode(self, planes: Tensor) -> Tensor:
        """Means of the latents of long mixtures.

        Args:
            planes: `[B 2 N F-1]`.

        Returns:
            `[B K M L]`.
        """
        return encode_in_pieces(lambda piece: self.encoder(piece).mean[:, 0], planes, self.config.patch)

    @torch.inference_mode()
    def reconstruct(self, mixture: Tensor) -> Tensor:
        """What the autoencoder alone makes of a mixture, with the mixture's phases.

        Args:
            mixture: mono `[T]`.

        Returns:
            `[T]`.
        """
        config, view = self.config, self.view(mixture[None].float())
        roots = self.decode(self.encode(view.planes), view.spectrogram.shape[1])
        made = repainted(roots, view.spectrogram, config.n_fft) * view.level[..., None]
        return synthesise(made, config.n_fft, config.hop_length, mixture.shape[-1])[0]

    def _discover(self, mixture: Tensor, n_sources: int | None) -> Found:
        view = self.view(mixed_down(mixture))
        latents = self.encode(view.planes)[0]  # [K M L]
        energies = band_energies(view.spectrogram[0].abs().square(), self.config)  # [K M]
        directions = self.embed(latents, energies)
        points, choice = self._cluster(directions, energies, n_sources)
        gates = self._gates(latents, directions, choice)  # [S K M 1]
        roots = self.decode(gates * latents, view.spectrogram.shape[1])
        labels = choice.clusters.responsibilities(points).argmax(dim=1)
        info = {"latents": points[:_SHOWN].cpu(), "labels": labels[:_SHOWN].cpu(), "scores": dict(choice.scores)}
        return Found(self.filtered(roots, mixture), info)

    def _cluster(self, directions: Tensor, energies: Tensor, n_sources: int | None) -> tuple[Tensor, Choice]:
        """Draw audible points, louder ones more often, and fit clusters to them."""
        config = self.config
        generator = torch.Generator().manual_seed(config.seed)
        weights = energies.flatten().sqrt().cpu().double()
        weights = weights * (energies.flatten().cpu() >= _AUDIBLE * energies.max().cpu())
        count = min(config.n_points, int((weights > 0).sum()))
        chosen = torch.multinomial(weights, count, generator=generator).to(directions.device)
        points = directions.flatten(0, 1)[chosen]
        fewest = 1 if config.selection == "bic" else 2  # the others say nothing of a single cluster
        numbers = (n_sources,) if n_sources else tuple(range(fewest, config.max_sources + 1))
        return points, choose(points, numbers, config.selection, generator, independent=config.independent)

    def _gates(self, latents: Tensor, directions: Tensor, choice: Choice) -> Tensor:
        """How much of each latent belongs to each cluster, `[S K M 1]`."""
        soft = choice.clusters.responsibilities(directions.flatten(0, 1), self.config.temperature)  # [K*M S]
        soft = soft.T.unflatten(1, directions.shape[:2])
        if self.config.assignment == "nmf":
            soft = self._by_parts(soft, torch.linalg.vector_norm(latents, dim=-1))
        return soft[..., None]

    def _by_parts(self, soft: Tensor, activations: Tensor) -> Tensor:
        """Let parts of the activations `[K M]`, not single points, belong to clusters: `[S K M]` -> `[S K M]`."""
        templates, levels = factorise(activations, self.config.n_parts, seed=self.config.seed)
        shares = part_shares(templates, levels)  # [R K M]
        belongs = torch.einsum("rkm,skm,km->rs", shares, soft, activations)
        return torch.einsum("rs,rkm->skm", belongs / (belongs.sum(dim=1, keepdim=True) + 1e-9), shares)
