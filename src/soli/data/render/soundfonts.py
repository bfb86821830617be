"""SoundFont files, SF2 and SF3: the tables of one, and which presets it holds (SoundFont 2.04, sections 4 to 7)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import numpy as np

from soli.errors import SoliError

DRUM_BANK = 128
_NAME = "S20"
_MODULATOR = np.dtype([("source", "<u2"), ("target", "<u2"), ("amount", "<i2"), ("by", "<u2"), ("transform", "<u2")])
RECORDS: dict[str, np.dtype] = {
    "phdr": np.dtype([("name", _NAME), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("unused", "V12")]),
    "pbag": np.dtype([("generator", "<u2"), ("modulator", "<u2")]),
    "pmod": _MODULATOR,
    "pgen": np.dtype([("operator", "<u2"), ("amount", "<i2")]),
    "inst": np.dtype([("name", _NAME), ("bag", "<u2")]),
    "ibag": np.dtype([("generator", "<u2"), ("modulator", "<u2")]),
    "imod": _MODULATOR,
    "igen": np.dtype([("operator", "<u2"), ("amount", "<i2")]),
    "shdr": np.dtype(
        [
            ("name", _NAME),
            ("start", "<u4"),
            ("end", "<u4"),
            ("loop_start", "<u4"),
            ("loop_end", "<u4"),
            ("sample_rate", "<u4"),
            ("pitch", "u1"),
            ("correction", "i1"),
            ("link", "<u2"),
            ("type", "<u2"),
        ]
    ),
}
"""The tables of a SoundFont; each ends with a record that only closes it."""

_LARGEST_TABLE = 2**28  # bytes; a broken size is not read into memory


@dataclass(frozen=True, eq=False)
class SoundFont:
    """An open SoundFont; no audio is loaded.

    Attributes:
        path: of the file.
        name: what the file calls itself.
        presets: (bank, program) -> name of the preset; drum kits are in bank 128.
        tables: the records of each table in `RECORDS`.
        samples: offset and size of the sample data in the file, in bytes.
    """

    path: Path
    name: str
    presets: Mapping[tuple[int, int], str]
    tables: Mapping[str, np.ndarray]
    samples: tuple[int, int]


def open_soundfont(path: str | Path) -> SoundFont:
    """Read the tables of a SoundFont; the last few stay in memory.

    Args:
        path: an SF2 or SF3 file.

    Returns:
        The font.

    Raises:
        SoliError: when the file cannot be read, is no SoundFont, or holds no preset.
    """
    return _open(Path(path).absolute())


def embedded() -> SoundFont:
    """The small General MIDI font that comes inside the package pretty_midi.

    Returns:
        TimGM6mb.

    Raises:
        SoliError: when pretty_midi is missing.
    """
    spec = find_spec("pretty_midi")
    if spec is None or spec.origin is None:
        raise SoliError("the embedded SoundFont needs pretty_midi: pip install 'soli[render]'")
    return open_soundfont(Path(spec.origin).parent / "TimGM6mb.sf2")


@lru_cache(maxsize=16)
def _open(path: Path) -> SoundFont:
    try:
        with path.open("rb") as file:
            chunks = _chunks(file, path)
            name = _text(_read(file, chunks["INAM"])) if "INAM" in chunks else ""
            tables = {}
            for key, record in RECORDS.items():
                data = _read(file, chunks[key])
                tables[key] = np.frombuffer(data, record, count=len(data) // record.itemsize)
    except OSError as error:
        raise SoliError(f"{path}: cannot be read: {error.strerror or error}") from error
    except KeyError as error:
        raise SoliError(f"{path}: not a SoundFont (SF2, SF3): no {error.args[0]} chunk") from error
    presets = {(int(p["bank"]), int(p["program"])): _text(p["name"]) for p in tables["phdr"][:-1]}
    if not presets:
        raise SoliError(f"{path}: a SoundFont without presets")
    return SoundFont(path, name or path.stem, presets, tables, chunks["smpl"])


def _chunks(file: BinaryIO, path: Path) -> dict[str, tuple[int, int]]:
    """Where each chunk inside the lists of the file begins, and its size."""
    size = path.stat().st_size
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise SoliError(f"{path}: not a SoundFont (SF2, SF3)")
    found = {}
    for name, start, length in _walk(file, 12, size):
        if name == "LIST":
            found |= {key: (at, n) for key, at, n in _walk(file, start + 4, min(start + length, size))}
    for name, (start, length) in found.items():
        if start + length > size or (name in RECORDS and length > _LARGEST_TABLE):
            raise SoliError(f"{path}: a broken SoundFont: its {name} chunk ends beyond the file")
    return found


def _walk(file: BinaryIO, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Name, start and size of one chunk after another."""
    while start + 8 <= end:
        file.seek(start)
        name, length = struct.unpack("<4sI", file.read(8))
        yield name.decode("latin-1"), start + 8, length
        start += 8 + length + length % 2


def _read(file: BinaryIO, chunk: tuple[int, int]) -> bytes:
    file.seek(chunk[0])
    return file.read(chunk[1])


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("latin-1").strip()
