"""What can be set about `latentcluster`; every default is the released model's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from soli.errors import SoliError

FEWEST, MOST = 2, 8
"""How many sources may be asked for."""

Selection = Literal["silhouette", "stability", "bic"]
"""How the number of sources is found."""


def cluster_names(n_sources: int) -> tuple[str, ...]:
    """What sources without a name are called, loudest first.

    Args:
        n_sources: how many.

    Returns:
        `cluster1`, `cluster2` and so on.
    """
    return tuple(f"cluster{index + 1}" for index in range(n_sources))


@dataclass(frozen=True, kw_only=True)
class SpectralConfig:
    """Spectrogram, bands and widths that the modern and the slots preset share.

    Attributes:
        max_sources: at most so many are found.
        sample_rate: in Hz.
        n_fft: window of the masked spectrogram, 93 ms.
        hop_length: half the window.
        patch: frames that are one step of the latents.
        bands: `(number, width in bins)` from low to high; together n_fft / 2 bins.
        n_features: of the encoder at full resolution.
        depths: blocks at each level of the encoder; every level has half the bands and steps of the one before.
        dilations: in steps, of the blocks of the lowest level.
        latent_size: L, latent channels of each band.
        decoder_features: of the decoder.
        decoder_depth: its blocks.
    """

    max_sources: int = MOST
    sample_rate: int = 22050
    n_fft: int = 2048
    hop_length: int = 1024
    patch: int = 1
    bands: tuple[tuple[int, int], ...] = ((64, 2), (32, 4), (16, 16), (16, 32))
    n_features: int = 24
    depths: tuple[int, ...] = (1, 1, 1)
    dilations: tuple[int, ...] = (1, 2, 4)
    latent_size: int = 8
    decoder_features: int = 16
    decoder_depth: int = 1

    def __post_init__(self) -> None:
        if not FEWEST <= self.max_sources <= MOST:
            raise SoliError(f"max_sources = {self.max_sources}; allowed: {FEWEST} to {MOST}")
        n_bands = sum(number for number, _ in self.bands)
        if n_bands % 2 ** len(self.depths):
            raise SoliError(f"bands: {n_bands} of them; allowed: a multiple of {2 ** len(self.depths)}, for the levels")


@dataclass(frozen=True, kw_only=True)
class LatentClusterConfig(SpectralConfig):
    """Modern preset.

    Attributes:
        embedding_size: E, of the directions that are clustered.
        assignment: `soft` clusters points of band and step; `nmf` clusters parts of the latent activations.
        selection: how the number of sources is found.
        independent: share of the points that BIC counts.
        temperature: how soft the assignments are; 1 is the likelihood's own.
        n_parts: of the factorisation, for `nmf`.
        n_points: the loudest so many, at random, are what clusters are fitted to.
        seed: of the draws.
    """

    latent_size: int = 16
    decoder_features: int = 24
    decoder_depth: int = 2
    embedding_size: int = 16
    assignment: Literal["soft", "nmf"] = "soft"
    selection: Selection = "bic"
    independent: float = 0.05
    temperature: float = 4.0
    n_parts: int = 24
    n_points: int = 4000
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class LatentSlotsConfig(SpectralConfig):
    """Slots preset.

    Attributes:
        n_slots: latents of each mixture, one for each source it may have.
        quiet_db: a slot this far below the loudest one holds no source.
        alike: correlation of two slots' envelopes above which they are one source.
    """

    n_slots: int = 6
    quiet_db: float = -20.0
    alike: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_slots < FEWEST:
            raise SoliError(f"n_slots = {self.n_slots}; allowed: {FEWEST} or more")
