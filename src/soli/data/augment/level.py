"""Bringing stems to one level."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from soli.dsp.loudness import integrated_loudness

Loudness = Literal["rms", "lufs"]
_SILENT = -60.0  # in dBFS or LUFS; nothing below is raised
TARGETS = {"rms": -20.0, "lufs": -25.0}
"""The level stems are brought to, in dBFS and LUFS."""


def level_gains(stems: Tensor, loudness: Loudness, sample_rate: int) -> Tensor:
    """Factors that bring each stem to the target level; one below -60 is silence and stays.

    Args:
        stems: `[S C T]`.
        loudness: `"rms"`, the root mean square over channels and time, or `"lufs"`, integrated after BS.1770-4.
        sample_rate: in Hz.

    Returns:
        `[S]`.
    """
    if loudness == "rms":
        level = 10 * torch.log10(stems.square().mean(dim=(1, 2)))
    else:
        level = integrated_loudness(stems, sample_rate)
    return torch.where(level > _SILENT, 10 ** ((TARGETS[loudness] - level) / 20), 1.0)
