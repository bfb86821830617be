"""SoundFonts, drum kits and voices by their names: where systems and users keep them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from soli.data.render.recipe import EMBEDDED
from soli.data.render.soundfonts import embedded
from soli.errors import SoliError

FOLDERS = (
    Path("/usr/share/sounds/sf2"),
    Path("/usr/share/sounds/sf3"),
    Path("/usr/share/soundfonts"),
    Path("/usr/share/hydrogen/data/drumkits"),
)
"""Where Linux distributions put SoundFonts and Hydrogen's drum kits."""

_APT = {"FluidR3_GM.sf2": "fluid-soundfont-gm", "MuseScore_General.sf3": "musescore-general-soundfont"}
_KITS_APT = "hydrogen-drumkits"


def find_soundfont(name: str, folders: Iterable[Path] = ()) -> Path:
    """Find a SoundFont.

    Args:
        name: of a file, or its path.
        folders: of the user, searched before `FOLDERS`.

    Returns:
        Its path.

    Raises:
        SoliError: when it is nowhere, with the package that brings it where that is known.
    """
    if name == EMBEDDED:
        return embedded().path
    found = _find(name, folders)
    if found is not None and found.is_file():
        return found
    hint = f"; try: apt install {_APT[name]}" if name in _APT else ""
    raise SoliError(f"SoundFont {name!r} is not there; looked in {_looked_in(name, folders)}{hint}")


def find_kit(name: str, folders: Iterable[Path] = ()) -> Path:
    """Find a Hydrogen drum kit.

    Args:
        name: of its folder, or the path of that.
        folders: of the user, searched before `FOLDERS`.

    Returns:
        Its folder.

    Raises:
        SoliError: when it is nowhere.
    """
    found = _find(name, folders)
    if found is not None and found.is_dir():
        return found
    raise SoliError(
        f"drum kit {name!r} is not there; looked in {_looked_in(name, folders)}; try: apt install {_KITS_APT}"
    )


def find_voices(name: str, folders: Iterable[Path] = ()) -> Path:
    """Find a folder of solo voices.

    Args:
        name: of the folder, or its path.
        folders: of the user.

    Returns:
        The folder.

    Raises:
        SoliError: when it is nowhere.
    """
    found = _find(name, folders)
    if found is not None and found.is_dir():
        return found
    raise SoliError(f"folder of voices {name!r} is not there; looked in {_looked_in(name, folders)}")


def digest(path: Path) -> str:
    """What a file, or all files below a folder, hold.

    Args:
        path: of either.

    Returns:
        SHA-256 in hexadecimal digits, over names and contents.

    Raises:
        SoliError: for what cannot be read.
    """
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    whole = hashlib.sha256()
    for file in files:
        name = file.relative_to(path).as_posix() if path.is_dir() else ""
        try:
            with file.open("rb") as stream:
                whole.update(f"{name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
        except OSError as error:
            raise SoliError(f"{file}: cannot be read ({error.strerror or error})") from error
    return whole.hexdigest()


def _find(name: str, folders: Iterable[Path]) -> Path | None:
    """The first place that has it; a path stands for itself."""
    places = [Path(name)] if Path(name).name != name else [*(folder / name for folder in (*folders, *FOLDERS))]
    return next((place for place in (*places, Path(name)) if place.exists()), None)


def _looked_in(name: str, folders: Iterable[Path]) -> str:
    if Path(name).name != name:
        return str(Path(name).parent)
    return ", ".join(str(folder) for folder in (*folders, *FOLDERS))
