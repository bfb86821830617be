"""A rendered song as a track of Slakh2100, and what Slakh has no place for beside it.

    metadata.yaml  all_src.mid  MIDI/S00.mid  mix.flac  stems/S00.flac
    pieces/S03_kick.flac   the pieces of the drum kit S03, which sum to its stem
    overheads/S03.flac     what a pair of microphones above that kit would hear; no part of any sum
    submixes/bass.flac     the sum of all stems of a class: bass, drums, guitar, piano

All files are of 16 bits, one length and one rate, and all sums are exact: the mixture is the sum of the stems sample by
sample, as integers.
"""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from soli.data.compose.score import Tempo
from soli.data.render.families import DRUMS, FOUR, family
from soli.data.render.mix import MIX_LUFS, PEAK_DBFS
from soli.data.render.pcm import add, fitting_gain, quantise, quantise_together, write_pcm
from soli.data.render.pieces import overheads
from soli.data.render.played_midi import PlayedPart, played_midi
from soli.data.render.song import RenderedSong, RenderedStem
from soli.errors import SoliError

_MIX = "mix.flac"
_DRUM_PROGRAM = 128
_NAMESPACE = uuid.UUID("6d1f2a52-5b0e-5c39-9f5d-3c8e0f2f7a41")


def write_slakh(
    song: RenderedSong,
    folder: Path,
    *,
    tempos: tuple[Tempo, ...],
    start_seconds: float,
    about: Mapping[str, Any],
    submixes: bool = False,
) -> None:
    """Write a track.

    Args:
        song: to write; pieces of the drums where it has them.
        folder: of the track, empty.
        tempos: tempo map of what was rendered.
        start_seconds: where in it the audio begins.
        about: where the song comes from, for the metadata.
        submixes: whether the four sums are written.

    Raises:
        SoliError: when something cannot be written, and where PyYAML is missing.
    """
    gain = fitting_gain(_signals(song, submixes=submixes))
    files = _files(song, gain, submixes=submixes)
    for name, samples in files.items():
        write_pcm(folder / name, samples, song.sample_rate)
    parts = [PlayedPart(_plain(stem.part), stem.program, stem.is_drum, stem.notes) for stem in song.stems]
    (folder / "MIDI").mkdir()
    for stem, part in zip(song.stems, parts, strict=True):
        (folder / "MIDI" / f"{stem.name}.mid").write_bytes(played_midi([part], tempos, start_seconds))
    (folder / "all_src.mid").write_bytes(played_midi(parts, tempos, start_seconds))
    (folder / "metadata.yaml").write_bytes(_metadata(song, gain, files[_MIX], about))


def _signals(song: RenderedSong, *, submixes: bool) -> Iterator[np.ndarray]:
    """All that is written, before it is rounded."""
    yield song.mixture
    for stem in song.stems:
        yield from (stem.audio, *stem.pieces.values())
        if stem.pieces:
            yield overheads(stem.pieces, song.sample_rate)
    for members in _classes(song).values() if submixes else ():
        yield sum((stem.audio for stem in members), np.zeros_like(song.stems[0].audio))


def _files(song: RenderedSong, gain: float, *, submixes: bool) -> dict[str, np.ndarray]:
    """Name of a file -> what it holds, as integers."""
    files: dict[str, np.ndarray] = {}
    stems: dict[str, np.ndarray] = {}
    for stem in song.stems:
        if stem.pieces:
            pieces = quantise_together(np.stack(list(stem.pieces.values())), gain)
            files |= {f"pieces/{stem.name}_{name}.flac": its for name, its in zip(stem.pieces, pieces, strict=True)}
            stems[stem.name] = add(pieces, stem.audio)
            files[f"overheads/{stem.name}.flac"] = quantise(overheads(stem.pieces, song.sample_rate), gain)
        else:
            stems[stem.name] = quantise(stem.audio, gain)
        files[f"stems/{stem.name}.flac"] = stems[stem.name]
    like = song.stems[0].audio
    files[_MIX] = add(stems.values(), like)
    for label, members in _classes(song).items() if submixes else ():
        files[f"submixes/{label}.flac"] = add((stems[stem.name] for stem in members), like)
    return files


def _classes(song: RenderedSong) -> dict[str, list[RenderedStem]]:
    """The stems of each class of the usual sub-mix."""
    labels = {stem.name: family(stem.program, is_drum=stem.is_drum).lower() for stem in song.stems}
    return {name: [stem for stem in song.stems if labels[stem.name] == name] for name in FOUR}


def _metadata(song: RenderedSong, gain: float, mix: np.ndarray, about: Mapping[str, Any]) -> bytes:
    """The keys of Slakh2100, and under `recipe` all that was drawn."""
    try:
        import yaml
    except ImportError as error:
        raise SoliError("writing Slakh's metadata needs PyYAML: pip install 'soli[render]'") from error
    overall = float(song.recipe["master_gain"] * gain)
    content = {
        "UUID": uuid.uuid5(_NAMESPACE, hashlib.sha256(mix.astype("<i4").tobytes()).hexdigest()).hex,
        "audio_dir": "stems",
        "midi_dir": "MIDI",
        "normalization_factor": MIX_LUFS,
        "normalized": True,
        "overall_gain": overall,
        "recipe": dict(about) | song.recipe,
        "stems": {stem.name: _stem_metadata(stem, overall) for stem in song.stems},
        "target_peak": PEAK_DBFS,
    }
    text = yaml.dump(content, Dumper=yaml.SafeDumper, allow_unicode=True, sort_keys=True, width=1000)
    return text.encode()


def _stem_metadata(stem: RenderedStem, gain: float) -> dict[str, Any]:
    sound = stem.recipe
    return {
        "audio_rendered": True,
        "inst_class": family(stem.program, is_drum=stem.is_drum),
        "integrated_loudness": round(sound["lufs"] + 20 * math.log10(gain), 3),
        "is_drum": stem.is_drum,
        "midi_program_name": DRUMS if stem.is_drum else _program_name(stem.program),
        "midi_saved": True,
        "plugin_name": "/".join(str(sound[key]) for key in ("name", "preset") if key in sound),
        "program_num": _DRUM_PROGRAM if stem.is_drum else stem.program,
        "recipe": sound | {"instrument": stem.instrument, "part": _plain(stem.part)},
    }


def _plain(name: str) -> str:
    """Without the control characters that names in MIDI files end with."""
    return "".join(letter for letter in name if letter.isprintable()).strip()


def _program_name(program: int) -> str:
    try:
        from pretty_midi.constants import INSTRUMENT_MAP
    except ImportError as error:
        raise SoliError("names of General MIDI programs need pretty_midi: pip install 'soli[render]'") from error
    return INSTRUMENT_MAP[program]
