"""Recordings that come alone: solos of one instrument each, and mixtures of which no stems are known."""

from __future__ import annotations

from pathlib import Path

from soli.data.classes import plain, read_table
from soli.data.layouts.base import Layout, audio_below, audio_files, folders, places
from soli.data.tracks import Stem, Track


class Solos(Layout):
    """A folder per instrument with solo recordings at any depth; each recording is a track of one stem.

    The labels are the class of the folder's name and the name itself; a name not known as a whole is looked at word by
    word, so that "mir1k_voice" is vocals. A folder that holds recordings itself is of one instrument.
    """

    name = "solos"
    about = "a folder per instrument with solo recordings"

    def recognises(self, root: Path) -> bool:
        """See `Layout`: every folder must be called like an instrument."""
        table = read_table(root)
        names = {instrument.name for _, instrument in _instruments(root)}
        return bool(names) and all(table.find(name) for name in names)

    def tracks(self, root: Path) -> list[Track]:
        """See `Layout`."""
        table = read_table(root)
        tracks = []
        for split, instrument in _instruments(root):
            name = plain(instrument.name)
            label = table.find(name) or table.find_within(name)
            labels = () if label is None else tuple(dict.fromkeys((label, name)))
            for path in _below(instrument):
                title = f"{instrument.name}/{path.relative_to(instrument).as_posix()}"
                tracks.append(Track(name=title, stems={name: Stem(path=path, labels=labels)}, split=split))
        return tracks


class Mixtures(Layout):
    """A folder of recordings, at any depth, of which no stems are known."""

    name = "mixtures"
    about = "a folder of recordings without stems"

    def recognises(self, root: Path) -> bool:
        """See `Layout`: recordings must lie in the folder itself, or in those of its splits."""
        return any(audio_files(place) for _, place in places(root))

    def tracks(self, root: Path) -> list[Track]:
        """See `Layout`."""
        paths = [(split, place, path) for split, place in places(root) for path in _below(place)]
        return [
            Track(name=path.relative_to(place).as_posix(), stems={}, mix=Stem(path=path), split=split)
            for split, place, path in paths
        ]


def _below(place: Path) -> list[Path]:
    return [path for _, files in audio_below(place) for path in files]


def _instruments(root: Path) -> list[tuple[str, Path]]:
    """The folders of the instruments that hold any recording."""
    found = []
    for split, place in places(root):
        inner = [] if audio_files(place) else folders(place)
        found += [(split, folder) for folder in inner or [place.resolve()] if _below(folder)]
    return found
