"""The latent search of the modern preset: in mel bands, with the level of each source as one more unknown.

Two things start it. z = 0 is each instrument's commonest sound: safe, and far from the truth. What the extractors have
found, encoded, is near it; encoding the mixture itself would explain the mixture at once, and separate nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from soli.nn.glow import Glow
from soli.systems.flowprior.bands import QUIET, expand, level
from soli.systems.flowprior.search import SearchConfig, Step, frozen, search

_LARGEST_LATENT = 3.0


class Start(NamedTuple):
    """Where a search begins.

    Attributes:
        latents: `[B S K+1 N]`; the last channel, by its mean over frames, is the logarithm of a gain.
        sizes: of each source before that gain, `[B S 1 1]`.
    """

    latents: Tensor
    sizes: Tensor


def cold_start(mixture: Tensor, n_sources: int) -> Start:
    """The mode of every prior, all equally loud.

    Args:
        mixture: bands `[B K N]`.
        n_sources: S.

    Returns:
        Latents of zero.
    """
    batch, n_bands, n_frames = mixture.shape
    size = level(mixture / n_sources).level
    return Start(mixture.new_zeros(batch, n_sources, n_bands + 1, n_frames), size[:, None].expand(-1, n_sources, 1, 1))


def warm_start(estimates: Tensor, flows: Sequence[Glow]) -> Start:
    """The latents of estimates, none of them farther out than a solo's.

    Args:
        estimates: bands `[B S K N]`.
        flows: one for each source.

    Returns:
        What decodes to the estimates, where they are likely.
    """
    latents, sizes = [], []
    for bands, flow in zip(estimates.unbind(dim=1), flows, strict=True):
        levelled, size = level(bands)
        size = torch.where(bands.any(dim=2).any(dim=1)[:, None, None], size, QUIET)  # what was not found is not loud
        encoded = flow(levelled)[0].clamp(-_LARGEST_LATENT, _LARGEST_LATENT)
        latents.append(torch.cat((encoded, torch.zeros_like(encoded[:, :1])), dim=1))
        sizes.append(size)
    return Start(torch.stack(latents, dim=1), torch.stack(sizes, dim=1))


def search_bands(
    flows: Sequence[Glow],
    mixture: Tensor,
    start: Start,
    config: SearchConfig,
    on_step: Callable[[Step], None] | None = None,
) -> Tensor:
    """Look for sources whose sum explains the bands of a mixture.

    Args:
        flows: one for each source.
        mixture: bands `[B K N]`, N even.
        start: from `cold_start` or `warm_start`.
        config: how to search.
        on_step: as for `search`.

    Returns:
        Bands of the sources, `[B S K N]`, non-negative.
    """
    with torch.inference_mode(False):
        fixed = [frozen(flow) for flow in flows]
        sizes = start.sizes.clone()

    def decode(latents: Tensor) -> tuple[Tensor, Tensor]:
        bands, log_dets = [], []
        for index, flow in enumerate(fixed):
            levelled, log_det = flow.inverse(latents[:, index, :-1])
            gain = latents[:, index, -1:].mean(dim=-1, keepdim=True).exp()
            bands.append(expand(levelled, sizes[:, index] * gain))
            log_dets.append(log_det)
        return torch.stack(bands, dim=1), torch.stack(log_dets, dim=1)

    return search(decode, mixture, start.latents, config, on_step)
