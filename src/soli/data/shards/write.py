"""A dataset into shards: planned as a whole, written shard by shard, by as many workers as there are."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from soli.audio import AudioReader
from soli.audio.formats import BIT_DEPTHS
from soli.data.shards.index import INDEX, Index, Shard, load, save, shard_from_json
from soli.data.shards.sample import pack, slug
from soli.data.shards.store import Store
from soli.data.shards.tar import TarWriter
from soli.data.tracks import Stem, Track
from soli.errors import SoliError
from soli.parallel import Engine

_OURS = re.compile(r"index\.json|shard-\d{6}\.(tar|json)|\.(index\.json|shard-\d{6}\.(tar|json))\.[0-9a-f]+\.part")


@dataclass(frozen=True)
class _Job:
    """A shard and its tracks."""

    shard: Shard
    tracks: tuple[Track, ...]


def write_shards(
    tracks: Sequence[Track],
    url: str,
    engine: Engine,
    *,
    n_bytes: int = 500_000_000,
    progress: Callable[[int, int], None] | None = None,
) -> Index:
    """Write tracks into tar shards of FLAC and JSON; an interrupted run is gone on with, and gives the same bytes.

    Tracks stay in their order. Every shard appears under its name only when it is whole; `index.json` says at the end
    what they hold.

    Args:
        tracks: all with different names within their split.
        url: of the folder, on a disk or in a store that fsspec knows; other workers must reach it, and the tracks, too.
        engine: what does the work.
        n_bytes: of a shard at most, unless a single track is larger. Sources that are not FLAC are counted as PCM, so
            that their shards turn out smaller.
        progress: called with the number of finished shards and of all.

    Returns:
        The index.

    Raises:
        SoliError: for tracks that cannot be read, which are named after all others are done, and for a folder that
            holds anything else.
    """
    store = Store(url)
    jobs = _plan(tracks, n_bytes)
    source = _fingerprint(jobs)
    names = _begin(store, Index(source=source, shards=tuple(job.shard for job in jobs)))
    if names is None:
        return load(store)
    todo = [job for job in jobs if _facts(job.shard.name) not in names]
    failed: list[str] = []
    for done, outcome in enumerate(engine.map(partial(Store, url), _write, todo), start=len(jobs) - len(todo) + 1):
        if outcome.error is not None:
            failed.append(f"{outcome.unit.shard.name}: {outcome.error}")
        if progress is not None:
            progress(done, len(jobs))
    if failed:
        raise SoliError(f"{len(failed)} of {len(jobs)} shards failed: {'; '.join(failed)}")
    return _finish(store, source, jobs)


def _plan(tracks: Sequence[Track], n_bytes: int) -> list[_Job]:
    """Which track goes into which shard, before any of them is decoded."""
    groups: list[list[tuple[str, Track]]] = []
    room = 0
    for number, track in enumerate(tracks):
        size = sum(_size(stem) for stem in _files(track))
        if size > room:
            groups.append([])
            room = n_bytes
        room -= size
        groups[-1].append((f"{number:06d}_{slug(track.name)}".rstrip("_"), track))
    return [
        _Job(
            Shard(name=f"shard-{number:06d}.tar", tracks=tuple(key for key, _ in group)),
            tuple(track for _, track in group),
        )
        for number, group in enumerate(groups)
    ]


def _files(track: Track) -> list[Stem]:
    if track.broken:
        raise SoliError(track.broken)
    return [*([] if track.mix is None else [track.mix]), *track.stems.values()]


def _size(stem: Stem) -> int:
    """Bytes of a FLAC file; of any other as PCM, or of the file where it does not state its length."""
    with AudioReader(stem.path, stem.stream) as reader:
        if reader.format == "flac" or reader.n_samples is None:
            return stem.path.stat().st_size
        return reader.n_samples * reader.n_channels * (3 if BIT_DEPTHS.get(reader.subtype, 16) > 16 else 2)


def _fingerprint(jobs: Sequence[_Job]) -> str:
    """A hash of what the shards are made from: names of tracks and stems, labels, and sizes of files."""
    described = [
        [track.split, track.name, {name: stem.labels for name, stem in track.stems.items()}]
        + [stem.path.stat().st_size for stem in _files(track)]
        for job in jobs
        for track in job.tracks
    ]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()


def _begin(store: Store, index: Index) -> frozenset[str] | None:
    """Claim the folder, or go on in one of the same plan; returns what is there, None when all is done."""
    names = store.names()
    whole = frozenset(name for name in names if not name.endswith(".part"))
    foreign = [name for name in names if not _OURS.fullmatch(name)] or (sorted(whole) if INDEX not in whole else [])
    if foreign:
        raise SoliError(f"{store.url}: holds other files, such as {foreign[0]!r}; choose an empty folder")
    complete = False
    if whole:
        found = load(store)
        complete = found.complete
        if found.source != index.source or [s.tracks for s in found.shards] != [s.tracks for s in index.shards]:
            raise SoliError(f"{store.url}: holds shards of other tracks or another size; choose an empty folder")
    for name in set(names) - whole:
        store.remove(name)
    if not whole:
        save(store, index)
    return None if complete else whole


def _write(store: Store, job: _Job) -> None:
    """What a worker does: one shard, and beside it what it holds."""
    seconds, clipped = 0.0, 0
    with store.writing(job.shard.name) as file:
        tar = TarWriter(file)
        for key, track in zip(job.shard.tracks, job.tracks, strict=True):
            with tempfile.TemporaryDirectory(prefix="soli-") as scratch:
                packed = pack(track, Path(scratch))
                tar.add(key, packed.members)
            seconds += packed.seconds
            clipped += packed.clipped
        tar.close()
    shard = replace(job.shard, seconds=seconds, clipped=clipped, n_bytes=file.n_bytes, sha256=file.sha256)
    store.write_json(_facts(shard.name), asdict(shard))


def _finish(store: Store, source: str, jobs: Sequence[_Job]) -> Index:
    """Put what the workers noted beside their shards into one index."""
    notes = [_facts(job.shard.name) for job in jobs]
    index = Index(source=source, shards=tuple(shard_from_json(store.read_json(note)) for note in notes), complete=True)
    save(store, index)
    for note in notes:
        store.remove(note)
    return index


def _facts(name: str) -> str:
    """Where a worker notes what a shard holds."""
    return f"{name.removesuffix('.tar')}.json"
