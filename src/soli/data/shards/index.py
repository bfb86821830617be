"""What a folder of shards holds: `index.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from soli.data.shards.store import Store
from soli.errors import SoliError

INDEX = "index.json"
FORMAT = "soli shards 1"


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One tar file.

    Attributes:
        name: of the file.
        tracks: keys of its samples, in order.
        seconds: of music; stems that sound together count once.
        n_bytes: of the file; 0 while it is not written.
        sha256: of the file.
        clipped: samples of sources in floating point that FLAC could not hold.
    """

    name: str
    tracks: tuple[str, ...]
    seconds: float = 0.0
    n_bytes: int = 0
    sha256: str = ""
    clipped: int = 0


@dataclass(frozen=True, kw_only=True)
class Index:
    """All shards of a folder.

    Attributes:
        source: what they were made from: the layout, and a hash of the tracks' names and sizes.
        shards: in order.
        complete: whether all of them are written.
    """

    source: str
    shards: tuple[Shard, ...]
    complete: bool = False

    @property
    def n_tracks(self) -> int:
        """Of all shards."""
        return sum(len(shard.tracks) for shard in self.shards)

    @property
    def seconds(self) -> float:
        """Of all shards."""
        return sum(shard.seconds for shard in self.shards)

    @property
    def n_bytes(self) -> int:
        """Of all shards."""
        return sum(shard.n_bytes for shard in self.shards)


def read_index(url: str) -> Index:
    """Read what a folder of shards holds.

    Args:
        url: of the folder.

    Returns:
        The index of all its shards.

    Raises:
        SoliError: where there is no index, or the shards are not complete.
    """
    index = load(Store(url))
    if not index.complete:
        raise SoliError(f"{url}: these shards are not complete; finish them with `soli data shard`")
    return index


def load(store: Store) -> Index:
    """Read an index, complete or not.

    Args:
        store: the folder.

    Returns:
        The index.

    Raises:
        SoliError: where there is none.
    """
    content = store.read_json(INDEX)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise SoliError(f"{store.url}/{INDEX}: not an index of shards")
    shards = tuple(shard_from_json(shard) for shard in content["shards"])
    return Index(source=content["source"], shards=shards, complete=content["complete"])


def save(store: Store, index: Index) -> None:
    """Write an index.

    Args:
        store: the folder.
        index: what it holds.

    Raises:
        SoliError: when it cannot be written.
    """
    totals = {"tracks": index.n_tracks, "seconds": index.seconds, "bytes": index.n_bytes} if index.complete else {}
    store.write_json(INDEX, {"format": FORMAT} | totals | asdict(index))


def shard_from_json(content: Mapping[str, Any]) -> Shard:
    """Make a shard of what `dataclasses.asdict` made of it.

    Args:
        content: from JSON.

    Returns:
        The shard.
    """
    return Shard(**{**content, "tracks": tuple(content["tracks"])})
