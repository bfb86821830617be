"""The modern network: a spectrogram U-Net over bands with attention and one sequence of codes per source in its middle.

Order of the signal: `inputs.magnitude_planes` -> `BandSplit` -> `BandEncoder` -> `SelfAttention` -> latents of each
source -> `StemQuantizer` -> `StemDecoder` (one pass per source, with or without the encoder's skips) -> masks on the
mixture, or the stems' own spectrograms.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.dsp.frames import analyse
from soli.dsp.scale import N_MAGNITUDES, compressed, expanded, log_power, magnitude_planes, power
from soli.errors import SoliError
from soli.nn.attention import SelfAttention
from soli.nn.bandsplit import BandMerge, BandSplit, band_groups
from soli.systems.rqvae.bottleneck import StemQuantizer
from soli.systems.rqvae.config import RQVAEConfig
from soli.systems.rqvae.masking import masked_apart, shared_out
from soli.systems.rqvae.unet import BandEncoder, StemDecoder


class Encoded(NamedTuple):
    """What the encoder makes of mixtures.

    Attributes:
        spectrogram: complex `[B N F]`, N a multiple of the patch.
        phases: features of the phases, `[B K' N' D']`.
        skips: features of each level, from the finest, `[B K N' D]`.
        latents: of each source, `[B S D N']`, to be quantised.
        bypass: of each source, `[B S N' D']`, for the decoder without quantisation.
    """

    spectrogram: Tensor
    phases: Tensor
    skips: list[Tensor]
    latents: Tensor
    bypass: Tensor


class RQVAENetwork(nn.Module):
    """Mixture in; latents, masks and stems out.

    Args:
        config: of the modern preset.
    """

    def __init__(self, config: RQVAEConfig) -> None:
        super().__init__()
        self.config, n_stems = config, len(config.sources)
        groups = band_groups(config.bands, config.n_fft // 2)
        refined, n_bands = groups[: config.refined_groups], sum(group.n_bands for group in groups)
        self.n_refined = sum(group.n_bands for group in refined)
        n_planes = N_MAGNITUDES + n_stems * config.partial_stems
        self.split = BandSplit(groups, n_planes * config.patch, config.widths[0])
        self.encoder = BandEncoder(n_bands, config.widths, config.depths)
        middle = self.encoder.n_bands * config.widths[-1]
        self.gather = nn.Linear(middle, config.n_features)
        self.gather_phases = nn.Linear(self.n_refined * config.stem_widths[0], config.n_features, bias=False)
        self.attention = nn.Sequential(
            *(SelfAttention(config.n_features, config.n_heads) for _ in range(config.n_layers)),
            nn.LayerNorm(config.n_features),
        )
        self.to_latents = nn.Linear(config.n_features, n_stems * config.latent_size)
        self.to_bypass = nn.Linear(config.n_features, n_stems * config.bypass_size)
        self.quantizer = StemQuantizer(
            n_stems,
            config.n_codebooks,
            config.codebook_size,
            config.latent_size,
            learning=config.learning,
            dropout=config.level_dropout,
        )
        self.decoder = StemDecoder(config, self.encoder.n_bands)
        width = config.stem_widths[0]
        self.phases = BandSplit(refined, 2 * config.patch, width)
        self.shares = BandMerge(groups, width, config.patch, scale=0.5)
        self.refine = BandMerge(refined, width, 2 * config.patch, scale=0.1)
        self.paint = BandMerge(groups, width, 2 * config.patch, scale=0.1)

    def encode(self, mixture: Tensor, known: Tensor | None = None) -> Encoded:
        """Everything up to the quantiser.

        Args:
            mixture: `[B T]`.
            known: stems `[B S T]` already known and zeros for the others; None if none is.

        Returns:
            See `Encoded`.

        Raises:
            SoliError: for known stems that this model was not built to take.
        """
        config = self.config
        mixture = self._pad(mixture)
        spectrogram = analyse(mixture, config.n_fft, config.hop_length)
        planes = magnitude_planes(mixture, spectrogram, config.n_fft, config.hop_length)
        if config.partial_stems or known is not None:
            planes = torch.cat((planes, self._known_planes(planes, known)), dim=1)
        skips = self.encoder(self.split(self._patched(planes)))
        phases = self._phases(spectrogram)
        gathered = self.gather(_by_frame(skips[-1])) + self.gather_phases(_by_frame(phases))
        hidden = self.attention(gathered)  # [B N' D]
        latents = self.to_latents(hidden).unflatten(-1, (-1, config.latent_size)).float()
        latents = F.layer_norm(latents, (config.latent_size,)).permute(0, 2, 3, 1)
        bypass = self.to_bypass(hidden).unflatten(-1, (-1, config.bypass_size)).transpose(1, 2)
        return Encoded(spectrogram, phases, skips, latents, bypass)

    def decode(self, latents: Tensor, encoded: Encoded | None = None, kept: Tensor | None = None) -> Tensor:
        """Features of each source.

        Args:
            latents: `[B S D N']`, quantised.
            encoded: what the mixture left; None decodes the codes alone.
            kept: for each item whether it may use that, `[B]`, zeros and ones; None lets all.

        Returns:
            `[B S K N' D']`.
        """
        if encoded is None:
            return self.decoder(latents, None, None, None)
        kept = latents.new_ones(len(latents)) if kept is None else kept
        return self.decoder(latents, encoded.bypass, encoded.skips, kept)

    def masked(self, features: Tensor, spectrogram: Tensor, phases: Tensor) -> Tensor:
        """Separation: complex masks on the mixture, which they share out without a rest if `consistent`.

        Args:
            features: of each source, `[B S K N' D']`, decoded with skips.
            spectrogram: of the mixture, complex `[B N F]`.
            phases: see `Encoded`.

        Returns:
            Complex `[B S N F]`.
        """
        batch, n_stems = features.shape[:2]
        refined = F.gelu(features[:, :, : self.n_refined] + phases[:, None])
        logits = self._frames(self.shares(features.flatten(0, 1)), 1).unflatten(0, (batch, n_stems))
        refinement = self._frames(self.refine(refined.flatten(0, 1)), 2).unflatten(0, (batch, n_stems))
        apply = shared_out if self.config.consistent else masked_apart
        return apply(logits[:, :, 0], refinement, spectrogram)

    def painted(self, features: Tensor) -> Tensor:
        """Codec: each source's own spectrogram, with compressed magnitudes.

        Args:
            features: of each source, `[B S K N' D']`, decoded without skips.

        Returns:
            Complex `[B S N F]`; see `expand`.
        """
        batch, n_stems = features.shape[:2]
        planes = self._frames(self.paint(features.flatten(0, 1)), 2).float().unflatten(0, (batch, n_stems))
        spectrogram = torch.complex(*planes.unbind(dim=2))
        return F.pad(spectrogram, (0, 1))  # no Nyquist bin

    def expand(self, painted: Tensor) -> Tensor:
        """Spectrograms as `masked` gives them, from those of `painted`."""
        return expanded(painted, self.config.n_fft)

    def n_frames(self, n_samples: int) -> int:
        """Frames of a waveform, a multiple of the patch."""
        n_frames = -(-n_samples // self.config.hop_length) + 1
        return -(-n_frames // self.config.patch) * self.config.patch

    def _pad(self, waveform: Tensor) -> Tensor:
        n_samples = waveform.shape[-1]
        return F.pad(waveform, (0, (self.n_frames(n_samples) - 1) * self.config.hop_length - n_samples))

    def _known_planes(self, planes: Tensor, known: Tensor | None) -> Tensor:
        """`[B S T]` -> `[B S N F]`."""
        if not self.config.partial_stems:
            raise SoliError("known stems need a model with partial_stems = true")
        n_fft, hop_length = self.config.n_fft, self.config.hop_length
        if known is None:
            batch, _, n_frames, n_bins = planes.shape
            return log_power(planes.new_zeros(batch, len(self.config.sources), n_frames, n_bins), n_fft)
        return log_power(power(analyse(self._pad(known), n_fft, hop_length)[..., :-1]), n_fft)

    def _phases(self, spectrogram: Tensor) -> Tensor:
        n_bins = sum(group.n_bins for group in self.phases.groups)
        low = compressed(spectrogram[..., :n_bins], self.config.n_fft)
        return self.phases(self._patched(torch.stack((low.real, low.imag), dim=1)))

    def _patched(self, planes: Tensor) -> Tensor:
        """`[B V N F]` -> `[B V*patch N' F]`."""
        return planes.unflatten(2, (-1, self.config.patch)).transpose(2, 3).flatten(1, 2)

    def _frames(self, planes: Tensor, n_values: int) -> Tensor:
        """`[B V*patch N' F]` -> `[B V N F]`."""
        return planes.unflatten(1, (n_values, self.config.patch)).transpose(2, 3).flatten(2, 3)


def _by_frame(features: Tensor) -> Tensor:
    """`[B K N D]` -> `[B N K*D]`."""
    return features.transpose(1, 2).flatten(2)
