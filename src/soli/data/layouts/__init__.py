"""How datasets lie on disk, and the one way to open any of them."""

from __future__ import annotations

from pathlib import Path

from soli.data.layouts.base import Layout
from soli.data.layouts.loose import Mixtures, Solos
from soli.data.layouts.moisesdb import MoisesDB
from soli.data.layouts.musdb import Musdb, MusdbHQ
from soli.data.layouts.slakh import Slakh
from soli.data.layouts.slakh_pieces import SlakhPieces
from soli.data.layouts.stems import BassDB, Stems
from soli.data.tracks import Dataset
from soli.errors import SoliError

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (Musdb(), MusdbHQ(), Slakh(), SlakhPieces(), MoisesDB(), BassDB(), Solos(), Stems(), Mixtures())
}
"""Every layout by name, the most particular first: the first that recognises a folder is taken."""


def open_dataset(path: str | Path, layout: str = "auto") -> Dataset:
    """Open a folder of tracks; no audio is decoded.

    Args:
        path: of the folder.
        layout: a key of `LAYOUTS`, or "auto" to tell it by the names in the folder.

    Returns:
        The tracks and the splits that the layout knows.

    Raises:
        SoliError: for a path that is no folder, an unknown layout, a folder that no layout recognises, and one without
            tracks of the given layout.
    """
    root = Path(path)
    allowed = ", ".join(LAYOUTS)
    if layout != "auto" and layout not in LAYOUTS:
        raise SoliError(f"layout {layout!r} does not exist; allowed: auto, {allowed}")
    if not root.is_dir():
        raise SoliError(f"{root}: {'not a folder' if root.exists() else 'there is no such folder'}")
    try:
        chosen = _recognise(root) if layout == "auto" else LAYOUTS[layout]
        tracks = [] if chosen is None else chosen.tracks(root)
    except OSError as error:
        raise SoliError(f"{error.filename or root}: cannot be read: {error.strerror}") from error
    if chosen is None:
        raise SoliError(f"{root}: no known layout of a dataset; say which it is with one of: {allowed}")
    if not tracks:
        raise SoliError(f"{root}: no tracks in this folder; looked for {chosen.about}")
    return Dataset(root=root, layout=chosen.name, tracks=tuple(tracks), splits=chosen.splits(tracks))


def _recognise(root: Path) -> Layout | None:
    return next((layout for layout in LAYOUTS.values() if layout.recognises(root)), None)
