"""Mixtures of unlabelled stems, each beside another excerpt of the same recording.

What a song's stems are called is never looked at: all that is known of a stem is that two excerpts of its recording
are of one source. Recipes are those of `soli.data.mixing.recipe`: the stems of the mixture, then as many examples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from soli.data.cache import Cache, CachedStem
from soli.data.mixing.library import Library
from soli.data.mixing.mixer import Mixer
from soli.data.mixing.recipe import Excerpt, MixRecipe, StemRecipe
from soli.errors import SoliError

_TRIES, _ACTIVE_DBFS = 6, -50.0
_EMPTY = "empty"

Pair = tuple[Excerpt, Excerpt, float]
"""What sounds in the mixture, the example of it, and the bandwidth of their recording in Hz."""


@dataclass(frozen=True, kw_only=True)
class MultitrackConfig:
    """How mixtures of unlabelled stems are drawn.

    Attributes:
        segment_seconds: length of a mixture and of each example.
        fewest: stems of a mixture, at least; fewer where a song has no more that sound.
        most: stems of a mixture, at most, and places for them.
        full: fraction of mixtures with all stems that sound, up to `most`; the others have any number of them.
        weights: `(collection, how often it is drawn relative to the others)`; 1 for a collection not named.
        coherent: fraction of mixtures taken from one song; the stems of the others are of a song each.
        gain_db: the level of each stem and of each example changes by at most this much, uniformly.
        polarity: probability of a sign flip, of a whole song: stems of one take, such as overheads and what they hear,
            cancel where only one of them is flipped.
        speed: probability that an example plays faster or slower than its stem, which moves pitch and tempo together.
        speed_range: the largest factor; the smallest is its inverse.
        mono: mix down to one channel.
    """

    segment_seconds: float = 4.0
    fewest: int = 2
    most: int = 12
    full: float = 0.5
    weights: tuple[tuple[str, float], ...] = ()
    coherent: float = 1.0
    gain_db: float = 4.0
    polarity: float = 0.5
    speed: float = 0.3
    speed_range: float = 1.12
    mono: bool = True

    def __post_init__(self) -> None:
        for name in ("full", "coherent", "polarity", "speed"):
            if not 0 <= getattr(self, name) <= 1:
                raise SoliError(f"multitracks.{name} = {getattr(self, name)}; allowed: 0 to 1")
        for name, least in {"gain_db": 0, "speed_range": 1}.items():
            if not getattr(self, name) >= least:
                raise SoliError(f"multitracks.{name} = {getattr(self, name)}; allowed: at least {least}")
        if not self.segment_seconds > 0:
            raise SoliError(f"multitracks.segment_seconds = {self.segment_seconds}; allowed: more than 0")
        if not 1 <= self.fewest <= self.most:
            raise SoliError(f"multitracks: {self.fewest} to {self.most} stems; allowed: 1 or more, fewest to most")


class MultitrackMixer(Mixer):
    """Draws multitracks from caches.

    Args:
        caches: where the stems lie.
        config: how to draw.
        seed: of every draw.
        split: `"train"` or `"validation"`.

    Raises:
        SoliError: when there is no stem, or a weight names an unknown collection.
    """

    def __init__(self, caches: list[Cache], config: MultitrackConfig, *, seed: int = 0, split: str = "train") -> None:
        self.multitracks, self.seed = config, seed
        labels = {stem.label for cache in caches for stem in cache.stems if stem.split == split}
        if not labels:
            raise SoliError(f"no stem of split {split!r} in the cache")
        unused = {name for name, weight in config.weights if not weight}
        kept = {stem.label for cache in caches for stem in cache.stems if stem.collection not in unused}
        self.library = Library(caches, tuple(sorted(labels & kept)), config.weights, split)

    def mixture(self, index: int) -> np.ndarray:
        """The stems of one mixture and an example of each; places without a stem are silent.

        Args:
            index: any non-negative integer; the same index gives the same mixture.

        Returns:
            float32 `[2 S C T]`: first the stems, whose sum is the mixture, then the examples.
        """
        both = self.apply(self.draw(index))
        return both.reshape(2, self.multitracks.most, *both.shape[1:])

    def draw(self, index: int) -> MixRecipe:
        """Decide all about one mixture.

        Args:
            index: any non-negative integer.

        Returns:
            Its recipe, with twice as many stems as there are places.
        """
        config, library = self.multitracks, self.library
        rng = np.random.default_rng((self.seed, index))
        n_samples = round(config.segment_seconds * library.sample_rate)
        coherent = bool(library.songs) and rng.random() < config.coherent
        pairs = self._song(rng, n_samples) if coherent else self._apart(rng, n_samples)
        empty = [StemRecipe(source=_EMPTY)] * (config.most - len(pairs))
        flips = rng.random(1 if coherent else len(pairs)) < config.polarity
        flipped = np.broadcast_to(flips, len(pairs))
        return MixRecipe(
            index=index,
            sample_rate=library.sample_rate,
            n_samples=n_samples,
            coherent=coherent,
            stems=tuple(
                stem
                for excerpts in ([pair[0] for pair in pairs], [pair[1] for pair in pairs])
                for stem in (*(self._stem(rng, i, part, flipped[i]) for i, part in enumerate(excerpts)), *empty)
            ),
            bandwidth=min((pair[2] for pair in pairs), default=library.sample_rate / 2),
            swapped=False,
            mono=config.mono,
            loudness="off",
        )

    def _song(self, rng: np.random.Generator, n_samples: int) -> list[Pair]:
        """Some of the stems that sound at one moment of a song."""
        pairs: list[Pair] = []
        for _ in range(_TRIES):
            song = self.library.draw_song(rng)
            start = _place(rng, max(stem.n_samples for stem in song), n_samples)
            pairs = [pair for stem in song if (pair := self._pair(rng, stem, start, n_samples))]
            if len(pairs) >= self.multitracks.fewest:
                break
        chosen = rng.permutation(len(pairs))[: self._size(rng)]
        return [pairs[place] for place in chosen]

    def _apart(self, rng: np.random.Generator, n_samples: int) -> list[Pair]:
        """Stems of a song each."""
        pairs: list[Pair] = []
        size = self._size(rng)
        for _ in range(_TRIES * size):
            stem = self.library.draw_any(rng)
            if pair := self._pair(rng, stem, _place(rng, stem.n_samples, n_samples), n_samples):
                pairs.append(pair)
            if len(pairs) == size:
                break
        return pairs

    def _size(self, rng: np.random.Generator) -> int:
        if rng.random() < self.multitracks.full:
            return self.multitracks.most
        return int(rng.integers(self.multitracks.fewest, self.multitracks.most + 1))

    def _pair(self, rng: np.random.Generator, stem: CachedStem, start: int, n_samples: int) -> Pair | None:
        """A stem from a moment on and an example of it; None where either is silent."""
        library, config = self.library, self.multitracks
        excerpt = library.excerpt(stem, start=start, tempo=1.0, pitch=1.0)
        if library.level(excerpt, n_samples) <= _ACTIVE_DBFS:
            return None
        speed = 1.0
        if rng.random() < config.speed:
            limit = np.log(config.speed_range)
            speed = float(np.exp(rng.uniform(-limit, limit)))
        for _ in range(_TRIES):
            other = _elsewhere(rng, stem.n_samples, n_samples, round(n_samples * speed), excerpt.start)
            example = replace(excerpt, start=other, tempo=speed, pitch=speed)
            if library.level(example, n_samples) > _ACTIVE_DBFS:
                return excerpt, example, stem.bandwidth
        return None

    def _stem(self, rng: np.random.Generator, number: int, excerpt: Excerpt, inverted: bool) -> StemRecipe:
        limit = self.multitracks.gain_db
        return StemRecipe(
            source=str(number),
            excerpts=(excerpt,),
            inverted=bool(inverted),
            gain_db=float(rng.uniform(-limit, limit)),
        )


def _place(rng: np.random.Generator, available: int, n_samples: int) -> int:
    """Where a window begins: anywhere, or at an end of a recording that has no room for an example otherwise."""
    if available < 3 * n_samples:
        return int(rng.integers(2)) * max(available - n_samples, 0)
    return int(rng.integers(0, max(available - n_samples, 0) + 1))


def _elsewhere(rng: np.random.Generator, available: int, n_samples: int, n_example: int, start: int) -> int:
    """Where an example begins that does not overlap; in a recording too short for that, as far away as it can."""
    before, after = max(start - n_example + 1, 0), max(available - n_example - (start + n_samples) + 1, 0)
    if before + after == 0:
        last = max(available - n_example, 0)
        return 0 if start > last - start else last
    chosen = int(rng.integers(before + after))
    return chosen if chosen < before else start + n_samples + chosen - before
