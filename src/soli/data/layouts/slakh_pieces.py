"""Songs in the shape of Slakh2100, opened as a studio's multitracks: the drum kit in pieces, with its overheads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from soli.data.layouts.base import audio_files
from soli.data.layouts.slakh import Slakh
from soli.data.tracks import Stem, Track

OVERHEADS = "overheads"
VOCALS = "vocals"
_PIECES = "pieces"
_VOICE = "voice"


class SlakhPieces(Slakh):
    """The same folders as `Slakh`, as `soli data render` writes them with `drum_pieces = true`.

    Where a drum kit has its pieces beside it, they take its place and its overheads are one more stem; all have the
    labels `("drums", piece)`. Stems that the metadata call a voice are labelled `("vocals",)`. The mixture is the sum
    of all these stems: the file of the mixture does not hold the overheads.
    """

    name = "slakh_pieces"
    about = "songs of `soli data render` with drum_pieces: as slakh, the drum kits in pieces with overheads"

    def recognises(self, root: Path) -> bool:
        """Never by itself: these folders are Slakh's too."""
        return False

    def tracks(self, root: Path) -> list[Track]:
        """See `Layout`."""
        return [track if track.broken else _apart(track) for track in super().tracks(root)]


def _apart(track: Track) -> Track:
    """The track with its kits in pieces."""
    stems: dict[str, Stem] = {}
    about = track.metadata["stems"]
    for name, stem in track.stems.items():
        if pieces := _pieces(stem.path.parent.parent, name):
            stems |= pieces
        elif (about[name].get("recipe") or {}).get("instrument") == _VOICE:
            stems[name] = replace(stem, labels=(VOCALS,))
        else:
            stems[name] = stem
    return replace(track, stems=stems, mix=None, silent=())


def _pieces(song: Path, name: str) -> dict[str, Stem]:
    """The pieces and overheads of a kit; nothing where it has none."""
    folder = song / _PIECES
    prefix = f"{name}_"
    paths = audio_files(folder) if folder.is_dir() else []
    found = {path.stem: path for path in paths if path.stem.startswith(prefix)}
    stems = {key: Stem(path=path, labels=("drums", key.removeprefix(prefix))) for key, path in found.items()}
    heard = song / OVERHEADS / f"{name}.flac"
    if stems and heard.is_file():
        stems[f"{prefix}{OVERHEADS}"] = Stem(path=heard, labels=("drums", OVERHEADS))
    return stems
