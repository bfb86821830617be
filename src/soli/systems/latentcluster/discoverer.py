"""What all presets have in common: sources are found, the loudest first, and their number with them."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from soli.errors import SoliError
from soli.separator import Estimates, Separator, check_waveform
from soli.systems.latentcluster.config import FEWEST, MOST, cluster_names

_SILENCE = 1e-5  # -100 dBFS


class Found(NamedTuple):
    """Sources of one mixture.

    Attributes:
        stems: `[S C T]`.
        info: whatever a report may show of them.
    """

    stems: Tensor
    info: Mapping[str, Any]


class LatentDiscoverer(Separator):
    """Finds sources in latents; as a separator it returns all of them, and silence where there are fewer.

    A subclass implements `_discover`.

    Attributes:
        front_end: what should take vocals, drums and bass away first.
    """

    front_end: ClassVar[str] = "default"
    segment_seconds = 900.0  # clusters of two segments have nothing to do with each other

    @torch.inference_mode()
    def discover(self, mixture: Tensor, sample_rate: int, n_sources: int | None = None) -> Estimates:
        """Find the sources of a mixture.

        Args:
            mixture: `[C T]`.
            sample_rate: in Hz.
            n_sources: how many, 2 to 8; None finds their number too.

        Returns:
            Estimates called `cluster1`, `cluster2` and so on, loudest first; `info` has the number of sources that was
            found, and points of the latent space with the source each belongs to.

        Raises:
            SoliError: for wrong input, or a number of sources that is not allowed.
        """
        check_waveform(mixture, sample_rate, self.sample_rate)
        if mixture.ndim != 2:
            raise SoliError(f"waveform shape {list(mixture.shape)}; allowed: [C T], one mixture at a time")
        if n_sources is not None and not FEWEST <= n_sources <= MOST:
            raise SoliError(f"n_sources = {n_sources}; allowed: {FEWEST} to {MOST}, or None")
        found = self._find(mixture.float(), n_sources)
        return Estimates(
            found.stems.to(mixture.dtype),
            sources=cluster_names(len(found.stems)),
            sample_rate=sample_rate,
            mixture=mixture,
            info={"n_sources": len(found.stems), **found.info},
        )

    @abc.abstractmethod
    def _discover(self, mixture: Tensor, n_sources: int | None) -> Found:
        """Sources of a mixture `[C T]` that is not silent, in any order."""

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        """`[B C T]` -> `[B S C T]`."""
        out = mixture.new_zeros(len(mixture), len(self.sources), *mixture.shape[1:])
        for item, stems in zip(mixture.float(), out, strict=True):
            found = self._find(item, None).stems
            stems[: len(found)] = found
        return out

    def _find(self, mixture: Tensor, n_sources: int | None) -> Found:
        """Sources in order of their energy; silence is one source."""
        if mixture.square().mean().sqrt() < _SILENCE:
            return Found(mixture.new_zeros(n_sources or 1, *mixture.shape), {})
        stems, info = self._discover(mixture, n_sources)
        order = stems.square().sum(dim=(1, 2)).argsort(descending=True)
        if (labels := info.get("labels")) is not None:
            place = torch.cat((order.argsort(), order.new_full((1,), -1)))  # -1, noise, stays itself
            info = {**info, "labels": place[labels.to(order.device)].cpu()}
        if "slots" in info:
            info = {**info, "slots": [info["slots"][index] for index in order.tolist()]}
        return Found(stems[order], info)
