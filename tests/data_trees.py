"""Small trees of every layout, with the files and the metadata that the true datasets have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audio_fakes import noise, save, save_container
from soli.data.classes import MUSDB_STREAMS

RATE, LENGTH = 8000, 4000
FOUR = MUSDB_STREAMS[1:]


def parts(names: tuple[str, ...], n_channels: int = 2, n_samples: int = LENGTH) -> dict[str, Tensor]:
    """Noise for every name, on the grid of 16 bits, so that files hold it exactly."""
    signals = (noise(n_channels, n_samples, seed, scale=0.05) for seed, _ in enumerate(names))
    return {name: (32768 * signal).round() / 32768 for name, signal in zip(names, signals, strict=True)}


def write(folder: Path, signals: Mapping[str, Tensor], suffix: str = "wav", rate: int = RATE) -> Path:
    """A file per signal."""
    for name, signal in signals.items():
        path = folder / f"{name}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, signal, rate)
    return folder


def with_mixture(stems: Mapping[str, Tensor], name: str = "mixture") -> dict[str, Tensor]:
    return {name: torch.stack(list(stems.values())).sum(0), **stems}


def musdb(root: Path, songs: Mapping[str, str]) -> Path:
    """`.stem.mp4` files; songs is name -> sub-folder. AAC needs one of its own rates."""
    for song, split in songs.items():
        (root / split).mkdir(parents=True, exist_ok=True)
        time = torch.arange(11025) / 44100
        stems = [0.1 * torch.sin(2 * torch.pi * pitch * time).expand(2, -1) for pitch in (200.0, 300.0, 500.0, 700.0)]
        save_container(root / split / f"{song}.stem.mp4", [torch.stack(stems).sum(0), *stems], "aac")
    return root


def slakh_metadata(stems: Mapping[str, tuple[int, str, bool]]) -> str:
    """`metadata.yaml` as Slakh2100 has it; stems is name -> program, instrument class, rendered?"""
    lines = ["UUID: 1a81ae092884234f3264e2f45927f00a", "audio_dir: stems"]
    lines += ["lmd_midi_dir: lmd_matched/O/O/H/TROOHTB128F931F9DF/1a81ae092884234f3264e2f45927f00a.mid"]
    lines += ["midi_dir: MIDI", "normalization_factor: -13.0", "normalized: true", "overall_gain: 0.18270259567062658"]
    lines += ["stems:"]
    for name, (program, instrument, rendered) in stems.items():
        facts = {
            "audio_rendered": str(rendered).lower(),
            "inst_class": instrument,
            "integrated_loudness": -12.82074180245363,
            "is_drum": str(program == 128).lower(),
            "midi_program_name": "Some Program",
            "midi_saved": "true",
            "plugin_name": "some_patch.nkm",
            "program_num": program,
        }
        lines += [f"  {name}:", *(f"    {key}: {value}" for key, value in facts.items())]
    return "\n".join([*lines, "target_peak: -1.0", ""])


SLAKH_STEMS = {
    "S00": (30, "Guitar", True),
    "S01": (24, "Guitar", True),
    "S02": (33, "Bass", True),
    "S03": (128, "Drums", True),
    "S04": (48, "Strings (continued)", True),
    "S05": (122, "Sound Effects", False),
}


def slakh(folder: Path, stems: Mapping[str, tuple[int, str, bool]] = SLAKH_STEMS, suffix: str = "flac") -> Path:
    """One track of Slakh2100."""
    rendered = parts(tuple(name for name, facts in stems.items() if facts[2]), n_channels=1)
    write(folder / "stems", rendered, suffix)
    write(folder, {"mix": torch.stack(list(rendered.values())).sum(0)}, suffix)
    for name in ("all_src.mid", *(f"MIDI/{stem}.mid" for stem in stems)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "metadata.yaml").write_text(slakh_metadata(stems))
    return folder


def moises(folder: Path, stems: Mapping[str, tuple[str, ...]]) -> Path:
    """One song of MoisesDB; stems is name -> types of track."""
    described: list[dict[str, Any]] = []
    for stem, kinds in stems.items():
        tracks = []
        for kind in kinds:
            uid = f"00000000-0000-4000-8000-{len(described):06d}{len(tracks):06d}"
            write(folder / stem, parts((uid,)))
            tracks.append({"id": uid, "trackType": kind, "extension": "wav", "has_bleed": False})
        described.append({"id": f"s{len(described)}", "stemName": stem, "tracks": tracks})
    song = {"song": "A Song", "artist": "Someone", "genre": "rock", "stems": described}
    (folder / "data.json").write_text(json.dumps(song))
    return folder
