"""What mixtures are made from: the recordings of one split, by class, by song and by name."""

from __future__ import annotations

import numpy as np

from soli.data.cache import Cache, CachedStem
from soli.data.mixing.recipe import Excerpt
from soli.errors import SoliError

Name = tuple[str, str, str, int]
"""Collection, track, label and take."""


class Library:
    """The recordings of some caches.

    Args:
        caches: where they lie.
        sources: the classes that are asked for.
        weights: `(collection, how often it is drawn)`; 1 for a collection not named.
        split: `"train"` or `"validation"`.

    Attributes:
        sample_rate: of all recordings, in Hz.
        n_channels: of all recordings.
        songs: the stems of each song that has at least two classes, one of them asked for.

    Raises:
        SoliError: when a class has no stem that may be drawn, for a weight that is negative or of an unknown
            collection, and for caches of several rates or numbers of channels.
    """

    def __init__(
        self, caches: list[Cache], sources: tuple[str, ...], weights: tuple[tuple[str, float], ...], split: str
    ) -> None:
        self.sample_rate, self.n_channels = _format(caches)
        found = [(cache, stem) for cache in caches for stem in cache.stems if stem.split == split]
        self._weights = dict(weights)
        collections = {stem.collection for _, stem in found}
        for name, weight in weights:
            if name not in collections:
                raise SoliError(f"no collection {name!r} in the cache; there is {', '.join(sorted(collections))}")
            if weight < 0:
                raise SoliError(f"weight {weight} of collection {name!r}; allowed: 0 or more")
        self._by_name: dict[Name, tuple[Cache, CachedStem]] = {}
        self._names: dict[CachedStem, Name] = {}
        for cache, stem in found:
            self._add(cache, stem)
        usable = [stem for _, stem in found if self._weight(stem) > 0]
        self._usable, self._any_odds = usable, self._probabilities(usable) if usable else np.empty(0)
        self._by_class = {source: [stem for stem in usable if stem.label == source] for source in sources}
        for source, stems in self._by_class.items():
            if not stems:
                raise SoliError(f"the cache has no stem of class {source!r}")
        self._odds = {source: self._probabilities(stems) for source, stems in self._by_class.items()}
        songs = [song for cache in caches for _, song in cache.tracks(split) if self._weight(song[0]) > 0]
        labels = [{stem.label for stem in song} for song in songs]
        self.songs = [song for song, found in zip(songs, labels, strict=True) if len(found) > 1 and found & {*sources}]
        self._song_odds = self._probabilities([song[0] for song in self.songs]) if self.songs else np.empty(0)

    def draw(self, source: str, rng: np.random.Generator) -> CachedStem:
        """A recording of a class, drawn by the weight of its collection and by its length.

        Args:
            source: the class.
            rng: draws.

        Returns:
            The recording.
        """
        return self._by_class[source][rng.choice(len(self._odds[source]), p=self._odds[source])]

    def draw_any(self, rng: np.random.Generator) -> CachedStem:
        """A recording, whatever it is of, drawn by the weight of its collection and by its length.

        Args:
            rng: draws.

        Returns:
            The recording.
        """
        return self._usable[rng.choice(len(self._usable), p=self._any_odds)]

    def draw_song(self, rng: np.random.Generator) -> list[CachedStem]:
        """A song, drawn by the weight of its collection and by its length.

        Args:
            rng: draws.

        Returns:
            Its stems.
        """
        return self.songs[rng.choice(len(self.songs), p=self._song_odds)]

    def excerpt(self, stem: CachedStem, *, start: int, tempo: float, pitch: float) -> Excerpt:
        """Name a part of a recording.

        Args:
            stem: the recording.
            start: see `Excerpt`; never beyond the recording's last frame.
            tempo: see `Excerpt`.
            pitch: see `Excerpt`.

        Returns:
            The excerpt.
        """
        collection, track, label, take = self._names[stem]
        start = min(start, max(stem.n_samples - 1, 0))
        return Excerpt(
            collection=collection, track=track, label=label, take=take, start=start, tempo=tempo, pitch=pitch
        )

    def level(self, excerpt: Excerpt, n_samples: int) -> float:
        """RMS of the samples that an excerpt plays.

        Args:
            excerpt: of a recording in these caches.
            n_samples: its length as played.

        Returns:
            The level in dBFS.
        """
        cache, stem = self._find(excerpt)
        return cache.level(stem, excerpt.start, round(n_samples * excerpt.tempo))

    def read(self, excerpt: Excerpt, n_samples: int) -> np.ndarray:
        """The samples that an excerpt plays, as recorded.

        Args:
            excerpt: of a recording in these caches.
            n_samples: its length as played.

        Returns:
            float32 `[C, round(n_samples * tempo)]`.
        """
        cache, stem = self._find(excerpt)
        return cache.read(stem, excerpt.start, round(n_samples * excerpt.tempo))

    def _add(self, cache: Cache, stem: CachedStem) -> None:
        take = 0
        while (name := (stem.collection, stem.track, stem.label, take)) in self._by_name:
            take += 1
        self._by_name[name] = cache, stem
        self._names[stem] = name

    def _find(self, excerpt: Excerpt) -> tuple[Cache, CachedStem]:
        name = (excerpt.collection, excerpt.track, excerpt.label, excerpt.take)
        if name not in self._by_name:
            raise SoliError(f"no recording {'/'.join(map(str, name))} in the cache; the mixture was drawn from another")
        return self._by_name[name]

    def _probabilities(self, stems: list[CachedStem]) -> np.ndarray:
        """Weight collections as asked, and inside each the recordings by their length."""
        totals: dict[str, int] = {}
        for stem in stems:
            totals[stem.collection] = totals.get(stem.collection, 0) + stem.n_samples
        odds = np.array([self._weight(stem) * stem.n_samples / totals[stem.collection] for stem in stems])
        return odds / odds.sum()

    def _weight(self, stem: CachedStem) -> float:
        return self._weights.get(stem.collection, 1.0)


def _format(caches: list[Cache]) -> tuple[int, int]:
    """Sample rate and number of channels, which all caches must share."""
    formats = {(cache.sample_rate, cache.n_channels): cache.folder for cache in caches}
    if not formats:
        raise SoliError("no training cache to mix from; give at least one")
    if len(formats) > 1:
        found = ", ".join(f"{folder}: {rate} Hz, channels: {n}" for (rate, n), folder in formats.items())
        raise SoliError(f"caches of one rate and number of channels are needed; {found}")
    return next(iter(formats))
