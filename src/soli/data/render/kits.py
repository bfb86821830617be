"""A drum kit of samples, and how it plays notes.

A hit plays the whole sample of its velocity layer, whatever the length of the note, with the gain
`velocity / 127 x gains of instrument and layer`. Sounds of one mute group cut each other; all hi-hats are one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from soli.audio import read, resample
from soli.data.render.notes import TimedNote
from soli.data.render.pieces import PIECES, piece_of, stand_in
from soli.errors import SoliError

CHOKE_SECONDS = 0.02
"""How long a sound that another of its mute group cuts takes to fade."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A sample, the velocities it is for (0 to 1), its gain with that of its component, and its pitch in semitones."""

    sample: Path
    lowest: float
    highest: float
    gain: float
    semitones: float

    def distance(self, velocity: float) -> float:
        """How far a velocity is from those of the layer; 0 within."""
        return max(self.lowest - velocity, velocity - self.highest, 0.0)


@dataclass(frozen=True, slots=True)
class Instrument:
    """What one key plays: from each component one layer, all at once.

    Attributes:
        name: as the kit has it.
        gains: left and right.
        components: their layers, in the kit's order.
        mute_group: -1 for none.
        attack: seconds to full level.
        decay: seconds from there to the sustained level.
        sustain: that level.
        by_velocity: whether velocity changes the level, and not the layer alone.
    """

    name: str
    gains: tuple[float, float]
    components: tuple[tuple[Layer, ...], ...]
    mute_group: int
    attack: float
    decay: float
    sustain: float
    by_velocity: bool


@dataclass(frozen=True)
class Kit:
    """A drum kit.

    Attributes:
        name: as the kit has it.
        licence: as the kit states it, empty where it does not.
        instruments: General MIDI percussion key -> what it plays.
        unmapped: names of instruments that no key plays: unknown ones, and more of a kind than there are keys.
        without_samples: names of instruments whose samples are all missing.
    """

    name: str
    licence: str
    instruments: dict[int, Instrument]
    unmapped: tuple[str, ...]
    without_samples: tuple[str, ...]

    @property
    def pieces(self) -> tuple[str, ...]:
        """The pieces it has, in the order of `PIECES`."""
        found = {piece_of(key) for key in self.instruments}
        return tuple(piece for piece in PIECES if piece in found)

    def play(self, notes: Iterable[TimedNote], *, sample_rate: int, n_samples: int) -> dict[str, np.ndarray]:
        """Play notes with General MIDI percussion keys.

        A key that the kit lacks is played by another of its piece (`pieces.stand_in`), and is silent where it lacks
        the piece. All hi-hats are one mute group; a hit cuts what other instruments of its mute groups still play.

        Args:
            notes: in any order.
            sample_rate: in Hz.
            n_samples: length of the result; what rings on is cut there.

        Returns:
            Piece -> float32 `[2, n_samples]`, for pieces that are hit within it.

        Raises:
            SoliError: for a key that MIDI does not have, and a sample that cannot be read.
        """
        pieces: dict[str, np.ndarray] = {}
        hits = self._hits(notes, sample_rate, n_samples)
        for (start, key, velocity), stop in zip(hits, _cuts(hits, self.instruments), strict=True):
            piece = piece_of(key)
            if piece not in pieces:
                pieces[piece] = np.zeros((2, n_samples), np.float32)
            room = pieces[piece][:, start:]
            for sound in _sounds(self.instruments[key], velocity / 127, sample_rate):
                heard = _choked(sound, stop - start, round(CHOKE_SECONDS * sample_rate))[:, : room.shape[1]]
                room[:, : heard.shape[1]] += heard
        return {piece: pieces[piece] for piece in PIECES if piece in pieces}

    def _hits(self, notes: Iterable[TimedNote], sample_rate: int, n_samples: int) -> list[tuple[int, int, int]]:
        """Start in samples, the kit's key and the velocity of each note that is heard, in order of time."""
        hits = []
        for note in notes:
            key = stand_in(note.pitch, self.instruments)
            start = max(round(note.start_seconds * sample_rate), 0)
            if key is not None and start < n_samples:
                hits.append((start, key, note.velocity))
        return sorted(hits)


def _cuts(hits: list[tuple[int, int, int]], instruments: dict[int, Instrument]) -> list[float]:
    """The sample at which each hit is cut, infinity for those that ring on."""
    stops = [math.inf] * len(hits)
    ringing: dict[str, dict[int, list[int]]] = {}  # mute group -> key -> its hits
    for index, (start, key, _) in enumerate(hits):
        for group in _mute_groups(key, instruments[key]):
            sounding = ringing.setdefault(group, {})
            for other in [other for other in sounding if other != key]:
                for cut in sounding.pop(other):
                    stops[cut] = min(stops[cut], start)
            sounding.setdefault(key, []).append(index)
    return stops


def _mute_groups(key: int, instrument: Instrument) -> list[str]:
    groups = ["hi_hat"] if piece_of(key) == "hi_hat" else []
    return groups + ([str(instrument.mute_group)] if instrument.mute_group >= 0 else [])


def _sounds(instrument: Instrument, velocity: float, sample_rate: int) -> Iterable[np.ndarray]:
    """What one hit plays from each component, `[2 T]`."""
    gains = np.array(instrument.gains, np.float32)[:, None] * np.float32(velocity if instrument.by_velocity else 1.0)
    for layers in instrument.components:
        layer = min(layers, key=lambda layer: layer.distance(velocity))  # the first of those that are for it
        sound = _sample(layer.sample, layer.semitones, sample_rate)
        yield gains * np.float32(layer.gain) * (sound * _envelope(instrument, sound.shape[1], sample_rate))


def _envelope(instrument: Instrument, n_samples: int, sample_rate: int) -> np.ndarray:
    """Attack, decay and sustain; a single number where there is nothing but the latter."""
    if not instrument.attack + instrument.decay:
        return np.array(instrument.sustain, np.float32)
    corners = np.array([-1e-9, instrument.attack, instrument.attack + instrument.decay]) * sample_rate
    return np.interp(np.arange(n_samples), corners, [0.0, 1.0, instrument.sustain]).astype(np.float32)


def _choked(sound: np.ndarray, after: float, fade: int) -> np.ndarray:
    """A sound that fades from the sample `after` on."""
    if after >= sound.shape[1]:
        return sound
    begin = int(after)
    cut = sound[:, : begin + fade].copy()
    cut[:, begin:] *= np.linspace(1, 0, fade, endpoint=False, dtype=np.float32)[: cut.shape[1] - begin]
    return cut


@lru_cache(maxsize=512)
def _sample(path: Path, semitones: float, sample_rate: int) -> np.ndarray:
    """A sample `[2 T]` at another rate; the last ones stay in memory, as a song plays each many times."""
    waveform, rate = read(path)
    if waveform.shape[0] > 2:
        raise SoliError(f"{path}: {waveform.shape[0]} channels; allowed: 1 or 2")
    audio = resample(waveform, round(rate * 2 ** (semitones / 12)), sample_rate).numpy()
    audio = np.ascontiguousarray(np.broadcast_to(audio, (2, audio.shape[1])))
    audio.flags.writeable = False
    return audio
