"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

RATE = 44100


@dataclass
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line a user sees of an error."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("soli: ")
        return lines[0]


Run = Callable[..., Outcome]


def noise(seconds: float = 0.5, channels: int = 2, seed: int = 0) -> np.ndarray:
    """Quiet noise `[T C]`."""
    return 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * RATE), channels)).clip(-3, 3)


def song(path: str | Path, **options: float) -> Path:
    """Write a short recording; the suffix chooses the format."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise(**options), RATE)
    return path


def files_in(*folders: str | Path) -> Sequence[str]:
    """Everything that is a file below some folders, hidden ones included."""
    return sorted(str(path) for folder in folders for path in Path(folder).rglob("*") if path.is_file())
