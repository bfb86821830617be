"""A track as it is separated and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from soli.audio import resample
from soli.data.tracks import Track
from soli.errors import SoliError
from soli.evaluation.protocols import Protocol


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """A track as a protocol wants it.

    Attributes:
        track: its name, after its split.
        mixture: `[C T]`.
        references: source -> the true one, `[C T]`.
        sample_rate: of all of them, in Hz.
        start: sample of the track that it begins with.
    """

    track: str
    mixture: Tensor
    references: Mapping[str, Tensor]
    sample_rate: int
    start: int = 0

    def cut(self, piece: slice) -> Example:
        """A stretch of it.

        Args:
            piece: first sample and the one after the last.

        Returns:
            The same of mixture and references.
        """
        references = {name: signal[:, piece] for name, signal in self.references.items()}
        return Example(
            track=self.track,
            mixture=self.mixture[:, piece],
            references=references,
            sample_rate=self.sample_rate,
            start=self.start + piece.start,
        )


Estimator = Callable[[Example], Mapping[str, Tensor]]
"""Returns source -> estimate `[C T]`, for the sources of the example at least."""


def track_key(track: Track) -> str:
    """The name of a track within its dataset."""
    return f"{track.split}/{track.name}" if track.split else track.name


def read_example(track: Track, sources: Sequence[str], protocol: Protocol) -> Example:
    """Decode a track.

    Args:
        track: with stems of these sources.
        sources: classes; all stems of a class are summed.
        protocol: says rate, channels and what the mixture is.

    Returns:
        Mixture and references, equally long.

    Raises:
        SoliError: for a file that cannot be read, or a source without a stem.
    """
    rate = track.sample_rate if protocol.sample_rate is None else protocol.sample_rate

    def fit(samples: Tensor) -> Tensor:
        signal = samples.mean(dim=0, keepdim=True) if protocol.mono else samples
        return resample(signal, track.sample_rate, rate)

    references = {name: fit(torch.from_numpy(track.submix(name))) for name in sources}
    if protocol.mixture_is_sum:
        mixture = torch.stack(list(references.values())).sum(dim=0)
    else:
        mixture = fit(torch.from_numpy(track.mixture()))
    return Example(track=track_key(track), mixture=mixture, references=references, sample_rate=rate)


def checked(estimates: Mapping[str, Tensor], example: Example) -> Tensor:
    """Look at estimates before they are measured or kept.

    Args:
        estimates: source -> `[C T]`, on any device.
        example: whose references they are of.

    Returns:
        `[S C T]` in the order of the references, on the CPU.

    Raises:
        SoliError: for estimates that are missing, of another shape or not finite.
    """
    shape = example.mixture.shape
    for name in example.references:
        if name not in estimates:
            raise SoliError(f"no estimate of {name!r}; there are: {', '.join(estimates)}")
        if estimates[name].shape != shape:
            raise SoliError(f"estimate of {name!r} has shape {list(estimates[name].shape)}; needed: {list(shape)}")
        if not estimates[name].isfinite().all():
            raise SoliError(f"estimate of {name!r} has NaN or infinite samples")
    return torch.stack([estimates[name].detach().cpu() for name in example.references])
