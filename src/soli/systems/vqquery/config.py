"""What can be set about the modern preset of `vqquery`; every default is the released model's."""

from __future__ import annotations

import re
from dataclasses import dataclass

from soli.errors import SoliError

_SAFE = re.compile(r"[\w -]+")


@dataclass(frozen=True, kw_only=True)
class VQQueryConfig:
    """Modern preset.

    Attributes:
        codebook_size: V, categories that stems are sorted into.
        levels: 1, or 2 for categories in categories: every code of the first level is divided into V of the second,
            and there are V^2 outputs.
        code_size: D, features of a code.
        sample_rate: in Hz.
        n_fft: window of the masked spectrogram, 93 ms.
        hop_length: half the window.
        bands: `(number, width in bins)` from low to high; together n_fft / 2 bins.
        n_features: features of each band and frame.
        depths: U-Net trunk: blocks at each level above the middle.
        dilations: in time, one for each block of the middle.
        mask_features: what each bin is described by, for the codes to choose from.
        query_fft: window of the query encoder, in samples; frames overlap by half.
        query_mels: bands of the query encoder.
        query_widths: features of its convolutions, each of which halves bands and frames.
        query_seconds: length of what it hears at once; the embeddings of a longer example are averaged.
        sharpness: at use, what the logits are multiplied with before the softmax over codes; below 1, masks are softer
            than in training, and codes that are absent take less.
        sounds_db: a code sounds where a window of its output is above this level relative to the mixture's loudest
            window.
        window_seconds: length of those windows.
        classes: names of the rows of `histogram`.
        histogram: how many excerpts of each class had each code; empty where no labels were there to count with.
    """

    codebook_size: int = 16
    levels: int = 1
    code_size: int = 32
    sample_rate: int = 22050
    n_fft: int = 2048
    hop_length: int = 1024
    bands: tuple[tuple[int, int], ...] = ((32, 4), (24, 8), (24, 16), (8, 40))
    n_features: int = 48
    depths: tuple[int, ...] = (1, 2)
    dilations: tuple[int, ...] = (1, 2, 1, 2)
    mask_features: int = 20
    query_fft: int = 1024
    query_mels: int = 64
    query_widths: tuple[int, ...] = (24, 48, 96)
    query_seconds: float = 3.2
    sharpness: float = 0.6
    sounds_db: float = -24.0
    window_seconds: float = 0.5
    classes: tuple[str, ...] = ()
    histogram: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.levels not in (1, 2):
            raise SoliError(f"levels = {self.levels}; allowed: 1, 2")
        if self.codebook_size < 2:
            raise SoliError(f"codebook_size = {self.codebook_size}; allowed: at least 2")
        if {len(row) for row in self.histogram} - {self.n_codes} or len(self.histogram) != len(self.classes):
            raise SoliError(f"histogram of {len(self.histogram)} rows; allowed: {self.n_codes} counts for each class")
        for name in self.classes:
            if not _SAFE.fullmatch(name):
                raise SoliError(f"class {name!r}; allowed: letters, digits, spaces, _ and -, as it names files")

    @property
    def n_codes(self) -> int:
        """How many outputs there are."""
        return self.codebook_size**self.levels

    @property
    def context_seconds(self) -> float:
        """How far the output depends on the input, on each side."""
        multiple = 2 ** len(self.depths)
        frames = multiple * sum(dilation + 1 for dilation in self.dilations)
        frames += sum((4 * depth + 1) * 2**level for level, depth in enumerate(self.depths))
        return (frames * self.hop_length + self.n_fft) / self.sample_rate
