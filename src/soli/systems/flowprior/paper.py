"""InstGlow and MusicGlow as released: flows over the frames of magnitudes, searched for what sums to the mixture."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.errors import SoliError
from soli.nn.glow import Glow, log_likelihood
from soli.streaming import MonoSeparator
from soli.systems.flowprior.search import Objective, SearchConfig, Step, frozen, search, wiener
from soli.systems.flowprior.spectrum import analyse, synthesise, with_zero_bin

_LABEL_RANGE = 0.1


@dataclass(frozen=True, kw_only=True)
class InstGlowConfig:
    """Paper preset; every default is the released model's.

    Attributes:
        sources: the instruments, in the order of the outputs.
        sample_rate: in Hz.
        n_fft: window in samples.
        hop_length: in samples.
        n_blocks: of each flow.
        n_hidden: of each WaveNet.
        n_layers: of each WaveNet.
        kernel_size: of each WaveNet.
        squeeze: neighbouring frames that the flow takes as one.
        group_size: channels that one matrix mixes.
        dropout: in the WaveNets.
        shared: one flow for all instruments, which is told the instrument: MusicGlow. No instrument can join later.
        n_condition: size of what it is told.
        objective: see `SearchConfig`.
        prior_weight: of the priors' term; 1 for `map_z` and 0.001 for `map_x`.
        start_sigma: deviation of the latents that the search starts from; the published results have 0, and 0.1 for
            `map_x`.
        iterations: of the search.
        learning_rate: of the search.
        mask: see `SearchConfig`.
        wiener: whether the sources share out the mixture at the end.
        seed: of the start.
    """

    SEARCH: ClassVar = (
        "objective",
        "prior_weight",
        "start_sigma",
        "iterations",
        "learning_rate",
        "mask",
        "wiener",
        "seed",
    )
    """What says nothing of what a prior is, so that priors which differ in it fit together."""

    sources: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    sample_rate: int = 22050
    n_fft: int = 1024
    hop_length: int = 256
    n_blocks: int = 12
    n_hidden: int = 128
    n_layers: int = 4
    kernel_size: int = 5
    squeeze: int = 2
    group_size: int = 4
    dropout: float = 0.05
    shared: bool = False
    n_condition: int = 256
    objective: Objective = "mle"
    prior_weight: float = 1.0
    start_sigma: float = 0.0
    iterations: int = 150
    learning_rate: float = 0.01
    mask: bool = False
    wiener: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if len(set(self.sources)) != len(self.sources) or not self.sources:
            raise SoliError(f"sources = {list(self.sources)}; allowed: at least one, each once")
        for name in ("n_blocks", "n_hidden", "n_layers", "squeeze", "n_condition"):
            if getattr(self, name) < 1:
                raise SoliError(f"{name} = {getattr(self, name)}; allowed: at least 1")
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise SoliError(f"kernel_size = {self.kernel_size}; allowed: odd numbers")
        if not self.start_sigma >= 0:
            raise SoliError(f"start_sigma = {self.start_sigma}; allowed: at least 0")
        _ = self.search

    @property
    def n_channels(self) -> int:
        """C, bins of a frame and one that is always zero."""
        return self.n_fft // 2 + 2

    @property
    def search(self) -> SearchConfig:
        """How a mixture is separated."""
        return SearchConfig(
            objective=self.objective,
            prior_weight=self.prior_weight,
            iterations=self.iterations,
            learning_rate=self.learning_rate,
            mask=self.mask,
        )


class InstGlow(MonoSeparator):
    """A flow for each instrument, learned from its recordings alone, or one for all (Zhu et al. 2022).

    Args:
        config: the instruments, sizes, and how a mixture is searched.
    """

    Config: ClassVar[type[InstGlowConfig]] = InstGlowConfig
    segment_seconds = 12.0
    context_seconds = 1.0

    def __init__(self, config: InstGlowConfig) -> None:
        super().__init__()
        self.config, self.sources, self.sample_rate = config, config.sources, config.sample_rate
        self.priors = nn.ModuleList(_flow(config) for _ in range(1 if config.shared else len(config.sources)))
        self.labels = None
        if config.shared:
            self.labels = nn.Embedding(len(config.sources), config.n_condition)
            nn.init.uniform_(self.labels.weight, -_LABEL_RANGE, _LABEL_RANGE)

    def encode(self, magnitudes: Tensor) -> tuple[Tensor, Tensor]:
        """Sources to latents.

        Args:
            magnitudes: `[B S F N]`, N a multiple of `config.squeeze`.

        Returns:
            `[B S C N]` and the log-determinants `[B S]`.
        """
        return self._run(Glow.forward, with_zero_bin(magnitudes))

    def decode(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Latents to sources.

        Args:
            latents: `[B S C N]`.

        Returns:
            Magnitudes `[B S F N]` and the log-determinants of this direction, `[B S]`.
        """
        channels, log_det = self._run(Glow.inverse, latents)
        return channels[:, :, :-1], log_det

    def log_likelihood(self, magnitudes: Tensor, source_ids: Tensor) -> Tensor:
        """How likely excerpts are to come from an instrument.

        Args:
            magnitudes: `[B F N]`, N a multiple of `config.squeeze`.
            source_ids: whose prior to ask for each, `[B]`; indices of `sources`.

        Returns:
            `[B]`, in nats for each channel and frame.
        """
        channels = with_zero_bin(magnitudes)
        found = channels.new_zeros(len(channels), dtype=torch.float32)
        for index, prior in enumerate(self.priors):
            asked = source_ids == index if self.labels is None else torch.ones_like(source_ids, dtype=torch.bool)
            if asked.any():
                likelihoods = log_likelihood(*prior(channels[asked], self._told(source_ids[asked])))
                found = found.masked_scatter(asked, likelihoods)
        return found / channels[0].numel()

    def explain(self, mixture: Tensor, on_step: Callable[[Step], None] | None = None) -> Tensor:
        """Search the sources of mono mixtures, all of them at once.

        Args:
            mixture: `[B T]`.
            on_step: called before each update and after the last; `Step.magnitudes` become waveforms by
                `spectrum.synthesise`.

        Returns:
            `[B S T]`.
        """
        config, n_samples = self.config, mixture.shape[-1]
        magnitudes, phases = analyse(mixture, config.n_fft, config.hop_length, config.squeeze)
        start = self._start(len(mixture), magnitudes.shape[-1]).to(magnitudes.device)
        found = search(frozen(self).decode, magnitudes, start, config.search, on_step)
        if config.wiener:
            found = wiener(found, magnitudes)
        return synthesise(found, phases, config.n_fft, config.hop_length, n_samples)

    def _separate_mono(self, mixture: Tensor) -> Tensor:
        return self.explain(mixture)

    def _start(self, n_items: int, n_frames: int) -> Tensor:
        """`[B S C N]`; an instrument's start depends on its name, not on its place."""
        config, starts = self.config, []
        for name in config.sources:
            generator = torch.Generator().manual_seed(config.seed + zlib.crc32(name.encode()))
            starts.append(config.start_sigma * torch.randn(config.n_channels, n_frames, generator=generator))
        return torch.stack(starts).expand(n_items, -1, -1, -1)

    def _run(self, direction: Callable[..., tuple[Tensor, Tensor]], x: Tensor) -> tuple[Tensor, Tensor]:
        """Each source through its flow, `[B S C N]` -> the same shape and `[B S]`."""
        priors = list(self.priors) * (len(self.sources) // len(self.priors))
        parts = []
        for index, (prior, part) in enumerate(zip(priors, x.unbind(dim=1), strict=True)):
            parts.append(direction(prior, part, self._told(torch.tensor([index], device=part.device))))
        found, log_dets = zip(*parts, strict=True)
        return torch.stack(found, dim=1), torch.stack(log_dets, dim=1)

    def _told(self, source_ids: Tensor) -> Tensor | None:
        """What a shared flow is told of these, `[B G]`; one is told for a whole batch."""
        return None if self.labels is None else F.normalize(self.labels(source_ids))


def _flow(config: InstGlowConfig) -> Glow:
    return Glow(
        config.n_channels,
        n_blocks=config.n_blocks,
        n_hidden=config.n_hidden,
        n_layers=config.n_layers,
        kernel_size=config.kernel_size,
        squeeze=config.squeeze,
        group_size=config.group_size,
        n_condition=config.n_condition if config.shared else 0,
        dropout=config.dropout,
    )
