"""Stems decoded once into memory-mapped 16-bit files, so that a training step never waits for a decoder.

A cache is a folder with `index.json` and one `audio.i16` of interleaved samples, all at one rate.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from soli.errors import SoliError

_INDEX, _AUDIO = "index.json", "audio.i16"
_PARTIAL = f"{_AUDIO}.partial"
_FULL_SCALE = 32767.0


@dataclass(frozen=True, kw_only=True)
class CachedStem:
    """Where one stem lies in the cache.

    Attributes:
        collection: the dataset it came from; recipes weight collections.
        track: the song; stems of one track are aligned.
        label: its class.
        offset: first frame in the audio file.
        n_samples: length in frames.
        bandwidth: highest frequency the recording holds, in Hz.
        gain: what the stored samples must be multiplied with.
        coherent: whether stems of this track make a song together.
        split: `"train"` or `"validation"`.
    """

    collection: str
    track: str
    label: str
    offset: int
    n_samples: int
    bandwidth: float
    gain: float = 1.0
    coherent: bool = True
    split: str = "train"


class CacheWriter:
    """Append stems to a new cache; the index is written last, on a clean exit.

    Until then an older cache in the folder stays as it is, and after an error nothing of the new one is left.

    Args:
        folder: created if missing; an existing cache there is replaced.
        sample_rate: of all stems, in Hz.
        n_channels: of all stems, 1 or 2.
    """

    def __init__(self, folder: Path, *, sample_rate: int = 44100, n_channels: int = 2) -> None:
        self.folder = folder
        self.sample_rate, self.n_channels = sample_rate, n_channels
        self.stems: list[CachedStem] = []
        self._n_frames = 0
        self._audio: BinaryIO

    def __enter__(self) -> CacheWriter:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._audio = (self.folder / _PARTIAL).open("wb")
        return self

    def add(
        self,
        audio: np.ndarray,
        *,
        collection: str,
        track: str,
        label: str,
        level_dbfs: float | None = None,
        bandwidth: float | None = None,
        coherent: bool = True,
        split: str = "train",
    ) -> None:
        """Store one stem.

        Args:
            audio: float `[C T]` at the rate of the cache; mono spreads to its channels, stereo is mixed down to one.
            collection: see `CachedStem`.
            track: see `CachedStem`.
            label: see `CachedStem`.
            level_dbfs: scale so that the active parts have this RMS level; None keeps the level.
            bandwidth: see `CachedStem`; None for half the rate.
            coherent: see `CachedStem`.
            split: see `CachedStem`.
        """
        kept = audio.mean(axis=0, keepdims=True) if self.n_channels == 1 else audio[: self.n_channels]
        kept = np.broadcast_to(kept, (self.n_channels, kept.shape[1]))
        peak = max(float(np.abs(kept).max(initial=0.0)), 1e-9)
        frames = np.round(kept.T * (_FULL_SCALE / peak)).astype("<i2")
        frames.tofile(self._audio)
        scale = 1.0 if level_dbfs is None else 10 ** (level_dbfs / 20) / max(_active_rms(kept, self.sample_rate), 1e-6)
        self.stems.append(
            CachedStem(
                collection=collection,
                track=track,
                label=label,
                offset=self._n_frames,
                n_samples=kept.shape[1],
                bandwidth=self.sample_rate / 2 if bandwidth is None else bandwidth,
                gain=peak * scale,
                coherent=coherent,
                split=split,
            )
        )
        self._n_frames += kept.shape[1]

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._audio.close()
            if kind is None:
                self._replace()
        finally:
            (self.folder / _PARTIAL).unlink(missing_ok=True)
            with suppress(OSError):  # a cache or somebody else's files are in it
                self.folder.rmdir()

    def _replace(self) -> None:
        """Put the new cache where the old one was, which has no index while its audio is another's."""
        stems = [asdict(stem) for stem in self.stems]
        index = {"sample_rate": self.sample_rate, "n_channels": self.n_channels, "stems": stems}
        (self.folder / _INDEX).unlink(missing_ok=True)
        (self.folder / _PARTIAL).replace(self.folder / _AUDIO)
        (self.folder / _INDEX).write_text(json.dumps(index), encoding="utf-8")


