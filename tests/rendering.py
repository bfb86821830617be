"""What the tests of rendered datasets share."""

from __future__ import annotations

import hashlib
from pathlib import Path

from soli.data.compose import compose, to_midi
from soli.data.render.recipe import Recipe, Split

RATE = 8000


def tiny_recipe(songs: int = 3, **changes: object) -> Recipe:
    """A split of short songs, and a second one with one of them."""
    split = Split(songs=songs, seconds=(15.0, 16.0), styles=("rock", "ballad"), midi=0.5)
    values: dict[str, object] = {
        "sample_rate": RATE,
        "n_channels": 1,
        "submixes": True,
        "splits": {"train": split, "test_b": Split(songs=1, seconds=(15.0, 16.0), styles=("blues",))},
        "subsets": {"mini": {"train": 1}},
    }
    return Recipe(**(values | changes))  # pyright: ignore[reportArgumentType]


def midi_folder(folder: Path, n_songs: int = 6, seconds: float = 16.0) -> Path:
    """MIDI files of composed songs."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(n_songs):
        (folder / f"song {seed}.mid").write_bytes(to_midi(compose(1000 + seed, seconds=seconds)))
    return folder


def contents(root: Path) -> dict[str, str]:
    """Name of every file below a folder, hidden ones too -> hash of what it holds."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
