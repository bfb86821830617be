"""One file in, its stems as files out."""

from __future__ import annotations

import os
import string
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from soli.audio import RESIDUAL, AudioReader, Resampler, StemSet, resampled_length
from soli.audio.formats import default_subtype, find_format, find_subtype
from soli.errors import SoliError
from soli.separator import Separator
from soli.streaming import Progress, stream

TEMPLATE_FIELDS = ("track", "stem", "ext", "model")


@dataclass(frozen=True, kw_only=True)
class SeparatedFile:
    """What `separate_file` has written.

    Attributes:
        source: the input.
        model: the name of the model.
        paths: the files by stem; has "residual" only where the stems alone do not sum to the input.
        sample_rate: of the files, in Hz.
        source_rate: of the input, in Hz; differs from `sample_rate` only for formats that do not allow the input's.
        n_channels: of the files, the input's.
        n_samples: of each file; when skipped, as the input's header states it.
        subtype: of the files, such as "PCM_16".
        elapsed_seconds: by the wall clock, from opening the input to naming the files.
        null_dbfs: peak of the input minus the sum of the files as handed to the encoder, rounded and clipped; -200 is
            digital silence; None when skipped.
        peaks: highest absolute sample by stem, before clipping; 1 is full scale.
        clipped: by stem, samples of an integer file that were beyond full scale; the residual makes up for them.
        skipped: whether the files were there before and nothing was done.
    """

    source: Path
    model: str
    paths: dict[str, Path]
    sample_rate: int
    source_rate: int
    n_channels: int
    n_samples: int
    subtype: str
    elapsed_seconds: float = 0.0
    null_dbfs: float | None = None
    peaks: dict[str, float] = field(default_factory=dict)
    clipped: dict[str, int] = field(default_factory=dict)
    skipped: bool = False

    @property
    def seconds(self) -> float:
        """Length of the files."""
        return self.n_samples / self.sample_rate

    @classmethod
    def written(cls, files: StemSet, *, source: Path, model: str, source_rate: int, began: float) -> SeparatedFile:
        """What a set of stems has become.

        Args:
            files: closed.
            source: the input.
            model: its name.
            source_rate: of the input, in Hz.
            began: when work on the input began, by `time.monotonic`.

        Returns:
            Everything about it.
        """
        return cls(
            source=source,
            model=model,
            paths=files.paths,
            sample_rate=files.sample_rate,
            source_rate=source_rate,
            n_channels=files.n_channels,
            n_samples=files.n_samples,
            subtype=files.subtype,
            elapsed_seconds=time.monotonic() - began,
            null_dbfs=files.null_dbfs,
            peaks=files.peaks,
            clipped=files.clipped,
        )


