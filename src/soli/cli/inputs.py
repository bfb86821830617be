"""Which files a command line means, and where the stems of each go."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from soli.errors import SoliError

# fmt: off
AUDIO_SUFFIXES = (
    ".aac", ".aif", ".aiff", ".alac", ".au", ".caf", ".flac", ".m4a", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".w64",
    ".wav", ".wma",
)
# fmt: on
"""What a folder is searched for; a file that is named itself may have any suffix."""


def find_jobs(inputs: Iterable[Path], out: Path) -> list[tuple[Path, Path]]:
    """Expand files and folders.

    Args:
        inputs: files, and folders to search with everything below; hidden files and folders, and `out`
            itself, are passed over.
        out: the output folder.

    Returns:
        Pairs of an input and its output folder, each input once; what lies in a sub-folder of an input
        folder goes to the same sub-folder of `out`.

    Raises:
        SoliError: for a folder without audio files.
    """
    jobs: dict[Path, tuple[Path, Path]] = {}
    for given in inputs:
        if not given.is_dir():
            jobs.setdefault(given.resolve(), (given, out))
            continue
        found = list(_audio_files(given, out.resolve()))
        if not found:
            raise SoliError(f"{given}: no audio files in this folder; looked for {', '.join(AUDIO_SUFFIXES)}")
        for path in found:
            jobs.setdefault(path.resolve(), (path, out / path.relative_to(given).parent))
    return list(jobs.values())


def _audio_files(folder: Path, out: Path) -> Iterator[Path]:
    """Audio files below a folder, in order of name."""
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and Path(root, name).resolve() != out)
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                yield Path(root, name)
