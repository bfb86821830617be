"""The recipe of one mixture: names and numbers alone, from which its samples follow.

`soli.config.to_dict` and `from_dict` take it to plain values and back, so that it can be written as JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from soli.data.augment.filters import Room


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """A part of one recording.

    Attributes:
        collection: of the recording.
        track: its song.
        label: its class.
        take: which of the song's recordings of this class, from 0.
        start: first frame that is read.
        tempo: how much faster it is played; so many times the mixture's length is read.
        pitch: factor of its frequencies; equal to `tempo` when a tape is played faster.
        gain: factor of its samples.
    """

    collection: str
    track: str
    label: str
    take: int
    start: int
    tempo: float = 1.0
    pitch: float = 1.0
    gain: float = 1.0


@dataclass(frozen=True, kw_only=True)
class StemRecipe:
    """One class of a mixture.

    Attributes:
        source: the class.
        excerpts: their sum is the stem; none is silence.
        inverted: its sign is flipped.
        width: factor of the side signal.
        balance_db: level of left over right.
        equaliser_db: levels at `soli.data.augment.EQUALISER_HZ`; empty is flat.
        tilt_db: slope of the level per octave.
        room: it sounds in, if any.
        gain_db: its level in the end.
    """

    source: str
    excerpts: tuple[Excerpt, ...] = ()
    inverted: bool = False
    width: float = 1.0
    balance_db: float = 0.0
    equaliser_db: tuple[float, ...] = ()
    tilt_db: float = 0.0
    room: Room | None = None
    gain_db: float = 0.0


@dataclass(frozen=True, kw_only=True)
class MixRecipe:
    """One mixture.

    Attributes:
        index: it was drawn with.
        sample_rate: of all recordings and of the mixture, in Hz.
        n_samples: its length.
        coherent: whether it is of one song.
        stems: one for each class, in the order of the source axis.
        bandwidth: of its narrowest recording, where all stems are cut, in Hz.
        swapped: left and right are exchanged.
        mono: mixed down to one channel.
        loudness: `"rms"` or `"lufs"` where all stems are brought to one level before their gains; `"off"` elsewhere.
    """

    index: int
    sample_rate: int
    n_samples: int
    coherent: bool
    stems: tuple[StemRecipe, ...]
    bandwidth: float
    swapped: bool
    mono: bool
    loudness: Literal["off", "rms", "lufs"]
