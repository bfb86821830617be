"""Demucs (Défossez et al. 2021, Rouard et al. 2023) as the package `demucs` runs it, with its own weights.

The package fetches them from the Hugging Face hub when they are first used, as safetensors; its older store of pickles
is not asked.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.baselines.stereo import in_pairs
from soli.errors import SoliError
from soli.separator import Separator

OVERLAP = 0.25
_QUIETEST = 1e-5


class Demucs(Separator):
    """A model of the package, without random shifts, so that the same mixture gives the same estimates.

    Args:
        model: with `sources` and `samplerate`; it, or each of its `models`, with `segment`, in seconds.
    """

    segment_seconds = 60.0  # levels are normalised over all that is given, in the published tool a whole track
    context_seconds = 4.0

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.sample_rate, self.sources = int(model.samplerate), tuple(model.sources)
        self.model: nn.Module = model.eval()

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        """`[B C T]` -> `[B S C T]`."""
        return torch.cat([in_pairs(self._separate_pair, item[None].float()) for item in mixture])

    def _separate_pair(self, mixture: Tensor) -> Tensor:
        """`[1 2 T]` -> `[1 S 2 T]`, the mean taken away and the level brought to one."""
        from demucs.apply import apply_model

        scale = mixture.mean(dim=1).std(correction=0).clamp(min=_QUIETEST)
        missing = self._whole_length(mixture.shape[-1]) - mixture.shape[-1]
        normal = F.pad((mixture - mixture.mean()) / scale, (0, missing))
        model: Any = self.model
        stems = apply_model(model, normal, shifts=0, split=True, overlap=OVERLAP, device=mixture.device, progress=False)
        return scale * stems[..., : mixture.shape[-1]]

    def _whole_length(self, n_samples: int) -> int:
        """The next length at which no segment, the last one included, is under a second: some models fail on those.

        Of a single sample HDemucs for one channel makes NaN.
        """
        strides = [int((1 - OVERLAP) * int(self.sample_rate * part.segment)) for part in _parts(self.model)]
        while True:
            short = [min(self.sample_rate, stride) - 1 - (n_samples - 1) % stride for stride in strides]
            lacking = max(self.sample_rate - n_samples, *short)
            if lacking <= 0:
                return n_samples
            n_samples += lacking


def _parts(model: Any) -> list[Any]:
    """The networks of a model that is a bag of them, or the one network that it is."""
    return list(getattr(model, "models", [model]))


def load_demucs(name: str = "htdemucs") -> Demucs:
    """Load a model of the package by its name, from its cache or the hub.

    Args:
        name: such as `htdemucs`, `htdemucs_ft`, `htdemucs_6s`, `hdemucs_mmi` or `mdx_extra`.

    Returns:
        The separator, on the CPU.

    Raises:
        SoliError: when the package is not installed, the name is unknown or the weights cannot be had.
    """
    try:
        from demucs.pretrained import get_model
    except ImportError as error:
        raise SoliError("running Demucs needs its package: pip install 'soli[demucs]'") from error
    try:
        return Demucs(get_model(f"hf://{name}"))
    except (Exception, SystemExit) as error:  # network, hub, names: whatever the package lets through
        lines = str(error).strip().splitlines() or [type(error).__name__]
        hint = "allowed: a model of Demucs 4.1, whose weights are fetched from huggingface.co once"
        raise SoliError(f"Demucs model {name!r} cannot be loaded ({lines[0]}); {hint}") from error
