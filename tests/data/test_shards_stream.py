from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from torch.utils.data import DataLoader

from data_trees import parts, write
from soli.data.layouts import open_dataset
from soli.data.shards import Cursor, ShardDataset, ShardTrack, write_shards
from soli.data.shards.store import Store
from soli.data.shards.stream import draw_order
from soli.errors import SoliError
from soli.parallel.engine import InProcess

N_TRACKS = 23


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> str:
    """23 tracks in 6 shards."""
    folder = tmp_path_factory.mktemp("shards")
    for number in range(N_TRACKS):
        write(folder / "songs" / f"song{number:02d}", parts(("vocals", "drums"), 1, 200 + number))
    url = str(folder / "out")
    index = write_shards(open_dataset(folder / "songs", "stems").tracks, url, InProcess(), n_bytes=3500)
    assert len(index.shards) == 6
    return url


def names(stream) -> list[str]:
    return [track.name for track in stream]


def loader(dataset: ShardDataset, n_workers: int) -> DataLoader[ShardTrack]:
    return DataLoader(dataset, batch_size=None, num_workers=n_workers)


@given(some.integers(0, 60), some.integers(1, 70), some.integers(0, 2**32))
def test_a_buffer_gives_every_item_once_and_none_too_early(n_items: int, buffer: int, seed: int) -> None:
    order = draw_order(n_items, buffer, np.random.default_rng(seed))
    assert sorted(order) == list(range(n_items))
    assert all(item - place < buffer for place, item in enumerate(order))


def test_a_buffer_as_large_as_the_epoch_gives_every_order_equally_often() -> None:
    generator = np.random.default_rng(0)
    counts = Counter(tuple(draw_order(3, 3, generator)) for _ in range(6000))
    assert len(counts) == 6
    assert max(abs(count - 1000) for count in counts.values()) < 5 * np.sqrt(1000)  # five standard deviations


def test_each_epoch_has_every_track_once_in_an_order_of_its_own(shards) -> None:
    stream = iter(ShardDataset(shards, buffer=8))
    epochs = [names(islice(stream, N_TRACKS)) for _ in range(3)]
    assert all(len(set(epoch)) == N_TRACKS for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert epochs[0] == names(ShardDataset(shards, buffer=8, n_epochs=1))
    assert epochs[0] != names(ShardDataset(shards, buffer=8, n_epochs=1, seed=1))


def test_a_buffer_of_one_keeps_the_order_of_the_dataset(shards) -> None:
    assert names(ShardDataset(shards, buffer=1, n_epochs=1)) == [f"song{number:02d}" for number in range(N_TRACKS)]


def test_ranks_share_every_epoch(shards) -> None:
    parts = [names(ShardDataset(shards, rank=rank, world_size=3, n_epochs=1)) for rank in range(3)]
    assert all(parts)
    assert sorted(name for part in parts for name in part) == [f"song{number:02d}" for number in range(N_TRACKS)]


@pytest.mark.parametrize("stopped_at", [0, 1, 11, 22, 23, 24, 60])
def test_a_resumed_stream_goes_on_with_the_next_track(shards, stopped_at) -> None:
    whole = list(islice(ShardDataset(shards, buffer=5), 80))
    resumed = ShardDataset(shards, buffer=5)
    if stopped_at:
        resumed.resume([Cursor(**asdict(whole[stopped_at - 1].cursor))])
    rest = list(islice(resumed, 80 - stopped_at))
    assert names(rest) == names(whole[stopped_at:])
    assert [track.cursor for track in rest] == [track.cursor for track in whole[stopped_at:]]
    np.testing.assert_array_equal(rest[0].read("drums"), whole[stopped_at].read("drums"))


def test_workers_of_a_loader_share_every_epoch_and_resume_to_the_track(shards) -> None:
    whole = list(islice(loader(ShardDataset(shards, buffer=4, rank=1, world_size=2), 2), 20))
    assert {track.cursor.reader for track in whole} == {2, 3}
    last: dict[int, Cursor] = {}
    for track in whole[:9]:  # the loader is further ahead than what was used
        last[track.cursor.reader] = track.cursor
    resumed = ShardDataset(shards, buffer=4, rank=1, world_size=2)
    resumed.resume(list(last.values()))
    rest = list(islice(loader(resumed, 2), 11))
    for reader in (2, 3):
        expected = [track.name for track in whole[9:] if track.cursor.reader == reader]
        found = [track.name for track in rest if track.cursor.reader == reader]
        length = min(len(expected), len(found))
        assert length > 3
        assert found[:length] == expected[:length]
    both = [
        names(loader(ShardDataset(shards, rank=rank, world_size=2, n_epochs=1), n_workers))
        for rank, n_workers in ((0, 2), (1, 2))
    ]
    assert sorted(both[0] + both[1]) == [f"song{number:02d}" for number in range(N_TRACKS)]


def test_shards_that_are_done_are_not_opened_again(shards, monkeypatch) -> None:
    opened = []
    reading = Store.reading
    monkeypatch.setattr(Store, "reading", lambda store, name: opened.append(name) or reading(store, name))
    dataset = ShardDataset(shards, buffer=2, n_epochs=1)
    opened.clear()
    dataset.resume([Cursor(position=N_TRACKS - 1)])
    assert len(names(dataset)) == 1
    assert len(opened) == 1


def test_the_buffer_bounds_what_is_held(shards, monkeypatch) -> None:
    from soli.data.shards import stream

    read = []
    samples = stream.read_samples

    def counted(*arguments):
        for sample in samples(*arguments):
            read.append(sample[0])
            yield sample

    monkeypatch.setattr(stream, "read_samples", counted)
    for place, _ in enumerate(ShardDataset(shards, buffer=5, n_epochs=1)):
        assert len(read) - place <= 5


@pytest.mark.parametrize(
    ("options", "n_workers", "cursors", "parts"),
    [
        ({"world_size": 7}, 0, [], ["6 shards", "7 readers"]),
        ({"world_size": 4, "rank": 4}, 0, [], ["rank=4"]),
        ({"buffer": 0}, 0, [], ["buffer=0", "1 or more"]),
        ({}, 0, [Cursor(n_readers=2)], ["2 readers, now 1"]),
        ({}, 0, [Cursor(n_readers=2), Cursor(n_readers=3)], ["2 and 3"]),
    ],
)
def test_what_cannot_be_split_or_resumed_is_refused(shards, options, n_workers, cursors, parts) -> None:
    def use() -> None:
        dataset = ShardDataset(shards, **options)
        dataset.resume(cursors)
        next(iter(loader(dataset, n_workers)))

    with pytest.raises(SoliError) as caught:
        use()
    for part in parts:
        assert part in str(caught.value)


def test_a_folder_without_shards_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SoliError, match=r"index\.json: cannot be read"):
        ShardDataset(str(tmp_path))
