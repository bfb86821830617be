"""Query by example on files: what sounds like the example to one file, everything else to another."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from torch import Tensor

from soli.audio import AudioReader, StemSet, read, resample
from soli.audio.formats import default_subtype, find_format
from soli.errors import SoliError
from soli.files import SeparatedFile, output_paths
from soli.separator import Queryable, Separator

MATCH, REST = "match", "rest"


def query_file(
    source: str | Path,
    folder: str | Path,
    *,
    separator: Separator,
    example: str | Path | tuple[float, float],
    mode: str | None = None,
    format: str | None = None,
    filename: str = "{track}/{stem}.{ext}",
) -> SeparatedFile:
    """Extract from a recording what sounds like an example.

    The recording is held in memory: whether a moment matches depends on how well all others do.

    Args:
        source: any audio or video file.
        folder: where `match` and `rest` go, which sum to the input; made if missing.
        separator: a model that can be queried.
        example: a file in which the wanted sound is alone, or a span of `source` in seconds, start and stop.
        mode: one of the model's; None for its default.
        format: wav, flac, ogg, opus or mp3; by default flac for flac, and wav for all else.
        filename: template of the names below `folder`; see `soli.files.separate_file`.

    Returns:
        What was written.

    Raises:
        SoliError: for a model that cannot be queried, files that cannot be read or written, or a silent example.
    """
    began = time.monotonic()
    source = Path(source)
    model = type(separator).__name__.lower()
    if not isinstance(separator, Queryable):
        raise SoliError(f"model {model!r} cannot be queried by example")
    with AudioReader(source) as reader:
        extension = (format or ("flac" if reader.format == "flac" else "wav")).lower().removeprefix(".")
        subtype = default_subtype(extension, reader.subtype)
    paths = output_paths(source, folder, (MATCH, REST), extension, filename=filename, model=model)
    mixture, source_rate = read(source)
    sound, sound_rate = read(source, *example) if isinstance(example, tuple) else read(example)
    heard = _as_channels(resample(sound, sound_rate, separator.sample_rate), mixture.shape[0])
    device = next(separator.parameters()).device
    played = resample(mixture, source_rate, separator.sample_rate)
    options = {} if mode is None else {"mode": mode}
    found = separator.query(played.to(device), heard.to(device), separator.sample_rate, **options)
    match = found[MATCH].detach().cpu()

    rate = find_format(extension).nearest_rate(source_rate)
    mixture = resample(mixture, source_rate, rate)
    match = _as_length(resample(match, separator.sample_rate, rate), mixture.shape[-1])
    rest = paths.pop(REST)
    with StemSet(paths, rest, rate, mixture.shape[0], subtype, n_samples=mixture.shape[-1]) as files:
        files.write(mixture, match[None])
    return SeparatedFile.written(files, source=source, model=model, source_rate=source_rate, began=began)


def _as_channels(waveform: Tensor, n_channels: int) -> Tensor:
    """An example recorded with other channels than the mixture is mixed down and copied."""
    if waveform.shape[0] == n_channels:
        return waveform
    return waveform.mean(dim=0, keepdim=True).expand(n_channels, -1)


def _as_length(waveform: Tensor, n_samples: int) -> Tensor:
    """Resampling there and back can be off by a sample."""
    return torch.nn.functional.pad(waveform, (0, n_samples - waveform.shape[-1]))
