"""Any folder of stems: the names of the files tell the classes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from soli.data.classes import plain, read_table
from soli.data.layouts.base import Layout, audio_below, folders, places
from soli.data.tracks import Stem, Track

_MIXTURES = ("mixture", "mix", "full mix", "mixdown", "master")


class Stems(Layout):
    """A folder per song, at any depth, and a file per stem.

    The class of a file is looked up by its name in `soli.data.classes`, and in a `classes.toml` in the root before.
    Files of unknown names are stems without a label. A stem that is missing is an error for who asks for it.
    """

    name = "stems"
    about = "a folder per song with a file per stem, named by instrument"

    def recognises(self, root: Path) -> bool:
        """See `Layout`: more than half of the files must be known by name, and a song must have two at least."""
        tracks = self.tracks(root)
        stems = [stem for track in tracks for stem in track.stems.values()]
        several = any(len(track.stems) + (track.mix is not None) > 1 for track in tracks)
        return several and 2 * sum(bool(stem.labels) for stem in stems) > len(stems)

    def tracks(self, root: Path) -> list[Track]:
        """See `Layout`."""
        table = read_table(root)
        tracks = []
        for split, place in places(root):
            songs = list(audio_below(place))
            for song, files in songs:
                if song != place or len(songs) == 1:  # loose files beside songs are none
                    name = root.resolve().name if song == place else song.relative_to(place).as_posix()
                    tracks.append(_track(name, song, files, split, find=table.find, is_mixture=_is_mixture))
        return tracks


class BassDB(Layout):
    """BASS-dB: a folder per song, its sources anywhere below.

    How its files are called could not be verified: the database is offline. Whatever begins with "mix" is taken for a
    mixture, and the class of a source is that of the longest known name among the words of its own. `classes.toml`
    works as in any folder of stems, and a missing stem is an error.
    """

    name = "bass-db"
    about = "BASS-dB: a folder per song, sources below it, mixtures named mix*"

    def recognises(self, root: Path) -> bool:
        """See `Layout`: by the name of the folder, as nothing else tells it from other folders of stems."""
        name = root.resolve().name
        return bool(re.search(r"bass[-_ ]?db", name, re.IGNORECASE)) and bool(self.tracks(root))

    def tracks(self, root: Path) -> list[Track]:
        """See `Layout`."""
        table = read_table(root)
        songs = [(song, [path for _, files in audio_below(song) for path in files]) for song in folders(root)]
        return [
            _track(song.name, song, files, "", find=table.find_within, is_mixture=lambda name: name.startswith("mix"))
            for song, files in songs
            if files
        ]


def _is_mixture(name: str) -> bool:
    return name in _MIXTURES


def _track(
    name: str,
    song: Path,
    files: list[Path],
    split: str,
    *,
    find: Callable[[str], str | None],
    is_mixture: Callable[[str], bool],
) -> Track:
    """One song; of several mixtures none is taken, as none is known to be the sum of the stems."""
    stems: dict[str, Stem] = {}
    mixtures = []
    for path in files:
        if is_mixture(plain(path.stem)):
            mixtures.append(Stem(path=path))
            continue
        label = find(path.stem)
        labels = () if label is None else tuple(dict.fromkeys((label, plain(path.stem))))
        at = path.relative_to(song)
        key = at.with_suffix("").as_posix()
        stems[at.as_posix() if key in stems else key] = Stem(path=path, labels=labels)
    return Track(name=name, stems=stems, mix=mixtures[0] if len(mixtures) == 1 else None, split=split)
