"""MoisesDB: stems of several recordings each, described by a JSON file per song."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from soli.data.classes import CLASSES
from soli.data.layouts.base import Layout, folders
from soli.data.tracks import Stem, Track
from soli.errors import SoliError

# fmt: off
STEMS = (
    "vocals", "bass", "drums", "other", "guitar", "other_plucked", "percussion", "piano", "other_keys", "bowed_strings",
    "wind",
)
# fmt: on
"""The upper level of its taxonomy."""


class MoisesDB(Layout):
    """`moisesdb_v0.1/<uuid>/data.json` and `<uuid>/<stem>/<uuid>.wav`; the mixture is the sum of all recordings.

    Each recording has three labels: its class among vocals, drums, bass and other, its stem and its type of track, as
    in `("other", "guitar", "acoustic_guitar")`. The label "other" means the class of the four; MoisesDB's stem of that
    name is found by its types of track alone. A stem that a song has not is silence.
    """

    name = "moisesdb"
    about = "MoisesDB: a folder per song with data.json and a folder per stem"

    def recognises(self, root: Path) -> bool:
        """See `Layout`."""
        return bool(_songs(root))

    def tracks(self, root: Path) -> list[Track]:
        """See `Layout`."""
        return [_track(song) for song in _songs(root)]


def _songs(root: Path) -> list[Path]:
    """Folders with a `data.json`, in the root or in the folders of the providers in it."""
    nearby = [root, *folders(root)]
    songs = [song for place in nearby for song in (place, *folders(place)) if (song / "data.json").is_file()]
    return list(dict.fromkeys(songs))


def _track(song: Path) -> Track:
    """One song, named by its folder; what is wrong with its description is kept for whoever wants to read it."""
    try:
        metadata = _read(song / "data.json")
        stems = _stems(song, metadata)
    except SoliError as error:
        return Track(name=song.name, stems={}, broken=str(error))
    silent = tuple(dict.fromkeys((*CLASSES, *STEMS)))
    return Track(name=song.name, stems=stems, silent=silent, metadata=metadata)


def _stems(song: Path, metadata: dict[str, Any]) -> dict[str, Stem]:
    """Every recording, as "guitar/acoustic_guitar" and, where there are more, "guitar/acoustic_guitar 2"."""
    stems: dict[str, Stem] = {}
    counts: Counter[str] = Counter()
    try:
        for entry in metadata["stems"]:
            stem = str(entry["stemName"])
            for recording in entry["tracks"]:
                kind = str(recording["trackType"])
                name = f"{stem}/{kind}"
                counts[name] += 1
                name += f" {counts[name]}" if counts[name] > 1 else ""
                label = stem if stem in CLASSES else "other"
                path = song / stem / f"{recording['id']}.{recording['extension']}"
                stems[name] = Stem(path=path, labels=tuple(dict.fromkeys((label, stem, kind))))
    except (KeyError, TypeError) as error:
        raise SoliError(f"{song / 'data.json'}: this is not how MoisesDB describes a song ({error!r})") from error
    return stems


def _read(path: Path) -> dict[str, Any]:
    """The description of a song."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SoliError(f"{path}: not a JSON file that can be read ({error})") from error
    if not isinstance(content, dict) or not isinstance(content.get("stems"), list):
        raise SoliError(f"{path}: there is no list of stems in this file")
    return content
