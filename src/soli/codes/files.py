"""One recording in, its codes as a file out; and from that file to stems."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from soli.audio import RESIDUAL, AudioReader, StemSet, resampled_length
from soli.audio.formats import find_format
from soli.codes.format import EncodedSong, read_codes, write_codes
from soli.errors import SoliError
from soli.files import SeparatedFile, check_template, model_name, output_paths
from soli.streaming import Progress, resampled
from soli.systems.rqvae.codec import CodecSeparator
from soli.systems.rqvae.streaming import decode_stream, encode_stream
from soli.zoo import load, model_info


@dataclass(frozen=True, kw_only=True)
class EncodedFile:
    """What `encode_file` has written.

    Attributes:
        source: the input.
        path: of the codes.
        song: the codes.
        n_bytes: of the file.
        elapsed_seconds: by the wall clock.
    """

    source: Path
    path: Path
    song: EncodedSong
    n_bytes: int
    elapsed_seconds: float


def encode_file(
    source: str | Path,
    path: str | Path,
    *,
    model: str | Path = "rqvae",
    device: str = "cpu",
    progress: Callable[[Progress], None] | None = None,
) -> EncodedFile:
    """Turn a recording of any length into a file of codes; its channels are mixed down to one.

    Args:
        source: any audio or video file.
        path: of the codes; an older file is replaced, its folder is made if need be.
        model: a name or folder for `soli.load`, of a model that has codes.
        device: such as "cpu" or "cuda".
        progress: called with a `Progress` at the start and after every block.

    Returns:
        What was written.

    Raises:
        SoliError: for an input that cannot be read, a model without codes, or an output that cannot be written.
        Cancelled: after `Progress.cancel`.
    """
    began = time.monotonic()
    source, path = Path(source), Path(path)
    with AudioReader(source) as reader:
        _check_output(path, source)
        codec = _load(model, device)
        codes, n_samples = encode_stream(
            codec, reader.blocks(), reader.sample_rate, reader.n_samples, progress=progress, name=str(source)
        )
    song = EncodedSong(
        codes=codes,
        model="".join(letter if letter.isprintable() else "?" for letter in model_name(model)),
        sha256=model_info(model).sha256,
        sources=codec.sources,
        sample_rate=codec.sample_rate,
        n_samples=n_samples,
        samples_per_frame=codec.samples_per_frame,
        codebook_size=codec.codebook_size,
    )
    n_bytes = write_codes(path, song)
    return EncodedFile(source=source, path=path, song=song, n_bytes=n_bytes, elapsed_seconds=time.monotonic() - began)


def decode_file(
    source: str | Path,
    folder: str | Path,
    *,
    model: str | Path = "rqvae",
    levels: int | None = None,
    format: str = "wav",
    filename: str = "{track}/{stem}.{ext}",
    device: str = "cpu",
    progress: Callable[[Progress], None] | None = None,
) -> SeparatedFile:
    """Turn a file of codes into a file for each stem, mono at the model's rate, in constant memory.

    The files appear together at the very end, as those of `soli.files.separate_file`. A file `residual` is there only
    where a stem went beyond full scale: it holds what clipping cut off.

    Args:
        source: as `encode_file` has written it.
        folder: where the files go; made if missing.
        model: a name or folder for `soli.load`; only with the very weights the codes were made with.
        levels: decode only the first so many codebooks; None for all.
        format: wav, flac, ogg, opus or mp3; opus and mp3 files are resampled where they do not allow the model's rate.
        filename: template of the names below `folder`; see `soli.files.separate_file`.
        device: such as "cpu" or "cuda".
        progress: called with a `Progress` at the start and after every piece.

    Returns:
        What was written.

    Raises:
        SoliError: for a file that cannot be read, another model's codes, too many levels, or an output that cannot be
            written.
        Cancelled: after `Progress.cancel`.
    """
    began = time.monotonic()
    source, extension = Path(source), format.lower().removeprefix(".")
    check_template(filename)
    container = find_format(extension)
    song = read_codes(source)
    n_codebooks = song.codes.shape[1]
    if levels is not None and not 1 <= levels <= n_codebooks:
        raise SoliError(f"levels={levels}; allowed for {source}: 1 to {n_codebooks}")
    codec = _load_for(song, source, model, device)
    name = model_name(model)
    paths = output_paths(source, folder, (*song.sources, RESIDUAL), extension, filename=filename, model=name)
    residual, rate = paths.pop(RESIDUAL), container.nearest_rate(song.sample_rate)
    pieces = decode_stream(codec, song.codes[:, :levels], song.n_samples, progress=progress, name=str(source))
    n_samples = resampled_length(song.n_samples, song.sample_rate, rate)
    with StemSet(paths, residual, rate, 1, n_samples=n_samples) as files:
        for stems in resampled(pieces, song.sample_rate, rate):
            files.write(stems.sum(dim=0), stems)
    return SeparatedFile.written(files, source=source, model=name, source_rate=song.sample_rate, began=began)


def _check_output(path: Path, source: Path) -> None:
    """Refuse what cannot be written to before there is any work; nothing is left there."""
    try:
        if path.is_dir():
            raise SoliError(f"{path} is a folder; allowed: the name of a file for the codes")
        if path.exists() and path.samefile(source):
            raise SoliError(f"{path}: the codes would overwrite their own recording; choose another name")
        there = next(folder for folder in path.parents if folder.exists())
        with NamedTemporaryFile(dir=there, prefix=f".{path.name}."):  # named as `write_codes` will name its own
            pass
    except OSError as error:
        raise SoliError(f"{path}: cannot be written ({error.strerror or error})") from error


def _load(model: str | Path, device: str) -> CodecSeparator:
    """A model that has codes."""
    separator = load(model, device)
    if not isinstance(separator, CodecSeparator):
        raise SoliError(f"model {str(model)!r} has no codes; allowed: models of the system rqvae")
    return separator


def _load_for(song: EncodedSong, source: Path, model: str | Path, device: str) -> CodecSeparator:
    """The model that codes were made with: the same weights, used in the same way."""
    sha256 = model_info(model).sha256
    if sha256 != song.sha256:
        raise SoliError(
            f"{source}: its codes are of model {song.model!r} with weights {song.sha256[:12]}, which"
            f" {str(model)!r} with weights {sha256[:12]} cannot decode; give theirs with --model"
        )
    codec = _load(model, device)
    for name in ("sources", "sample_rate", "samples_per_frame", "codebook_size"):
        stated, due = getattr(song, name), getattr(codec, name)
        if stated != due:
            raise SoliError(f"{source}: {name} {stated!r} differ from {due!r} of model {str(model)!r}")
    return codec
