"""What a recipe can say about its mixtures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from soli.data.augment.level import Loudness
from soli.errors import SoliError

_PROBABILITIES = (
    "coherent",
    "fill",
    "drop",
    "polarity",
    "swap",
    "speed",
    "pitch",
    "tempo",
    "layer",
    "pan",
    "equalise",
    "tilt",
    "reverb",
)
_AT_LEAST = {
    "gain_db": 0,
    "pitch_semitones": 0,
    "tilt_db": 0,
    "speed_range": 1,
    "tempo_range": 1,
    "n_mixtures": 0,
    "largest": 0,
}
_POSITIVE = ("segment_seconds", "reverb_seconds")


@dataclass(frozen=True, kw_only=True)
class MixingConfig:
    """How training mixtures are drawn.

    Attributes:
        sources: classes, in the order of the source axis.
        segment_seconds: length of a mixture.
        n_mixtures: how many different ones there are, after which they come again; 0 for no end.
        weights: `(collection, how often it is drawn relative to the others that hold the class)`;
            1 for a collection not named.
        coherent: fraction of mixtures taken from one song.
        fill: probability that classes which the song of a coherent mixture lacks come from elsewhere.
        subsets: which classes sound: `"off"` leaves it to `drop`; `"uniform"` makes every non-empty subset of the
            classes that could sound equally likely, `"by_size"` every size of subset.
        largest: `"by_size"`: at most so many classes sound; 0 for no limit.
        drop: probability that a class is silent.
        gain_db: each stem's level changes by at most this much, uniformly.
        polarity: probability of a sign flip.
        swap: probability of exchanging left and right.
        speed: probability of playing faster or slower, which moves pitch and tempo together.
        speed_range: the largest factor; the smallest is its inverse.
        tempo: probability of another tempo at the same pitch. The stems of one song share speed, tempo and pitch.
        tempo_range: the largest factor; the smallest is its inverse.
        pitch: probability of another pitch at the same tempo.
        pitch_semitones: it moves by at most this much up or down.
        layer: incoherent mixtures: probability that a class sounds from two songs at once.
        pan: probability that a stem gets another balance and width.
        equalise: probability that the stems of a mixture get a random equaliser each.
        tilt: probability that a stem becomes brighter or darker throughout.
        tilt_db: by at most this much per octave.
        reverb: probability that a stem sounds in a room.
        reverb_seconds: the longest reverberation time.
        mono: mix down to one channel.
        equal_loudness: bring all stems to one level before the gains, as seed 004 did.
        loudness: that level: `"rms"`, -20 dBFS, or `"lufs"`, -25 LUFS.
    """

    sources: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    segment_seconds: float = 4.0
    n_mixtures: int = 0
    weights: tuple[tuple[str, float], ...] = ()
    coherent: float = 0.35
    fill: float = 0.5
    subsets: Literal["off", "uniform", "by_size"] = "off"
    largest: int = 0
    drop: float = 0.06
    gain_db: float = 4.0
    polarity: float = 0.5
    swap: float = 0.3
    speed: float = 0.25
    speed_range: float = 1.15
    tempo: float = 0.0
    tempo_range: float = 1.1
    pitch: float = 0.0
    pitch_semitones: float = 2.0
    layer: float = 0.0
    pan: float = 0.0
    equalise: float = 0.0
    tilt: float = 0.0
    tilt_db: float = 1.0
    reverb: float = 0.0
    reverb_seconds: float = 1.0
    mono: bool = False
    equal_loudness: bool = False
    loudness: Loudness = "rms"

    def __post_init__(self) -> None:
        for name in _PROBABILITIES:
            if not 0 <= getattr(self, name) <= 1:
                raise SoliError(f"mixing.{name} = {getattr(self, name)}; allowed: 0 to 1")
        for name, least in _AT_LEAST.items():
            if not getattr(self, name) >= least:
                raise SoliError(f"mixing.{name} = {getattr(self, name)}; allowed: at least {least}")
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise SoliError(f"mixing.{name} = {getattr(self, name)}; allowed: more than 0")
        if not self.sources:
            raise SoliError("mixing.sources is empty; name at least one class")


_PAPER = MixingConfig(
    segment_seconds=3.2,
    n_mixtures=20_000,
    coherent=0.0,
    drop=0.0,
    gain_db=0.0,
    polarity=0.0,
    swap=0.0,
    speed=0.0,
    mono=True,
    equal_loudness=True,
    loudness="lufs",
)
PAPER_MIXING = {"train": _PAPER, "validation": replace(_PAPER, n_mixtures=2_000)}
"""Split -> the mixtures seed 004 was trained on: mono, all four classes, each from a song of its own at -25 LUFS.

Here a silent excerpt is drawn again, and long recordings are drawn more often than short ones; Scaper did neither.
"""
