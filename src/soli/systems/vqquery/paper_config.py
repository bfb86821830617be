"""What can be set about the paper preset of `vqquery`; defaults are the published sizes where these are known."""

from __future__ import annotations

from dataclasses import dataclass

from soli.errors import SoliError


@dataclass(frozen=True, kw_only=True)
class VQQueryPaperConfig:
    """Paper preset. Rate, frames, hop, window, bands and N are those of the authors' page; the rest is reconstructed.

    Attributes:
        codebook_size: N, categories.
        sample_rate: in Hz.
        n_frames: of what the generator sees at a time.
        n_fft: window in samples.
        hop_length: in samples.
        n_mels: bands.
        widths: features of the generator at each level; every level has half the frames and bands of the one before.
        critic_widths: the same of the critic.
        query_widths: the same of the query encoder.
        code_size: D, features of a code.
        griffin_lim: iterations.
        sounds_db: a code is unused where no window of its output is above this level relative to the mixture's loudest.
        window_seconds: length of those windows.
        classes: names of the rows of `histogram`.
        histogram: how many excerpts of each class had each code; empty where no labels were there to count with.
    """

    codebook_size: int = 16
    sample_rate: int = 44100
    n_frames: int = 1024
    n_fft: int = 1024
    hop_length: int = 256
    n_mels: int = 256
    widths: tuple[int, ...] = (32, 64, 128, 192, 256)
    critic_widths: tuple[int, ...] = (32, 64, 128, 192, 256)
    query_widths: tuple[int, ...] = (32, 64, 128, 192, 256)
    code_size: int = 128
    griffin_lim: int = 32
    sounds_db: float = -60.0
    window_seconds: float = 0.5
    classes: tuple[str, ...] = ()
    histogram: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        multiple = 2 ** max(len(self.widths), len(self.critic_widths))
        for name in ("n_frames", "n_mels"):
            if getattr(self, name) % multiple:
                raise SoliError(f"{name} = {getattr(self, name)}; allowed: multiples of {multiple}, 2 for each level")
        if self.codebook_size < 2:
            raise SoliError(f"codebook_size = {self.codebook_size}; allowed: at least 2")

    @property
    def n_samples(self) -> int:
        """Between the centres of the first and the last frame."""
        return (self.n_frames - 1) * self.hop_length
