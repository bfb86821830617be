"""The folder a dataset is rendered into: what it was begun with, who is at it, and what a dead run left behind."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from soli.errors import SoliError

STATE_FILE = "render.json"
"""What the dataset is made of; a folder that has it can be gone on with."""

_LOCK_FILE = ".render.lock"
_PART = ".part"


@contextmanager
def open_tree(root: Path, state: Mapping[str, Any], folders: Iterable[str] = ()) -> Iterator[None]:
    """Take a folder for one run, and leave nothing half-written in it, however the run ends.

    Args:
        root: made if missing.
        state: what is rendered, as JSON can hold it; of its table "sounds" each run may know a part.
        folders: made in it even where nothing will be put into them: loaders know a dataset by its splits.

    Yields:
        Nothing; until the end, no other run gets the folder.

    Raises:
        SoliError: for a folder that holds something else, or a dataset begun with another state; for one that another
            run is at, and one that cannot be written to.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        held = {entry.name for entry in root.iterdir()} - {_LOCK_FILE}
        if held and STATE_FILE not in held:
            raise SoliError(
                f"{root}: holds files but no {STATE_FILE}: not begun by this command; choose another folder"
            )
        lock = (root / _LOCK_FILE).open("w")
    except OSError as error:
        raise SoliError(f"{root}: cannot be written to ({error.strerror or error})") from error
    with lock:
        _lock(lock, root)
        try:
            _sweep(root)
            _keep_state(root / STATE_FILE, state)
            _make(root, folders)
            yield
        finally:
            _sweep(root)
            with suppress(OSError):
                (root / _LOCK_FILE).unlink()


@contextmanager
def whole_folder(place: Path) -> Iterator[Path]:
    """Fill a folder that appears under its name only when it is complete.

    Args:
        place: where it goes; its parent is made if missing.

    Yields:
        A hidden folder beside it, removed if anything goes wrong.

    Raises:
        SoliError: when it cannot be written.
    """
    hidden = place.with_name(f".{place.name}.{secrets.token_hex(4)}{_PART}")
    try:
        hidden.mkdir(parents=True)
        yield hidden
        if not place.is_dir():  # else the worker that did it died before it could say so
            hidden.rename(place)
    except OSError as error:
        raise SoliError(f"{place}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _make(root: Path, folders: Iterable[str]) -> None:
    try:
        for name in folders:
            (root / name).mkdir(exist_ok=True)
    except OSError as error:
        raise SoliError(f"{root}: cannot be written to ({error.strerror or error})") from error


def _lock(lock: IO[str], root: Path) -> None:
    """Hold a lock that ends with the process, however it ends; where there are no such locks, none is held."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(lock.fileno()), (root / _LOCK_FILE).stat()):
            raise BlockingIOError  # its holder has just removed it
    except (BlockingIOError, FileNotFoundError) as error:
        raise SoliError(f"{root}: another run is writing to it; wait for its end, or choose another folder") from error


def _sweep(root: Path) -> None:
    """Remove the hidden folders and files of runs that were killed."""
    for leftover in (*root.glob(f"*/.*{_PART}"), *root.glob(f".*{_PART}")):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _keep_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state of a new dataset; of an old one, check it and add what this run knows."""
    wanted = json.loads(json.dumps(state))
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SoliError(f"{path}: cannot be read ({error}); choose another folder") from error
        difference = _difference(found, wanted)
        if difference:
            raise SoliError(f"{path.parent}: begun with {difference}; use what it was begun with, or another folder")
        wanted["sounds"] = dict(sorted((found["sounds"] | wanted["sounds"]).items()))
        if wanted == found:
            return
    temporary = path.with_name(f".{path.name}{_PART}")
    try:
        temporary.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SoliError(f"{path}: cannot be written ({error.strerror or error})") from error


def _difference(found: Any, wanted: Any, name: str = "") -> str:
    """In words, the first thing in which two states differ; empty where they agree."""
    if found == wanted:
        return ""
    if isinstance(found, dict) and isinstance(wanted, dict):
        keys = wanted.keys() & found.keys() if name == "sounds" else wanted.keys() | found.keys()
        differences = (_difference(found.get(key), wanted.get(key), f"{name}.{key}".strip(".")) for key in sorted(keys))
        return next((difference for difference in differences if difference), "")
    if name.startswith("sounds."):
        return f"other contents of {name.removeprefix('sounds.')}"
    return f"{name} = {json.dumps(found)} instead of {json.dumps(wanted)}"
