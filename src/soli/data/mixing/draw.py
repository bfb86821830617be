"""From random numbers to the recipe of a mixture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from soli.data.augment.filters import EQUALISER_HZ, Room
from soli.data.cache import CachedStem
from soli.data.mixing.config import MixingConfig
from soli.data.mixing.library import Library
from soli.data.mixing.recipe import Excerpt, MixRecipe, StemRecipe

_TRIES, _ACTIVE_DBFS = 5, -45.0
_EQUALISER_DB = 5.0
_WIDTH, _BALANCE_DB = (0.2, 1.2), 3.0
_LAYER_GAIN = 0.7
_WET_DB, _DELAY, _SHORTEST_ROOM = (-20.0, -6.0), (0.002, 0.03), 0.15

Take = tuple[tuple[Excerpt, ...], float]
"""What a class plays, and the bandwidth of it in Hz."""


def draw_mixture(library: Library, config: MixingConfig, rng: np.random.Generator, index: int) -> MixRecipe:
    """Draw one mixture.

    Args:
        library: what to draw from.
        config: how.
        rng: draws; only through it does the mixture depend on the index.
        index: written into the recipe.

    Returns:
        Its recipe.
    """
    n_samples = round(config.segment_seconds * library.sample_rate)
    song = library.draw_song(rng) if library.songs and rng.random() < config.coherent else []
    takes = _song(library, config, rng, song, n_samples) if song else {}
    fill = not song or rng.random() < config.fill
    candidates = [name for name in config.sources if fill or name in takes]
    sounding = _sounding(candidates, config, rng)
    takes = {name: takes.get(name) or _solo(library, config, rng, name, n_samples) for name in sounding}
    equalised = rng.random() < config.equalise
    stems = [
        _stem(name, takes[name][0], config, rng, equalised) if name in takes else StemRecipe(source=name)
        for name in config.sources
    ]
    return MixRecipe(
        index=index,
        sample_rate=library.sample_rate,
        n_samples=n_samples,
        coherent=bool(song),
        stems=tuple(stems),
        bandwidth=min((bandwidth for _, bandwidth in takes.values()), default=library.sample_rate / 2),
        swapped=bool(rng.random() < config.swap),
        mono=config.mono,
        loudness=config.loudness if config.equal_loudness else "off",
    )


def _song(
    library: Library, config: MixingConfig, rng: np.random.Generator, song: list[CachedStem], n_samples: int
) -> dict[str, Take]:
    """The classes of one song, from the same moment on and changed alike."""
    tempo, pitch = _motion(config, rng)
    start = _start(rng, max(stem.n_samples for stem in song), n_samples, tempo)
    takes: dict[str, Take] = {}
    for stem in song:
        if stem.label in config.sources and stem.label not in takes:
            takes[stem.label] = (library.excerpt(stem, start=start, tempo=tempo, pitch=pitch),), stem.bandwidth
    return takes


def _solo(library: Library, config: MixingConfig, rng: np.random.Generator, name: str, n_samples: int) -> Take:
    """A class from a song of its own, or from two at once."""
    excerpt, bandwidth = _active(library, config, rng, name, n_samples)
    if rng.random() >= config.layer:
        return (excerpt,), bandwidth
    other, narrowest = _active(library, config, rng, name, n_samples)
    return tuple(replace(part, gain=_LAYER_GAIN) for part in (excerpt, other)), min(bandwidth, narrowest)


def _active(
    library: Library, config: MixingConfig, rng: np.random.Generator, name: str, n_samples: int
) -> tuple[Excerpt, float]:
    """An excerpt of a class that is not silent, if a few tries find one, and its bandwidth."""
    tries = 0
    while True:
        stem = library.draw(name, rng)
        tempo, pitch = _motion(config, rng)
        start = _start(rng, stem.n_samples, n_samples, tempo)
        excerpt = library.excerpt(stem, start=start, tempo=tempo, pitch=pitch)
        tries += 1
        if tries == _TRIES or library.level(excerpt, n_samples) > _ACTIVE_DBFS:
            return excerpt, stem.bandwidth


def _motion(config: MixingConfig, rng: np.random.Generator) -> tuple[float, float]:
    """Factors of tempo and pitch."""
    speed = _factor(rng, config.speed, config.speed_range)
    tempo = _factor(rng, config.tempo, config.tempo_range)
    pitch = _factor(rng, config.pitch, 2 ** (config.pitch_semitones / 12))
    return speed * tempo, speed * pitch


def _factor(rng: np.random.Generator, probability: float, largest: float) -> float:
    """Between the inverse of the largest factor and itself, evenly in the logarithm; 1 where nothing changes."""
    if rng.random() >= probability:
        return 1.0
    limit = np.log(largest)
    return float(np.exp(rng.uniform(-limit, limit)))


def _start(rng: np.random.Generator, available: int, n_samples: int, tempo: float) -> int:
    return int(rng.integers(0, max(available - round(n_samples * tempo), 0) + 1))


def _sounding(candidates: list[str], config: MixingConfig, rng: np.random.Generator) -> list[str]:
    """The classes that are not left out."""
    if config.subsets == "off":
        return [name for name in candidates if rng.random() >= config.drop]
    n = len(candidates)
    if config.subsets == "by_size":
        chosen = rng.permutation(n)[: rng.integers(1, min(n, config.largest or n) + 1)]
    else:
        chosen = np.flatnonzero(int(rng.integers(1, 2**n)) >> np.arange(n) & 1)
    return [candidates[position] for position in sorted(chosen)]


def _stem(
    name: str, excerpts: tuple[Excerpt, ...], config: MixingConfig, rng: np.random.Generator, equalised: bool
) -> StemRecipe:
    """What becomes of a stem that sounds."""
    panned = rng.random() < config.pan
    return StemRecipe(
        source=name,
        excerpts=excerpts,
        inverted=bool(rng.random() < config.polarity),
        width=float(rng.uniform(*_WIDTH)) if panned else 1.0,
        balance_db=_within(rng, _BALANCE_DB) if panned else 0.0,
        equaliser_db=tuple(_within(rng, _EQUALISER_DB) for _ in EQUALISER_HZ) if equalised else (),
        tilt_db=_within(rng, config.tilt_db) if rng.random() < config.tilt else 0.0,
        room=_room(rng, config.reverb_seconds) if rng.random() < config.reverb else None,
        gain_db=_within(rng, config.gain_db),
    )


def _room(rng: np.random.Generator, longest: float) -> Room:
    return Room(
        seconds=float(rng.uniform(min(_SHORTEST_ROOM, longest), longest)),
        wet_db=float(rng.uniform(*_WET_DB)),
        delay=float(rng.uniform(*_DELAY)),
        seed=int(rng.integers(2**31)),
    )


def _within(rng: np.random.Generator, limit: float) -> float:
    return float(rng.uniform(-limit, limit))
