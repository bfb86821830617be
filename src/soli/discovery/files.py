"""One file in, the sources that were found in it as files out."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from soli.audio import RESIDUAL, AudioReader, StemSet, read, resample
from soli.audio.formats import default_subtype, find_format
from soli.discovery.front_ends import split_off
from soli.discovery.names import Labeller, instrument_names
from soli.errors import SoliError
from soli.files import SeparatedFile, output_paths
from soli.separator import Discoverer, Estimates, Separator


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """What came out of a file.

    Attributes:
        file: what was written.
        estimates: what the model found, at its own rate, under the names of the files.
        outside: stems of the front end, which were written only in a tree.
    """

    file: SeparatedFile
    estimates: Estimates
    outside: tuple[str, ...]


def discover_file(
    source: str | Path,
    folder: str | Path,
    *,
    separator: Separator,
    front_end: Separator | None = None,
    n_sources: int | None = None,
    merged: bool = False,
    tree: bool = False,
    labeller: Labeller | None = None,
    format: str | None = None,
    filename: str = "{track}/{stem}.{ext}",
    model: str | None = None,
) -> Discovery:
    """Find the sources of a recording and write one file for each.

    The recording is held in memory: what belongs together is decided over all of it. The files and `residual` sum to
    the input; the residual holds what the front end took away (unless it is a tree) and what lies above the model's
    highest frequency.

    Args:
        source: any audio or video file.
        folder: where the files go; made if missing.
        separator: a model that discovers.
        front_end: takes vocals, drums and bass away first; None for a mixture without them.
        n_sources: how many to find; None for as many as there are.
        merged: add sources of one class, for a model that knows classes.
        tree: write what the front end took away too.
        labeller: names sources after instruments; None leaves them the model's own names.
        format: wav, flac, ogg, opus or mp3; by default flac for flac, and wav for all else.
        filename: template of the names below `folder`; see `soli.files.separate_file`.
        model: name for the template; None for that of the class.

    Returns:
        What was written, and what the model found.

    Raises:
        SoliError: for a model that cannot discover, or not so many sources, and files that cannot be read or written.
    """
    began = time.monotonic()
    source, model = Path(source), model or type(separator).__name__.lower()
    check_discoverer(separator, model, n_sources, merged=merged)
    wanted = {"n_sources": n_sources, "merged": merged or None}
    options = {name: value for name, value in wanted.items() if value is not None}
    with AudioReader(source) as reader:
        extension = (format or ("flac" if reader.format == "flac" else "wav")).lower().removeprefix(".")
        subtype = default_subtype(extension, reader.subtype)
        source_rate, rate = reader.sample_rate, find_format(extension).nearest_rate(reader.sample_rate)
    output_paths(source, folder, (RESIDUAL,), extension, filename=filename, model=model)  # a wrong template fails now
    mixture = resample(read(source)[0], source_rate, rate)
    outside, inside = split_off(front_end, mixture, rate)
    found = _named(_discovered(separator, inside, rate, options), labeller, {*outside} | {RESIDUAL})
    stems = {name: resample(stem, separator.sample_rate, rate) for name, stem in found.items()}
    stems = (outside if tree else {}) | {name: _as_length(stem, mixture.shape[-1]) for name, stem in stems.items()}
    paths = output_paths(source, folder, (*stems, RESIDUAL), extension, filename=filename, model=model)
    residual = paths.pop(RESIDUAL)
    waveforms = torch.stack(list(stems.values())) if stems else mixture.new_zeros(0, *mixture.shape)
    with StemSet(paths, residual, rate, mixture.shape[0], subtype, n_samples=mixture.shape[-1]) as files:
        files.write(mixture, waveforms)
    file = SeparatedFile.written(files, source=source, model=model, source_rate=source_rate, began=began)
    return Discovery(file=file, estimates=found, outside=tuple(outside))


def check_discoverer(separator: Separator, model: str, n_sources: int | None, *, merged: bool = False) -> None:
    """Refuse a model that cannot do what is asked.

    Args:
        separator: the model.
        model: what it is called.
        n_sources: how many sources are asked for, if any number is.
        merged: whether sources of one class are to be added.

    Raises:
        SoliError: naming the model.
    """
    if not isinstance(separator, Discoverer):
        raise SoliError(f"model {model!r} cannot discover sources")
    known = inspect.signature(separator.discover).parameters
    if merged and "merged" not in known:
        raise SoliError(f"model {model!r} has no classes to merge its sources by")
    if n_sources is not None and "n_sources" not in known:
        raise SoliError(f"model {model!r} finds the number of sources itself; allowed: auto")


def _discovered(separator: Separator, inside: Tensor, rate: int, options: Mapping[str, Any]) -> Estimates:
    """Estimates at the model's rate, on the CPU."""
    assert isinstance(separator, Discoverer)
    parameter = next(separator.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    heard = resample(inside, rate, separator.sample_rate).to(device)
    found = separator.discover(heard, separator.sample_rate, **options)
    return _renamed(found, found.sources)


def _named(found: Estimates, labeller: Labeller | None, taken: set[str]) -> Estimates:
    """Estimates with names of instruments, or those of the model, none of which is taken."""
    names = found.sources
    if labeller is not None:
        names = instrument_names(found.stems, names, found.sample_rate, labeller)
    return _renamed(found, tuple(f"{name}-found" if name in taken else name for name in names))


def _renamed(found: Estimates, names: tuple[str, ...]) -> Estimates:
    """Copies on the CPU under these names."""
    return Estimates(
        found.stems.detach().cpu(),
        sources=names,
        sample_rate=found.sample_rate,
        mixture=found.mixture.detach().cpu(),
        info=found.info,
    )


def _as_length(waveform: Tensor, n_samples: int) -> Tensor:
    """Resampling there and back can be off by a sample."""
    return torch.nn.functional.pad(waveform, (0, n_samples - waveform.shape[-1]))
