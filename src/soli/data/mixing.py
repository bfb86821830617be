"""Training mixtures without end, each one reproducible from its seed and index.

A mixture is coherent (the stems of one song, in time with each other) or incoherent (each class from
a song of its own, as in seed 004). Gains, polarity, channel swaps and changes of speed vary it further.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from soli.data.cache import SAMPLE_RATE, Cache, CachedStem
from soli.errors import SoliError

_ACTIVE = 10 ** (-45 / 20)  # RMS below which a segment counts as silent
_TRIES = 5


@dataclass(frozen=True, kw_only=True)
class MixingConfig:
    """How training mixtures are drawn.

    Attributes:
        sources: classes, in the order of the source axis.
        segment_seconds: length of a mixture.
        weights: `(collection, how often it is drawn relative to the others that hold the class)`;
            1 for a collection not named.
        coherent: fraction of mixtures taken from one song.
        drop: probability that a class is silent.
        gain_db: each stem's level changes by at most this much, uniformly.
        polarity: probability of a sign flip.
        swap: probability of exchanging left and right.
        speed: probability of playing faster or slower, which moves pitch and tempo together.
        speed_range: the largest factor; the smallest is its inverse.
        layer: incoherent mixtures: probability that a class sounds from two songs at once.
        pan: probability that a stem gets another balance and width.
        equalise: probability that the stems of a mixture get a random equaliser each.
        mono: mix down to one channel.
        equal_loudness: bring all stems to one RMS level before the gains, as seed 004 did.
    """

    sources: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    segment_seconds: float = 4.0
    weights: tuple[tuple[str, float], ...] = ()
    coherent: float = 0.35
    drop: float = 0.06
    gain_db: float = 4.0
    polarity: float = 0.5
    swap: float = 0.3
    speed: float = 0.25
    speed_range: float = 1.15
    layer: float = 0.0
    pan: float = 0.0
    equalise: float = 0.0
    mono: bool = False
    equal_loudness: bool = False


class Mixer:
    """Draws mixtures from caches.

    Args:
        caches: where the stems lie.
        config: how to mix.
        seed: of every draw.
        split: `"train"` or `"validation"`.

    Raises:
        SoliError: when a class has no stem, or a weight names an unknown collection.
    """

    def __init__(self, caches: list[Cache], config: MixingConfig, *, seed: int = 0, split: str = "train") -> None:
        self.config, self.seed = config, seed
        self.n_samples = round(config.segment_seconds * SAMPLE_RATE)
        self._cache_of = {stem: cache for cache in caches for stem in cache.stems}
        stems = [stem for cache in caches for stem in cache.stems if stem.split == split]
        unknown = {name for name, _ in config.weights} - {stem.collection for stem in stems}
        if unknown:
            known = sorted({stem.collection for stem in stems})
            raise SoliError(f"no collection {sorted(unknown)[0]!r} in the cache; there is {', '.join(known)}")
        self._by_class = {name: [s for s in stems if s.label == name] for name in config.sources}
        empty = [name for name, found in self._by_class.items() if not found]
        if empty:
            raise SoliError(f"the cache has no stem of class {empty[0]!r}")
        self._odds = {name: self._probabilities(found) for name, found in self._by_class.items()}
        songs = [songs for cache in caches for _, songs in cache.tracks(split)]
        self._songs = [song for song in songs if len({stem.label for stem in song}) > 1]
        self._song_odds = self._probabilities([song[0] for song in self._songs]) if self._songs else np.empty(0)

    def mixture(self, index: int) -> np.ndarray:
        """The stems of one mixture; their sum over S is the mixture.

        Args:
            index: any non-negative integer; the same index gives the same mixture.

        Returns:
            float32 `[S C T]`.
        """
        rng = np.random.default_rng((self.seed, index))
        config = self.config
        draw = self._coherent if self._songs and rng.random() < config.coherent else self._incoherent
        stems, bandwidth = draw(rng)
        for position in range(len(stems)):
            stems[position] *= 10 ** (rng.uniform(-config.gain_db, config.gain_db) / 20)
            stems[position] *= -1.0 if rng.random() < config.polarity else 1.0
            if rng.random() < config.drop:
                stems[position] = 0.0
            elif rng.random() < config.pan:
                stems[position] = _pan(stems[position], rng)
        if rng.random() < config.swap:
            stems = stems[:, ::-1]
        if config.mono:
            stems = stems.mean(axis=1, keepdims=True)
        if rng.random() < config.equalise:
            gains = np.stack([_equaliser(self.n_samples, rng) for _ in stems])[:, None]
        else:
            gains = None
        return np.ascontiguousarray(_filter(stems, bandwidth, gains), dtype=np.float32)

    def _incoherent(self, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        out = np.zeros((len(self.config.sources), 2, self.n_samples), np.float32)
        bandwidth = SAMPLE_RATE / 2
        for position, name in enumerate(self.config.sources):
            for layer in range(1 + (rng.random() < self.config.layer)):
                audio, narrowest = self._active_excerpt(name, rng)
                out[position] += _to_level(audio) if self.config.equal_loudness else audio
                bandwidth = min(bandwidth, narrowest)
                if layer:
                    out[position] *= np.float32(0.7)
        return out, bandwidth

    def _active_excerpt(self, name: str, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        """An excerpt of a class that is not silent, if a few tries find one, and its bandwidth."""
        audio, bandwidth = np.zeros((2, self.n_samples), np.float32), SAMPLE_RATE / 2
        for _ in range(_TRIES):
            stem = self._by_class[name][rng.choice(len(self._odds[name]), p=self._odds[name])]
            factor = self._factor(rng)
            audio = self._excerpt(stem, self._start(rng, stem.n_samples, factor), factor)
            if np.sqrt(np.mean(audio**2)) > _ACTIVE:
                return audio, stem.bandwidth
        return audio, bandwidth

    def _coherent(self, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        song = self._songs[rng.choice(len(self._songs), p=self._song_odds)]
        factor = self._factor(rng)
        start = self._start(rng, max(stem.n_samples for stem in song), factor)
        out, bandwidth = self._incoherent(rng)
        labels = {stem.label for stem in song}
        fill = rng.random() < 0.5  # half the time, classes the song lacks come from elsewhere
        for position, name in enumerate(self.config.sources):
            if name in labels:
                stem = next(stem for stem in song if stem.label == name)
                out[position] = self._excerpt(stem, start, factor)
            elif not fill:
                out[position] = 0.0
        return out, bandwidth

    def _excerpt(self, stem: CachedStem, start: int, factor: float) -> np.ndarray:
        length = round(self.n_samples * factor)
        audio = self._cache_of[stem].read(stem, min(start, max(stem.n_samples - 1, 0)), length)
        if length == self.n_samples:
            return audio
        positions = np.linspace(0, length - 1, self.n_samples)
        return np.stack([np.interp(positions, np.arange(length), channel) for channel in audio]).astype(np.float32)

    def _factor(self, rng: np.random.Generator) -> float:
        if rng.random() >= self.config.speed:
            return 1.0
        limit = np.log(self.config.speed_range)
        return float(np.exp(rng.uniform(-limit, limit)))

    def _start(self, rng: np.random.Generator, n_samples: int, factor: float) -> int:
        return int(rng.integers(0, max(n_samples - round(self.n_samples * factor), 0) + 1))

    def _probabilities(self, stems: list[CachedStem]) -> np.ndarray:
        """Weight collections as asked, and inside each the recordings by their length."""
        weights = dict(self.config.weights)
        totals: dict[str, int] = {}
        for stem in stems:
            totals[stem.collection] = totals.get(stem.collection, 0) + stem.n_samples
        odds = np.array([weights.get(s.collection, 1.0) * s.n_samples / totals[s.collection] for s in stems])
        return odds / odds.sum()


class MixtureStream(IterableDataset[Tensor]):
    """The mixtures `first, first + 1, …` of a mixer, shared out among data-loader workers.

    Args:
        mixer: draws the mixtures.
        first: index of the first one: a resumed training goes on where it stopped.
    """

    def __init__(self, mixer: Mixer, first: int = 0) -> None:
        self.mixer, self.first = mixer, first

    def __iter__(self) -> Iterator[Tensor]:
        worker = get_worker_info()
        index, step = (self.first, 1) if worker is None else (self.first + worker.id, worker.num_workers)
        while True:
            yield torch.from_numpy(self.mixer.mixture(index))
            index += step


def batches(mixer: Mixer, *, batch_size: int, first: int = 0, n_workers: int = 1) -> Iterator[Tensor]:
    """Endless batches, prepared by worker processes while the network trains.

    Args:
        mixer: draws the mixtures.
        batch_size: B.
        first: index of the first mixture.
        n_workers: 0 prepares them in this process; more than one changes their order, so that
            only 0 and 1 continue exactly when resumed.

    Returns:
        An iterator over `[B S C T]`.
    """
    loader = DataLoader(
        MixtureStream(mixer, first),
        batch_size=batch_size,
        num_workers=n_workers,
        prefetch_factor=4 if n_workers else None,
        generator=torch.Generator(),  # a seed drawn from torch's own state would set a resumed run apart
    )
    return iter(loader)


def _to_level(audio: np.ndarray, level: float = 10 ** (-20 / 20)) -> np.ndarray:
    rms = float(np.sqrt(np.mean(audio**2)))
    return audio * np.float32(level / rms) if rms > _ACTIVE else audio


def _pan(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another width, from narrow to a little wider, and another balance within 3 dB."""
    width, balance = rng.uniform(0.2, 1.2), 10 ** (rng.uniform(-3, 3) / 40)
    middle, side = audio.mean(axis=0), (audio[0] - audio[1]) / 2 * np.float32(width)
    return np.stack(((middle + side) * np.float32(balance), (middle - side) / np.float32(balance)))


def _equaliser(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Gains of the real FFT's bins: straight lines in dB over octaves, within 5 dB."""
    knots = np.array([60.0, 250.0, 1000.0, 4000.0, 16000.0])
    frequencies = np.arange(n_samples // 2 + 1) * (SAMPLE_RATE / n_samples)
    decibels = np.interp(np.log(np.maximum(frequencies, 1.0)), np.log(knots), rng.uniform(-5, 5, len(knots)))
    return (10 ** (decibels / 20)).astype(np.float32)


def _filter(stems: np.ndarray, bandwidth: float, gains: np.ndarray | None) -> np.ndarray:
    """Equalise, and cut everything at the narrowest recording's bandwidth: no class 'ends' anywhere then."""
    if gains is None and bandwidth >= SAMPLE_RATE / 2:
        return stems
    spectrum = np.fft.rfft(stems, axis=-1)
    if gains is not None:
        spectrum *= gains
    edge = round(bandwidth / (SAMPLE_RATE / 2) * (spectrum.shape[-1] - 1))
    spectrum[..., edge + 1 :] = 0
    return np.fft.irfft(spectrum, n=stems.shape[-1], axis=-1)