class Cache:
    """Read-only view of a cache folder.

    Args:
        folder: written by `CacheWriter`.

    Attributes:
        sample_rate: of all stems, in Hz.
        n_channels: of all stems.
        stems: what it holds.

    Raises:
        SoliError: when the folder holds no complete cache.
    """

    def __init__(self, folder: Path) -> None:
        try:
            index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
            self.sample_rate, self.n_channels = int(index["sample_rate"]), int(index["n_channels"])
            self.stems = [CachedStem(**row) for row in index["stems"]]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise SoliError(f"{folder}: no complete training cache here; `soli train` builds one") from error
        self.folder = folder
        self._audio = np.memmap(folder / _AUDIO, dtype="<i2", mode="r").reshape(-1, self.n_channels)

    def __reduce__(self) -> tuple[type[Cache], tuple[Path]]:
        """Worker processes open the files themselves instead of being sent the audio."""
        return Cache, (self.folder,)

    def read(self, stem: CachedStem, start: int, n_samples: int) -> np.ndarray:
        """Samples of a stem; beyond its end there is silence.

        Args:
            stem: one of `self.stems`.
            start: first frame, counted from the stem's own beginning.
            n_samples: how many frames.

        Returns:
            float32 `[C, n_samples]`.
        """
        stop = min(start + n_samples, stem.n_samples)
        out = np.zeros((self.n_channels, n_samples), np.float32)
        frames = self._audio[stem.offset + start : stem.offset + stop]
        out[:, : stop - start] = frames.T * np.float32(stem.gain / _FULL_SCALE)
        return out

    def level(self, stem: CachedStem, start: int, n_samples: int) -> float:
        """Loudness of a part of a stem, from every eighth frame of it; beyond its end there is silence.

        Args:
            stem: one of `self.stems`.
            start: first frame, counted from the stem's own beginning.
            n_samples: how many frames.

        Returns:
            RMS in dBFS, over all channels.
        """
        stop = min(start + n_samples, stem.n_samples)
        frames = self._audio[stem.offset + start : stem.offset + stop : 8].astype(np.float32)
        power = float(np.square(frames).sum()) * 8 / (self.n_channels * n_samples) * (stem.gain / _FULL_SCALE) ** 2
        return 10 * float(np.log10(max(power, 1e-20)))

    def tracks(self, split: str) -> Iterator[tuple[str, list[CachedStem]]]:
        """The multitracks of a split whose stems belong together.

        Args:
            split: `"train"` or `"validation"`.

        Yields:
            Track name and its stems.
        """
        grouped: dict[str, list[CachedStem]] = {}
        for stem in self.stems:
            if stem.coherent and stem.split == split:
                grouped.setdefault(f"{stem.collection}/{stem.track}", []).append(stem)
        yield from grouped.items()


def is_cache(folder: Path) -> bool:
    """Whether a complete cache lies in a folder.

    Args:
        folder: may be missing.

    Returns:
        True when its index, which is written last, is there.
    """
    return (folder / _INDEX).is_file()


def _active_rms(audio: np.ndarray, sample_rate: int) -> float:
    """RMS over the 100 ms frames that are within 30 dB of the loudest one."""
    frame = sample_rate // 10
    usable = audio[:, : audio.shape[1] // frame * frame]
    if usable.shape[1] == 0:
        return float(np.sqrt(np.mean(audio**2) + 1e-12))
    power = (usable.reshape(audio.shape[0], -1, frame) ** 2).mean(axis=(0, 2))
    return float(np.sqrt(power[power >= power.max() * 1e-3].mean()))
