"""The paper preset: a generator of mel spectrograms, run once for each code; phases by Griffin-Lim."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.nn.quantize import ResidualQuantizer
from soli.systems.vqquery.adversaries import MelEncoder, MelGenerator
from soli.systems.vqquery.discovery import CodeSeparator, code_names
from soli.systems.vqquery.mel_levels import MelLevels
from soli.systems.vqquery.paper_config import VQQueryPaperConfig

_DECAY, _RESTART = 0.99, 0.1
_SILENCE = 1e-5


class VQQueryPaper(CodeSeparator):
    """Query-based separation whose queries are the codes of a VQ bottleneck.

    Outputs have phases of their own and do not sum to the mixture: the residual holds the rest.

    Args:
        config: sizes.
    """

    Config: ClassVar[type[VQQueryPaperConfig]] = VQQueryPaperConfig

    def __init__(self, config: VQQueryPaperConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = config.sample_rate
        self.sources = code_names(config.codebook_size)
        self.segment_seconds = config.n_samples / config.sample_rate
        self.context_seconds = self.segment_seconds / 8
        self.levels = MelLevels(config)
        self.encoder = MelEncoder(config)
        self.generator = MelGenerator(config)
        self.quantizer = ResidualQuantizer(1, config.codebook_size, config.code_size, decay=_DECAY, threshold=_RESTART)
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool))

    @torch.inference_mode()
    def codes_of(self, examples: Tensor) -> Tensor:
        """See `CodeSeparator`."""
        return self.quantizer.encode(self.encoder(self.levels(examples))[..., None])[:, 0, 0]

    def generate(self, mixture: Tensor, codes: Tensor) -> Tensor:
        """Run the generator, on frames padded to what its levels can halve.

        Args:
            mixture: mel levels `[B N K]`.
            codes: vectors `[B D]`.

        Returns:
            Mel levels `[B N K]`.
        """
        n_frames = mixture.shape[1]
        padded = F.pad(mixture, (0, 0, 0, -n_frames % 2 ** len(self.config.widths)), value=-1.0)
        return self.generator(padded, codes)[:, :n_frames]

    def _separate_mono(self, mixture: Tensor) -> Tensor:
        """One pass for each code; silence stays silence."""
        levels, vectors = self.levels(mixture), self.quantizer.codebooks[0].entries()
        stems = [
            self.levels.waveform(self.generate(levels, vector.expand(len(levels), -1)), mixture.shape[-1])
            for vector in vectors
        ]
        heard = mixture.abs().amax(dim=-1)[:, None, None] > _SILENCE
        return torch.stack(stems, dim=1) * heard
