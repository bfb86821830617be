"""MIDI files to stems: one rendering per class through a SoundFont."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

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


def render_stems(
    midi: Path, soundfont: Path, *, start: float, seconds: float, sample_rate: int = 44100
) -> dict[str, np.ndarray]:
    """Render an excerpt of a MIDI file to one waveform per class.

    Args:
        midi: a Standard MIDI File.
        soundfont: SF2 or SF3 file.
        start: of the excerpt, in seconds.
        seconds: its length.
        sample_rate: of the rendering, in Hz.

    Returns:
        Class name -> float32 `[2, T]`; classes without a note in the excerpt are missing.

    Raises:
        SoliError: when symusic is missing or the MIDI file cannot be read.
    """
    symusic = _import_symusic()
    try:
        score = symusic.Score(str(midi)).to("Second")
    except (RuntimeError, ValueError, UnicodeDecodeError) as error:
        raise SoliError(f"{midi}: not a readable MIDI file ({error})") from error
    synthesizer = _synthesizer(soundfont, sample_rate)
    n_samples = round(seconds * sample_rate)
    parts: dict[str, list[Any]] = {}
    for track in score.tracks:
        notes = [note for note in track.notes if start <= note.time < start + seconds]
        if notes:
            parts.setdefault(class_of_part(program=track.program, is_drum=track.is_drum), []).append(track)
    stems = {}
    for name, tracks in parts.items():
        excerpt = score.copy()
        excerpt.tracks = tracks
        excerpt = excerpt.clip(start, start + seconds).shift_time(-start)
        audio = np.asarray(synthesizer.render(excerpt, stereo=True), np.float32)[:, :n_samples]
        stems[name] = np.pad(audio, ((0, 0), (0, n_samples - audio.shape[1])))
    return stems


def midi_seconds(midi: Path) -> float:
    """The length of a MIDI file in seconds.

    Args:
        midi: a Standard MIDI File.

    Returns:
        The time of its last event.

    Raises:
        SoliError: when symusic is missing or the file cannot be read.
    """
    symusic = _import_symusic()
    try:
        return float(symusic.Score(str(midi)).to("Second").end())
    except (RuntimeError, ValueError, UnicodeDecodeError) as error:
        raise SoliError(f"{midi}: not a readable MIDI file ({error})") from error


@lru_cache(maxsize=4)
def _synthesizer(soundfont: Path, sample_rate: int) -> Any:
    """Loading a SoundFont takes seconds, so the last few stay in memory."""
    return _import_symusic().Synthesizer(sf_path=str(soundfont), sample_rate=sample_rate, quality=4)


def _import_symusic() -> Any:
    try:
        import symusic
    except ImportError as error:
        raise SoliError("rendering MIDI needs symusic: pip install 'soli[render]'") from error
    return symusic
