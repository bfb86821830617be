"""What a layout is, and what several of them share."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

from soli.data.tracks import Splits, Track

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aif", ".aiff")

_SPLITS = {"train": "train", "training": "train", "test": "test"} | dict.fromkeys(
    ("validation", "valid", "val", "dev"), "validation"
)
_SPLIT_FOLDER = re.compile(rf"({'|'.join(_SPLITS)}|omitted)([-_ ].+)?")


class Layout(ABC):
    """How one kind of dataset lies on disk.

    Attributes:
        name: as `open_dataset` takes it.
        about: one line for people.
    """

    name: str
    about: str

    @abstractmethod
    def recognises(self, root: Path) -> bool:
        """Whether a folder looks like this layout, by the names in it.

        Args:
            root: the folder.

        Returns:
            True for the first guess of `open_dataset(..., layout="auto")`.
        """

    @abstractmethod
    def tracks(self, root: Path) -> list[Track]:
        """Find the tracks; no audio is opened.

        Args:
            root: the folder.

        Returns:
            In order of split and name; empty where there are none.
        """

    def splits(self, tracks: Sequence[Track]) -> Splits:
        """The schemes that this layout knows.

        Args:
            tracks: all of a dataset.

        Returns:
            Scheme -> split -> tracks.
        """
        return by_folder(tracks)


def by_folder(tracks: Sequence[Track]) -> dict[str, dict[str, tuple[Track, ...]]]:
    """The scheme "folders": splits as they lie on disk.

    Args:
        tracks: all of a dataset.

    Returns:
        The scheme, or nothing where no track lies in the folder of a split.
    """
    names = dict.fromkeys(track.split for track in tracks if track.split)
    found = {name: tuple(track for track in tracks if track.split == name) for name in names}
    return {"folders": found} if found else {}


def places(root: Path) -> list[tuple[str, Path]]:
    """The folders of the splits, or the dataset's own where it has none.

    Args:
        root: of the dataset.

    Returns:
        Pairs of a split and its folder. Beside a plain "train", "validation" or "test" others may have an ending, such
        as "test_b", or be "omitted", where Slakh's authors keep what they left out.
    """
    named = {folder.name.lower(): folder for folder in folders(root)}
    if named.keys().isdisjoint(_SPLITS):
        return [("", root)]
    return [(_SPLITS.get(name, name), folder) for name, folder in named.items() if _SPLIT_FOLDER.fullmatch(name)]


def folders(place: Path) -> list[Path]:
    """Folders in a folder.

    Args:
        place: where to look.

    Returns:
        In order of name, without hidden ones.
    """
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))


def audio_files(place: Path) -> list[Path]:
    """Audio files in a folder, by their suffix.

    Args:
        place: where to look.

    Returns:
        In order of name, without hidden ones.
    """
    return sorted(path for path in place.iterdir() if _is_audio(path.name) and path.is_file())


def audio_below(place: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Folders that hold audio files, at any depth.

    Args:
        place: where to begin.

    Yields:
        A folder and its audio files, in order of name, without hidden ones.
    """
    for root, names, files in os.walk(place):
        names[:] = sorted(name for name in names if not name.startswith("."))
        found = sorted(Path(root, name) for name in files if _is_audio(name))
        if found:
            yield Path(root), found


def _is_audio(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES
