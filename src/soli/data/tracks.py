"""A track: one recording, its stems and what is known of them, whichever dataset it comes from.

Opening a dataset decodes nothing. Headers are read when a length is asked for, samples block by block when they are
asked for, so that a dataset of any size can be opened at once and read with little memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from soli.audio import AudioReader
from soli.errors import SoliError

BLOCK = 65536

Splits = Mapping[str, Mapping[str, tuple["Track", ...]]]
"""Name of a scheme -> name of a split -> its tracks."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a file says of itself.

    Attributes:
        sample_rate: in Hz.
        n_channels: of the stream.
        n_samples: per channel; a lossy container can be a few samples off.
        lossy: whether decoding gives other samples than were encoded.
    """

    sample_rate: int
    n_channels: int
    n_samples: int
    lossy: bool


@dataclass(frozen=True, kw_only=True)
class Stem:
    """One audio stream of a file.

    Attributes:
        path: of the file.
        stream: index among its audio streams.
        labels: its classes from coarse to fine, such as `("other", "guitar", "acoustic_guitar")`; empty where the
            name of the file belongs to no known class.
    """

    path: Path
    stream: int = 0
    labels: tuple[str, ...] = ()

    def header(self) -> Header:
        """Read the header; a file that does not state its length is decoded once to count it.

        Returns:
            Rate, channels, length and kind of codec.

        Raises:
            SoliError: for a file or stream that cannot be read.
        """
        with AudioReader(self.path, self.stream) as reader:
            stated = reader.n_samples
            n_samples = sum(block.shape[-1] for block in reader.blocks()) if stated is None else stated
            return Header(
                sample_rate=reader.sample_rate,
                n_channels=reader.n_channels,
                n_samples=n_samples,
                lossy=reader.bit_depth is None,
            )

    def blocks(self, n_samples: int = BLOCK, start: int = 0) -> Iterator[np.ndarray]:
        """Decode from `start` to the end.

        Args:
            n_samples: length of every block but the last.
            start: first sample.

        Yields:
            float32 arrays `[C T]`.

        Raises:
            SoliError: for a file that cannot be read or is damaged.
        """
        with AudioReader(self.path, self.stream) as reader:
            for block in reader.blocks(n_samples, start):
                yield block.numpy()


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """One recording and its stems, which all begin together.

    Attributes:
        name: unique within its split.
        stems: by name.
        mix: the file of the mixture, where there is one.
        split: the sub-folder of the dataset that it lies in; empty where there are none.
        silent: classes of which a missing stem is silence; a missing stem of any other class is an error.
        metadata: what the dataset says of the track.
        broken: why the description of the track cannot be read; empty when it can.
    """

    name: str
    stems: Mapping[str, Stem]
    mix: Stem | None = None
    split: str = ""
    silent: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    broken: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Every class of its stems, each once."""
        return tuple(dict.fromkeys(label for stem in self.stems.values() for label in stem.labels))

    @cached_property
    def sample_rate(self) -> int:
        """In Hz, the same for all files."""
        rates = sorted({header.sample_rate for header in self._headers})
        if len(rates) > 1:
            raise SoliError(f"{self.name}: files of {', '.join(map(str, rates))} Hz; allowed: one rate for all stems")
        return rates[0]

    @cached_property
    def n_channels(self) -> int:
        """Of what is read: as many as the file with most of them."""
        return max(header.n_channels for header in self._headers)

    @cached_property
    def n_samples(self) -> int:
        """Per channel; the length of the longest file."""
        return max(header.n_samples for header in self._headers)

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sample_rate

    def read(self, stem: str, start: int = 0, n_samples: int | None = None) -> np.ndarray:
        """Read a span of one stem.

        Args:
            stem: its name, or a class in `silent`.
            start: first sample.
            n_samples: None for all up to the end of the track.

        Returns:
            float32 `[C T]`; mono files spread to all channels, and what a shorter file lacks is silence.

        Raises:
            SoliError: for a name that is not there, a span outside the track, or a file that cannot be read.
        """
        if stem not in self.stems and stem not in self.silent:
            raise SoliError(f"{self.name}: no stem {stem!r}; there are: {', '.join(self.stems) or 'none'}")
        return self._sum([self.stems[stem]] if stem in self.stems else [], start, n_samples)

    def submix(self, *labels: str, start: int = 0, n_samples: int | None = None) -> np.ndarray:
        """Sum every stem of some classes.

        Args:
            *labels: classes; a stem that is of several of them counts once.
            start: first sample.
            n_samples: None for all up to the end of the track.

        Returns:
            float32 `[C T]`.

        Raises:
            SoliError: for a class without a stem, unless its absence means silence, and as `read` does.
        """
        for label in labels:
            if label not in self.labels and label not in self.silent:
                raise SoliError(f"{self.name}: no stem of class {label!r}; there are: {', '.join(self.labels)}")
        wanted = [stem for stem in self.stems.values() if not set(labels).isdisjoint(stem.labels)]
        return self._sum(wanted, start, n_samples)

    def mixture(self, start: int = 0, n_samples: int | None = None) -> np.ndarray:
        """Read a span of the mixture: of its file where there is one, of the sum of all stems elsewhere.

        Args:
            start: first sample.
            n_samples: None for all up to the end of the track.

        Returns:
            float32 `[C T]`.

        Raises:
            SoliError: as `read` does.
        """
        return self._sum(self.stems.values() if self.mix is None else [self.mix], start, n_samples)

    @cached_property
    def _headers(self) -> tuple[Header, ...]:
        """Of all files, the mixture's first."""
        files = [*([] if self.mix is None else [self.mix]), *self.stems.values()]
        if self.broken or not files:
            raise SoliError(self.broken or f"{self.name}: this track has no audio")
        return tuple(file.header() for file in files)

    def _sum(self, stems: Iterable[Stem], start: int, n_samples: int | None) -> np.ndarray:
        """Sum a span of some files."""
        length = self.n_samples - start if n_samples is None else n_samples
        if start < 0 or length <= 0 or start + length > self.n_samples:
            span = f"{start} to {start + length}"
            raise SoliError(f"{self.name}: samples {span} do not exist; allowed: 0 to {self.n_samples}")
        rate = self.sample_rate  # raises where the files have different ones: such a sum has no meaning
        total = np.zeros((self.n_channels, length), np.float32)
        for stem in stems:
            position = 0
            for block in stem.blocks(min(length, rate), start):
                block = block[:, : length - position]
                if block.shape[0] not in (1, len(total)):
                    raise SoliError(f"{stem.path}: {block.shape[0]} channels; allowed here: 1 or {len(total)}")
                total[:, position : position + block.shape[1]] += block
                position += block.shape[1]
                if position == length:
                    break
        return total


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """The tracks of a folder.

    Attributes:
        root: the folder.
        layout: one of `soli.data.layouts.LAYOUTS`.
        tracks: all of them, in order of split and name.
        splits: the schemes that this layout knows, such as `splits["redux"]["test"]` of Slakh; "folders" is how the
            tracks lie on disk.
    """

    root: Path
    layout: str
    tracks: tuple[Track, ...]
    splits: Splits = field(default_factory=dict)
