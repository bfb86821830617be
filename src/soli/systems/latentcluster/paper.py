"""The system as published: a variational SEANet autoencoder, frames of its latents clustered, each cluster decoded.

Order of the signal: `SEANetEncoder` -> mean and variance -> `SEANetDecoder`. A frame belongs to one cluster, whose
decoded latents are zero everywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.nn.seanet import SEANetConfig, SEANetDecoder, SEANetEncoder
from soli.systems.latentcluster.config import MOST, cluster_names
from soli.systems.latentcluster.discoverer import Found, LatentDiscoverer
from soli.systems.latentcluster.frames import Algorithm, cluster_frames, whitened
from soli.systems.latentcluster.variational import Posterior, posterior


@dataclass(frozen=True, kw_only=True)
class LatentClusterPaperConfig:
    """Paper preset; the autoencoder has the defaults of EnCodec.

    Attributes:
        sample_rate: in Hz.
        dimension: D, of the latents.
        n_filters: after the first convolution.
        ratios: strides of the decoder.
        n_lstm: layers of the LSTMs.
        algorithm: `kmeans`, `agglomerative` or `dbscan`.
        max_sources: clusters, at most.
        seed: of the draws.
    """

    sample_rate: int = 22050
    dimension: int = 128
    n_filters: int = 32
    ratios: tuple[int, ...] = (8, 5, 4, 2)
    n_lstm: int = 2
    algorithm: Algorithm = "kmeans"
    max_sources: int = MOST
    seed: int = 0

    @property
    def seanet(self) -> SEANetConfig:
        """Sizes of encoder and decoder."""
        return SEANetConfig(dimension=self.dimension, n_filters=self.n_filters, ratios=self.ratios, n_lstm=self.n_lstm)


class LatentClusterPaper(LatentDiscoverer):
    """Paper preset.

    Args:
        config: of autoencoder and clustering.
    """

    Config: ClassVar[type[LatentClusterPaperConfig]] = LatentClusterPaperConfig

    def __init__(self, config: LatentClusterPaperConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate, self.sources = config.sample_rate, cluster_names(config.max_sources)
        self.encoder, self.decoder = SEANetEncoder(config.seanet), SEANetDecoder(config.seanet)
        self.mean = nn.Conv1d(config.dimension, config.dimension, 1)
        self.log_variance = nn.Conv1d(config.dimension, config.dimension, 1)

    def encode(self, waveform: Tensor) -> Posterior:
        """Latents of mono waveforms.

        Args:
            waveform: `[B T]`.

        Returns:
            Gaussians `[B D N]`, N = T / 320 rounded up.
        """
        features = self.encoder(waveform[:, None])
        return posterior(self.mean(features), self.log_variance(features))

    def decode(self, latents: Tensor, n_samples: int) -> Tensor:
        """Waveforms of latents.

        Args:
            latents: `[B D N]`.
            n_samples: T.

        Returns:
            `[B T]`.
        """
        return self.decoder(latents)[:, 0, :n_samples]

    @torch.inference_mode()
    def reconstruct(self, mixture: Tensor) -> Tensor:
        """What the autoencoder makes of a mixture.

        Args:
            mixture: mono `[T]`.

        Returns:
            `[T]`.
        """
        return self.decode(self.encode(mixture[None].float()).mean, mixture.shape[-1])[0]

    def _discover(self, mixture: Tensor, n_sources: int | None) -> Found:
        latents = self.encode(mixture).mean  # [C D N]
        frames = latents.mean(dim=0).mT  # [N D]
        energies = frame_energies(mixture, self.config.seanet.hop_length)
        most = self.config.max_sources
        labels = cluster_frames(
            frames, energies, self.config.algorithm, n_clusters=n_sources, most=most, seed=self.config.seed
        )
        names = [label for label in labels.unique().tolist() if label >= 0] or [0]
        stems = [self.decode(latents * (labels == name), mixture.shape[-1]) for name in names]
        return Found(torch.stack(stems), {"latents": whitened(frames).cpu(), "labels": labels.cpu()})


def frame_energies(mixture: Tensor, hop_length: int) -> Tensor:
    """Energy of the samples of each latent.

    Args:
        mixture: `[C T]`.
        hop_length: samples for each latent.

    Returns:
        `[N]`.
    """
    padded = F.pad(mixture, (0, -mixture.shape[-1] % hop_length))
    return padded.unflatten(-1, (-1, hop_length)).square().sum(dim=(0, 2))
