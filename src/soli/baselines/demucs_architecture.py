"""The networks of the package `demucs` with fresh weights, to be trained on any sources: for one channel at a time.

HTDemucs (Rouard et al. 2023) has the sizes of the released `htdemucs`, HDemucs (Défossez 2021) those of `hdemucs_mmi`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from soli.baselines.demucs import Demucs
from soli.errors import SoliError

KINDS = ("htdemucs", "hdemucs")


@dataclass(frozen=True, kw_only=True)
class DemucsArchitectureConfig:
    """Sizes of the network; every default is the released `htdemucs`, but for sources and rate.

    Attributes:
        sources: names.
        sample_rate: in Hz; its spectrograms have 4096 samples at any rate.
        kind: `htdemucs`, with a transformer in the middle, or `hdemucs`, two layers deeper, with LSTMs and attention.
        segment_seconds: how much it is given at a time, once trained.
        channels: of the outermost layer, a multiple of 8; each layer below has twice as many.
        transformer_layers: of `htdemucs`.
        transformer_channels: of `htdemucs`, a multiple of 8.
    """

    sources: tuple[str, ...] = ("bass", "drums", "guitar", "piano")
    sample_rate: int = 22050
    kind: Literal["htdemucs", "hdemucs"] = "htdemucs"
    segment_seconds: float = 7.8
    channels: int = 48
    transformer_layers: int = 5
    transformer_channels: int = 512


class DemucsArchitecture(Demucs):
    """A network of the package; trained on segments, run as the package runs its own.

    Args:
        config: sizes.
    """

    Config: ClassVar[type[DemucsArchitectureConfig]] = DemucsArchitectureConfig

    def __init__(self, config: DemucsArchitectureConfig) -> None:
        super().__init__(network(config))
        self.config = config

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a segment; the network itself normalises it, and gives it its level back.

        Args:
            mixture: `[B 1 T]`.

        Returns:
            `[B S 1 T]`.
        """
        return self.model(mixture)

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        """`[B C T]` -> `[B S C T]`, every channel by itself."""
        channels = mixture.float().flatten(0, 1)[:, None, None]  # [BC 1 1 T]
        stems = torch.cat([self._separate_pair(channel) for channel in channels])  # [BC S 1 T]
        return stems.squeeze(2).unflatten(0, mixture.shape[:2]).transpose(1, 2)


def network(config: DemucsArchitectureConfig) -> nn.Module:
    """Build a network of the package.

    Args:
        config: sizes.

    Returns:
        A module that maps `[B 1 T]` to `[B S 1 T]`.

    Raises:
        SoliError: when the package is not installed, or for an unknown kind or a size that does not work.
    """
    _check(config)
    try:
        from demucs.hdemucs import HDemucs
        from demucs.htdemucs import HTDemucs
    except ImportError as error:
        raise SoliError("the Demucs architecture needs its package: pip install 'soli[demucs]'") from error
    common = {
        "sources": list(config.sources),
        "audio_channels": 1,
        "samplerate": config.sample_rate,
        "segment": config.segment_seconds,
        "channels": config.channels,
    }
    if config.kind == "hdemucs":
        return HDemucs(**common)
    return HTDemucs(
        **common,
        dconv_mode=3,  # this and the dropout as released, the package's class assumes 1 and 0
        t_dropout=0.02,
        t_layers=config.transformer_layers,
        bottom_channels=config.transformer_channels,
    )


def _check(config: DemucsArchitectureConfig) -> None:
    """Refuse what the package would fail on later, or without saying why."""
    if config.kind not in KINDS:
        raise SoliError(f"model.kind = {config.kind!r}; allowed: {', '.join(KINDS)}")
    for name in ("channels", "transformer_channels"):
        size = getattr(config, name)
        if size < 8 or size % 8:
            raise SoliError(f"model.{name} = {size}; allowed: a multiple of 8, from 8 on")
    if config.transformer_layers < 1:
        raise SoliError(f"model.transformer_layers = {config.transformer_layers}; allowed: 1 or more")
    if not 0.1 <= config.segment_seconds <= 600:
        raise SoliError(f"model.segment_seconds = {config.segment_seconds:g}; allowed: 0.1 to 600")
