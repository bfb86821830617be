"""Reading audio files block by block."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import numpy as np
import soundfile
import torch
from torch import Tensor

from soli.audio.fifo import SampleFifo
from soli.audio.formats import BIT_DEPTHS
from soli.errors import SoliError

_CHUNK = 65536  # samples per call of a decoder


class _Source(Protocol):
    """What a decoder tells and gives; one for libsndfile, one for PyAV."""

    sample_rate: int
    n_channels: int
    n_samples: int | None
    format: str
    subtype: str

    def chunks(self, start: int) -> Iterator[np.ndarray]:
        """Decode float32 arrays `[T C]` from sample `start` to the end."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class AudioReader:
    """One audio stream of a file, told by its content; use it in a `with` statement or call `close`.

    Args:
        path: of the file.
        stream: which audio stream, from 0; only containers such as `.stem.mp4` have several.

    Attributes:
        sample_rate: in Hz.
        n_channels: of the stream.
        n_samples: as the header states it, None where it does not; the header of an m4a or a video can be a few
            samples off, what `blocks` yields is the truth.
        format: "wav", "flac", "mp3" ... or the container's name.
        subtype: libsndfile's name for PCM, such as "PCM_24" or "FLOAT"; the codec's name otherwise.

    Raises:
        SoliError: for a file that is missing, empty, truncated or not audio, or a stream that does not exist.
    """

    def __init__(self, path: str | Path, stream: int = 0) -> None:
        self.path = Path(path)
        self._source = _open(self.path, stream)
        self.sample_rate = self._source.sample_rate
        self.n_channels = self._source.n_channels
        self.n_samples = self._source.n_samples
        self.format = self._source.format
        self.subtype = self._source.subtype

    @property
    def bit_depth(self) -> int | None:
        """Bits per sample, None for lossy codecs."""
        return BIT_DEPTHS.get(self.subtype)

    def blocks(self, n_samples: int = _CHUNK, start: int = 0) -> Iterator[Tensor]:
        """Decode from `start` to the end; each call starts afresh.

        Args:
            n_samples: length of every block but the last.
            start: first sample.

        Yields:
            float32 tensors `[C T]`.

        Raises:
            SoliError: for damaged data, a stream without samples, and samples that are not finite.
        """
        queue = SampleFifo()
        position = start
        for chunk in self._source.chunks(start):
            block = torch.from_numpy(np.ascontiguousarray(chunk.T))
            self._check_finite(block, position)
            position += block.shape[-1]
            queue.push(block)
            while queue.n_samples >= n_samples:
                yield queue.pop(n_samples)
        if queue.n_samples:
            yield queue.pop(queue.n_samples)
        if position == 0:
            raise SoliError(f"{self.path}: the audio stream has no samples")

    def close(self) -> None:
        """Close the file; blocks cannot be read any more."""
        self._source.close()

    def __enter__(self) -> Self:
        """Return itself; the file was opened by the constructor."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def _check_finite(self, block: Tensor, position: int) -> None:
        """Name the first bad sample by its time, which is where the user can look for it."""
        if bool(torch.isfinite(block).all()):
            return
        first = int((~torch.isfinite(block)).any(dim=0).nonzero()[0])
        seconds = (position + first) / self.sample_rate
        raise SoliError(f"{self.path}: NaN or infinite sample at {seconds:.3f} s; allowed: finite samples only")


def read(path: str | Path, start: float = 0.0, stop: float | None = None, stream: int = 0) -> tuple[Tensor, int]:
    """Read a file, or a span of it, into memory.

    Args:
        path: of the file.
        start: in seconds.
        stop: in seconds, None for the end; a stop beyond the end is the end.
        stream: which audio stream, from 0.

    Returns:
        The waveform `[C T]` and its sample rate in Hz.

    Raises:
        SoliError: for a file that cannot be read, and a span with no samples in it.
    """
    with AudioReader(path, stream) as reader:
        first = round(start * reader.sample_rate)
        wanted = None if stop is None else round(stop * reader.sample_rate) - first
        if first < 0 or (wanted is not None and wanted <= 0):
            raise SoliError(f"span {start}-{stop} s of {path} is empty; allowed: 0 <= start < stop")
        blocks: list[Tensor] = []
        length = 0
        for block in reader.blocks(start=first):
            blocks.append(block)
            length += block.shape[-1]
            if wanted is not None and length >= wanted:
                break
        if not blocks:
            raise SoliError(f"{path} ends before the span's start at {start} s")
        return torch.cat(blocks, dim=-1)[:, :wanted], reader.sample_rate


def read_streams(path: str | Path) -> list[Tensor]:
    """Decode every audio stream of a file, such as the mixture and stems of a `.stem.mp4`.

    Args:
        path: of the file.

    Returns:
        One waveform `[C T]` per stream, in the file's order; lengths are the streams' own.

    Raises:
        SoliError: for a file that cannot be read.
    """
    from soli.audio.container import count_streams

    return [read(path, stream=index)[0] for index in range(count_streams(Path(path)))]


class _SoundFileSource:
    """libsndfile: wav, aiff, flac, ogg, opus, mp3."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # An open file instead of its name, so that the content alone decides: by name, anything called .mp3 would
        # be given to the MP3 decoder, which writes to stderr by itself when it is not.
        self._handle = open(path, "rb")  # noqa: SIM115 (closed by `close`)
        try:
            self._file = soundfile.SoundFile(self._handle.fileno(), closefd=False)
        except soundfile.LibsndfileError:
            self._handle.close()
            raise
        self.sample_rate = int(self._file.samplerate)
        self.n_channels = int(self._file.channels)
        self.n_samples: int | None = int(self._file.frames)
        self.subtype = str(self._file.subtype)
        self.format = "opus" if self.subtype == "OPUS" else str(self._file.format).lower().replace("wavex", "wav")
        _refuse_cut_header(path, self._file.extra_info)

    def chunks(self, start: int) -> Iterator[np.ndarray]:
        """Decode from `start` to the end, `[T C]`."""
        total = self._file.frames
        # Seeking in MP3 and Vorbis gives wrong samples for the first frame: there, decode what lies before and drop it.
        position = min(start, total) if self.subtype in BIT_DEPTHS else 0
        try:
            self._file.seek(position)  # reads the first block of a FLAC file, which may be damaged
            while len(chunk := self._file.read(_CHUNK, dtype="float32", always_2d=True)):
                fresh = chunk[max(0, start - position) :]
                position += len(chunk)
                if len(fresh):
                    yield fresh
        except soundfile.LibsndfileError as error:
            raise _damaged(self._path, position / self.sample_rate, error.error_string) from error
        if position < total:
            raise _damaged(self._path, position / self.sample_rate, f"{total / self.sample_rate:.3f} s were announced")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._handle.close()


def _open(path: Path, stream: int) -> _Source:
    """Give the file to the decoder that knows it."""
    try:
        with open(path, "rb") as handle:
            size = handle.seek(0, os.SEEK_END)
            if not size:
                raise SoliError(f"{path}: the file is empty")
            use_soundfile = stream == 0 and _has_sound_length(path, handle, size)
    except OSError as error:
        raise SoliError(f"{path}: cannot be read: {error.strerror}") from error
    if use_soundfile:
        try:
            return _SoundFileSource(path)
        except soundfile.LibsndfileError:
            pass  # not one of libsndfile's formats: PyAV is next, and says so if it does not know it either
    from soli.audio.container import ContainerSource  # FFmpeg's libraries are large; most files need none of them

    return ContainerSource(path, stream)


def _has_sound_length(path: Path, handle: BinaryIO, size: int) -> bool:
    """Whether the length in the header can be believed; false only for some MP3 files, which PyAV reads to their end.

    libsndfile stops where the first frame says. Where that says nothing it estimates, and cuts the end of files of
    variable bitrate; of joined files it reads the first.
    """
    handle.seek(0)
    head = handle.read(10)
    offset = 0
    if head[:3] == b"ID3" and len(head) == 10:  # a tag: 10 bytes of header, then a size of four 7-bit digits
        offset = 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    handle.seek(offset)
    frame = handle.read(256)
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE6 not in (0xE2, 0xE4, 0xE6):
        return True  # not an MPEG frame
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0 or frame[at + 7] & 3 != 3:  # no such header, or without the numbers of frames and bytes
        return False
    stated = int.from_bytes(frame[at + 12 : at + 16], "big")
    if stated > 1.01 * size:
        raise SoliError(f"{path}: truncated: {size} of {stated} bytes are there")
    return size - offset < 1.01 * stated + 2**16  # some tags may follow the audio


def _refuse_cut_header(path: Path, log: str) -> None:
    """Find in libsndfile's log whether the header announces more data than there is; it reads on regardless."""
    pattern = r"^\s*(?:data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)|frame count (\d+) does not .* of (\d+)"
    for match in re.finditer(pattern, log, re.MULTILINE):
        stated, present = (match[1], match[2]) if match[1] else (match[4], match[3])
        # Programs that write to a pipe cannot know the length and state the largest one there is.
        unknown = int(stated) >= 2**32 - 2**16 or abs(int(stated) - 2**31) < 2**16
        if int(stated) > int(present) and not unknown:
            raise SoliError(f"{path}: truncated: {present} of the {stated} bytes of audio are there")


def _damaged(path: Path, seconds: float, reason: str) -> SoliError:
    """The error for data that end or break too early."""
    return SoliError(f"{path}: truncated or damaged after {seconds:.3f} s ({reason.rstrip('.')})")
