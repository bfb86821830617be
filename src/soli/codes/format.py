"""The `.soli` file: the codes of a recording and what it takes to decode them. All numbers are little-endian.

8 bytes   magic
u16       version of the format
32 bytes  SHA-256 of the model's weights
u32 u64   sample rate in Hz, length in samples
u32       samples per frame
u16 u16   S sequences of codes, K codebooks
u32 u32   N frames, V entries of a codebook
u8        number of sources
texts     the model's name, then each source: length in bytes as u8, UTF-8
bits      codes in the order [S K N], ceil(log2 V) bits each, the most significant first; zeros up to a whole byte
u32       CRC-32 of all before
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from soli.codes.packing import code_bits, pack, packed_size, unpack
from soli.disk import write_whole
from soli.errors import SoliError

VERSION = 1
_MAGIC = b"\x89soli\r\n\n"  # not text, and changed by whatever takes it for text
_START = struct.Struct("<8sH")
_HEADER = struct.Struct("<32sIQIHHIIB")
_CHECKSUM = struct.Struct("<I")
_LONGEST_HEADER = _START.size + _HEADER.size + 256 * 256


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodedSong:
    """Codes and what they mean.

    Attributes:
        codes: int64 `[S K N]` on the CPU: sequence, codebook, frame; S is 1 where one sequence stands for all sources.
        model: name of the model that made them.
        sha256: of its weights, 64 hexadecimal digits.
        sources: what they decode to, in order.
        sample_rate: in Hz.
        n_samples: length of the recording at that rate.
        samples_per_frame: distance between frames.
        codebook_size: V, entries of every codebook.

    Raises:
        SoliError: for values that contradict each other, or that the file cannot hold.
    """

    codes: Tensor
    model: str
    sha256: str
    sources: tuple[str, ...]
    sample_rate: int
    n_samples: int
    samples_per_frame: int
    codebook_size: int

    def __post_init__(self) -> None:
        _check_sizes(self)
        _check_codes(self)
        _check_names(self)

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.n_samples / self.sample_rate

    @property
    def bits_per_second(self) -> float:
        """Of all codes, without the header."""
        n_sequences, n_codebooks, _ = self.codes.shape
        bits = n_sequences * n_codebooks * code_bits(self.codebook_size)
        return bits * self.sample_rate / self.samples_per_frame


def write_codes(path: str | Path, song: EncodedSong) -> int:
    """Write a `.soli` file, under a temporary name until it is whole.

    Args:
        path: of the file; an older one is replaced, its folder is made if need be.
        song: what to write.

    Returns:
        Bytes of the file.

    Raises:
        SoliError: when it cannot be written.
    """
    n_sequences, n_codebooks, n_frames = song.codes.shape
    header = _HEADER.pack(
        bytes.fromhex(song.sha256),
        song.sample_rate,
        song.n_samples,
        song.samples_per_frame,
        n_sequences,
        n_codebooks,
        n_frames,
        song.codebook_size,
        len(song.sources),
    )
    texts = [text.encode() for text in (song.model, *song.sources)]
    content = b"".join(
        (
            _START.pack(_MAGIC, VERSION),
            header,
            *(bytes((len(text),)) + text for text in texts),
            pack(song.codes.flatten().numpy(), code_bits(song.codebook_size)),
        )
    )
    content += _CHECKSUM.pack(zlib.crc32(content))
    write_whole(Path(path), content)
    return len(content)


def read_codes(path: str | Path) -> EncodedSong:
    """Read a `.soli` file; what its header claims is believed only if the file is as long as that takes.

    Args:
        path: of the file.

    Returns:
        What was written.

    Raises:
        SoliError: for a file that is missing, empty, foreign, of another version, truncated or damaged.
    """
    try:
        with open(path, "rb") as stream:
            return _read(stream)
    except OSError as error:
        raise SoliError(f"{path}: cannot be read: {error.strerror}") from error
    except SoliError as error:
        raise SoliError(f"{path}: {error}") from error


def _read(stream: BinaryIO) -> EncodedSong:
    """The whole file; its bytes are read only after the header has been found to agree with their number."""
    size = os.fstat(stream.fileno()).st_size
    content = stream.read(_LONGEST_HEADER)
    _check_start(content)
    try:
        fields = _HEADER.unpack_from(content, _START.size)
        texts, start = _texts(content, _START.size + _HEADER.size, 1 + fields[-1])
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise SoliError("truncated or damaged: its header cannot be read") from error
    sha256, sample_rate, n_samples, samples_per_frame, *shape, codebook_size, _ = fields
    if codebook_size < 2 or 0 in shape:
        raise SoliError(f"damaged: its header announces codes {shape} of codebooks of {codebook_size}")
    n_codes, bits = shape[0] * shape[1] * shape[2], code_bits(codebook_size)
    end = start + packed_size(n_codes, bits)
    if size != end + _CHECKSUM.size:
        raise SoliError(f"truncated or damaged: {size} bytes, its header announces {end + _CHECKSUM.size}")
    content += stream.read(size - len(content))
    if content[end:] != _CHECKSUM.pack(zlib.crc32(content[:end])):
        raise SoliError("damaged: its checksum does not agree with its content")
    return EncodedSong(
        codes=torch.from_numpy(unpack(content[start:end], n_codes, bits)).view(*shape),
        model=texts[0],
        sha256=sha256.hex(),
        sources=tuple(texts[1:]),
        sample_rate=sample_rate,
        n_samples=n_samples,
        samples_per_frame=samples_per_frame,
        codebook_size=codebook_size,
    )


def _check_start(content: bytes) -> None:
    """Whether this is a `.soli` file of this version."""
    if not content:
        raise SoliError("the file is empty")
    if not content.startswith(_MAGIC[: len(content)]):
        raise SoliError("not a file of codes made by `soli encode`")
    if len(content) < _START.size:
        raise SoliError("truncated: its header is not complete")
    version = _START.unpack_from(content)[1]
    if version != VERSION:
        raise SoliError(f"format version {version}; this soli reads version {VERSION}")


def _texts(content: bytes, start: int, n_texts: int) -> tuple[list[str], int]:
    """So many texts, and where they end."""
    texts = []
    for _ in range(n_texts):
        end = start + 1 + content[start]
        if end > len(content):
            raise IndexError(end)
        texts.append(content[start + 1 : end].decode())
        start = end
    return texts, start


def _check_sizes(song: EncodedSong) -> None:
    """Refuse numbers that the header cannot hold or that contradict each other."""
    for name, highest in (("sample_rate", 2**32), ("n_samples", 2**64), ("samples_per_frame", 2**32)):
        value = getattr(song, name)
        if not 1 <= value < highest:
            raise SoliError(f"{name}={value}; allowed: 1 to {highest - 1}")
    if not 2 <= song.codebook_size <= 2**31:
        raise SoliError(f"codebook_size={song.codebook_size}; allowed: 2 to {2**31}")
    shape = list(song.codes.shape)
    if len(shape) != 3 or 0 in shape or max(shape[:2]) >= 2**16 or shape[2] >= 2**32:
        raise SoliError(f"codes {shape}; allowed: [S K N], none of them 0, S and K up to {2**16 - 1}")
    held = shape[2] * song.samples_per_frame
    if not song.n_samples <= held < song.n_samples + 2 * song.samples_per_frame:
        raise SoliError(f"{shape[2]} frames of {song.samples_per_frame} samples for a song of {song.n_samples} samples")


def _check_codes(song: EncodedSong) -> None:
    """Refuse codes that no codebook has."""
    if song.codes.dtype != torch.int64 or song.codes.device.type != "cpu":
        raise SoliError(f"codes of {song.codes.dtype} on {song.codes.device}; allowed: torch.int64 on cpu")
    lowest, highest = int(song.codes.min()), int(song.codes.max())
    if lowest < 0 or highest >= song.codebook_size:
        raise SoliError(f"codes from {lowest} to {highest}; allowed: 0 to {song.codebook_size - 1}")


def _check_names(song: EncodedSong) -> None:
    """Refuse names that the header cannot hold."""
    if not re.fullmatch("[0-9a-f]{64}", song.sha256):
        raise SoliError(f"sha256={song.sha256!r}; allowed: 64 hexadecimal digits")
    if not 1 <= len(song.sources) <= 255 or song.codes.shape[0] not in (1, len(song.sources)):
        raise SoliError(f"{song.codes.shape[0]} sequences of codes for {len(song.sources)} sources")
    for text in (song.model, *song.sources):
        if len(text.encode(errors="replace")) > 255 or not text.isprintable():
            raise SoliError(f"name {text!r}; allowed: printable characters, 255 bytes at most")
