"""Songs as codes: every song of a training cache encoded once, all of a split in one file of small integers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from soli.data.cache import Cache, CachedStem
from soli.disk import write_whole
from soli.errors import SoliError
from soli.systems.rqvae.codec import CodecSeparator
from soli.systems.rqvae.streaming import encode_stream

Songs = Mapping[str, Tensor]
"""Name of a song -> its codes, int16 `[S K N]`."""

_WRITTEN_TOGETHER = 32  # songs


def open_codes(
    path: Path, codec: CodecSeparator, cache: Cache, split: str, n_songs: int, report: Callable[[str], None]
) -> Songs:
    """Read the codes of a split, and encode the songs that the file does not hold yet.

    What has been encoded is written every few songs, beside what the file held before.

    Args:
        path: of the file; whoever names it sees to it that another codec or cache has another one.
        codec: encodes the sum of its sources.
        cache: at the codec's rate, with one channel.
        split: `"train"` or `"validation"`.
        n_songs: at most so many; 0 for all.
        report: called with a line per song that is encoded, and one if no song has some source of the codec.

    Returns:
        The songs.

    Raises:
        SoliError: when the file cannot be written.
    """
    _report_absent(cache, split, codec.sources, report)
    tracks = dict(islice(cache.tracks(split), n_songs or None))
    songs = read_codes(path) if path.is_file() else {}
    missing = [name for name in tracks if name not in songs]
    for count, name in enumerate(missing, start=1):
        codes, _ = encode_stream(codec, [_mixture(cache, tracks[name], codec.sources)], cache.sample_rate)
        songs[name] = codes.short()
        report(f"{name} ({split}): {songs[name].shape[-1]} frames of codes")
        if count % _WRITTEN_TOGETHER == 0 or count == len(missing):
            write_whole(path, save(songs))
    return {name: songs[name] for name in tracks}  # a file keeps no order


def read_codes(path: Path) -> dict[str, Tensor]:
    """Read a file of codes.

    Args:
        path: as `open_codes` writes it.

    Returns:
        The songs.

    Raises:
        SoliError: for a file that cannot be read.
    """
    try:
        return load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise SoliError(f"{path}: not a file of codes that can be read ({error})") from error


def frequencies(songs: Songs, codebook_size: int) -> Tensor:
    """How often each code occurs, each counted once more than it does.

    Args:
        songs: one or more.
        codebook_size: V.

    Returns:
        `[S K V]`, sums to one over V.
    """
    n_stems, n_levels = next(iter(songs.values())).shape[:2]
    counts = torch.ones(n_stems, n_levels, codebook_size)
    for codes in songs.values():
        counts.scatter_add_(2, codes.long(), torch.ones(codes.shape))
    return counts / counts.sum(dim=-1, keepdim=True)


def batches(
    songs: Songs, n_frames: int, *, batch_size: int, seed: int, first: int, share: tuple[int, int] = (0, 1)
) -> Iterator[Tensor]:
    """Random crops without end; a crop depends on the seed and its index alone.

    Args:
        songs: those shorter than a crop are left out.
        n_frames: of a crop.
        batch_size: crops in a batch.
        seed: of the draws.
        first: index of the first crop.
        share: which process of how many this is; together they have every crop once.

    Yields:
        `[B S K N]`, int64.

    Raises:
        SoliError: when no song is long enough.
    """
    long = [codes for codes in songs.values() if codes.shape[-1] >= n_frames]
    if not long:
        raise SoliError(f"no song of {n_frames} frames or more; allowed for model.n_frames: fewer")
    lengths = [codes.shape[-1] for codes in long]
    rank, n_processes = share
    first += rank * batch_size
    while True:
        yield torch.stack([_crop(long, lengths, n_frames, f"{seed}/{first + i}") for i in range(batch_size)]).long()
        first += n_processes * batch_size


def _crop(songs: list[Tensor], lengths: list[int], n_frames: int, seed: str) -> Tensor:
    dice = random.Random(seed)
    (codes,) = dice.choices(songs, lengths)
    start = dice.randint(0, codes.shape[-1] - n_frames)
    return codes[..., start : start + n_frames]


def _report_absent(cache: Cache, split: str, sources: tuple[str, ...], report: Callable[[str], None]) -> None:
    """Say which of a codec's sources no song has, and which stems are left out as the codec does not know them."""
    labels = {stem.label for _, stems in cache.tracks(split) for stem in stems}
    absent = [source for source in sources if source not in labels]
    if labels and absent:
        left_out = ", ".join(sorted(labels.difference(sources))) or "none"
        report(f"{cache.folder.name} ({split}): no song has {', '.join(absent)}; the codec does not know: {left_out}")


def _mixture(cache: Cache, stems: list[CachedStem], sources: tuple[str, ...]) -> Tensor:
    """Sum of the stems that the codec knows, `[1 T]`."""
    n_samples = max(stem.n_samples for stem in stems)
    total = torch.zeros(1, n_samples)
    for stem in stems:
        if stem.label in sources:
            total += torch.from_numpy(cache.read(stem, 0, n_samples))
    return total