def separate_file(
    source: str | Path,
    folder: str | Path,
    *,
    model: str | Path | Separator = "default",
    stems: Sequence[str] | None = None,
    format: str | None = None,
    filename: str = "{track}/{stem}.{ext}",
    subtype: str | None = None,
    device: str = "cpu",
    progress: Callable[[Progress], None] | None = None,
    skip_existing: bool = False,
    segment_seconds: float | None = None,
    batch_size: int | None = None,
) -> SeparatedFile:
    """Separate a file of any length into files that sum to it, in constant memory.

    The files keep the input's sample rate, channels and exact length. A flac input gives flac, any other gives wav,
    with the input's bit depth (16 bits for lossy and 8-bit inputs). They get their names together at the very end:
    after an error, a full disk, `Progress.cancel` or Ctrl-C none of them is there. What the stems lack of the input
    goes to a file `residual`, unless its peak is below -90 dBFS; with `stems=("vocals",)` it is the accompaniment.

    Args:
        source: any audio or video file.
        folder: where the files go; made if missing.
        model: a name or folder for `soli.load`, or a separator, which then stays on its own device.
        stems: which of the model's sources to write; None for all.
        format: wav, flac, ogg, opus or mp3; opus and mp3 files are resampled where they do not allow the input's rate.
        filename: template of the names below `folder`; fields: track, stem, ext, model.
        subtype: encoding, such as "PCM_24" or "FLOAT".
        device: such as "cpu" or "cuda".
        progress: called with a `Progress` at the start and after every piece.
        skip_existing: do nothing if all the stems asked for are there already.
        segment_seconds: see `soli.streaming.stream`.
        batch_size: segments per call of the model; None for 1 on the CPU and 4 elsewhere.

    Returns:
        What was written.

    Raises:
        SoliError: for an input that cannot be read, a name that is not allowed, or an output that cannot be written.
        Cancelled: after `Progress.cancel`.
    """
    began = time.monotonic()
    source = Path(source)
    check_template(filename)
    with AudioReader(source) as reader:
        extension, subtype = _output_format(reader, format, subtype)
        separator, model_name = _load(model, device)
        chosen = choose_stems(separator.sources, stems)
        paths = output_paths(source, folder, (*chosen, RESIDUAL), extension, filename=filename, model=model_name)
        rate = find_format(extension).nearest_rate(reader.sample_rate)
        expected = None if reader.n_samples is None else resampled_length(reader.n_samples, reader.sample_rate, rate)
        residual = paths.pop(RESIDUAL)
        if skip_existing and all(path.exists() for path in paths.values()):
            return SeparatedFile(
                source=source,
                model=model_name,
                paths=paths | ({RESIDUAL: residual} if residual.exists() else {}),
                sample_rate=rate,
                source_rate=reader.sample_rate,
                n_channels=reader.n_channels,
                n_samples=expected or 0,
                subtype=subtype,
                skipped=True,
            )
        pieces = stream(
            separator,
            _blocks(reader, rate),
            rate,
            expected,
            segment_seconds=segment_seconds,
            batch_size=_batch_size(separator, batch_size),
            progress=progress,
            name=str(source),
        )
        indices = [separator.sources.index(stem) for stem in chosen]
        with StemSet(paths, residual, rate, reader.n_channels, subtype, n_samples=expected) as files:
            for piece in pieces:
                files.write(piece.mixture, piece.stems[indices])
    return SeparatedFile.written(files, source=source, model=model_name, source_rate=reader.sample_rate, began=began)


def output_paths(
    source: str | Path,
    folder: str | Path,
    stems: Iterable[str],
    extension: str,
    *,
    filename: str = "{track}/{stem}.{ext}",
    model: str = "default",
) -> dict[str, Path]:
    """Where the stems of an input will go.

    Args:
        source: the input.
        folder: the output folder.
        stems: names.
        extension: without the dot.
        filename: the template.
        model: name for the template.

    Returns:
        A path for each stem.

    Raises:
        SoliError: when two stems would get one file, or one of them would replace the input or leave the folder.
    """
    check_template(filename)
    paths: dict[str, Path] = {}
    for stem in stems:
        name = filename.format(track=track_name(source), stem=stem, ext=extension, model=model)
        if _leads_out(name):
            raise SoliError(f"filename {filename!r} gives {name!r}, which leads out of the output folder")
        path = Path(folder) / name
        if path in paths.values():
            raise SoliError(f"filename {filename!r} gives several stems the name {name!r}; add {{stem}} to it")
        if path.exists() and path.samefile(source):
            raise SoliError(f"{path}: this output would overwrite its own input; choose another folder or filename")
        paths[stem] = path
    return paths


def choose_stems(sources: Sequence[str], stems: Sequence[str] | None) -> tuple[str, ...]:
    """The stems to write.

    Args:
        sources: of the model.
        stems: those asked for; None for all.

    Returns:
        In the caller's order, each once.

    Raises:
        SoliError: for a stem that the model does not have, and for none at all.
    """
    chosen = tuple(sources) if stems is None else (stems,) if isinstance(stems, str) else tuple(dict.fromkeys(stems))
    unknown = next((stem for stem in chosen if stem not in sources), None)
    if unknown is not None or not chosen:
        raise SoliError(f"stem {unknown or ''!r} is not one of this model's; allowed: {', '.join(sources)}")
    return chosen


