"""Slakh2100, and whatever else has its shape."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from soli.data.layouts.base import Layout, audio_files, by_folder, folders, places
from soli.data.layouts.slakh_splits import split_of
from soli.data.tracks import Splits, Stem, Track
from soli.errors import SoliError

CLASSES = ("bass", "drums", "guitar", "piano", "other")
"""The four of the usual sub-mix, and all else."""

_PROGRAMS = {"piano": range(8), "guitar": range(24, 32), "bass": range(32, 40), "drums": range(128, 129)}
_SPLITS = ("train", "validation", "test", "omitted")


class Slakh(Layout):
    """`{train,validation,test}/TrackNNNNN/{metadata.yaml,mix.flac,stems/SNN.flac}`.

    Each stem has two labels: its class of the 4-class sub-mix by General MIDI program (`CLASSES`), and its instrument
    class, such as "strings" or "synth_lead". Stems that the metadata call not rendered are not there; a class without
    a stem is silence. Sum the class labels for the mixture of the 4-stem task: the file of the mixture holds all else
    too.
    """

    name = "slakh"
    about = "Slakh2100: a folder per track with metadata.yaml, mix and stems"

    def recognises(self, root: Path) -> bool:
        """See `Layout`."""
        return any((song / "metadata.yaml").is_file() for _, song in _songs(root))

    def tracks(self, root: Path) -> list[Track]:
        """See `Layout`."""
        return [_track(song, split) for split, song in _songs(root) if (song / "metadata.yaml").is_file()]

    def splits(self, tracks: Sequence[Track]) -> Splits:
        """The authors' three ways to split, where these are tracks of Slakh2100, and the folders.

        Args:
            tracks: all of a dataset.

        Returns:
            "orig", "split2" and "redux" by number of the track, and "folders".
        """
        numbers = [_number(track) for track in tracks]
        schemes: dict[str, dict[str, tuple[Track, ...]]] = {}
        for scheme in ("orig", "split2", "redux"):
            belongs = [split_of(number, scheme) if number else "" for number in numbers]
            schemes[scheme] = {
                split: tuple(track for track, its in zip(tracks, belongs, strict=True) if its == split)
                for split in _SPLITS
                if split in belongs
            }
        on_disk = by_folder(tracks)
        # Another dataset may number its tracks alike; only where the folders agree with the authors is it theirs.
        theirs = any(
            all(track.split in ("", split) for split, members in found.items() for track in members)
            for found in schemes.values()
        )
        return (schemes if theirs and all(numbers) else {}) | on_disk


def _songs(root: Path) -> list[tuple[str, Path]]:
    """The folders of tracks; a root that is one track counts."""
    if (root / "metadata.yaml").is_file():
        return [("", root)]
    return [(split, song) for split, place in places(root) for song in folders(place)]


def _number(track: Track) -> int | None:
    """Of a track called `Track00001` to `Track02100`."""
    found = re.fullmatch(r"Track(\d{5})", track.name)
    number = int(found[1]) if found else 0
    return number if 1 <= number <= 2100 else None


def _track(song: Path, split: str) -> Track:
    """One track; what is wrong with its metadata is kept for whoever wants to read it."""
    try:
        metadata = _read(song / "metadata.yaml")
        stems = {str(name): stem for name, facts in metadata["stems"].items() if (stem := _stem(song, name, facts))}
    except SoliError as error:
        return Track(name=song.name, stems={}, split=split, broken=str(error))
    mixes = [path for path in audio_files(song) if path.stem == "mix"]
    mix = Stem(path=mixes[0]) if mixes else None
    return Track(name=song.name, stems=stems, mix=mix, split=split, silent=CLASSES, metadata=metadata)


def _stem(song: Path, name: str, facts: Any) -> Stem | None:
    """One stem; None where there was nothing to render."""
    if not isinstance(facts, Mapping) or not isinstance(facts.get("program_num"), int):
        raise SoliError(f"{song / 'metadata.yaml'}: stem {name} = {facts!r}; allowed: a table with program_num")
    if not facts.get("audio_rendered", True):
        return None
    folder = song / "stems"
    found = [path for path in (audio_files(folder) if folder.is_dir() else []) if path.stem == name]
    instrument = re.sub(r"\W+", "_", str(facts.get("inst_class", "")).lower()).strip("_")
    program = 128 if facts.get("is_drum") else facts["program_num"]
    label = next((label for label, programs in _PROGRAMS.items() if program in programs), "other")
    labels = tuple(dict.fromkeys(part for part in (label, instrument) if part))
    return Stem(path=found[0] if found else folder / f"{name}.flac", labels=labels)


def _read(path: Path) -> dict[str, Any]:
    """A file of metadata."""
    try:
        import yaml
    except ImportError as error:
        raise SoliError("reading Slakh's metadata needs PyYAML: pip install 'soli[data]'") from error
    try:  # the loader in C is ten times as fast
        content = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SoliError(f"{path}: not a YAML file that can be read ({str(error).splitlines()[0]})") from error
    if not isinstance(content, dict) or not isinstance(content.get("stems"), dict):
        raise SoliError(f"{path}: there is no table of stems in this file")
    return content
