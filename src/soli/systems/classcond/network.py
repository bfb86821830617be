"""The modern network: band-split trunk, an embedding per bin, Gaussians as masks, a complex refinement.

Order of the signal: `inputs.magnitude_planes` -> `BandSplit` -> trunk -> embedding -> E step -> refinement -> masks.
The phases enter at the refinement only.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.nn.bandsplit import BandMerge, BandSplit, band_groups
from soli.nn.trunks import AttentionTrunk, ConvTrunk, FeatureNorm, UNetTrunk
from soli.systems.classcond.config import ClassCondConfig
from soli.systems.classcond.gaussians import AuxiliaryNet, Gaussians
from soli.systems.classcond.inputs import N_MAGNITUDES, complex_planes, magnitude_planes
from soli.systems.classcond.masking import gated_estimates


class Separation(NamedTuple):
    """What the network says about a mixture.

    Attributes:
        embedding: `[B D N F]`, without the Nyquist bin.
        posteriors: `[B S N F]`, sum to one over S.
        estimates: complex `[B S C N F]`, Nyquist included; sum to the mixture over S.
    """

    embedding: Tensor
    posteriors: Tensor
    estimates: Tensor


class EmbeddingNetwork(nn.Module):
    """Stereo spectrogram in, complex masks of all classes out.

    Args:
        config: of the modern preset.
    """

    def __init__(self, config: ClassCondConfig) -> None:
        super().__init__()
        self.config = config
        n_sources, width = len(config.sources), config.n_features
        groups = band_groups(config.bands, config.n_fft // 2)
        n_bands = sum(group.n_bands for group in groups)
        self.split = BandSplit(groups, N_MAGNITUDES, width)
        self.trunk = make_trunk(config, n_bands)
        self.embed = BandMerge(groups, width, config.embedding_size)
        self.auxiliary = AuxiliaryNet(n_sources, config.embedding_size, config.covariance, "softplus")
        self.refined = groups[: config.refined_groups]
        self.phases = BandSplit(self.refined, 4, config.refinement_features)  # two channels, real and imaginary
        self.condition = ClassFiLM(n_sources, width, config.refinement_features)
        self.refine = BandMerge(self.refined, config.refinement_features, 4, scale=0.1)

    def forward(self, spectrogram: Tensor) -> Separation:
        """Separate one stereo spectrogram.

        Args:
            spectrogram: complex `[B 2 N F]`.

        Returns:
            Embedding, posteriors and estimates.
        """
        embedding, features = self.embedding(spectrogram)
        gate = posterior_planes(embedding, self.auxiliary())  # section 3, eq. 5
        low = features[:, : sum(group.n_bands for group in self.refined)]
        n_bins = sum(group.n_bins for group in self.refined)
        phases = self.phases(complex_planes(spectrogram, self.config, n_bins))
        refinement = torch.stack([self.refine(part) for part in self.condition(low, phases)], dim=1)
        return Separation(embedding, gate, gated_estimates(gate, refinement, spectrogram))

    def embedding(self, spectrogram: Tensor) -> tuple[Tensor, Tensor]:
        """The embedding of every bin, and the trunk's features it was made from.

        Args:
            spectrogram: complex `[B 2 N F]`.

        Returns:
            Embedding `[B D N F-1]` and features `[B K N D']`.
        """
        features = self.trunk(self.split(magnitude_planes(spectrogram, self.config)))
        return self.embed(features).float(), features


class ClassFiLM(nn.Module):
    """Features of each class: a shared projection and the phases, scaled and shifted by the class."""

    def __init__(self, n_sources: int, n_in: int, n_out: int) -> None:
        super().__init__()
        self.project = nn.Linear(n_in, n_out)
        self.norm = FeatureNorm(n_out)
        self.gain = nn.Parameter(1 + 0.3 * torch.randn(n_sources, n_out))
        self.shift = nn.Parameter(0.3 * torch.randn(n_sources, n_out))

    def forward(self, features: Tensor, phases: Tensor) -> list[Tensor]:
        """`[B K N D]` and `[B K N D']` -> one `[B K N D']` per class."""
        shared = self.norm(self.project(features) + phases)
        return [
            F.gelu(shared * gain.to(shared.dtype) + shift.to(shared.dtype))
            for gain, shift in zip(self.gain, self.shift, strict=True)
        ]


def make_trunk(config: ClassCondConfig, n_bands: int) -> nn.Module:
    """Build the trunk a config names.

    Args:
        config: of the modern preset.
        n_bands: K.

    Returns:
        A module `[B K N D]` -> `[B K N D]`.
    """
    if config.trunk == "conv":
        return ConvTrunk(n_bands, config.n_features, config.dilations)
    if config.trunk == "unet":
        return UNetTrunk(n_bands, config.n_features, config.depths, config.dilations)
    return AttentionTrunk(config.n_features, config.n_layers, config.n_heads)


def posterior_planes(embedding: Tensor, gaussians: Gaussians) -> Tensor:
    """The E step on planes: what `gaussians.posteriors` gives, with the features on axis 1.

    Long contiguous planes are several times faster than S numbers for each bin.

    Args:
        embedding: `[B D N F]`.
        gaussians: of the S classes.

    Returns:
        `[B S N F]`, non-negative, sums to one over S.
    """
    means, variances, log_priors = gaussians
    with torch.autocast(embedding.device.type, enabled=False):
        flat = embedding.float().flatten(2)
        log_volume = variances.log().expand_as(means).sum(dim=-1)
        offset = log_priors - 0.5 * ((means.square() / variances).sum(dim=-1) + log_volume)
        logits = torch.matmul(means / variances, flat) + offset[:, None]
        if variances.shape[0] != 1:  # tied variances cancel in the softmax
            logits = logits - 0.5 * torch.matmul(1 / variances.expand_as(means), flat.square())
        return logits.softmax(dim=1).unflatten(2, tuple(embedding.shape[2:]))
