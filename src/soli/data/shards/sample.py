"""A track as the members of a tar file, and back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from soli.audio import AudioReader, AudioWriter
from soli.audio.formats import default_subtype
from soli.data.tracks import BLOCK, Header, Stem, Track
from soli.errors import SoliError

MIXTURE = "mixture"


@dataclass(frozen=True, kw_only=True)
class ShardStem(Stem):
    """A stem whose FLAC file is in memory.

    Attributes:
        content: of the file; `path` only says where it came from.
    """

    content: bytes = b""

    def header(self) -> Header:
        """See `Stem.header`."""
        with self._open() as file:
            return Header(sample_rate=file.samplerate, n_channels=file.channels, n_samples=file.frames, lossy=False)

    def blocks(self, n_samples: int = BLOCK, start: int = 0) -> Iterator[np.ndarray]:
        """See `Stem.blocks`."""
        with self._open() as file:
            try:
                position = file.seek(min(start, file.frames))
                while position < file.frames:
                    block = file.read(min(n_samples, file.frames - position), dtype="float32", always_2d=True)
                    if not len(block):
                        raise SoliError(f"{self.path}: truncated: {position} of {file.frames} samples are there")
                    position += len(block)
                    yield block.T
            except soundfile.LibsndfileError as error:
                raise SoliError(f"{self.path}: damaged: {error.error_string}") from error

    def _open(self) -> soundfile.SoundFile:
        try:
            return soundfile.SoundFile(BytesIO(self.content))
        except soundfile.LibsndfileError as error:
            raise SoliError(f"{self.path}: not a FLAC file: {error.error_string}") from error


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A track, ready for a tar file.

    Attributes:
        members: by what follows the key and a dot in their names, in order: JSON, or the file to copy.
        seconds: of the track.
        clipped: samples of sources in floating point that FLAC could not hold.
    """

    members: Mapping[str, bytes | Path]
    seconds: float
    clipped: int


def pack(track: Track, scratch: Path) -> Packed:
    """Describe a track in JSON, and have every stem as a FLAC file; those that are one stay as they are.

    Args:
        track: to pack; all of its files are decoded once.
        scratch: a folder for FLAC files.

    Returns:
        The members of the sample.

    Raises:
        SoliError: for a file that cannot be read, and for a full disk.
    """
    names = dict(zip(track.stems, _members(track), strict=True))
    sources = {} if track.mix is None else {f"{MIXTURE}.flac": track.mix}
    sources |= {f"{names[name]}.flac": stem for name, stem in track.stems.items()}
    members: dict[str, bytes | Path] = {}
    clipped = 0
    for member, stem in sources.items():
        members[member], lost = _as_flac(stem, scratch / member)
        clipped += lost
    stems = {name: {"file": f"{names[name]}.flac", "labels": stem.labels} for name, stem in track.stems.items()}
    facts = {
        "name": track.name,
        "split": track.split,
        "sample_rate": track.sample_rate,
        "n_samples": track.n_samples,
        "mixture": None if track.mix is None else f"{MIXTURE}.flac",
        "stems": stems,
        "silent": track.silent,
        "metadata": track.metadata,
    }
    text = json.dumps(facts, default=_plain, indent=1, ensure_ascii=False)
    return Packed(members={"json": text.encode(), **members}, seconds=track.seconds, clipped=clipped)


def unpack(place: Path, members: Mapping[str, bytes]) -> dict[str, Any]:
    """The fields of a `Track` from the members of a sample.

    Args:
        place: where the sample came from, for messages.
        members: by what follows the key and a dot in their names.

    Returns:
        Arguments of `Track`.

    Raises:
        SoliError: for a sample that soli cannot have written.
    """
    try:
        facts = json.loads(members["json"])

        def stem(member: str, labels: tuple[str, ...] = ()) -> ShardStem:
            return ShardStem(path=place / member, labels=labels, content=members[member])

        return {
            "name": facts["name"],
            "stems": {name: stem(its["file"], tuple(its["labels"])) for name, its in facts["stems"].items()},
            "mix": None if facts["mixture"] is None else stem(facts["mixture"]),
            "split": facts["split"],
            "silent": tuple(facts["silent"]),
            "metadata": facts["metadata"],
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        found = ", ".join(members)
        raise SoliError(f"{place}: not a sample that soli can read ({error!r}); it has {found}") from error


def slug(name: str) -> str:
    """A name as the names of members can hold it.

    Args:
        name: any.

    Returns:
        Small letters, digits, - and _; at most 60 of them.
    """
    return re.sub(r"[^a-z0-9-]+", "_", name.lower())[:60].strip("_")


def _members(track: Track) -> list[str]:
    """A name for the file of every stem, each once."""
    names: list[str] = []
    for number, stem in enumerate(track.stems):
        name = slug(stem)
        names.append(f"{number:02d}_{name}".rstrip("_") if name in ("", "json", MIXTURE, *names) else name)
    return names


def _as_flac(stem: Stem, path: Path) -> tuple[Path, int]:
    """A FLAC file of a stem, and how many samples it could not hold; decoding all of it finds damage."""
    with AudioReader(stem.path, stem.stream) as reader:
        if reader.format == "flac":
            for _ in reader.blocks():
                pass
            return stem.path, 0
        subtype = default_subtype("flac", reader.subtype)
        with AudioWriter(path, reader.sample_rate, reader.n_channels, subtype) as writer:
            for block in reader.blocks():
                writer.write(block)
    return path, writer.clipped


def _plain(value: object) -> object:
    """What JSON has no word for."""
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, set) else str(value)
