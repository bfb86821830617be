"""A generator for each source, and the search for what they must make so that it sums to the mixture."""

from __future__ import annotations

import copy
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.baselines.gan_prior.config import GANPriorConfig
from soli.baselines.gan_prior.generator import Generator
from soli.baselines.gan_prior.losses import search_loss
from soli.baselines.gan_prior.search import search
from soli.baselines.gan_prior.spectrum import Spectrum
from soli.baselines.gan_prior.waveform import Waveform
from soli.streaming import MonoSeparator

SEGMENTS_AT_ONCE = 16
QUIETEST_PEAK = 1e-3


class GANPrior(MonoSeparator):
    """GAN priors of single sources (Narayanaswamy et al. 2020) with the generators of SpecGAN or WaveGAN.

    Args:
        config: sizes, and how a mixture is separated.
    """

    Config: ClassVar[type[GANPriorConfig]] = GANPriorConfig
    context_seconds = 0.0  # each segment of a generator is separated by itself

    def __init__(self, config: GANPriorConfig) -> None:
        super().__init__()
        self.config, self.sources, self.sample_rate = config, config.sources, config.sample_rate
        self.segment_seconds = SEGMENTS_AT_ONCE * config.segment / config.sample_rate
        self.generators = nn.ModuleList(Generator(config) for _ in config.sources)
        self.domain = Spectrum(config) if config.kind == "spec" else Waveform(config)

    def generate(self, latents: Tensor) -> Tensor:
        """What each generator makes of its latents.

        Args:
            latents: `[B S D]`.

        Returns:
            `[B S F N]` or `[B S T]`.
        """
        made = [generator(own) for generator, own in zip(self.generators, latents.unbind(1), strict=True)]
        return torch.stack(made, dim=1)

    def _separate_mono(self, mixture: Tensor) -> Tensor:
        """`[B T]` -> `[B S T]`, one at a time: what comes out does not depend on what else is in the batch."""
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(mixture.device.type, enabled=False):
            # nothing that was made in inference mode can be searched through; copies can
            inference = next(self.parameters()).is_inference()
            model = copy.deepcopy(self) if inference else self
            return torch.stack([model._separate_signal(signal) for signal in mixture.clone()])

    def _separate_signal(self, mixture: Tensor) -> Tensor:
        """`[T]` -> `[S T]`."""
        config, n_samples = self.config, len(mixture)
        segments = F.pad(mixture, (0, -n_samples % config.segment)).view(-1, config.segment)  # [B T]
        # the loss compresses magnitudes as of signals that peak at 1
        gains = 1 / segments.abs().amax(dim=-1).clamp(min=QUIETEST_PEAK)[:, None, None]
        due = self.domain.observe(segments) * gains

        def objective(latents: Tensor) -> Tensor:
            return search_loss(due, self.domain.magnitudes(self.generate(latents)) * gains[:, None], config)

        start = segments.new_zeros(len(segments), len(config.sources), config.n_latent)
        found = search(
            objective, start, iterations=config.iterations, learning_rate=config.learning_rate, bound=config.bound
        )
        with torch.no_grad():
            stems = self.domain.decode(self.generate(found), segments)  # [B S T]
        return stems.transpose(0, 1).flatten(1)[:, :n_samples]
