"""What can stand in a row of the table: models, baselines, oracles, estimates on disk, the mixture itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from soli.baselines.by_name import BASELINES, baseline_digest, find_baseline, load_baseline, usage
from soli.baselines.oracles import Oracle, oracle_estimates
from soli.devices import resolve_device
from soli.errors import SoliError
from soli.evaluation.examples import Estimator, Example, checked
from soli.evaluation.protocols import Protocol
from soli.evaluation.stem_folders import StemFolder
from soli.evaluation.wrapped import USAGES, Decoded, find_wrapped, load_wrapped
from soli.separator import Separator
from soli.streaming import stream
from soli.zoo import load, model_info

MIXTURE, ORACLE, FOLDER = "mixture", "oracle:", "folder:"
ORACLES: tuple[str, ...] = get_args(Oracle)


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
    estimates = torch.cat([checked(estimator(part), part) for part in parts], dim=-1)
    return example.cut(slice(0, pieces[-1].stop)), estimates


def find_estimator(name: str, device: str = "cpu") -> Estimator:
    """Get ready what a name stands for.

    Args:
        name: `mixture` for the mixture in place of every estimate, `oracle:KIND`, `folder:PATH` for stems that
            `save_estimates` or any other tool has written, one of `soli.baselines.by_name`, what `soli.load` takes,
            or that with a use before it, as in `soli.evaluation.wrapped`.
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
    if name.startswith(FOLDER):
        return StemFolder(name.removeprefix(FOLDER))
    if baseline := find_baseline(name):
        return _standing_for(_model(load_baseline(name).to(resolve_device(device))), baseline.stands_for)
    if wrapped := find_wrapped(name):
        separator = load_wrapped(wrapped, device)
        return _model(separator, whole=isinstance(separator, Decoded))
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
    if name.startswith(FOLDER):
        StemFolder(name.removeprefix(FOLDER))
        return "", None
    if baseline := find_baseline(name):
        others = [source for sources in baseline.stands_for.values() for source in sources]
        return baseline_digest(name), tuple(dict.fromkeys((*baseline.sources, *others)))
    wrapped = find_wrapped(name)
    try:
        info = model_info(wrapped.model if wrapped else name)
    except SoliError as error:
        if wrapped or Path(name).exists():
            raise
        others = (MIXTURE, *(ORACLE + kind for kind in ORACLES), *map(usage, BASELINES), FOLDER + "PATH", *USAGES)
        raise SoliError(f"{error}; or {', '.join(others)}") from error
    return info.sha256, info.sources


def _standing_for(estimator: Estimator, stands_for: Mapping[str, Sequence[str]]) -> Estimator:
    """Where a method tells fewer sources apart, its estimate stands for each of them, as the mixture does for all."""

    def separate(example: Example) -> dict[str, Tensor]:
        found = dict(estimator(example))
        for name, sources in stands_for.items():
            found |= dict.fromkeys(sources, found[name])
        return found

    return separate


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


def _model(separator: Separator, *, whole: bool = False) -> Estimator:
    """A model used as files are: in segments unless it makes its own of the whole, resampled where needed."""

    def separate(example: Example) -> dict[str, Tensor]:
        length, rate = example.mixture.shape[-1], example.sample_rate
        seconds = max(separator.segment_seconds, length / rate + 1) if whole else None
        pieces = stream(separator, [example.mixture], rate, length, segment_seconds=seconds, name=example.track)
        return dict(zip(separator.sources, torch.cat([piece.stems for piece in pieces], dim=-1), strict=True))

    return separate
