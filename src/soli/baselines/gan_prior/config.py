"""What can be set about the GAN-prior baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from soli.errors import SoliError

_POSITIVE = ("learning_rate", "bound", "floor")
_AT_LEAST_ONE = ("n_latent", "width", "n_levels")
_WEIGHTS = ("inclusion", "spectrum", "frequency", "exclusion")
_LEAST_BINS = 8


@dataclass(frozen=True, kw_only=True)
class GANPriorConfig:
    """Networks and search; every default is the published one but for the sample rate and the sources.

    Attributes:
        sources: a generator for each, in the order of the source axis.
        sample_rate: in Hz.
        kind: what the generators make: `"spec"` log-magnitude spectrograms (SpecGAN), `"wave"` waveforms (WaveGAN).
        segment: samples a generator makes at a time.
        n_fft: window of the spectrograms, in samples; generators of spectrograms make all bins but the highest.
        hop_length: of the spectrograms, in samples.
        floor: added to magnitudes before the logarithm that generators make.
        n_latent: numbers that decide what a generator makes.
        width: features of the generator's last level but one; each level inwards has twice as many.
        n_levels: of the networks.
        iterations: of the search.
        learning_rate: of the search.
        bound: the search stays where no latent is larger than this; generators have seen all up to 1.
        inclusion: weight of the edges that the mixture and the estimated mixture share.
        spectrum: weight of the distance of their log spectra.
        frequency: weight of the ratio of their levels in each frame.
        exclusion: weight of the edges that two sources share.
    """

    sources: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    sample_rate: int = 22050
    kind: Literal["spec", "wave"] = "spec"
    segment: int = 16384
    n_fft: int = 256
    hop_length: int = 128
    floor: float = 1e-6
    n_latent: int = 100
    width: int = 64
    n_levels: int = 5
    iterations: int = 1000
    learning_rate: float = 0.05
    bound: float = 0.9
    inclusion: float = 0.1
    spectrum: float = 0.3
    frequency: float = 0.8
    exclusion: float = 0.4

    def __post_init__(self) -> None:
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise SoliError(f"{name} = {getattr(self, name)}; allowed: at least 1")
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise SoliError(f"{name} = {getattr(self, name)}; allowed: more than 0")
        for name in (*_WEIGHTS, "iterations"):
            if not getattr(self, name) >= 0:
                raise SoliError(f"{name} = {getattr(self, name)}; allowed: at least 0")
        if not self.sources:
            raise SoliError("sources is empty; name at least one")
        self._check_spectrogram()
        for size in self.shape:
            if size % self.factor**self.n_levels:
                values = " x ".join(map(str, self.shape))
                raise SoliError(
                    f"generators of {values} values (kind = {self.kind!r}); allowed: multiples of"
                    f" {self.factor}^{self.n_levels}, one factor for each of the n_levels"
                )

    def _check_spectrogram(self) -> None:
        if self.n_fft < 2 * _LEAST_BINS or self.n_fft % 2:
            raise SoliError(f"n_fft = {self.n_fft}; allowed: even numbers from {2 * _LEAST_BINS}")
        if not 1 <= self.hop_length <= self.n_fft // 2:
            raise SoliError(f"hop_length = {self.hop_length}; allowed: 1 to n_fft / 2 = {self.n_fft // 2}")
        if self.segment < _LEAST_BINS * self.hop_length or self.segment % self.hop_length:
            least = _LEAST_BINS * self.hop_length
            raise SoliError(f"segment = {self.segment}; allowed: multiples of hop_length from {least}")

    @property
    def factor(self) -> int:
        """By which each level of a network is shorter than the one before it."""
        return 2 if self.kind == "spec" else 4

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what a generator makes: `(F, N)` or `(T,)`."""
        return (self.n_fft // 2, self.segment // self.hop_length) if self.kind == "spec" else (self.segment,)

    @property
    def inmost(self) -> tuple[int, ...]:
        """The shape at the inmost level."""
        return tuple(size // self.factor**self.n_levels for size in self.shape)

    @property
    def widths(self) -> tuple[int, ...]:
        """Features of all levels, from the inmost to what is made, which has one."""
        return (*(self.width * 2**level for level in reversed(range(self.n_levels))), 1)
