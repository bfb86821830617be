"""Shards as an endless stream of tracks: shuffled, split between readers, and resumable to the sample."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from soli.data.shards.index import read_index
from soli.data.shards.store import Store
from soli.data.shards.tar import read_samples
from soli.data.tracks import Track
from soli.errors import SoliError


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """Where a reader of a stream is; plain numbers, for a checkpoint.

    Attributes:
        epoch: from 0.
        position: how many tracks of the epoch this reader has given.
        reader: its number, over all ranks and workers.
        n_readers: of them.
    """

    epoch: int = 0
    position: int = 0
    reader: int = 0
    n_readers: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class ShardTrack(Track):
    """A track of a stream, its FLAC files in memory.

    Attributes:
        cursor: give it back to `ShardDataset.resume`, and the stream goes on with the next track.
    """

    cursor: Cursor


class ShardDataset(IterableDataset[ShardTrack]):
    """Stream the tracks of a folder of shards.

    In every epoch each track comes once. The shards come in an order drawn from the seed and the epoch, are dealt out
    to the readers, and each reader shuffles its tracks within a buffer. Give it to a `DataLoader` with
    `batch_size=None` and any number of workers: what comes out are tracks, not batches.

    Args:
        url: of the folder.
        seed: of all shuffling; the same on all ranks.
        buffer: how many tracks a reader holds to draw from; 1 keeps their order, and that of the shards.
        n_epochs: None for an endless stream.
        rank: of this process.
        world_size: how many processes share the stream.

    Raises:
        SoliError: where there are no complete shards, and for numbers that are not allowed.
    """

    def __init__(
        self,
        url: str,
        *,
        seed: int = 0,
        buffer: int = 32,
        n_epochs: int | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if buffer < 1 or not 0 <= rank < world_size:
            raise SoliError(
                f"buffer={buffer}, rank={rank} of {world_size}; allowed: buffer 1 or more, 0 <= rank < ranks"
            )
        self.url = url
        self.index = read_index(url)
        self._seed, self._buffer, self._n_epochs = seed, buffer, n_epochs
        self._rank, self._world_size = rank, world_size
        self._cursors: dict[int, Cursor] = {}

    def resume(self, cursors: Sequence[Cursor]) -> None:
        """Go on behind the tracks that were last used.

        Args:
            cursors: of the last track of each reader; one that is missing begins anew.

        Raises:
            SoliError: when the stream was split otherwise.
        """
        split = {cursor.n_readers for cursor in cursors}
        if len(split) > 1:
            raise SoliError(f"cursors of streams split {' and '.join(map(str, sorted(split)))} ways; allowed: of one")
        self._cursors = {cursor.reader: cursor for cursor in cursors}

    def __iter__(self) -> Iterator[ShardTrack]:
        """Go through the epochs, from where `resume` has put this reader."""
        worker = get_worker_info()
        number, n_workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        start = Cursor(reader=self._rank * n_workers + number, n_readers=self._world_size * n_workers)
        self._check(start)
        cursor = self._cursors.get(start.reader, start)
        store = Store(self.url)
        epoch, position = cursor.epoch, cursor.position
        while self._n_epochs is None or epoch < self._n_epochs:
            for fields in self._epoch(store, epoch, position, start):
                position += 1
                its = Cursor(epoch=epoch, position=position, reader=start.reader, n_readers=start.n_readers)
                yield ShardTrack(**fields, cursor=its)
            epoch, position = epoch + 1, 0

    def _check(self, reader: Cursor) -> None:
        n_shards = len(self.index.shards)
        if reader.n_readers > n_shards:
            raise SoliError(
                f"{self.url}: {n_shards} shards cannot be split between {reader.n_readers} readers; "
                f"allowed: at most {n_shards} ranks times workers"
            )
        for cursor in self._cursors.values():
            if cursor.n_readers != reader.n_readers:
                raise SoliError(
                    f"this stream was split between {cursor.n_readers} readers, now {reader.n_readers}; "
                    f"resume with as many ranks and workers as before"
                )

    def _epoch(self, store: Store, epoch: int, position: int, reader: Cursor) -> Iterator[dict[str, Any]]:
        """The rest of an epoch.

        The order is drawn before anything is read, so that a resumed stream need not read again what it has given:
        shards that are done are not even opened.
        """
        n_shards = len(self.index.shards)
        dealt = np.arange(n_shards)
        if self._buffer > 1:
            dealt = np.random.default_rng((self._seed, epoch)).permutation(n_shards)
        shards = [self.index.shards[number] for number in dealt[reader.reader :: reader.n_readers]]
        starts = [0, *accumulate(len(shard.tracks) for shard in shards)]
        order = draw_order(starts[-1], self._buffer, np.random.default_rng((self._seed, epoch, reader.reader)))[
            position:
        ]
        held: dict[int, dict[str, Any]] = {}
        reading = self._read(store, [shard.name for shard in shards], starts, sorted(order))
        for item in order:
            while item not in held:
                number, fields = next(reading)
                held[number] = fields
            yield held.pop(item)

    @staticmethod
    def _read(
        store: Store, names: Sequence[str], starts: Sequence[int], items: Sequence[int]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Items in the order of the shards; `starts` is the number of the first one of each shard."""
        for name, first, stop in zip(names, starts, starts[1:], strict=False):
            wanted = items[bisect.bisect_left(items, first) : bisect.bisect_left(items, stop)]
            if wanted:
                for number, fields in read_samples(store, name, {item - first for item in wanted}):
                    yield first + number, fields


def draw_order(n_items: int, buffer: int, generator: np.random.Generator) -> list[int]:
    """The order that a shuffle buffer gives items that come one after the other.

    Args:
        n_items: how many.
        buffer: how many it holds; one of them at random makes room for the next.
        generator: draws.

    Returns:
        Numbers of items; none comes more than `buffer - 1` places too early.
    """
    held: list[int] = []
    order: list[int] = []
    for item in range(n_items):
        held.append(item)
        if len(held) >= buffer:
            order.append(_draw(held, generator))
    while held:
        order.append(_draw(held, generator))
    return order


def _draw(held: list[int], generator: np.random.Generator) -> int:
    """Take one out."""
    at = int(generator.integers(len(held)))
    held[at], held[-1] = held[-1], held[at]
    return held.pop()
