"""Spectrogram to latents of every band and step, and latents back to magnitudes.

Order of the signal: `magnitude_planes` -> `BandSplit` -> `UNetTrunk` -> Gaussians -> `Decoder` -> magnitudes. A latent
of zeros is silence, and nothing inside the decoder is normalised: a latent turned down is a source turned down.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.dsp.scale import N_MAGNITUDES, magnitude_planes, usual_power
from soli.nn.bandsplit import BandGroup, BandMerge, BandSplit, band_groups
from soli.nn.trunks import BandConv, UNetTrunk
from soli.systems.latentcluster.config import SpectralConfig
from soli.systems.latentcluster.variational import Posterior, posterior

_QUIET = -3.0


class Encoder(nn.Module):
    """Planes of a mono mixture to one Gaussian, or several, for every band and step.

    Args:
        config: sizes.
        n_slots: S, Gaussians for every band and step.
    """

    def __init__(self, config: SpectralConfig, n_slots: int = 1) -> None:
        super().__init__()
        groups = band_groups(config.bands, config.n_fft // 2)
        n_bands = sum(group.n_bands for group in groups)
        self.patch, self.n_slots = config.patch, n_slots
        self.split = BandSplit(groups, N_MAGNITUDES * config.patch, config.n_features)
        self.trunk = UNetTrunk(n_bands, config.n_features, config.depths, config.dilations)
        self.head = nn.Linear(config.n_features, 2 * n_slots * config.latent_size)

    def forward(self, planes: Tensor) -> Posterior:
        """`[B 2 N F]`, without the Nyquist bin -> Gaussians `[B S K M L]`, M = N / patch rounded up."""
        features = self.trunk(self.split(_patched(planes, self.patch)))
        mean, log_variance = self.head(features).float().unflatten(-1, (2, self.n_slots, -1)).unbind(dim=-3)
        return posterior(mean.movedim(3, 1), log_variance.movedim(3, 1) - 2.0)


class Decoder(nn.Module):
    """Latents of one source, or of all, to square roots of its magnitudes.

    Args:
        config: sizes.
    """

    def __init__(self, config: SpectralConfig) -> None:
        super().__init__()
        groups: tuple[BandGroup, ...] = band_groups(config.bands, config.n_fft // 2)
        width = config.decoder_features
        self.patch = config.patch
        self.enter = nn.Linear(config.latent_size, width, bias=False)
        self.blocks = nn.ModuleList(DecoderBlock(width) for _ in range(config.decoder_depth))
        self.leave = BandMerge(groups, width, config.patch)
        for bias in self.leave.biases:
            nn.init.constant_(bias, _QUIET).requires_grad_(False)  # what zeros decode to stays silence

    def forward(self, latents: Tensor, n_frames: int) -> Tensor:
        """`[B K M L]` -> `[B N F]`, Nyquist included, around 1 for a mixture of usual level."""
        x = self.enter(latents)
        for block in self.blocks:
            x = block(x)
        planes = F.softplus(self.leave(x).float())  # [B patch M F]
        planes = planes.transpose(1, 2).flatten(1, 2)[:, :n_frames]
        return F.pad(planes, (0, 1))


class DecoderBlock(nn.Module):
    """Two convolutions over bands and steps added to their input, without norms and offsets."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = BandConv(width, width), BandConv(width, width)
        for conv in (self.first, self.second):
            conv.register_parameter("bias", None)

    def forward(self, x: Tensor) -> Tensor:
        """`[B K M D]` -> `[B K M D]`."""
        return x + self.second(F.gelu(self.first(x)))


def mixture_planes(mixture: Tensor, spectrogram: Tensor, config: SpectralConfig) -> Tensor:
    """What the encoder sees.

    Args:
        mixture: `[B T]` at the usual level, T a multiple of the hop.
        spectrogram: of it, complex `[B N F]`.
        config: of the spectrogram.

    Returns:
        `[B 2 N F-1]`.
    """
    return magnitude_planes(mixture, spectrogram, config.n_fft, config.hop_length)


def roots(spectrogram: Tensor, n_fft: int) -> Tensor:
    """Square roots of magnitudes, around 1 for a mixture of usual level.

    Args:
        spectrogram: complex, any shape.
        n_fft: of the spectrogram.

    Returns:
        Real, the same shape.
    """
    return (spectrogram.abs() / usual_power(n_fft) ** 0.5).sqrt()


def repainted(roots: Tensor, spectrogram: Tensor, n_fft: int) -> Tensor:
    """Decoded magnitudes with the phases of a spectrogram.

    Args:
        roots: as `roots` gives them.
        spectrogram: complex, the same shape.
        n_fft: of the spectrogram.

    Returns:
        Complex, the same shape.
    """
    return torch.polar(roots.square() * usual_power(n_fft) ** 0.5, spectrogram.angle())


def band_energies(power: Tensor, config: SpectralConfig) -> Tensor:
    """Energy of every band and step.

    Args:
        power: of bins, `[... N F]`, Nyquist included.
        config: of the bands.

    Returns:
        `[... K M]`.
    """
    patched = F.pad(power[..., :-1], (0, 0, 0, -power.shape[-2] % config.patch))
    steps = patched.unflatten(-2, (-1, config.patch)).sum(dim=-2)  # [... M F]
    parts = []
    for group, part in _by_group(steps, config):
        parts.append(part.unflatten(-1, (group.n_bands, group.width)).sum(dim=-1))
    return torch.cat(parts, dim=-1).mT


def _by_group(values: Tensor, config: SpectralConfig) -> list[tuple[BandGroup, Tensor]]:
    groups = band_groups(config.bands, config.n_fft // 2)
    return list(zip(groups, values.split([group.n_bins for group in groups], dim=-1), strict=True))


def _patched(planes: Tensor, patch: int) -> Tensor:
    """`[B V N F]` -> `[B V*patch M F]`."""
    planes = F.pad(planes, (0, 0, 0, -planes.shape[2] % patch))
    batch, _, _, n_bins = planes.shape
    return planes.unflatten(2, (-1, patch)).transpose(2, 3).reshape(batch, -1, planes.shape[2] // patch, n_bins)
