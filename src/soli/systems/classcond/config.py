"""What can be set about the modern preset of `classcond`; every default is the released model's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from soli.systems.classcond.gaussians import Covariance


@dataclass(frozen=True, kw_only=True)
class ClassCondConfig:
    """Modern preset.

    Attributes:
        sources: class names, in the order of the auxiliary network's one-hot input.
        sample_rate: in Hz.
        n_fft: 93 ms at 44.1 kHz: neighbouring bass notes fall into different bins.
        hop_length: half the window. Phase-sensitive oracle masks lose 0.3 dB against a quarter, and
            everything takes half the time.
        compression: exponent on the magnitudes the network sees; 1 would let a few peaks rule.
        level_seconds: the input is divided by its RMS level over this long a window, so loudness
            does not matter and a song need not be known whole.
        bands: `(number, width in bins)` from low to high; together n_fft / 2 bins.
        trunk: design of the trunk.
        n_features: features of each band and frame.
        depths: U-Net trunk: blocks at each level above the middle.
        dilations: in time, one for each block of the middle (U-Net) or of the trunk (conv).
        n_layers: attention trunk: pairs of time and band attention.
        n_heads: attention trunk: heads.
        embedding_size: D of the class Gaussians.
        covariance: which variances are shared.
        refinement_features: width of the class-conditioned complex refinement.
        refined_groups: how many of the band groups are refined; above them the posterior alone
            is the mask, because phases there are noise-like and little energy is left.
        spatial_seconds: reach, on each side, of the covariances of the spatial filter; 0 leaves it out.
    """

    sources: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    sample_rate: int = 44100
    n_fft: int = 4096
    hop_length: int = 2048
    compression: float = 0.4
    level_seconds: float = 2.0
    bands: tuple[tuple[int, int], ...] = ((32, 4), (24, 8), (24, 16), (16, 32), (16, 52))
    trunk: Literal["conv", "unet", "attention"] = "unet"
    n_features: int = 96
    depths: tuple[int, ...] = (1, 2)
    dilations: tuple[int, ...] = (1, 2, 1, 2, 1, 2)
    n_layers: int = 4
    n_heads: int = 4
    embedding_size: int = 16
    covariance: Covariance = "spherical_tied"
    refinement_features: int = 48
    refined_groups: int = 3
    spatial_seconds: float = 2.5

    @property
    def frame_multiple(self) -> int:
        """The trunk sees frames in groups of this size; pieces of a long file start at a multiple of it."""
        return 2 ** len(self.depths) if self.trunk == "unet" else 1

    @property
    def spatial_frames(self) -> int:
        """Reach of the spatial filter, on each side."""
        return round(self.spatial_seconds * self.sample_rate / self.hop_length)

    @property
    def context_seconds(self) -> float:
        """How far the output depends on the input, on each side, for the convolutional trunks."""
        frames = self.frame_multiple * sum(dilation + 1 for dilation in self.dilations)
        if self.trunk == "unet":
            frames += sum((4 * depth + 1) * 2**level for level, depth in enumerate(self.depths))
        level_frames = round(self.level_seconds * self.sample_rate / self.hop_length / 2)
        return (
            frames + level_frames + self.spatial_frames
        ) * self.hop_length / self.sample_rate + self.n_fft / self.sample_rate
