"""MIDI files to one waveform per class, with the programs the file asks for: training audio, not finished songs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from soli.data.compose import Part, from_midi
from soli.data.compose.score import Tempo
from soli.data.render.notes import timed, within
from soli.data.render.soundfonts import DRUM_BANK, SoundFont
from soli.data.render.synthesis import synthesise
from soli.errors import SoliError

_BASS_PROGRAMS = range(32, 40)  # General MIDI, counted from 0


def class_of_part(*, program: int, is_drum: bool) -> str:
    """The class of one MIDI part by General MIDI's rules.

    Args:
        program: General MIDI program, 0 to 127.
        is_drum: whether the part is on the percussion channel.

    Returns:
        `"drums"`, `"bass"` or `"other"`.
    """
    if is_drum:
        return "drums"
    return "bass" if program in _BASS_PROGRAMS else "other"


def read_midi(path: Path) -> tuple[tuple[Part, ...], tuple[Tempo, ...]]:
    """Read a MIDI file.

    Args:
        path: a Standard MIDI File.

    Returns:
        Its parts and its tempo map.

    Raises:
        SoliError: when the file cannot be read.
    """
    try:
        return from_midi(path.read_bytes())
    except OSError as error:
        raise SoliError(f"{path}: cannot be read: {error.strerror or error}") from error
    except SoliError as error:
        raise SoliError(f"{path}: not a readable MIDI file ({error})") from error


def last_seconds(parts: tuple[Part, ...], tempos: tuple[Tempo, ...]) -> float:
    """When the last note of all parts ends, in seconds."""
    return max((note.end_seconds for part in parts for note in timed(part, tempos)), default=0.0)


def render_classes(
    parts: tuple[Part, ...],
    tempos: tuple[Tempo, ...],
    font: SoundFont,
    *,
    start: float,
    seconds: float,
    sample_rate: int = 44100,
) -> dict[str, np.ndarray]:
    """Render an excerpt to one waveform per class.

    Args:
        parts: of a song.
        tempos: its tempo map.
        font: an open SoundFont; where it lacks a program or a drum kit, its first one of the bank plays.
        start: of the excerpt, in seconds; only notes that begin inside it sound.
        seconds: its length.
        sample_rate: of the rendering, in Hz.

    Returns:
        Class name -> float32 `[2, T]`; classes without a note in the excerpt are missing.

    Raises:
        SoliError: when the font cannot be read.
    """
    n_samples = round(seconds * sample_rate)
    stems: dict[str, np.ndarray] = {}
    for part in parts:
        notes = within(timed(part, tempos), start, seconds)
        bank, program = _preset(font, part)
        if notes and bank is not None:
            audio = synthesise(notes, font, bank=bank, program=program, sample_rate=sample_rate, n_samples=n_samples)
            label = class_of_part(program=part.program, is_drum=part.is_drum)
            stems[label] = stems[label] + audio if label in stems else audio
    return stems


def _preset(font: SoundFont, part: Part) -> tuple[int | None, int]:
    """The preset that a part asks for, or the first of its bank; no bank where the font has none."""
    bank = DRUM_BANK if part.is_drum else 0
    if (bank, part.program) in font.presets:
        return bank, part.program
    others = sorted(program for other, program in font.presets if other == bank)
    return (bank, others[0]) if others else (None, 0)
