"""Notes to audio by FluidSynth, where its library and pyfluidsynth are installed: slower, and with vibrato."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from soli.audio import resample
from soli.data.render.notes import TimedNote
from soli.data.render.soundfonts import DRUM_BANK, SoundFont
from soli.errors import SoliError

_RATE = 44100  # what SoundFonts are recorded at; at a lower one FluidSynth folds what it cannot hold
_GAIN = 0.5  # that of `synthesise`, within a few dB


def synthesise_with_fluidsynth(
    notes: Sequence[TimedNote],
    font: SoundFont,
    *,
    bank: int,
    program: int,
    sample_rate: int,
    n_samples: int,
    n_channels: int = 2,
) -> np.ndarray:
    """Play notes with a preset, as `synthesise` does.

    Args:
        notes: in any order; what begins after the end is left out.
        font: an open SoundFont.
        bank: of the preset; drum kits are in bank 128.
        program: of the preset.
        sample_rate: in Hz.
        n_samples: length wanted.
        n_channels: 1 is the mean of the two channels.

    Returns:
        Float32 `[C T]`, without FluidSynth's reverb and chorus.

    Raises:
        SoliError: when the font lacks the preset, and where FluidSynth is not installed.
    """
    if (bank, program) not in font.presets:
        raise SoliError(f"{font.path.name}: no preset {program} in bank {bank}")
    length = -(-n_samples * _RATE // sample_rate)
    synth = _import_fluidsynth().Synth(gain=_GAIN, samplerate=float(_RATE))
    try:
        for effect in ("reverb", "chorus"):
            synth.setting(f"synth.{effect}.active", 0)
        synth.program_select(_channel(bank), synth.sfload(str(font.path)), bank, program)
        audio = _played(synth, notes, _channel(bank), length)
    finally:
        synth.delete()
    audio = audio if n_channels == 2 else audio.mean(axis=0, keepdims=True)
    return resample(torch.from_numpy(audio), _RATE, sample_rate).numpy()[:, :n_samples]


def _played(synth: Any, notes: Sequence[TimedNote], channel: int, length: int) -> np.ndarray:
    """`[2 T]`."""
    events = [(round(note.start_seconds * _RATE), True, note) for note in notes]
    events += [(round(note.end_seconds * _RATE), False, note) for note in notes]
    blocks, position = [], 0
    for due, starts, note in sorted(events, key=lambda event: (event[0], event[1], event[2].pitch)):
        if due >= length:
            break
        blocks.append(synth.get_samples(due - position))
        position = due
        if starts:
            synth.noteon(channel, note.pitch, note.velocity)
        else:
            synth.noteoff(channel, note.pitch)
    blocks.append(synth.get_samples(length - position))
    return np.ascontiguousarray(np.concatenate(blocks).reshape(-1, 2).T.astype(np.float32) / np.float32(2**15))


def _channel(bank: int) -> int:
    return 9 if bank == DRUM_BANK else 0


def _import_fluidsynth() -> Any:
    try:
        import fluidsynth
    except ImportError as error:  # the package, or the library that it binds
        hint = "pip install pyfluidsynth, and FluidSynth itself (apt install libfluidsynth3)"
        raise SoliError(f'synthesizer = "fluidsynth" needs {hint}; or leave it at "soli"') from error
    return fluidsynth
