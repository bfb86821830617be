"""What can be set about the modern preset of `flowprior`; every default is the released model's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from soli.errors import SoliError

Engine = Literal["extract", "search", "hybrid"]


@dataclass(frozen=True, kw_only=True)
class FlowPriorConfig:
    """Modern preset.

    Attributes:
        sources: the instruments, each with a prior of its own, in the order of the source axis.
        sample_rate: in Hz.
        n_fft: window of the masked spectrogram, 93 ms.
        hop_length: a quarter of the window.
        bands: `(number, width in bins)` that an extractor works in, from low to high; together n_fft / 2 bins.
        n_features: of an extractor's trunk.
        depths: blocks at each level of the trunk.
        dilations: of the blocks in its middle.
        n_mels: bands of the flow.
        n_blocks: of the flow.
        n_hidden: of each of its WaveNets.
        n_layers: of each of its WaveNets.
        kernel_size: of each of its WaveNets.
        largest_log_scale: of its couplings.
        noise: deviation of the noise that the flow learns under, where a loud band is about 1.
        engine: `extract` asks the extractors, `search` looks for latents that explain the mixture, `hybrid` does so
            from where the extractors end.
        iterations: of the search, at most.
        learning_rate: of the search.
        prior_weight: of how likely the latents are, beside how well they explain the mixture.
        tolerance: the search of a segment ends when ten updates gain less than this part of the loss.
    """

    SEARCH: ClassVar = ("engine", "noise", "iterations", "learning_rate", "prior_weight", "tolerance")
    """What says nothing of what a prior is, so that priors which differ in it fit together."""

    sources: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    sample_rate: int = 22050
    n_fft: int = 2048
    hop_length: int = 512
    bands: tuple[tuple[int, int], ...] = ((32, 4), (16, 8), (16, 16), (16, 32))
    n_features: int = 24
    depths: tuple[int, ...] = (1, 1, 1)
    dilations: tuple[int, ...] = (1, 2, 4)
    n_mels: int = 128
    n_blocks: int = 8
    n_hidden: int = 96
    n_layers: int = 3
    kernel_size: int = 3
    largest_log_scale: float = 1.0
    noise: float = 0.1
    engine: Engine = "extract"
    iterations: int = 80
    learning_rate: float = 0.01
    prior_weight: float = 0.01
    tolerance: float = 0.01

    def __post_init__(self) -> None:
        if not self.sources or len({*self.sources}) < len(self.sources):
            raise SoliError(f"sources = {list(self.sources)}; allowed: one or more instruments, each once")
        for name in ("noise", "iterations", "prior_weight", "tolerance"):
            if not getattr(self, name) >= 0:
                raise SoliError(f"{name} = {getattr(self, name)}; allowed: at least 0")
        for name in ("learning_rate", "largest_log_scale"):
            if not getattr(self, name) > 0:
                raise SoliError(f"{name} = {getattr(self, name)}; allowed: more than 0")