def track_name(source: str | Path) -> str:
    """The input's name without folder and suffix; `.stem.mp4` counts as one suffix."""
    return Path(source).stem.removesuffix(".stem")


def model_name(model: str | Path) -> str:
    """What a model is called in file names: the last part of its name or folder, `.` and `..` included."""
    if str(model).startswith("flowprior:"):
        from soli.systems.flowprior.names import priors_label

        return priors_label(str(model))
    return Path(os.path.abspath(model)).name or "model"


def check_template(filename: str) -> None:
    """Check a template for output names.

    Args:
        filename: such as "{track}/{stem}.{ext}".

    Raises:
        SoliError: for unknown fields, unbalanced braces, a missing extension, and names that leave the folder.
    """
    allowed = ", ".join(f"{{{name}}}" for name in TEMPLATE_FIELDS)
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(filename) if name is not None]
        unknown = next((name for name in fields if name not in TEMPLATE_FIELDS), None)
        if unknown is not None:
            raise SoliError(f"filename field {{{unknown}}} in {filename!r} does not exist; allowed: {allowed}")
        filename.format(**dict.fromkeys(TEMPLATE_FIELDS, "x"))
    except ValueError as error:
        raise SoliError(f"filename {filename!r} is not a template ({error}); allowed fields: {allowed}") from error
    if not filename.endswith(".{ext}"):
        raise SoliError(f"filename {filename!r} must end with .{{ext}}")
    if _leads_out(filename):
        raise SoliError(f"filename {filename!r} leads out of the output folder; allowed: names below it")


def refuse_collisions(jobs: Iterable[tuple[str | Path, str | Path]], filename: str = "{track}/{stem}.{ext}") -> None:
    """Refuse a list of inputs of which two would write the same files.

    Args:
        jobs: pairs of an input and its output folder.
        filename: the template.

    Raises:
        SoliError: naming the two inputs.
    """
    check_template(filename)
    taken: dict[str, str | Path] = {}
    for source, folder in jobs:
        # Not the extension: song.flac and song.wav give different ones today, and the same with --format.
        name = filename.format(track=track_name(source), stem="stem", ext="ext", model="model")
        key = str(Path(folder).resolve() / name).casefold()
        if key in taken:
            raise SoliError(f"{taken[key]} and {source} would write the same files; rename one, or use two folders")
        taken[key] = source


def _leads_out(name: str) -> bool:
    """Whether a name is not below the folder it is put into."""
    return Path(name).is_absolute() or ".." in Path(name).parts


def _load(model: str | Path | Separator, device: str) -> tuple[Separator, str]:
    """The separator and the name it goes by."""
    if isinstance(model, Separator):
        return model, type(model).__name__.lower()
    from soli.zoo import load

    return load(model, device=device), model_name(model)


def _output_format(reader: AudioReader, format: str | None, subtype: str | None) -> tuple[str, str]:
    """Extension and subtype of the output files."""
    extension = (format or ("flac" if reader.format == "flac" else "wav")).lower().removeprefix(".")
    if subtype is None:
        return extension, default_subtype(extension, reader.subtype)
    return extension, find_subtype(extension, subtype)


def _blocks(reader: AudioReader, sample_rate: int) -> Iterator[Tensor]:
    """The input's blocks, resampled if the output format does not allow its rate."""
    if sample_rate == reader.sample_rate:
        yield from reader.blocks()
        return
    resampler = Resampler(reader.sample_rate, sample_rate, reader.n_channels)
    for block in reader.blocks():
        yield resampler.process(block)
    yield resampler.flush()


def _batch_size(separator: Separator, wanted: int | None) -> int:
    """One segment at a time on a CPU, which is busy with one; several on accelerators."""
    if wanted is not None:
        return wanted
    parameter = next(separator.parameters(), None)
    on_cpu = parameter is None or parameter.device == torch.device("cpu")
    return 1 if on_cpu else 4
