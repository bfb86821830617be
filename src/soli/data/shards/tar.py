"""One shard: a tar file whose bytes depend on nothing but its samples."""

from __future__ import annotations

import tarfile
from collections.abc import Collection, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Any, cast

from soli.data.shards.sample import unpack
from soli.data.shards.store import HashingFile, Store
from soli.data.tracks import Track
from soli.errors import SoliError


class TarWriter:
    """Append samples to a shard; `close` completes it.

    Args:
        file: where it goes.
    """

    def __init__(self, file: HashingFile) -> None:
        self._tar = tarfile.open(fileobj=cast(IO[bytes], file), mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def add(self, key: str, members: Mapping[str, bytes | Path]) -> None:
        """Append a sample.

        Args:
            key: its name, without a dot.
            members: content, or a file to copy, by what follows the key and a dot.
        """
        for suffix, content in members.items():
            info = tarfile.TarInfo(f"{key}.{suffix}")  # no time, no owner
            if isinstance(content, bytes):
                info.size = len(content)
                self._tar.addfile(info, BytesIO(content))
            else:
                info.size = content.stat().st_size
                with content.open("rb") as file:
                    self._tar.addfile(info, file)

    def close(self) -> None:
        """Write the end of the tar file."""
        self._tar.close()


def read_shard(url: str) -> Iterator[Track]:
    """Read the tracks of one shard, such as one that another program made of soli's.

    Args:
        url: of the tar file.

    Yields:
        Tracks whose files are in memory.

    Raises:
        SoliError: for a file that cannot be read, or samples that soli did not write.
    """
    folder, _, name = url.rpartition("/")
    for _, fields in read_samples(Store(folder or "."), name):
        yield Track(**fields)


def read_samples(
    store: Store, name: str, wanted: Collection[int] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read samples of a shard in order; what is not wanted is passed over without reading its audio.

    Args:
        store: the folder.
        name: of the tar file.
        wanted: their numbers within the shard; None for all.

    Yields:
        A number, and arguments of `Track`.

    Raises:
        SoliError: for a file that cannot be read, that is damaged, or that ends before the last sample that is wanted.
    """
    number, key, members = -1, "", {}
    place = Path(store.url) / name
    last = max(wanted, default=-1) if wanted is not None else None
    try:
        with store.reading(name) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                its_key, _, suffix = info.name.partition(".")
                if its_key != key:
                    if members:
                        yield number, unpack(place / key, members)
                    if number == last:
                        return
                    number, key, members = number + 1, its_key, {}
                if info.isfile() and (wanted is None or number in wanted):
                    members[suffix] = _content(tar, info)
            if members:
                yield number, unpack(place / key, members)
    except tarfile.TarError as error:
        raise SoliError(f"{place}: truncated or damaged: {error}") from error
    if last is not None and number < last:
        raise SoliError(f"{place}: truncated: {number + 1} samples are there")


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    """The bytes of a member."""
    member = tar.extractfile(info)
    content = b"" if member is None else member.read()
    if len(content) != info.size:
        raise tarfile.ReadError(f"{info.name} has {len(content)} of {info.size} bytes")
    return content
