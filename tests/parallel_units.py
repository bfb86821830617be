"""Work for the tests of engines; a worker imports it by name."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from soli.errors import SoliError


def nothing() -> None:
    """A setup without a state."""


def note_setup(folder: Path) -> Path:
    """Leave a file per setup, named after the process."""
    (folder / f"setup-{os.getpid()}").touch()
    return folder


def fail_setup() -> None:
    raise SoliError("no such model 'x'; allowed: y")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def square(_: object, unit: int) -> int:
    return unit**2


def environment(_: object, name: str) -> str | None:
    return os.environ.get(name)


def process(folder: Path, unit: int) -> int:
    """Which process does it."""
    (folder / f"unit-{unit}-{os.getpid()}").touch()
    time.sleep(0.02)
    return os.getpid()


def fail_on_odd(_: object, unit: int) -> int:
    if unit % 4 == 1:
        raise SoliError(f"unit {unit} is odd;\nallowed: even")
    if unit % 4 == 3:
        raise ZeroDivisionError("by zero")
    return unit


def die_first(folder: Path, unit: int) -> int:
    """Every third unit kills its worker the first time; unit 5 always does. Leaves a file per try."""
    tries = len(list(folder.glob(f"try-{unit}-*")))
    (folder / f"try-{unit}-{tries}").touch()
    if unit == 5 or (unit % 3 == 0 and tries == 0):
        os.kill(os.getpid(), signal.SIGKILL)
    return unit**2


def unsendable(_: object, unit: int) -> object:
    return threading.Lock() if unit == 1 else unit


def sleep_with_a_temporary_file(folder: Path, unit: int) -> None:
    """Say which process it is, and sleep; drop the file on the way out."""
    path = folder / f"{unit}.part"
    path.write_text(str(os.getpid()))
    try:
        time.sleep(600)
    finally:
        path.unlink()
