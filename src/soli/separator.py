"""The one interface: a mixture goes in, named estimates that sum to it come out."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from soli.errors import SoliError


class Estimates(Mapping[str, Tensor]):
    """Named estimates of one mixture; with `residual` they sum to it exactly.

    Args:
        stems: estimates, `[S C T]` or `[B S C T]`.
        sources: one name for each entry of the source axis.
        sample_rate: in Hz, the mixture's.
        mixture: what was separated, `[C T]` or `[B C T]`.
        info: whatever else the system wants to say (posteriors, likelihoods, timings).
    """

    def __init__(
        self,
        stems: Tensor,
        *,
        sources: tuple[str, ...],
        sample_rate: int,
        mixture: Tensor,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        self.stems = stems
        self.sources = sources
        self.sample_rate = sample_rate
        self.mixture = mixture
        self.info = dict(info or {})

    @property
    def residual(self) -> Tensor:
        """What no source claims: the mixture minus the sum of the estimates, `[C T]` or `[B C T]`."""
        return self.mixture - self.stems.sum(dim=-3)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.sources:
            raise KeyError(f"no source {name!r}; this model returns {', '.join(self.sources)}")
        return self.stems.select(-3, self.sources.index(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self.sources)

    def __len__(self) -> int:
        return len(self.sources)

    def __repr__(self) -> str:
        shape = list(self.mixture.shape)
        return f"Estimates({', '.join(self.sources)}; {shape} at {self.sample_rate} Hz)"


class Separator(nn.Module, abc.ABC):
    """Base of every separation system.

    A subclass sets `sample_rate` and `sources`, and implements `_separate`.
    Feed-forward systems decorate `_separate` with `torch.inference_mode()`; the base
    class does not, because some systems optimise by gradient while they separate.

    Attributes:
        sample_rate: the only rate `separate` accepts, in Hz.
        sources: the names it can return, in the order of the source axis.
        segment_seconds: the length of segment streaming should feed it.
        context_seconds: how far, on each side, the output depends on the input; streaming
            discards that much of every segment.
    """

    sample_rate: int
    sources: tuple[str, ...]
    segment_seconds: float = 10.0
    context_seconds: float = 1.0

    @abc.abstractmethod
    def _separate(self, mixture: Tensor) -> Tensor:
        """Separate checked input: `[B C T]` at `self.sample_rate` -> `[B S C T]`."""

    def separate(self, mixture: Tensor, sample_rate: int) -> Estimates:
        """Separate a mixture that is already in memory.

        Args:
            mixture: float waveform `[C T]`, or `[B C T]` for a batch; never modified.
            sample_rate: of the mixture, in Hz.

        Returns:
            Estimates with the mixture's channels and exact length.

        Raises:
            SoliError: for a wrong rate, type or shape, or samples that are not finite.
        """
        check_waveform(mixture, sample_rate, self.sample_rate)
        batch = mixture if mixture.ndim == 3 else mixture[None]
        stems = self._separate(batch).to(mixture.dtype)
        stems = stems if mixture.ndim == 3 else stems[0]
        return Estimates(stems, sources=self.sources, sample_rate=sample_rate, mixture=mixture)


@runtime_checkable
class Queryable(Protocol):
    """A system that extracts what sounds like an isolated example."""

    def query(self, mixture: Tensor, example: Tensor, sample_rate: int) -> Estimates:
        """Return the estimate named `match`, `[C T]`; its `residual` is everything else."""
        ...


@runtime_checkable
class Discoverer(Protocol):
    """A system that finds the sources, and how many there are, by itself."""

    def discover(self, mixture: Tensor, sample_rate: int) -> Estimates:
        """Return as many estimates as sources were found, each `[C T]`."""
        ...


@runtime_checkable
class Generative(Protocol):
    """A system that can make new music."""

    def sample(self, seconds: float, seed: int) -> Estimates:
        """Return freshly generated stems that sum to a new mixture, each `[C T]`."""
        ...


def check_waveform(waveform: Tensor, sample_rate: int, expected_rate: int) -> None:
    """Refuse what no separator can work on.

    Args:
        waveform: `[C T]` or `[B C T]`.
        sample_rate: of the waveform, in Hz.
        expected_rate: the rate the model works at, in Hz.

    Raises:
        SoliError: naming the value and what is allowed.
    """
    if sample_rate != expected_rate:
        raise SoliError(
            f"sample_rate={sample_rate} Hz, but this model works at {expected_rate} Hz;"
            " resample first or use soli.separate_file"
        )
    if not isinstance(waveform, Tensor) or not waveform.is_floating_point():
        kind = waveform.dtype if isinstance(waveform, Tensor) else type(waveform).__name__
        raise SoliError(f"the waveform is {kind}; a floating-point torch.Tensor is needed")
    if waveform.ndim not in (2, 3) or 0 in waveform.shape:
        raise SoliError(f"waveform shape {list(waveform.shape)}; allowed: [C T] or [B C T], none of them 0")
    if not torch.isfinite(waveform).all():
        raise SoliError("the waveform has NaN or infinite samples")
