"""MUSDB18 as `.stem.mp4` files and MUSDB18-HQ as folders of wav files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from soli.data.classes import CLASSES, MUSDB_STREAMS, MUSDB_VALIDATION
from soli.data.layouts.base import Layout, audio_files, by_folder, folders, places
from soli.data.tracks import Splits, Stem, Track

_SUFFIX = ".stem.mp4"

TEST_20 = (
    "Al James - Schoolboy Facination",
    "BKS - Bulldozer",
    "BKS - Too Much",
    "Cristina Vane - So Easy",
    "Georgia Wonder - Siren",
    "James Elder & Mark M Thompson - The English Actor",
    "Juliet's Rescue - Heartbeats",
    "Little Chicago's Finest - My Own",
    "Moosmusic - Big Dummy Shake",
    "Motor Tapes - Shore",
    "Mu - Too Bright",
    "Nerve 9 - Pray For The Rain",
    "PR - Oh No",
    "Raft Monk - Tiring",
    "Sambasevam Shanmugam - Kaathaadi",
    "The Easton Ellises - Falcon 69",
    "The Mountaineering Club - Mallory",
    "Triviul feat. The Fiend - Widow",
    "We Fell From The Sky - Not You",
    "Zeno - Signs",
)
"""The 20 songs left for testing by the split of 130 and 20 that seed 001 uses. It does not say which songs it took;
these are fixed here. All are official test songs, which no Open-Unmix model has learned from."""

TEST = frozenset(TEST_20) | {
    "AM Contra - Heart Peripheral",
    "Angels In Amplifiers - I'm Alright",
    "Arise - Run Run Run",
    "Ben Carrigan - We'll Talk About It All Tonight",
    "Bobby Nobody - Stitch Up",
    "Buitraker - Revo X",
    "Carlos Gonzalez - A Place For Us",
    "Detsky Sad - Walkie Talkie",
    "Enda Reilly - Cur An Long Ag Seol",
    "Forkupines - Semantics",
    "Girls Under Glass - We Feel Alright",
    "Hollow Ground - Ill Fate",
    "Louis Cressy Band - Good Time",
    "Lyndsey Ollard - Catching Up",
    "M.E.R.C. Music - Knockout",
    "PR - Happy Daze",
    "Punkdisco - Oral Hygiene",
    "Secretariat - Borderline",
    "Secretariat - Over The Top",
    "Side Effects Project - Sing With Me",
    "Signe Jakobsen - What Have You Done To Me",
    "Skelpolu - Resurrection",
    "Speak Softly - Broken Man",
    "Speak Softly - Like Horses",
    "The Doppler Shift - Atrophy",
    "The Easton Ellises (Baumi) - SDRNR",
    "The Long Wait - Dark Horses",
    "The Sunshine Garcia Band - For I Am The Moon",
    "Timboz - Pony",
    "Tom McKenzie - Directions",
}
"""The 50 official test songs."""


class _Songs(Layout):
    """What both forms of MUSDB18 share: the songs and their splits."""

    def splits(self, tracks: Sequence[Track]) -> Splits:
        """The official 86, 14 and 50 songs, and the 130 and 20 of seed 001.

        Args:
            tracks: all of a dataset, or part of the songs.

        Returns:
            "official" and "seed001" by name of the song, and "folders".
        """
        official = {name: tuple(t for t in tracks if _split(t) == name) for name in ("train", "validation", "test")}
        seed = {
            "train": tuple(track for track in tracks if track.name not in TEST_20),
            "test": tuple(track for track in tracks if track.name in TEST_20),
        }
        return {"official": official, "seed001": seed} | by_folder(tracks)


class Musdb(_Songs):
    """`{train,test}/Artist - Title.stem.mp4`, five AAC streams each."""

    name = "musdb18"
    about = "MUSDB18: .stem.mp4 files of five streams"

    def recognises(self, root: Path) -> bool:
        """See `Layout`."""
        return any(any(place.glob(f"*{_SUFFIX}")) for _, place in places(root))

    def tracks(self, root: Path) -> list[Track]:
        """See `Layout`."""
        paths = [(split, path) for split, place in places(root) for path in sorted(place.glob(f"*{_SUFFIX}"))]
        return [self._track(path, split) for split, path in paths if not path.name.startswith(".")]

    def _track(self, path: Path, split: str) -> Track:
        """The streams of one file."""
        name = path.name.removesuffix(_SUFFIX)
        streams = {label: Stem(path=path, stream=i, labels=(label,)) for i, label in enumerate(MUSDB_STREAMS)}
        mix = Stem(path=path)
        del streams["mixture"]
        return Track(name=name, stems=streams, mix=mix, split=split, silent=CLASSES, metadata=_metadata(name))


class MusdbHQ(_Songs):
    """`{train,test}/Artist - Title/{mixture,drums,bass,other,vocals}.wav`; other lossless formats will do."""

    name = "musdb18-hq"
    about = "MUSDB18-HQ: a folder per song with mixture, drums, bass, other and vocals"

    def recognises(self, root: Path) -> bool:
        """See `Layout`."""
        songs = [{path.stem for path in audio_files(song)} for _, place in places(root) for song in folders(place)]
        songs = [names for names in songs if names]
        return bool(songs) and all("mixture" in names and names <= set(MUSDB_STREAMS) for names in songs)

    def tracks(self, root: Path) -> list[Track]:
        """See `Layout`."""
        songs = [(split, song) for split, place in places(root) for song in folders(place)]
        return [self._track(song, split) for split, song in songs if audio_files(song)]

    def _track(self, song: Path, split: str) -> Track:
        """The files of one folder; a stem that is not there is silence."""
        files = {path.stem: path for path in audio_files(song)}
        mixture = files.get("mixture")
        return Track(
            name=song.name,
            stems={name: Stem(path=files[name], labels=(name,)) for name in MUSDB_STREAMS[1:] if name in files},
            mix=None if mixture is None else Stem(path=mixture),
            split=split,
            silent=CLASSES,
            metadata=_metadata(song.name),
        )


def _split(track: Track) -> str:
    """By the name of the song, so that a copy in one folder is split too; unknown songs stay where they lie."""
    if track.name in TEST or track.name in MUSDB_VALIDATION:
        return "test" if track.name in TEST else "validation"
    return track.split or "train"


def _metadata(name: str) -> dict[str, Any]:
    artist, _, title = name.partition(" - ")
    return {"artist": artist, "title": title}
