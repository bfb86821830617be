"""A rendered song as a track of MUSDB18-HQ: `mixture.wav`, `drums.wav`, `bass.wav`, `other.wav` and `vocals.wav`.

All are of 16 bits. The mixture is the sum of the four, sample by sample; a class without a stem is silence.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from soli.data.classes import CLASSES
from soli.data.compose.instruments import DRUMS, VOICE
from soli.data.render.pcm import add, fitting_gain, quantise, write_pcm
from soli.data.render.song import RenderedSong

_CLASS_OF = {DRUMS: "drums", "bass": "bass", VOICE: "vocals"}


def write_musdb(song: RenderedSong, folder: Path) -> None:
    """Write a track.

    Args:
        song: to write.
        folder: of the track, empty.

    Raises:
        SoliError: when something cannot be written.
    """
    sums = {name: np.zeros_like(song.stems[0].audio) for name in CLASSES}
    for stem in song.stems:
        sums[_CLASS_OF.get(stem.instrument, "other")] += stem.audio
    gain = fitting_gain((*sums.values(), song.mixture))
    stems = {name: quantise(audio, gain) for name, audio in sums.items()}
    stems["mixture"] = add(stems.values(), stems["drums"])
    for name, samples in stems.items():
        write_pcm(folder / f"{name}.wav", samples, song.sample_rate)
