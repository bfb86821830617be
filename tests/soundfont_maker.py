"""SoundFonts written byte by byte, for tests that must know what is inside."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Generators = list[tuple[int, int]]
KEYS, VELOCITIES, SAMPLE_MODES, EXCLUSIVE, RELEASE, ATTENUATION, PAN = 43, 44, 54, 57, 38, 48, 17


@dataclass
class Sound:
    """A sample at a root key, looped or not, and the generators of its zone."""

    audio: np.ndarray
    rate: int = 44100
    root: int = 69
    loop: tuple[int, int] | None = None
    generators: Generators = field(default_factory=list)


def span(low: int, high: int) -> int:
    """The amount of a range generator."""
    return low | high << 8


def timecents(seconds: float) -> int:
    return round(1200 * np.log2(seconds))


def sine(frequency: float, rate: int = 44100, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def write_soundfont(path: Path, presets: dict[tuple[int, int, str], list[Sound]], name: str = "Tiny") -> Path:
    """(bank, program, name) -> its sounds, each a zone of the preset's one instrument."""
    samples, headers = b"", b""
    tables: dict[str, bytes] = dict.fromkeys(("phdr", "pbag", "pgen", "inst", "ibag", "igen"), b"")
    counts = {"pbag": 0, "pgen": 0, "ibag": 0, "igen": 0, "shdr": 0}

    def zone(kind: str, generators: Generators) -> None:
        tables[kind + "bag"] += struct.pack("<HH", counts[kind + "gen"], 0)
        tables[kind + "gen"] += b"".join(struct.pack("<HH", key, value & 0xFFFF) for key, value in generators)
        counts[kind + "bag"] += 1
        counts[kind + "gen"] += len(generators)

    for index, ((bank, program, title), sounds) in enumerate(presets.items()):
        tables["phdr"] += struct.pack("<20sHHH12x", title.encode(), program, bank, counts["pbag"])
        zone("p", [(41, index)])
        tables["inst"] += struct.pack("<20sH", title.encode(), counts["ibag"])
        for sound in sounds:
            start = len(samples) // 2
            end = start + len(sound.audio)
            loop = sound.loop or (0, len(sound.audio))
            samples += (np.round(sound.audio * 32767)).astype("<i2").tobytes() + b"\0" * 92
            headers += struct.pack(
                "<20sIIIIIBbHH", b"s", start, end, start + loop[0], start + loop[1], sound.rate, sound.root, 0, 0, 1
            )
            modes = [(SAMPLE_MODES, 1)] if sound.loop else []
            zone("i", [*sound.generators, *modes, (53, counts["shdr"])])
            counts["shdr"] += 1
    tables["phdr"] += struct.pack("<20sHHH12x", b"EOP", 0, 0, counts["pbag"])
    tables["inst"] += struct.pack("<20sH", b"EOI", counts["ibag"])
    for kind in "pi":
        tables[kind + "bag"] += struct.pack("<HH", counts[kind + "gen"], 0)
        tables[kind + "gen"] += struct.pack("<HH", 0, 0)
    tables["shdr"] = headers + struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    tables |= {"pmod": bytes(10), "imod": bytes(10)}
    order = ("phdr", "pbag", "pmod", "pgen", "inst", "ibag", "imod", "igen", "shdr")
    lists = (
        _list(b"INFO", _chunk(b"ifil", struct.pack("<HH", 2, 1)) + _chunk(b"INAM", name.encode() + b"\0")),
        _list(b"sdta", _chunk(b"smpl", samples)),
        _list(b"pdta", b"".join(_chunk(key.encode(), tables[key]) for key in order)),
    )
    path.write_bytes(_chunk(b"RIFF", b"sfbk" + b"".join(lists)))
    return path


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _list(name: bytes, data: bytes) -> bytes:
    return _chunk(b"LIST", name + data)
