"""What can stand in a row of the table: models, oracles made from the true sources, the mixture itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from soli.audio import resample
from soli.baselines.oracles import Oracle, oracle_estimates
from soli.data.tracks import Track
from soli.errors import SoliError
from soli.evaluation.protocols import Protocol
from soli.separator import Separator
from soli.streaming import stream
from soli.zoo import load, model_info

MIXTURE, ORACLE = "mixture", "oracle:"
ORACLES: tuple[str, ...] = get_args(Oracle)


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """A track as a protocol wants it.

    Attributes:
        track: its name, after its split.
        mixture: `[C T]`.
        references: source -> the true one, `[C T]`.
        sample_rate: of all of them, in Hz.
    """

    track: str
    mixture: Tensor
    references: Mapping[str, Tensor]
    sample_rate: int

    def cut(self, piece: slice) -> Example:
        """A stretch of it.

        Args:
            piece: first sample and the one after the last.

        Returns:
            The same of mixture and references.
        """
        references = {name: signal[:, piece] for name, signal in self.references.items()}
        return Example(
            track=self.track, mixture=self.mixture[:, piece], references=references, sample_rate=self.sample_rate
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


def estimate(estimator: Estimator, example: Example, protocol: Protocol) -> tuple[Example, Tensor]:
    """Separate a track in the stretches that a protocol wants.

    Args:
        estimator: what separates.
        example: the whole track.
        protocol: says which stretches.

    Returns:
        The part of the example that was separated, and its estimates `[S C T]` in the order of the references.

    Raises:
        SoliError: for a track that is too short, and estimates that are missing, of another shape or not finite.
    """
    pieces = protocol.segments(example.mixture.shape[-1], example.sample_rate)
    parts = [example.cut(piece) for piece in pieces]
    estimates = torch.cat([_checked(estimator(part), part) for part in parts], dim=-1)
    return example.cut(slice(0, pieces[-1].stop)), estimates


def find_estimator(name: str, device: str = "cpu") -> Estimator:
    """Get ready what a name stands for.

    Args:
        name: `mixture` for the mixture in place of every estimate, `oracle:KIND`, or what `soli.load` takes.
        device: for models.

    Returns:
        The estimator.

    Raises:
        SoliError: for an unknown name, or a model that cannot be loaded.
    """
    if name == MIXTURE:
        return lambda example: dict.fromkeys(example.references, example.mixture)
    if name.startswith(ORACLE):
        return _oracle(_oracle_kind(name))
    return _model(load(name, device))


def check_estimator(name: str) -> tuple[str, tuple[str, ...] | None]:
    """Look at what a name stands for without loading it.

    Args:
        name: as for `find_estimator`.

    Returns:
        SHA-256 of the weights, empty where there are none; and the sources, None for what estimates any.

    Raises:
        SoliError: for an unknown name.
    """
    if name == MIXTURE:
        return "", None
    if name.startswith(ORACLE):
        _oracle_kind(name)
        return "", None
    try:
        info = model_info(name)
    except SoliError as error:
        if Path(name).exists():
            raise
        oracles = ", ".join(ORACLE + kind for kind in ORACLES)
        raise SoliError(f"{error}; or {MIXTURE}, {oracles}") from error
    return info.sha256, info.sources


def _oracle_kind(name: str) -> Oracle:
    for kind in get_args(Oracle):
        if name == ORACLE + kind:
            return kind
    raise SoliError(f"unknown model {name!r}; oracles: {', '.join(ORACLE + kind for kind in ORACLES)}")


def _oracle(kind: Oracle) -> Estimator:
    """Masks for the mixture that is heard: what the sources leave of it is one more source."""

    def separate(example: Example) -> dict[str, Tensor]:
        true = torch.stack(list(example.references.values()))
        rest = example.mixture - true.sum(dim=0)
        everything = torch.cat([true, rest[None]]) if rest.any() else true
        return dict(zip(example.references, oracle_estimates(everything, kind), strict=False))

    return separate


def _model(separator: Separator) -> Estimator:
    """A model used as files are: in segments, resampled where needed."""

    def separate(example: Example) -> dict[str, Tensor]:
        length = example.mixture.shape[-1]
        pieces = list(stream(separator, [example.mixture], example.sample_rate, length, name=example.track))
        return dict(zip(separator.sources, torch.cat([piece.stems for piece in pieces], dim=-1), strict=True))

    return separate


def _checked(estimates: Mapping[str, Tensor], example: Example) -> Tensor:
    """`[S C T]` in the order of the references."""
    shape = example.mixture.shape
    for name in example.references:
        if name not in estimates:
            raise SoliError(f"no estimate of {name!r}; there are: {', '.join(estimates)}")
        if estimates[name].shape != shape:
            raise SoliError(f"estimate of {name!r} has shape {list(estimates[name].shape)}; needed: {list(shape)}")
        if not estimates[name].isfinite().all():
            raise SoliError(f"estimate of {name!r} has NaN or infinite samples")
    return torch.stack([estimates[name].detach().cpu() for name in example.references])
